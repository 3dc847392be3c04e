/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS 1.3 between two agents, through OpenSSL. tls.c is the only file that knows keys and
 * certificates; connection.h moves the bytes.
 *
 * Both sides prove who they are, in one of two ways:
 *
 *	certificates	each has one of its own, and knows the authority that has
 *			signed the other's. The source also asks that the target's is for
 *			the host that it was told to connect to; the target accepts any that
 *			the authority has signed, so it must be one for these hosts alone.
 *	a shared key	both have the same file with a secret key.
 *
 * Where the kernel can, it encrypts what is sent (kTLS: the module "tls"); the other side sees no
 * difference. It does not decrypt what is received before OpenSSL 3.2, which is the first that
 * can have it do so for TLS 1.3.
 */
#ifndef KVMFERRY_TLS_H
#define KVMFERRY_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "connection.h"
#include "log.h"

/**
 * struct tls_options - files of the operator's; NULL: not given
 * @cert:	our certificate, and those between it and the authority, in PEM
 * @key:	its private key, in PEM
 * @ca:		the authority's certificate, in PEM
 * @psk:	a shared key: one line of 64 to 128 hexadecimal digits
 *
 * All of the first three or the last, or none: then there is no TLS.
 */
struct tls_options {
	const char *cert;
	const char *key;
	const char *ca;
	const char *psk;
};

/* Keys and certificates, read and ready. */
struct tls;

/**
 * tls_wipe_memory - have the library wipe all memory that it gives back
 *
 * It reads a private key through buffers that it does not wipe otherwise, and the decoder
 * (cell.h) must not find a copy. To be called before anything else of the library.
 */
void tls_wipe_memory(void);

/* Was anything given? */
bool tls_wanted(const struct tls_options *options);

/**
 * tls_open - read keys and certificates
 * @options:	of which something was given
 * @server:	for the side that is connected to
 * @why:	the reason of a failure
 *
 * Returns NULL on failure.
 */
struct tls *tls_open(const struct tls_options *options, bool server,
		     struct failure *why);

/*
 * Wipes the keys. NULL is allowed. Connections that were made with it live on, if their
 * handshake is over.
 */
void tls_close(struct tls *t);

/* The handshake of @c is over: it needs our private key no more. Not needed with a shared key. */
void tls_forget_key(struct connection *c);

/**
 * tls_accept - speak TLS on a connection that has just come in
 * @c:		with its socket, plain so far
 *
 * The handshake takes place when it is first read from.
 *
 * Returns 0, or -1 when there is no memory.
 */
int tls_accept(struct tls *t, struct connection *c);

/**
 * tls_missed - has the other side begun, but not with TLS?
 * @c:		of tls_accept(), as long as nothing was read from it
 *
 * If so, the connection is a plain one from now on, so that it can be told.
 */
bool tls_missed(struct connection *c);

/**
 * tls_connect - speak TLS on a connection that was just made
 * @c:		with its socket, plain so far
 * @host:	whom the certificate must be for: a name or an address
 * @deadline:	of clock_ms(), for the handshake
 * @why:	the reason of a failure
 *
 * Blocks. Returns 0, or -1.
 */
int tls_connect(struct tls *t, struct connection *c, const char *host,
		int64_t deadline, struct failure *why);

/* Who encrypts what is sent there, after the handshake: "kernel", "openssl"; NULL without TLS. */
const char *tls_encrypts(const struct connection *c);

#endif /* KVMFERRY_TLS_H */
