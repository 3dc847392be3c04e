// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sending RAM.
 *
 * A pass has ended when the target has applied it and said so, not when the kernel
 * has put it on its rings: only then is the measured rate that of the whole way,
 * and nothing is left in any buffer when it is switched over.
 */
#include <inttypes.h>
#include <string.h>

#include "attend.h"
#include "clock.h"
#include "passes.h"

#define SAMPLE_MS	100	/* between two looks at a pass under way */
#define FINAL_PASSES	10	/* more than ever needed once nothing writes */

static int begin(struct source *s, bool final, struct failure *why)
{
	if (kernel_status(&s->kernel, false, &s->last, why))
		return -1;
	progress_pass_begin(&s->progress, &s->last);
	if (kernel_pass(&s->kernel, final, &s->pass, why))
		return -1;
	s->pass_us = clock_us();
	s->passing = true;
	return 0;
}

static uint64_t bytes_sent(const struct source *s)
{
	uint64_t sent = 0;
	unsigned int i;

	for (i = 0; i < s->options->channels; i++)
		sent += atomic_load(&s->sender[i].sent);
	return sent;
}

static bool has_ended(const struct source *s)
{
	return !s->passing && s->pass_done >= s->pass;
}

/*
 * A pass may take hours, but not stand still: as long as it did not end, pages are
 * taken or bytes leave.
 */
static int finish(struct source *s, struct failure *why)
{
	int64_t deadline = clock_ms() + s->options->timeout_ms;
	uint64_t before = 0, now;

	while (!has_ended(s)) {
		if (attend(s, SAMPLE_MS, why) ||
		    kernel_status(&s->kernel, false, &s->last, why))
			return -1;
		if (!has_ended(s))
			progress_pass(&s->progress, &s->last, s->blackout_ms,
				      false);
		now = bytes_sent(s) + s->last.taken;
		if (now != before)
			deadline = clock_ms() + s->options->timeout_ms;
		before = now;
		if (!clock_left(deadline))
			return fail(why, "no byte of RAM has moved for %d s; is the network or the target stuck? (see --timeout)",
				    s->options->timeout_ms / 1000);
	}
	return 0;
}

static struct converge_pass measure(const struct source *s)
{
	const struct ferry_status *was = &s->progress.at_start;

	return (struct converge_pass){
		.pages = s->last.taken - was->taken,
		.zero = s->last.zero - was->zero,
		.bytes = s->last.bytes_wire - was->bytes_wire,
		.us = (uint64_t)(clock_us() - s->pass_us),
	};
}

static void tell_decision(struct source *s, enum converge_decision decision)
{
	progress_event(&s->progress, "decision",
		       json_pack("{s:I, s:s, s:s, s:o}", "pass",
				 (json_int_t)s->pass, "decision",
				 decision == CONVERGE_AGAIN ? "again" : "switch",
				 "reason", converge_reason(decision),
				 "expected_blackout_ms",
				 progress_blackout(s->blackout_ms)));
	if (decision == CONVERGE_FITS || decision == CONVERGE_AGAIN)
		return;
	log_warn("switching over although the blackout will be about %u ms instead of %u: %s",
		 s->blackout_ms, s->options->downtime_ms,
		 converge_reason(decision));
}

int passes_converge(struct source *s, struct failure *why)
{
	enum converge_decision decision;

	s->converge = (struct converge){
		.downtime_ms = s->options->downtime_ms,
		.max_passes = s->options->max_passes,
	};
	s->blackout_ms = CONVERGE_UNKNOWN;
	do {
		struct converge_pass pass;

		if (begin(s, false, why) || finish(s, why))
			return -1;
		pass = measure(s);
		if (kernel_status(&s->kernel, true, &s->last, why))
			return -1;
		pass.pending = s->last.pending;
		decision = converge_after(&s->converge, &pass, &s->blackout_ms);
		progress_pass(&s->progress, &s->last, s->blackout_ms, true);
		tell_decision(s, decision);
	} while (decision == CONVERGE_AGAIN);
	return 0;
}

int passes_begin_final(struct source *s, struct failure *why)
{
	return begin(s, true, why);
}

typedef uint8_t digests[FERRY_MAX_RAM][FERRY_HASH_SIZE];

static int expect(struct source *s, bool full, digests ours, struct failure *why)
{
	unsigned int i;

	for (i = 0; i < s->rams.count; i++)
		if (kernel_digest(&s->kernel, i, full, ours[i], why))
			return -1;
	return 0;
}

/* What the target said must be what the kernel expects of it. */
static int compare(struct source *s, digests ours, struct failure *why)
{
	unsigned int i;

	for (i = 0; i < s->rams.count; i++)
		if (memcmp(ours[i], s->theirs.digest[i], FERRY_HASH_SIZE) != 0)
			return fail(why, "RAM block %s differs on the target after pass %" PRIu64 "; this is a bug or bad memory, please report it",
				    s->rams.block[i].name, s->pass);
	return 0;
}

int passes_settle(struct source *s, struct failure *why)
{
	digests ours;
	int passes;

	for (passes = 0; passes < FINAL_PASSES; passes++) {
		if (finish(s, why) ||
		    kernel_status(&s->kernel, true, &s->last, why))
			return -1;
		if (!s->last.pending)
			return expect(s, false, ours, why) ? -1 :
			       compare(s, ours, why);
		if (begin(s, true, why))
			return -1;
	}
	return fail(why, "the RAM of the stopped VM is still being written to after %d passes; what else maps it?",
		    FINAL_PASSES);
}

static bool is_verified(const struct source *s)
{
	return s->verified;
}

/* Both sides read at the same time. */
int passes_verify(struct source *s, struct failure *why)
{
	digests ours;

	if (!s->options->verify)
		return 0;
	if (frames_queue(&s->control, WIRE_VERIFY, NULL, 0, why) ||
	    attend_flushed(s, why) || expect(s, true, ours, why) ||
	    attend_until(s, is_verified, "the target did not read its RAM anew",
			 why))
		return -1;
	return compare(s, ours, why);
}
