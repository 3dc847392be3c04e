/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TCP connection between two agents, with TLS or without: bytes in, bytes out.
 *
 * The socket is non-blocking, and may be polled for POLLIN and POLLOUT in either case:
 * whoever reads with room for CONNECTION_RECORD bytes leaves nothing behind in the TLS
 * library that poll() would not see.
 */
#ifndef KVMFERRY_CONNECTION_H
#define KVMFERRY_CONNECTION_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <openssl/types.h>

/*
 * Most bytes that TLS hands out at a time. A record has 16384 at most, but a kernel that
 * decrypts joins records, as far as they fit into the library's buffer for one.
 */
#define CONNECTION_RECORD	(17u << 10)

/**
 * struct connection - a connection
 * @fd:		its socket, owned by this structure; -1 when closed
 * @ssl:	its TLS state, NULL without TLS
 * @fault:	what the TLS library last found wrong, NULL if nothing; a static string
 */
struct connection {
	int fd;
	SSL *ssl;
	const char *fault;
};

#define CONNECTION_CLOSED	((struct connection){ .fd = -1 })

/**
 * connection_read - read what is there
 *
 * Returns bytes, 0 at the end, or -1: errno is EAGAIN when nothing is there, else
 * connection_fault() tells what is wrong.
 */
ssize_t connection_read(struct connection *c, void *to, size_t len);

/**
 * connection_write - write what can be written
 *
 * After EAGAIN the next call must begin with the same bytes, and have as many or
 * more of them. Returns bytes, or -1 as connection_read().
 */
ssize_t connection_write(struct connection *c, const void *from, size_t len);

/**
 * connection_held_us - for how long the network has kept bytes from getting to the other side
 *
 * In all, in microseconds: the time with bytes sent that have not arrived, without that in which
 * the other side's window was full, or nobody had more to send. In steps of some
 * milliseconds. Source: struct tcp_info of tcp(7), tcpi_busy_time and what follows it.
 *
 * Returns -1 if TCP does not tell.
 */
int64_t connection_held_us(const struct connection *c);

/**
 * connection_round_trip_us - how long a byte to the other side and the answer take
 *
 * In microseconds, the least that TCP has measured lately: what the network takes, without
 * bytes of ours that wait in it. Source: tcpi_min_rtt of struct tcp_info.
 *
 * Returns 0 if TCP does not tell.
 */
uint64_t connection_round_trip_us(const struct connection *c);

/* What was wrong when the last call failed, for people. Before errno is changed. */
const char *connection_fault(const struct connection *c);

/* Closes it, without a word to the other side. May be repeated. */
void connection_close(struct connection *c);

#endif /* KVMFERRY_CONNECTION_H */
