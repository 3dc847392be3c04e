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
#define STALL_MS	3000	/* nothing moved for so long: worth a word */

static int begin(struct source *s, bool final, struct failure *why)
{
	if (kernel_counts(&s->kernel, false, &s->last, why))
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

/* Since when nothing moves; that may be now. */
struct motion {
	uint64_t amount;	/* bytes and pages; only whether it changes counts */
	int64_t since;		/* ms */
	bool told;		/* that nothing does */
};

/* Looks whether anything has moved, and tells. Returns -1 once it takes too long. */
static int watch(struct motion *m, const struct source *s, struct failure *why)
{
	uint64_t amount = bytes_sent(s) + s->last.status.taken;
	int64_t now = clock_ms(), still = now - m->since;

	if (amount != m->amount) {
		if (m->told)
			log_info("RAM moves again, after %" PRId64 " s", still / 1000);
		*m = (struct motion){ .amount = amount, .since = now };
		return 0;
	}
	if (still >= s->options->timeout_ms)
		return fail(why, "no byte of RAM has moved for %d s; is the network or the target stuck? (see --timeout)",
			    s->options->timeout_ms / 1000);
	if (still >= STALL_MS && !m->told) {
		log_warn("no byte of RAM has moved for %d s; giving up after %d s (see --timeout)",
			 STALL_MS / 1000, s->options->timeout_ms / 1000);
		m->told = true;
	}
	return 0;
}

/*
 * A pass may take hours, but not stand still: as long as it did not end, pages are
 * taken or bytes leave.
 */
static int finish(struct source *s, struct failure *why)
{
	struct motion motion = { .since = clock_ms() };

	while (!has_ended(s)) {
		if (attend(s, SAMPLE_MS, why) ||
		    kernel_counts(&s->kernel, false, &s->last, why))
			return -1;
		if (!has_ended(s))
			progress_pass(&s->progress, &s->last, s->blackout_ms,
				      false);
		if (watch(&motion, s, why))
			return -1;
	}
	return 0;
}

static struct converge_pass measure(const struct source *s)
{
	const struct ferry_status *was = &s->progress.at_start.status;
	const struct ferry_status *now = &s->last.status;

	return (struct converge_pass){
		.pages = kernel_sent(now) - kernel_sent(was),
		.zero = now->zero - was->zero,
		.bytes = now->bytes_wire - was->bytes_wire,
		.us = (uint64_t)(clock_us() - s->pass_us),
	};
}

static bool goes_on(enum converge_decision decision)
{
	return decision == CONVERGE_AGAIN || decision == CONVERGE_SLOWER;
}

static void tell_decision(struct source *s, enum converge_decision decision)
{
	progress_event(&s->progress, "decision",
		       json_pack("{s:I, s:s, s:s, s:o, s:I, s:I, s:I}", "pass",
				 (json_int_t)s->pass, "decision",
				 goes_on(decision) ? "again" : "switch",
				 "reason", converge_reason(decision),
				 "expected_blackout_ms",
				 progress_blackout(s->blackout_ms),
				 "overhead_ms",
				 (json_int_t)converge_overhead(&s->converge),
				 "pending_pages",
				 (json_int_t)s->last.status.pending,
				 "floor_pages",
				 (json_int_t)converge_floor(&s->converge)));
	if (decision == CONVERGE_FITS || goes_on(decision))
		return;
	log_warn("switching over although the blackout will be about %u ms instead of %u: %s",
		 s->blackout_ms, s->options->downtime_ms,
		 converge_reason(decision));
}

static void tell_slowdown(struct source *s)
{
	progress_event(&s->progress, "slowdown",
		       json_pack("{s:I, s:I, s:i}", "pass", (json_int_t)s->pass,
				 "pages_per_s", (json_int_t)s->converge.limit,
				 "max_slowdown",
				 (int)s->options->max_slowdown));
	if (!s->slowed)
		log_warn("the VM writes as fast as the streams carry: from now on its vCPUs wait when they write, at most %u %% of their time (see --max-slowdown)",
			 s->options->max_slowdown);
	s->slowed = true;
}

/* Does what was decided about the VM's speed, or decides anew if that cannot be done. */
static int slow_down(struct source *s, enum converge_decision *decision,
		     struct failure *why)
{
	if (*decision != CONVERGE_SLOWER)
		return 0;
	switch (kernel_limit(&s->kernel, s->converge.limit,
			     s->converge.max_slowdown, why)) {
	case 0:
		tell_slowdown(s);
		return 0;
	case 1:
		log_warn("this kernel cannot slow the VM down, which would make it converge");
		*decision = converge_unlimited(&s->converge);
		return 0;
	default:
		return -1;
	}
}

/*
 * The kernel opens no page on suspicion once a pass is as small as the switchover:
 * what is opened in vain would have to be looked at in the blackout.
 */
static int tell_floor(struct source *s, struct failure *why)
{
	struct ferry_group group = s->options->group;

	group.floor = converge_floor(&s->converge);
	if (group.floor == s->floor)
		return 0;
	s->floor = group.floor;
	return kernel_group(&s->kernel, &group, why);
}

/* What the blackout takes besides RAM, as far as it can be measured before. */
static int measure_overhead(struct source *s, struct failure *why)
{
	s->converge.round_trip_us = connection_round_trip_us(&s->control.link);
	s->converge.stream_bytes_per_s = s->last.compression.rate;
	return storage_expect(s, &s->converge.storage_us, why);
}

#define CELLS	2048	/* chunks to ask for at a time */

static uint64_t chunks_of(const struct ramblock *b)
{
	return (b->size + HEAT_CHUNK - 1) / HEAT_CHUNK;
}

static void heat_open(struct source *s)
{
	uint64_t chunks = 0;

	for (unsigned int i = 0; i < s->rams.count; i++)
		chunks += chunks_of(&s->rams.block[i]);
	heat_begin(&s->heat, chunks);
}

/* Adds one block, which begins at chunk @number. Returns 0, or else: not told. */
static int add_block(struct source *s, unsigned int i, uint64_t number, struct failure *why)
{
	uint64_t first, count, chunks = chunks_of(&s->rams.block[i]);
	struct ferry_group_cell cells[CELLS];
	int result;

	for (first = 0; first < chunks; first += count) {
		count = chunks - first < CELLS ? chunks - first : CELLS;
		result = kernel_group_map(&s->kernel, i, first, count, cells, why);
		if (result)
			return result;
		heat_add(&s->heat, number + first, cells, count);
	}
	return 0;
}

/* Where the VM's faults of this pass were, for whoever reads the log. */
static void tell_groups(struct source *s)
{
	char orders[HEAT_COLUMNS + 1];
	struct failure why = { 0 };
	uint64_t number = 0;
	int result;

	if (!s->options->json)
		return;
	for (unsigned int i = 0; i < s->rams.count; i++) {
		result = add_block(s, i, number, &why);
		if (result) {
			log_debug("no map of groups: %s", result < 0 ? why.text :
				  "the kernel module has none");
			return;
		}
		number += chunks_of(&s->rams.block[i]);
	}
	heat_line(&s->heat, orders);
	progress_event(&s->progress, "groups",
		       json_pack("{s:I, s:s}", "pass", (json_int_t)s->pass, "orders", orders));
}

/* One pass, and what follows from it. */
static int pass_and_decide(struct source *s, enum converge_decision *decision,
			   struct failure *why)
{
	struct converge_pass pass;

	if (begin(s, false, why) || finish(s, why))
		return -1;
	pass = measure(s);
	if (kernel_counts(&s->kernel, true, &s->last, why) || measure_overhead(s, why))
		return -1;
	pass.pending = s->last.status.pending;
	*decision = converge_after(&s->converge, &pass, &s->blackout_ms);
	s->progress.eta.downtime_ms = converge_budget(&s->converge);
	progress_pass(&s->progress, &s->last, s->blackout_ms, true);
	tell_groups(s);
	if (tell_floor(s, why) || slow_down(s, decision, why))
		return -1;
	tell_decision(s, *decision);
	return 0;
}

int passes_converge(struct source *s, struct failure *why)
{
	enum converge_decision decision;

	s->converge = (struct converge){
		.downtime_ms = s->options->downtime_ms,
		.max_passes = s->options->max_passes,
		.max_slowdown = s->options->max_slowdown,
		.device_bytes = journal_device_bytes(s->options->state_dir, s->vm),
	};
	s->blackout_ms = CONVERGE_UNKNOWN;
	heat_open(s);
	progress_passes_begin(&s->progress, s->options->downtime_ms);
	/* So that what is measured after a pass is of that pass. */
	if (measure_overhead(s, why))
		return -1;
	do {
		if (pass_and_decide(s, &decision, why))
			return -1;
	} while (goes_on(decision));
	return 0;
}

void passes_full_speed(struct source *s)
{
	struct failure why = { 0 };

	if (s->kernel.fd < 0 || !s->converge.limit)
		return;
	if (kernel_limit(&s->kernel, 0, 0, &why) < 0)
		log_debug("%s", why.text);
	s->converge.limit = 0;
}

int passes_begin_final(struct source *s, struct failure *why)
{
	/* It writes nothing now; and should it be continued here, then unhindered. */
	passes_full_speed(s);
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
		    kernel_counts(&s->kernel, true, &s->last, why))
			return -1;
		if (!s->last.status.pending)
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
	if (s->storage.reads) {
		log_warn("RAM is not read anew for --verify: %u cancelled reads may still write to it, which the target's QEMU reads again",
			 s->storage.reads);
		return 0;
	}
	s->verifying = true;
	if (frames_queue(&s->control, WIRE_VERIFY, NULL, 0, why) ||
	    attend_flushed(s, why) || expect(s, true, ours, why) ||
	    attend_until(s, is_verified, "the target did not read its RAM anew",
			 why))
		return -1;
	return compare(s, ours, why);
}
