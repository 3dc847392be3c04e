/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCP connections between two agents: making them, accepting them, and frames on
 * the control connection.
 *
 * All sockets made here are non-blocking and close-on-exec, send small messages
 * at once, and notice a dead peer by themselves (keep-alive and
 * TCP_USER_TIMEOUT).
 *
 * Plaintext is allowed on the loopback interface only, unless the operator said
 * --insecure. That rule stands in one place, transport_may_talk(), and is asked
 * about the addresses a socket really has, not about the names it was given.
 *
 * Functions that fail return -1 and leave a sentence in @why.
 */
#ifndef KVMFERRY_TRANSPORT_H
#define KVMFERRY_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "log.h"
#include "wire.h"

#define TRANSPORT_NAME_SIZE	64	/* "[IPv6]:PORT" and its NUL */
#define TRANSPORT_DEAD_MS	20000	/* a peer this long without an answer is dead */

/**
 * transport_may_talk - the rule about plaintext
 * @address:	address of a peer, or the one to listen at
 * @insecure:	the operator allowed plaintext everywhere
 *
 * Returns true if bytes may be exchanged with @address.
 */
bool transport_may_talk(const struct sockaddr_storage *address, bool insecure);

/**
 * transport_connect - connect to HOST:PORT, or [IPv6]:PORT
 * @where:	where to
 * @insecure:	plaintext may leave the loopback interface
 * @timeout_ms:	for all addresses of the host together
 * @why:	the reason of a failure
 *
 * Blocks. Returns a socket, or -1.
 */
int transport_connect(const char *where, bool insecure, int timeout_ms,
		      struct failure *why);

/**
 * transport_dial - connect, and send the preamble
 * @where:	HOST:PORT, or [IPv6]:PORT
 * @insecure:	plaintext may leave the loopback interface
 * @preamble:	what this connection is for
 * @timeout_ms:	for all of it
 * @why:	the reason of a failure
 *
 * Blocks. Returns a socket, or -1.
 */
int transport_dial(const char *where, bool insecure,
		   const struct wire_preamble *preamble, int timeout_ms,
		   struct failure *why);

/**
 * transport_send - send all of @len bytes, however often the socket is full
 * @fd:		a socket of this file
 * @data:	the bytes
 * @len:	how many
 * @timeout_ms:	for each time the peer makes no progress
 * @why:	the reason of a failure
 *
 * Blocks. Returns 0, or -1.
 */
int transport_send(int fd, const void *data, size_t len, int timeout_ms,
		   struct failure *why);

/* ------------------------------------------------------------------------
 * Accepting
 * ------------------------------------------------------------------------
 *
 * A port that is open to a network is connected to by anybody: port scanners,
 * health checks, clients that send a byte a minute. An acceptor keeps a fixed
 * number of connections whose preamble is not complete yet, each for a fixed
 * time; the oldest gives way to a new one. Whatever does not begin as one of our
 * agents does is dropped with one line in the log and disturbs nobody.
 */

#define ACCEPTOR_HALF_OPEN	8	/* connections without a preamble yet */
#define ACCEPTOR_PATIENCE_MS	5000	/* for a preamble to become complete */

/**
 * struct half_open - a connection whose preamble is not complete
 * @fd:		its socket, -1 if this place is free
 * @deadline:	when patience ends, monotonic milliseconds
 * @have:	bytes of the preamble so far
 * @bytes:	those bytes
 * @peer:	its address, for the log
 */
struct half_open {
	int fd;
	int64_t deadline;
	size_t have;
	uint8_t bytes[WIRE_PREAMBLE_SIZE];
	char peer[TRANSPORT_NAME_SIZE];
};

/**
 * struct acceptor - a listening socket and what has just connected to it
 * @fd:		to be polled for reading; never read it
 * @listener:	the listening socket
 * @insecure:	peers beyond the loopback interface are welcome
 * @name:	the address that it listens at, with the port it really got
 * @half:	connections without a preamble
 */
struct acceptor {
	int fd;
	int listener;
	bool insecure;
	char name[TRANSPORT_NAME_SIZE];
	struct half_open half[ACCEPTOR_HALF_OPEN];
};

/**
 * struct arrival - a connection that began with a good preamble
 * @fd:		its socket, owned by the receiver of this structure
 * @preamble:	what it is for
 * @peer:	its address, for messages
 */
struct arrival {
	int fd;
	struct wire_preamble preamble;
	char peer[TRANSPORT_NAME_SIZE];
};

/**
 * acceptor_open - listen at HOST:PORT, or [IPv6]:PORT; port 0 picks a free one
 * @a:		to be initialised
 * @where:	where
 * @insecure:	allow addresses and peers beyond the loopback interface
 * @why:	the reason of a failure
 *
 * Returns 0, or -1.
 */
int acceptor_open(struct acceptor *a, const char *where, bool insecure,
		  struct failure *why);

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

/* Milliseconds until acceptor_next() must be called for a deadline, or -1. */
int acceptor_timeout(const struct acceptor *a);

/* Stops listening and drops what is half open. */
void acceptor_close(struct acceptor *a);

/* ------------------------------------------------------------------------
 * Frames on a control connection
 * ------------------------------------------------------------------------
 *
 * For a poll loop:
 *
 *	poll frames->fd for frames_events()
 *	on POLLIN, POLLHUP or POLLERR:
 *		frames_fill(), then frames_next() until it returns 0
 *	frames_queue() whenever there is something to say
 *	frames_flush() before polling again
 *
 * frames_fill() reads once. So all frames that arrived before the connection
 * broke are seen before the failure is.
 */

/* Bytes that may wait to be sent; frames_queue() refuses more. */
#define FRAMES_OUT_SIZE	(4 * (WIRE_FRAME_SIZE + WIRE_MAX_PAYLOAD))
#define FRAMES_IN_SIZE	(2 * (WIRE_FRAME_SIZE + WIRE_MAX_PAYLOAD))

/**
 * struct frames - a control connection
 * @fd:		its socket, owned by this structure; -1 when closed
 * @in:		bytes that were read: FRAMES_IN_SIZE
 * @in_begin:	where the first frame that was not handed out begins
 * @in_end:	where they end
 * @out:	bytes to be sent: FRAMES_OUT_SIZE
 * @out_begin:	where they begin
 * @out_end:	where they end
 */
struct frames {
	int fd;
	uint8_t *in;
	size_t in_begin;
	size_t in_end;
	uint8_t *out;
	size_t out_begin;
	size_t out_end;
};

/* Takes over @fd. Returns 0, or -1 when there is no memory. */
int frames_open(struct frames *c, int fd, struct failure *why);

/* Closes the socket, frees the buffers; what was queued and not sent is lost. */
void frames_close(struct frames *c);

/* What to poll for: POLLIN, and POLLOUT while something waits to be sent. */
short frames_events(const struct frames *c);

/**
 * frames_fill - read once from the socket
 * @c:		the connection
 * @why:	the reason of a failure; the peer's closing it is one
 *
 * Returns 1 if bytes came, 0 if there were none, -1 on failure.
 */
int frames_fill(struct frames *c, struct failure *why);

/**
 * frames_next - the next complete frame
 * @c:		the connection
 * @frame:	out: type and length
 * @payload:	out: its bytes, valid until the next frames_fill()
 * @why:	what is wrong with it
 *
 * Returns 1 with a frame, 0 if none is complete, -1 if the peer speaks nonsense.
 */
int frames_next(struct frames *c, struct wire_frame *frame,
		const uint8_t **payload, struct failure *why);

/* Bytes of payload that frames_queue() would take now. */
size_t frames_room(const struct frames *c);

/* Queues one frame. Returns 0, or -1 if it does not fit (see frames_room()). */
int frames_queue(struct frames *c, enum wire_type type, const void *payload,
		 size_t len, struct failure *why);

/* Sends what can be sent now. Returns 1 if all is out, 0 if not, -1 on failure. */
int frames_flush(struct frames *c, struct failure *why);

/**
 * frames_wait - block until there is a frame
 * @c:		the connection
 * @frame:	out: type and length
 * @payload:	out: its bytes, valid until the next call
 * @timeout_ms:	for the whole frame
 * @why:	the reason of a failure; a time-out is one
 *
 * Sends what is queued meanwhile. Returns 0, or -1.
 */
int frames_wait(struct frames *c, struct wire_frame *frame,
		const uint8_t **payload, int timeout_ms, struct failure *why);

/* Queues one frame and blocks until all is sent. Returns 0, or -1. */
int frames_send(struct frames *c, enum wire_type type, const void *payload,
		size_t len, int timeout_ms, struct failure *why);

#endif /* KVMFERRY_TRANSPORT_H */
