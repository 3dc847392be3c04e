/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decoder, as its parent sees it: a process in a sandbox that holds the data streams and the files
 * of RAM, and turns the one into the other. inmate.h is the inside of it.
 *
 * Nobody else ever reads a byte of a data stream behind its preamble. What the decoder says is
 * no more to be believed than what a stranger says (cellreport.h), and that it has ended or hangs is
 * a failure of the migration like any other.
 *
 * It is forked when all streams are connected, because their TLS state is in memory; whoever
 * forks it says how to forget what it must not know.
 */
#ifndef KVMFERRY_CELL_H
#define KVMFERRY_CELL_H

#include <stdint.h>
#include <sys/types.h>

#include "apply.h"
#include "connection.h"
#include "cellreport.h"
#include "streams.h"

/**
 * struct cell_work - what a decoder gets
 * @ram:	the RAM blocks in the order of their ids
 * @rams:	how many
 * @link:	the data streams in their order
 * @n:		how many
 * @key:	key of the page hashes
 * @forget:	called in the decoder before anything is read: wipes what is in
 *		memory and none of its business
 * @opaque:	handed to @forget
 */
struct cell_work {
	const struct apply_ram *ram;
	unsigned int rams;
	const struct connection *link;
	unsigned int n;
	const uint8_t *key;
	void (*forget)(void *opaque);
	void *opaque;
};

/**
 * struct cell - a decoder; CELL_NONE is one that was not started
 * @pid:	its process, 0 when there is none
 * @fd:		to be polled for reading, -1 when there is nothing to come
 * @last:	what it said last that can be believed: counts, number of the last pass
 * @state:	how its streams are, as far as known; a decoder that has ended is a failed one
 * @why:	if not STREAMS_FLOW
 */
struct cell {
	pid_t pid;
	int fd;
	struct cell_report last;
	enum streams_state state;
	struct failure why;
};

#define CELL_NONE	((struct cell){ .fd = -1 })

/**
 * cell_start - make a decoder, and let it begin
 * @c:		CELL_NONE
 * @work:	for it; the streams stay the caller's, to be closed
 * @why:	the reason of a failure; that it could not enter its sandbox, it reports itself
 *
 * Takes a process of one thread, and root's capabilities. Returns 0, or -1.
 */
int cell_start(struct cell *c, const struct cell_work *work, struct failure *why);

/**
 * cell_take_pass - take what it has to say, up to the end of a pass
 *
 * To be called when @c->fd is ready, until it returns false. Returns true if a pass has ended:
 * @c->last is about it.
 */
bool cell_take_pass(struct cell *c);

/* Ends the decoder, and waits until it is gone. May be repeated. */
void cell_stop(struct cell *c);

#endif /* KVMFERRY_CELL_H */
