/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The data streams of a migration that comes in: one thread each, from its socket
 * to guest RAM. All of this is in the decoder (inmate.h), and ends with it.
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
	STREAMS_FLOW,	/* all are in order */
	STREAMS_CLOSED,	/* one came to an end, or its connection broke */
	STREAMS_FAILED,	/* one brought something that could not be applied */
};

/**
 * streams_create - a thread for each stream, which does nothing yet
 * @apply:	where their bytes go
 * @link:	their connections, taken over
 * @n:		how many
 * @wake:	an eventfd to write to when a thread ends
 * @why:	the reason of a failure
 *
 * When this returns all threads have begun, and will make no further system call until
 * streams_go(). Returns NULL on failure; the process is of no use then.
 */
struct streams *streams_create(struct apply *apply, const struct connection *link,
			       unsigned int n, int wake, struct failure *why);

/* Let the threads begin to read. Once. */
void streams_go(struct streams *s);

/* How the streams are; with STREAMS_FAILED or STREAMS_CLOSED, why is filled in. */
enum streams_state streams_state(struct streams *s, struct failure *why);

/* Bytes received so far on all streams: for progress, and as a sign of life. */
uint64_t streams_bytes(const struct streams *s);

#endif /* KVMFERRY_STREAMS_H */
