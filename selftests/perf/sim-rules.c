// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rules that can be simulated: the module's, and the candidates that the one in
 * kmod/group.c was chosen from. A candidate is a row of parameters to one engine,
 * slow and plain.
 */
#include <err.h>
#include <stdlib.h>

#include <linux/minmax.h>

#include "sim.h"

#define PAGES		((unsigned int)FERRY_CHUNK_PAGES)
#define TRUST_MAX	1024
#define TRUST_MIN	(-19 * 512)
#define STEP		256
#define SHIFT_MAX	5

static unsigned int trusts(const struct sim_rule *rule)
{
	return rule->history ? 1u << rule->most : rule->most + 1;
}

static bool names(const struct sim_rule *rule, unsigned int trust,
		  unsigned int count)
{
	return rule->history ? count == trust : count >= trust;
}

/* Is a page with this count opened? */
static bool repeats(const struct sim_rule *rule, const struct sim_chunk *chunk,
		    unsigned int count)
{
	for (unsigned int i = 0; i < trusts(rule); i++)
		if (rule->most && chunk->trust[i] > 0 && names(rule, i, count))
			return true;
	return false;
}

static unsigned int moved(const struct sim_rule *rule, unsigned int count,
			  bool changed)
{
	if (rule->history)
		return (count << 1 | changed) & ((1u << rule->most) - 1);
	if (changed)
		return min(count + 1, rule->most);
	switch (rule->fall) {
	case FALL_TO_0:
		return 0;
	case FALL_BY_HALF:
		return count / 2;
	default:
		return count ? count - 1 : 0;
	}
}

static int trust_after(const struct sim_rule *rule, int trust, int changed,
		       int hits, int vain)
{
	int earned = hits;

	if (rule->earn == EARN_CHANGED && hits + vain)
		earned = changed;
	else if (rule->earn == EARN_BOTH)
		earned = min(changed, 19 * hits);
	trust += earned - 19 * vain;
	return clamp(trust, TRUST_MIN, TRUST_MAX);
}

static void score(const struct sim_rule *rule, struct sim_chunk *chunk,
		  unsigned int trust, int changed)
{
	int hits = 0, vain = 0;

	for (unsigned int page = 0; page < PAGES; page++) {
		if (!names(rule, trust, chunk->count[page]))
			continue;
		if (test_bit(page, chunk->written.page))
			hits++;
		else
			vain++;
	}
	chunk->trust[trust] = trust_after(rule, chunk->trust[trust], changed,
					  hits, vain);
}

static void score_ahead(struct sim_vm *vm, struct sim_chunk *chunk, int changed)
{
	int hits = 0, vain = 0;

	if (bitmap_empty(chunk->ahead.page, PAGES))
		return;
	for (unsigned int page = 0; page < PAGES; page++) {
		if (!test_bit(page, chunk->written.page))
			vain += test_bit(page, chunk->writable.page);
		else
			hits += test_bit(page, chunk->ahead.page);
	}
	bitmap_zero(chunk->ahead.page, PAGES);
	vm->trust = trust_after(vm->rule, vm->trust, changed, hits, vain);

	if (vm->rule->ahead == AHEAD_TRUST)
		vm->shift = vm->rule->shift - vm->trust / STEP;
	if (vm->rule->ahead == AHEAD_STEPS && abs(vm->trust) >= STEP) {
		vm->shift -= vm->trust > 0 ? 1 : -1;
		vm->trust = 0;
	}
	vm->shift = clamp(vm->shift, 0, SHIFT_MAX);
}

/**
 * sim_rule_learn() - A candidate learns from a turn
 * @vm: the VM
 * @chunk: its chunk, with what was written and what was open
 */
void sim_rule_learn(struct sim_vm *vm, struct sim_chunk *chunk)
{
	const struct sim_rule *rule = vm->rule;
	int changed = bitmap_weight(chunk->written.page, PAGES);

	if (!chunk->faulted)
		return;
	chunk->faulted = false;
	if (rule->ahead != AHEAD_FIXED)
		score_ahead(vm, chunk, changed);
	for (unsigned int i = 0; i < trusts(rule); i++)
		score(rule, chunk, i, changed);
	for (unsigned int page = 0; page < PAGES; page++)
		chunk->count[page] = moved(rule, chunk->count[page],
					   test_bit(page, chunk->written.page));
}

static void open_ahead(struct sim_vm *vm, struct sim_chunk *chunk,
		       unsigned int page, struct ferry_chunk_set *open)
{
	unsigned int run = 0, end;

	while (run < page && test_bit(page - run - 1, chunk->writable.page))
		run++;
	if (run == page && vm->next == chunk)
		run += vm->next_run;

	end = min(page + 1 + (run >> vm->shift), PAGES);
	for (unsigned int i = page + 1; i < end; i++) {
		if (test_bit(i, chunk->writable.page) || test_bit(i, open->page))
			continue;
		__set_bit(i, open->page);
		__set_bit(i, chunk->ahead.page);
	}
	if (end == PAGES) {
		vm->next = chunk + 1;
		vm->next_run = run + PAGES - page;
	}
}

static unsigned int likeliest(const struct sim_chunk *chunk,
			      const struct ferry_chunk_set *but_for)
{
	unsigned int best = PAGES;

	for (unsigned int page = 0; page < PAGES; page++)
		if (chunk->odds[page] > 0 && !test_bit(page, but_for->page) &&
		    (best == PAGES || chunk->odds[page] > chunk->odds[best]))
			best = page;
	return best;
}

/* Opens as long as one page in 20 that are taken is expected to be in vain. */
static void open_by_odds(const struct sim_chunk *chunk,
			 struct ferry_chunk_set *open)
{
	double taken = 0, vain = 0;
	unsigned int page;

	for (page = 0; page < PAGES; page++)
		taken += chunk->odds[page];
	while ((page = likeliest(chunk, open)) < PAGES) {
		vain += 1 - chunk->odds[page];
		taken += 1 - chunk->odds[page];
		if (vain * 20 > taken)
			return;
		__set_bit(page, open->page);
	}
}

/**
 * sim_rule_open() - What a candidate opens on a fault
 * @vm: the VM
 * @chunk: the chunk
 * @page: the page that was written to
 * @open: out: pages; some may be writable already
 */
void sim_rule_open(struct sim_vm *vm, struct sim_chunk *chunk,
		   unsigned int page, struct ferry_chunk_set *open)
{
	bitmap_zero(open->page, PAGES);
	chunk->faulted = true;
	if (vm->rule->odds)
		open_by_odds(chunk, open);
	for (unsigned int i = 0; i < PAGES; i++)
		if (repeats(vm->rule, chunk, chunk->count[i]))
			__set_bit(i, open->page);
	if (vm->rule->ahead != AHEAD_NONE)
		open_ahead(vm, chunk, page, open);
}

static void find_odds(struct sim_vm *vm, const struct sim_trace *trace)
{
	unsigned int *turns = calloc(trace->chunks, sizeof(*turns));
	bool *touched = calloc(trace->chunks, sizeof(*touched));

	if (!turns || !touched)
		err(1, "%s", trace->name);
	for (size_t i = 0; i < trace->count; i++) {
		const struct sim_event *event = &trace->events[i];
		uint32_t chunk = event->at >> FERRY_CHUNK_SHIFT;

		if (event->what == SIM_WRITE) {
			touched[chunk] = true;
			vm->chunks[chunk].odds[event->at % PAGES]++;
		} else if (event->what == SIM_TURN) {
			turns[event->at] += touched[event->at];
			touched[event->at] = false;
		}
	}
	for (uint32_t chunk = 0; chunk < trace->chunks; chunk++)
		for (unsigned int page = 0; page < PAGES; page++)
			if (turns[chunk])
				vm->chunks[chunk].odds[page] /= turns[chunk];
	free(turns);
	free(touched);
}

/**
 * sim_rule_begin() - Prepare a candidate for a trace
 * @vm: the VM, zeroes but for the rule and the chunks
 * @trace: what is going to come
 */
void sim_rule_begin(struct sim_vm *vm, const struct sim_trace *trace)
{
	vm->shift = vm->rule->shift;
	if (vm->rule->odds)
		find_odds(vm, trace);
}

#define MODULE(p, o)	.module = true, .policy = FERRY_GROUP_##p, .order = o

const struct sim_rule sim_rules[] = {
	{ "dynamic", "the module's default", MODULE(DYNAMIC, 0) },
	{ "contiguous", "as many as are writable around it", MODULE(CONTIGUOUS, 0) },
	{ "static:1", "the page alone", MODULE(STATIC, 0) },
	{ "static:8", "aligned groups of 8", MODULE(STATIC, 3) },
	{ "static:32", "aligned groups of 32", MODULE(STATIC, 5) },
	{ "static:128", "aligned groups of 128", MODULE(STATIC, 7) },
	{ "static:512", "the chunk", MODULE(STATIC, 9) },

	/* What repeats: what to remember of a page. */
	{ "last", "changed at the last turn", .most = 1 },
	{ "row3", "changed at the last 1, 2, 3 turns", .most = 3 },
	{ "row7", "changed at the last 1 to 7 turns", .most = 7 },
	{ "history2", "each history of 2 turns", .most = 2, .history = true },
	{ "history3", "each history of 3 turns", .most = 3, .history = true },
	{ "half7", "count to 7, halved", .most = 7, .fall = FALL_BY_HALF },

	/* What a trust earns. */
	{ "history3-changed", "all that changed earns", .most = 3,
	  .history = true, .earn = EARN_CHANGED },
	{ "row7-changed", "all that changed earns", .most = 7,
	  .earn = EARN_CHANGED },
	{ "half7-changed", "all that changed earns", .most = 7,
	  .fall = FALL_BY_HALF, .earn = EARN_CHANGED },
	{ "row7-both", "no more than 19 a hit", .most = 7, .earn = EARN_BOTH },
	{ "less7-both", "the same, less by one", .most = 7, .fall = FALL_BY_1,
	  .earn = EARN_BOTH },
	{ "half3-both", "the same, count to 3, halved", .most = 3,
	  .fall = FALL_BY_HALF, .earn = EARN_BOTH },
	{ "half7-both", "the same, count to 7, halved", .most = 7,
	  .fall = FALL_BY_HALF, .earn = EARN_BOTH },
	{ "half15-both", "the same, count to 15, halved", .most = 15,
	  .fall = FALL_BY_HALF, .earn = EARN_BOTH },

	/* Ahead of a sweep, besides half7-both. */
#define HALF7	.most = 7, .fall = FALL_BY_HALF, .earn = EARN_BOTH
	{ "ahead-double", "as many as the run", HALF7, .ahead = AHEAD_FIXED },
	{ "ahead-eighth", "an eighth of the run", HALF7, .ahead = AHEAD_FIXED,
	  .shift = 3 },
	{ "ahead-steps", "a part that steps up and down", HALF7,
	  .ahead = AHEAD_STEPS, .shift = 3 },
	{ "ahead-trust", "a part that trust says", HALF7, .ahead = AHEAD_TRUST,
	  .shift = 3 },

	{ "odds", "what no rule can know", .odds = true },
	{ }
};
