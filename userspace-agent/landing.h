/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where RAM lands: the streams of a migration that comes in, what they fill, and the
 * digests of it.
 *
 * The main loop's view of apply.h, streams.h and verify.h. Their threads write to an
 * eventfd; the main loop then asks here what there is to tell the source.
 */
#ifndef KVMFERRY_LANDING_H
#define KVMFERRY_LANDING_H

#include <stdbool.h>
#include <stdint.h>

#include "apply.h"
#include "log.h"
#include "streams.h"
#include "verify.h"
#include "wire.h"

/**
 * struct landing - RAM that comes in; { 0 } is one that was not opened
 * @ram:	the RAM blocks in the source's order
 * @rams:	how many
 * @key:	key of the page hashes
 * @wake:	the eventfd
 * @n:		how many streams there will be
 * @apply:	turns records into RAM
 * @streams:	bring records
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
	struct apply *apply;
	struct streams *streams;
	struct verify *verify;
	bool final;
	int64_t final_at;
	int64_t closed_by;
};

/**
 * landing_open - empty all RAM, get ready for streams
 * @l:		with @ram filled in
 * @hello:	what the source has said
 * @wake:	the eventfd
 * @why:	the reason of a failure
 *
 * Returns 0, or -1. landing_close() is right after either.
 */
int landing_open(struct landing *l, const struct wire_hello *hello, int wake,
		 struct failure *why);

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

/* Ends all threads; RAM stays as it is. May be called again. */
void landing_close(struct landing *l);

/* Empties RAM again, after landing_close() or not. Returns 0, or -1 with @why. */
int landing_empty(const struct landing *l, struct failure *why);

#endif /* KVMFERRY_LANDING_H */
