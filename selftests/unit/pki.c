// SPDX-License-Identifier: GPL-2.0-or-later
/* Authorities, certificates and shared keys for tests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "pki.h"

#define DAY	86400

static void insist(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "pki: %s failed\n", what);
	abort();
}

static FILE *open_file(const char *dir, const char *name, const char *suffix, const char *mode)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s%s", dir, name, suffix);
	file = fopen(path, mode);
	insist(file != NULL, path);
	return file;
}

static void add(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	insist(extension && X509_add_ext(x, extension, -1), value);
	X509_EXTENSION_free(extension);
}

static X509 *new_certificate(const char *name, EVP_PKEY *key, int days)
{
	static long serial;
	X509 *x = X509_new();

	insist(x && X509_set_version(x, X509_VERSION_3) &&
	       ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial) &&
	       X509_gmtime_adj(X509_getm_notBefore(x), -DAY) &&
	       X509_gmtime_adj(X509_getm_notAfter(x), (long)(days - 1) * DAY) &&
	       X509_set_pubkey(x, key) &&
	       X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
					  (const unsigned char *)name, -1, -1, 0),
	       "a certificate");
	return x;
}

/* Signs, writes both files, frees both. */
static void finish(const char *dir, const char *name, X509 *x, EVP_PKEY *key, EVP_PKEY *signer)
{
	FILE *pem = open_file(dir, name, ".pem", "w"), *private = open_file(dir, name, ".key", "w");

	insist(X509_sign(x, signer, EVP_sha256()) && PEM_write_X509(pem, x) &&
	       PEM_write_PrivateKey(private, key, NULL, NULL, 0, NULL, NULL), "signing");
	fclose(pem);
	fclose(private);
	X509_free(x);
	EVP_PKEY_free(key);
}

void pki_authority(const char *dir, const char *name)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = new_certificate(name, key, 1000);

	X509_set_issuer_name(x, X509_get_subject_name(x));
	add(x, x, NID_basic_constraints, "critical,CA:TRUE");
	add(x, x, NID_key_usage, "critical,keyCertSign");
	finish(dir, name, x, key, key);
}

void pki_certificate(const char *dir, const char *name, const char *by,
		     const char *host, int days)
{
	FILE *pem = open_file(dir, by, ".pem", "r"), *private = open_file(dir, by, ".key", "r");
	X509 *issuer = PEM_read_X509(pem, NULL, NULL, NULL);
	EVP_PKEY *signer = PEM_read_PrivateKey(private, NULL, NULL, NULL);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = new_certificate(name, key, days);

	insist(issuer && signer, "the authority");
	X509_set_issuer_name(x, X509_get_subject_name(issuer));
	add(x, issuer, NID_subject_alt_name, host);
	finish(dir, name, x, key, signer);
	fclose(pem);
	fclose(private);
	X509_free(issuer);
	EVP_PKEY_free(signer);
}

void pki_file(const char *dir, const char *name, const char *text, unsigned int mode)
{
	FILE *file = open_file(dir, name, "", "w");

	fputs(text, file);
	insist(!fchmod(fileno(file), mode), "chmod");
	fclose(file);
}
