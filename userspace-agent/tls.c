// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TLS 1.3 between two agents.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "clock.h"
#include "tls.h"

/* Hexadecimal digits of a shared key. */
#define DIGITS_MIN	64
#define DIGITS_MAX	128

#define KEY_FILE_MAX	((size_t)64 << 10)

/* The one identity of shared keys, and the one suite that they are used with. */
#define PSK_IDENTITY	"kvmferry"
#define IDENTITY	(const unsigned char *)PSK_IDENTITY, sizeof(PSK_IDENTITY) - 1
#define PSK_SUITE	"TLS_AES_128_GCM_SHA256"
static const unsigned char psk_suite_id[] = { 0x13, 0x01 };

/*
 * Secrets are here alone, and lent to the library for a handshake: what it shares among connections
 * lives as long as the last of them.
 */
struct tls {
	SSL_CTX *context;
	EVP_PKEY *key;
	unsigned char psk[DIGITS_MAX / 2];
	size_t psk_size;
};

/* ------------------------------------------------------------------------
 * Memory that is wiped
 * ------------------------------------------------------------------------ */

static void *take(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return size ? malloc(size) : NULL;
}

static void give_back(void *p, const char *file, int line)
{
	(void)file, (void)line;
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void *resize(void *p, size_t size, const char *file, int line)
{
	size_t old = malloc_usable_size(p);
	void *moved = take(size, file, line);

	if (moved && p)
		memcpy(moved, p, old < size ? old : size);
	if (moved || !size)
		give_back(p, file, line);
	return moved;
}

void tls_wipe_memory(void)
{
	CRYPTO_set_mem_functions(take, resize, give_back);
}

bool tls_wanted(const struct tls_options *o)
{
	return o->cert || o->key || o->ca || o->psk;
}

/* The library's last complaint, about a file or a setting. */
static int refuse(struct failure *why, const char *what, const char *file)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return fail(why, "%s %s cannot be used: %s", what, file,
		    reason ? reason : "OpenSSL gives no reason");
}

/* ------------------------------------------------------------------------
 * A shared key
 * ------------------------------------------------------------------------ */

static int hex_digit(int c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Digits into bytes. Returns 0, or -1 if it is not a key. */
static int parse_key(struct tls *t, const char *text)
{
	size_t digits = strcspn(text, "\r\n");

	if (digits % 2 || digits < DIGITS_MIN || digits > DIGITS_MAX)
		return -1;
	for (size_t i = 0; i < digits; i += 2) {
		int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);

		if (high < 0 || low < 0)
			return -1;
		t->psk[i / 2] = (unsigned char)(high << 4 | low);
	}
	t->psk_size = digits / 2;
	return 0;
}

static int read_key(struct tls *t, const char *path, struct failure *why)
{
	char text[DIGITS_MAX + 3] = "";
	FILE *file = fopen(path, "re");
	struct stat st;
	int result = -1;

	if (!file)
		return fail(why, "cannot open the shared key %s: %m", path);
	setvbuf(file, NULL, _IONBF, 0);		/* no copy that nobody wipes */
	if (fstat(fileno(file), &st))
		fail(why, "cannot look at the shared key %s: %m", path);
	else if (st.st_mode & (S_IRWXG | S_IRWXO))
		fail(why, "others than its owner have access to the shared key %s: chmod 600 it, or make a new one if it may be known already",
		     path);
	else if (!fgets(text, sizeof(text), file) || parse_key(t, text))
		fail(why, "%s holds no shared key: it takes one line of %d to %d hexadecimal digits (openssl rand -hex 32)",
		     path, DIGITS_MIN, DIGITS_MAX);
	else
		result = 0;
	fclose(file);
	explicit_bzero(text, sizeof(text));
	return result;
}

/* What the library calls a session that both sides know beforehand. */
static SSL_SESSION *psk_session(SSL *ssl)
{
	const struct tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const SSL_CIPHER *suite = SSL_CIPHER_find(ssl, psk_suite_id);
	SSL_SESSION *session = SSL_SESSION_new();

	if (session && suite && SSL_SESSION_set1_id_context(session, IDENTITY) &&
	    SSL_SESSION_set1_master_key(session, t->psk, t->psk_size) &&
	    SSL_SESSION_set_cipher(session, suite) &&
	    SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION))
		return session;
	SSL_SESSION_free(session);
	return NULL;
}

/* Client: offer the key. */
static int use_session(SSL *ssl, const EVP_MD *md, const unsigned char **id,
		       size_t *id_size, SSL_SESSION **session)
{
	*session = NULL;
	/* The other side insists on another hash: then there is no key for it. */
	if (md && !EVP_MD_is_a(md, "SHA256"))
		return 1;
	*id = (const unsigned char *)PSK_IDENTITY;
	*id_size = sizeof(PSK_IDENTITY) - 1;
	*session = psk_session(ssl);
	return *session != NULL;
}

/* Server: is it ours? Whether the other side has the key, the library finds out. */
static int find_session(SSL *ssl, const unsigned char *id, size_t id_size,
			SSL_SESSION **session)
{
	*session = NULL;
	if (id_size != sizeof(PSK_IDENTITY) - 1 || memcmp(id, PSK_IDENTITY, id_size) != 0)
		return 1;
	*session = psk_session(ssl);
	return *session != NULL;
}

/*
 * Nobody has a certificate, so no side can do without the key; and as no authority is
 * known, none that a stranger shows is accepted.
 */
static int use_key(struct tls *t, const char *path, struct failure *why)
{
	if (read_key(t, path, why))
		return -1;
	SSL_CTX_set_psk_use_session_callback(t->context, use_session);
	SSL_CTX_set_psk_find_session_callback(t->context, find_session);
	return SSL_CTX_set_ciphersuites(t->context, PSK_SUITE) ? 0 :
	       refuse(why, "cipher suite", PSK_SUITE);
}

/* ------------------------------------------------------------------------
 * Certificates
 * ------------------------------------------------------------------------ */

/* What a file has, in memory that can be wiped; NULL if it cannot be read, or is too big. */
static char *read_secret(const char *path, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = OPENSSL_zalloc(size);	/* see tls_wipe_memory() */
	ssize_t n = fd >= 0 && text ? read(fd, text, size - 1) : -1;

	if (fd >= 0)
		close(fd);
	if (n > 0 && (size_t)n < size - 1)
		return text;
	OPENSSL_free(text);
	return NULL;
}

static EVP_PKEY *read_private_key(const char *path)
{
	char *text = read_secret(path, KEY_FILE_MAX);
	BIO *bio = text ? BIO_new_mem_buf(text, -1) : NULL;
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	OPENSSL_free(text);
	return key;
}

static int lend_key(SSL *ssl, void *opaque)
{
	const struct tls *t = opaque;

	return SSL_use_PrivateKey(ssl, t->key);
}

static int use_certificates(struct tls *t, const struct tls_options *o,
			    struct failure *why)
{
	if (!o->cert || !o->key || !o->ca)
		return fail(why, "TLS takes all three of --tls-cert, --tls-key and --tls-ca, or --tls-psk alone");
	if (SSL_CTX_use_certificate_chain_file(t->context, o->cert) != 1)
		return refuse(why, "certificate", o->cert);
	t->key = read_private_key(o->key);
	if (!t->key || !X509_check_private_key(SSL_CTX_get0_certificate(t->context), t->key))
		return refuse(why, "private key", o->key);
	SSL_CTX_set_cert_cb(t->context, lend_key, t);
	if (SSL_CTX_load_verify_locations(t->context, o->ca, NULL) != 1)
		return refuse(why, "authority", o->ca);
	return 0;
}

/* ------------------------------------------------------------------------
 * Both
 * ------------------------------------------------------------------------ */

static void configure(struct tls *t)
{
	SSL_CTX_set_app_data(t->context, t);
	SSL_CTX_set_min_proto_version(t->context, TLS1_3_VERSION);
	SSL_CTX_set_verify(t->context,
			   SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_session_cache_mode(t->context, SSL_SESS_CACHE_OFF);
	/* What the library counts as a session, a shared key included, is of this kind. */
	SSL_CTX_set_session_id_context(t->context, IDENTITY);
	SSL_CTX_set_num_tickets(t->context, 0);
	SSL_CTX_set_mode(t->context, SSL_MODE_ENABLE_PARTIAL_WRITE |
			 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* An end without goodbye is as good as one with: nothing here ends by itself. */
	SSL_CTX_set_options(t->context, SSL_OP_ENABLE_KTLS |
			    SSL_OP_IGNORE_UNEXPECTED_EOF);
}

/*
 * The kernel looks for its module "tls" when a socket asks for it the first time. Have it do so
 * now, with a socket that it refuses, and not while the other side waits for our handshake.
 */
static void wake_kernel(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) && errno != ENOTCONN)
		log_debug("the kernel does not encrypt TLS: %m");
	close(fd);
}

struct tls *tls_open(const struct tls_options *o, bool server, struct failure *why)
{
	struct tls *t = calloc(1, sizeof(*t));

	ERR_clear_error();
	if (t)
		t->context = SSL_CTX_new(server ? TLS_server_method() :
					 TLS_client_method());
	if (!t || !t->context) {
		fail(why, "not enough memory for TLS");
		goto err_close;
	}
	configure(t);
	wake_kernel();
	if (o->psk && (o->cert || o->key || o->ca)) {
		fail(why, "TLS takes either --tls-psk or certificates, not both");
		goto err_close;
	}
	if (o->psk ? use_key(t, o->psk, why) : use_certificates(t, o, why))
		goto err_close;
	return t;

err_close:
	tls_close(t);
	return NULL;
}

/* The library's own count of references keeps the context for its connections. */
void tls_close(struct tls *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->context);
	EVP_PKEY_free(t->key);
	explicit_bzero(t->psk, sizeof(t->psk));
	free(t);
}

void tls_forget_key(struct connection *c)
{
	if (c->ssl)
		SSL_certs_clear(c->ssl);
}

static int begin(struct tls *t, struct connection *c)
{
	c->ssl = SSL_new(t->context);
	if (c->ssl && SSL_set_fd(c->ssl, c->fd))
		return 0;
	SSL_free(c->ssl);
	c->ssl = NULL;
	return -1;
}

int tls_accept(struct tls *t, struct connection *c)
{
	if (begin(t, c))
		return -1;
	SSL_set_accept_state(c->ssl);
	return 0;
}

bool tls_missed(struct connection *c)
{
	unsigned char first;

	/* (SSL_in_before() tells something else: whether the library has tried.) */
	if (!c->ssl || BIO_number_read(SSL_get_rbio(c->ssl)) ||
	    recv(c->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) != 1 ||
	    first == SSL3_RT_HANDSHAKE)
		return false;
	SSL_free(c->ssl);
	c->ssl = NULL;
	return true;
}

/* Whom the other side's certificate must be for. */
static int expect_host(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	if (X509_VERIFY_PARAM_set1_ip_asc(param, host))
		return 0;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) && SSL_set_tlsext_host_name(ssl, host) ? 0 : -1;
}

/* Sleeps until the handshake can go on. Returns false when it is too late. */
static bool can_go_on(const struct connection *c, int64_t deadline)
{
	struct pollfd p = {
		.fd = c->fd,
		.events = SSL_want_write(c->ssl) ? POLLOUT : POLLIN,
	};

	return poll(&p, 1, clock_left(deadline)) != 0;
}

/* Why the handshake failed: what the certificate lacks says more than the library does. */
static int why_failed(const struct connection *c, struct failure *why)
{
	long verdict = SSL_get_verify_result(c->ssl);
	unsigned long error = ERR_peek_error();
	const char *reason = ERR_reason_error_string(error);

	if (verdict != X509_V_OK)
		return fail(why, "the target is not trusted: %s",
			    X509_verify_cert_error_string(verdict));
	if (ERR_GET_REASON(error) > SSL_AD_REASON_OFFSET)
		return fail(why, "the target does not trust us (%s): has it the same key, or the authority of our certificate? See its messages",
			    reason);
	return fail(why, "no TLS with the target (%s): does it use TLS? See its messages",
		    reason ? reason : "it closed the connection");
}

int tls_connect(struct tls *t, struct connection *c, const char *host,
		int64_t deadline, struct failure *why)
{
	int result, error;

	if (begin(t, c) || expect_host(c->ssl, host))
		return fail(why, "not enough memory for TLS");
	SSL_set_connect_state(c->ssl);
	for (;;) {
		ERR_clear_error();
		result = SSL_do_handshake(c->ssl);
		if (result == 1)
			break;
		error = SSL_get_error(c->ssl, result);
		if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
			return why_failed(c, why);
		if (!can_go_on(c, deadline))
			return fail(why, "no TLS with the target: it does not answer in time");
	}
	log_debug("TLS 1.3 with %s, encrypted by: %s", SSL_get_cipher_name(c->ssl),
		  tls_encrypts(c));
	return 0;
}

const char *tls_encrypts(const struct connection *c)
{
	if (!c->ssl)
		return NULL;
	return BIO_get_ktls_send(SSL_get_wbio(c->ssl)) ? "kernel" : "openssl";
}
