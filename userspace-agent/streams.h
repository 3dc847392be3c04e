/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The data streams of a migration that comes in: one thread each, from its socket
 * to guest RAM.
 *
 * A thread reads as much as is there into a fixed buffer and feeds it to
 * apply_stream_feed(). It ends when its socket is closed or its stream fails, and
 * then wakes the main loop, as the end of a pass does.
 */
#ifndef KVMFERRY_STREAMS_H
#define KVMFERRY_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "apply.h"
#include "connection.h"
#include "log.h"

struct streams;

/* What has become of the streams as a whole; the worst of them counts. */
enum streams_state {
	STREAMS_FLOW,	/* all are in order, or not connected yet */
	STREAMS_CLOSED,	/* one came to an end, or its connection broke */
	STREAMS_FAILED,	/* one brought something that could not be applied */
};

/**
 * streams_create - no stream yet
 * @apply:	where their bytes go; outlives this
 * @n:		how many there will be
 * @wake:	an eventfd to write to when a thread ends
 *
 * Returns NULL when there is no memory.
 */
struct streams *streams_create(struct apply *apply, unsigned int n, int wake);

/**
 * streams_add - a stream has connected
 * @number:	which one
 * @link:	its connection, taken over, also on failure
 * @why:	the reason of a failure: out of range, connected already, no thread
 *
 * Returns 0, or -1.
 */
int streams_add(struct streams *s, unsigned int number, struct connection *link,
		struct failure *why);

/* How the streams are; with STREAMS_FAILED or STREAMS_CLOSED, why is filled in. */
enum streams_state streams_state(struct streams *s, struct failure *why);

/* Bytes received so far on all streams: for progress, and as a sign of life. */
uint64_t streams_bytes(const struct streams *s);

/* Closes all sockets, waits for all threads, frees @s. NULL is allowed. */
void streams_destroy(struct streams *s);

#endif /* KVMFERRY_STREAMS_H */
