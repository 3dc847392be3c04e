/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking connections in: a listening socket that strangers cannot block.
 *
 * A port that is open to a network is connected to by anybody: port scanners,
 * health checks, clients that send a byte a minute. An acceptor keeps a fixed
 * number of connections whose preamble is not complete yet, each for a fixed
 * time; the oldest gives way to a new one. Whatever does not begin as one of our
 * agents does is dropped with one line in the log and disturbs nobody.
 */
#ifndef KVMFERRY_ACCEPTOR_H
#define KVMFERRY_ACCEPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls.h"
#include "transport.h"
#include "wire.h"

#define ACCEPTOR_HALF_OPEN	8	/* connections without a preamble yet */
#define ACCEPTOR_PATIENCE_MS	5000	/* for a preamble to become complete */

/**
 * struct half_open - a connection whose preamble is not complete
 * @link:	the connection; closed if this place is free
 * @deadline:	when patience ends, monotonic milliseconds
 * @refused:	it was told why, and nothing that it says matters any more
 * @have:	bytes of the preamble so far
 * @bytes:	those bytes
 * @peer:	its address, for the log
 */
struct half_open {
	struct connection link;
	int64_t deadline;
	bool refused;
	size_t have;
	uint8_t bytes[WIRE_PREAMBLE_SIZE];
	char peer[TRANSPORT_NAME_SIZE];
};

/**
 * struct acceptor - a listening socket and what has just connected to it
 * @fd:		to be polled for reading; never read it
 * @listener:	the listening socket
 * @tls:	TLS is spoken, with these keys; NULL: in clear text
 * @anywhere:	peers beyond the loopback interface are welcome, too
 * @name:	the address that it listens at, with the port it really got
 * @half:	connections without a preamble
 */
struct acceptor {
	int fd;
	int listener;
	struct tls *tls;
	bool anywhere;
	char name[TRANSPORT_NAME_SIZE];
	struct half_open half[ACCEPTOR_HALF_OPEN];
};

/**
 * struct arrival - a connection that began with a good preamble
 * @link:	the connection, owned by the receiver of this structure
 * @preamble:	what it is for
 * @peer:	its address, for messages
 */
struct arrival {
	struct connection link;
	struct wire_preamble preamble;
	char peer[TRANSPORT_NAME_SIZE];
};

/* Has systemd passed us a socket to listen at (see sd_listen_fds(3))? */
bool acceptor_inherits(void);

/**
 * acceptor_open - listen at HOST:PORT, or [IPv6]:PORT; port 0 picks a free one
 * @a:		to be initialised
 * @where:	where; NULL: at the socket that systemd has passed
 * @tls:	speak TLS with these keys, which outlive the acceptor; NULL: clear text
 * @insecure:	allow clear text beyond the loopback interface
 * @why:	the reason of a failure
 *
 * Returns 0, or -1.
 */
int acceptor_open(struct acceptor *a, const char *where, struct tls *tls,
		  bool insecure, struct failure *why);

/**
 * acceptor_next - go on with all connections; never blocks
 * @a:		the acceptor
 * @arrival:	out: a connection that is ready
 *
 * To be called until it returns false whenever @a->fd is readable or
 * acceptor_timeout() has run out.
 *
 * Returns true if @arrival holds a connection.
 */
bool acceptor_next(struct acceptor *a, struct arrival *arrival);

/**
 * acceptor_refuse - tell a connection that arrived why it is not welcome
 * @a:		the acceptor that it came from
 * @link:	the connection, to which nothing was written that still waits; closed afterwards
 * @peer:	its address, for messages
 * @because:	why
 *
 * The acceptor sees to it that the answer is not lost.
 */
void acceptor_refuse(struct acceptor *a, struct connection *link, const char *peer,
		     const char *because);

/* Milliseconds until acceptor_next() must be called for a deadline, or -1. */
int acceptor_timeout(const struct acceptor *a);

/* Stops listening and drops what is half open. */
void acceptor_close(struct acceptor *a);

#endif /* KVMFERRY_ACCEPTOR_H */
