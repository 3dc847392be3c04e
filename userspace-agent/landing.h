/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where RAM lands: the streams of a migration that comes in, what they fill, and the
 * digests of it.
 *
 * The main loop's view of cell.h and verify.h. The decoder sends reports, and the threads that read RAM
 * anew write to an eventfd; the main loop then asks here what there is to tell the source.
 */
#ifndef KVMFERRY_LANDING_H
#define KVMFERRY_LANDING_H

#include <stdbool.h>
#include <stdint.h>

#include "apply.h"
#include "cell.h"
#include "log.h"
#include "verify.h"
#include "wire.h"

/**
 * struct landing - RAM that comes in; LANDING_NONE is one that was not opened
 * @ram:	the RAM blocks in the source's order
 * @rams:	how many
 * @key:	key of the page hashes
 * @wake:	the eventfd
 * @n:		how many streams there will be
 * @link:	the streams. Only the decoder reads them, but should it die they must not
 *		break before the source has been told why
 * @connected:	streams that ever were connected, bit (1 << number)
 * @cell:	the decoder: turns what streams bring into RAM
 * @verify:	RAM is being read anew
 * @final:	the final pass has been applied
 * @final_at:	when it had been, clock_us()
 * @closed_by:	when a stream that was closed becomes an error, clock_ms(); 0: none was
 */
struct landing {
	struct apply_ram ram[FERRY_MAX_RAM];
	unsigned int rams;
	uint8_t key[FERRY_KEY_SIZE];
	int wake;
	unsigned int n;
	struct connection link[FERRY_MAX_CHANNELS];
	uint32_t connected;
	struct cell cell;
	struct verify *verify;
	bool final;
	int64_t final_at;
	int64_t closed_by;
};

#define LANDING_NONE	((struct landing){ .cell = CELL_NONE })

/**
 * landing_open - empty all RAM, get ready for streams
 * @l:		LANDING_NONE, but with @ram filled in
 * @hello:	what the source has said
 * @wake:	the eventfd
 * @why:	the reason of a failure
 *
 * Returns 0, or -1. landing_close() is right after either.
 */
int landing_open(struct landing *l, const struct wire_hello *hello, int wake,
		 struct failure *why);

/**
 * landing_add_stream - a stream has connected
 * @number:	which one
 * @link:	its connection, taken over, also on failure
 * @why:	the reason of a failure: out of range, connected already
 *
 * Returns 0, or -1.
 */
int landing_add_stream(struct landing *l, unsigned int number, struct connection *link,
		       struct failure *why);

/* Are all streams connected? */
bool landing_is_ready(const struct landing *l);

/**
 * landing_start - hand the streams to a decoder
 * @forget:	as in struct cell_work, with @opaque
 * @why:	the reason of a failure
 *
 * Returns 0, or -1.
 */
int landing_start(struct landing *l, void (*forget)(void *opaque), void *opaque,
		  struct failure *why);

/* Bytes received so far on all streams: for progress, and as a sign of life. */
uint64_t landing_bytes(const struct landing *l);

/* Has a pass ended on all streams? If so, once: true, its digests, @final perhaps. */
bool landing_take_pass(struct landing *l, struct wire_digests *digests);

/* Begins to read all RAM anew. Returns 0, or -1 if it is not the time for that. */
int landing_verify(struct landing *l, struct failure *why);

/* Returns 1 with digests when RAM was read anew, else 0; -1 if that failed. */
int landing_take_verify(struct landing *l, struct wire_digests *digests,
			struct failure *why);

/**
 * landing_check - are the streams in order?
 *
 * One that brings nonsense is an error at once. One that was closed before the final
 * pass is one only after a moment: the source closes streams when it gives up, and
 * should have the time to say why. Returns 0, or -1 with @why.
 */
int landing_check(struct landing *l, struct failure *why);

/* Ends the decoder and all threads; RAM stays as it is. May be called again. */
void landing_close(struct landing *l);

/* Empties RAM again, after landing_close() or not. Returns 0, or -1 with @why. */
int landing_empty(const struct landing *l, struct failure *why);

#endif /* KVMFERRY_LANDING_H */
