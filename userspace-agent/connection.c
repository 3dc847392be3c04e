// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A TCP connection between two agents, with TLS or without.
 */
#include <errno.h>
#include <limits.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "connection.h"

/* Turns the library's answer into that of a system call. */
static ssize_t not_done(struct connection *c, int result)
{
	switch (SSL_get_error(c->ssl, result)) {
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_SYSCALL:
		return errno ? -1 : 0;
	default:
		c->fault = ERR_reason_error_string(ERR_peek_error());
		errno = EPROTO;
		return -1;
	}
}

/*
 * The other side is gone: perhaps it has said why, as when it does not accept our
 * certificate. Looks, and takes nothing that somebody may still want to read.
 */
static void look_for_alert(struct connection *c)
{
	int error = errno, n;
	char byte;

	ERR_clear_error();
	n = SSL_peek(c->ssl, &byte, 1);
	if (n <= 0 && SSL_get_error(c->ssl, n) == SSL_ERROR_SSL) {
		c->fault = ERR_reason_error_string(ERR_peek_error());
		error = EPROTO;
	}
	errno = error;
}

static int clip(size_t len)
{
	return len < INT_MAX ? (int)len : INT_MAX;
}

ssize_t connection_read(struct connection *c, void *to, size_t len)
{
	int n;

	if (!c->ssl)
		return recv(c->fd, to, len, MSG_DONTWAIT);
	ERR_clear_error();
	errno = 0;
	n = SSL_read(c->ssl, to, clip(len));
	return n > 0 ? n : not_done(c, n);
}

ssize_t connection_write(struct connection *c, const void *from, size_t len)
{
	int n;

	if (!c->ssl)
		return send(c->fd, from, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	ERR_clear_error();
	errno = 0;
	n = SSL_write(c->ssl, from, clip(len));
	if (n > 0)
		return n;
	/* The end of file is none when writing. */
	if (!not_done(c, n))
		errno = EPIPE;
	if (errno == EPIPE || errno == ECONNRESET)
		look_for_alert(c);
	return -1;
}

/* Does what this kernel told reach to the end of @member? */
#define told(size, member)							\
	((size) >= offsetof(struct tcp_info, member) +				\
		   sizeof(((struct tcp_info *)NULL)->member))

/* Returns how many bytes of @info the kernel has filled in. */
static socklen_t tcp_info(const struct connection *c, struct tcp_info *info)
{
	socklen_t size = sizeof(*info);

	return getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, info, &size) ? 0 : size;
}

int64_t connection_held_us(const struct connection *c)
{
	struct tcp_info info;

	if (!told(tcp_info(c, &info), tcpi_sndbuf_limited))
		return -1;
	return (int64_t)(info.tcpi_busy_time - info.tcpi_rwnd_limited - info.tcpi_sndbuf_limited);
}

uint64_t connection_round_trip_us(const struct connection *c)
{
	struct tcp_info info;

	return told(tcp_info(c, &info), tcpi_min_rtt) ? info.tcpi_min_rtt : 0;
}

const char *connection_fault(const struct connection *c)
{
	if (c->ssl && errno == EPROTO && c->fault)
		return c->fault;
	return strerror(errno);
}

void connection_close(struct connection *c)
{
	SSL_free(c->ssl);
	if (c->fd >= 0)
		close(c->fd);
	*c = CONNECTION_CLOSED;
}
