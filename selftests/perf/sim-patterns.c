// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Synthetic patterns: 4096 pages in 8 chunks. In each round the guest writes its
 * set, then every chunk has its turn; in the "torn" patterns turns come while the
 * guest writes.
 */
#include <string.h>

#include "sim.h"

#define CHUNKS	8
#define PAGES	(CHUNKS << FERRY_CHUNK_SHIFT)

static uint64_t random_state;

/* xorshift64* */
static uint32_t below(uint32_t bound)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return ((random_state * 0x2545f4914f6cdd1d) >> 32) * bound >> 32;
}

static uint8_t seen[PAGES];

static void write_page(struct sim_trace *trace, uint32_t page)
{
	if (!seen[page])
		sim_event(trace, SIM_WRITE, page);
	seen[page] = 1;
}

static void turn(struct sim_trace *trace, uint32_t chunk)
{
	memset(seen + (chunk << FERRY_CHUNK_SHIFT), 0, FERRY_CHUNK_PAGES);
	sim_event(trace, SIM_TURN, chunk);
}

static void all_turns(struct sim_trace *trace)
{
	for (uint32_t chunk = 0; chunk < CHUNKS; chunk++)
		turn(trace, chunk);
}

static void stride(struct sim_trace *trace, uint32_t step)
{
	for (uint32_t page = 0; page < PAGES; page += step)
		write_page(trace, page);
	all_turns(trace);
}

static void sequential(struct sim_trace *trace, unsigned int round)
{
	(void)round;
	stride(trace, 1);
}

static void downwards(struct sim_trace *trace, unsigned int round)
{
	(void)round;
	for (uint32_t page = PAGES; page-- > 0;)
		write_page(trace, page);
	all_turns(trace);
}

static void stride2(struct sim_trace *trace, unsigned int round)
{
	(void)round;
	stride(trace, 2);
}

static void stride4(struct sim_trace *trace, unsigned int round)
{
	(void)round;
	stride(trace, 4);
}

static void stride16(struct sim_trace *trace, unsigned int round)
{
	(void)round;
	stride(trace, 16);
}

static void random_writes(struct sim_trace *trace, uint32_t writes)
{
	while (writes--)
		write_page(trace, below(PAGES));
	all_turns(trace);
}

static void dense(struct sim_trace *trace, unsigned int round)
{
	(void)round;
	random_writes(trace, 4 * PAGES);
}

static void medium(struct sim_trace *trace, unsigned int round)
{
	(void)round;
	random_writes(trace, PAGES / 4);
}

/* One page in 64: the same ones, or others each round. */
static void sparse(struct sim_trace *trace, bool anew)
{
	static uint32_t place[PAGES / 64];

	for (uint32_t i = 0; i < PAGES / 64; i++) {
		if (anew)
			place[i] = 64 * i + below(64);
		write_page(trace, place[i]);
	}
	all_turns(trace);
}

static void sparse_fixed(struct sim_trace *trace, unsigned int round)
{
	sparse(trace, !round);
}

static void sparse_random(struct sim_trace *trace, unsigned int round)
{
	(void)round;
	sparse(trace, true);
}

static void shuffle(uint32_t *items, uint32_t count)
{
	for (uint32_t i = count - 1; i > 0; i--) {
		uint32_t j = below(i + 1), kept = items[i];

		items[i] = items[j];
		items[j] = kept;
	}
}

/* s = 1: the page of rank r gets one write in r * ln(PAGES). */
static void zipf(struct sim_trace *trace, unsigned int round)
{
	static uint32_t page_of[PAGES];
	static double up_to[PAGES];
	double sum = 0;

	if (!round) {
		for (uint32_t i = 0; i < PAGES; i++)
			page_of[i] = i;
		shuffle(page_of, PAGES);
	}
	for (uint32_t i = 0; i < PAGES; i++)
		up_to[i] = sum += 1.0 / (i + 1);

	for (uint32_t i = 0; i < PAGES; i++) {
		double at = below(1u << 31) * sum / (1u << 31);
		uint32_t low = 0, high = PAGES - 1;

		while (low < high) {
			uint32_t middle = (low + high) / 2;

			if (up_to[middle] > at)
				high = middle;
			else
				low = middle + 1;
		}
		write_page(trace, page_of[low]);
	}
	all_turns(trace);
}

/* Two regions of 128 pages in random order, and an eighth of a sweep. */
static void hot_and_sweep(struct sim_trace *trace, unsigned int round)
{
	uint32_t swept = (round % CHUNKS) << FERRY_CHUNK_SHIFT;
	uint32_t hot[256];

	for (uint32_t i = 0; i < 128; i++) {
		hot[i] = 700 + i;
		hot[128 + i] = 2900 + i;
	}
	shuffle(hot, 256);
	for (uint32_t i = 0; i < FERRY_CHUNK_PAGES; i++) {
		write_page(trace, hot[i / 2]);
		write_page(trace, swept + i);
	}
	all_turns(trace);
}

/* Runs of 1 to 32 pages, in other places each round. */
static void short_runs(struct sim_trace *trace, unsigned int round)
{
	(void)round;
	for (uint32_t i = 0; i < 64; i++) {
		uint32_t first = below(PAGES), pages = 1 + below(32);

		for (uint32_t page = first; page < first + pages; page++)
			if (page < PAGES)
				write_page(trace, page);
	}
	all_turns(trace);
}

/* Two halves, written in turn, pages in no order that would help. */
static void two_buffers(struct sim_trace *trace, unsigned int round)
{
	uint32_t page[PAGES / 2];

	for (uint32_t i = 0; i < PAGES / 2; i++)
		page[i] = 2 * i + round % 2;
	shuffle(page, PAGES / 2);
	for (uint32_t i = 0; i < PAGES / 2; i++)
		write_page(trace, page[i]);
	all_turns(trace);
}

/* A sweep goes on, at its own speed, while the chunks have their turns. */
static void torn_sweep(struct sim_trace *trace, unsigned int round,
		       uint32_t pages_a_turn)
{
	static uint32_t at;

	if (!round)
		at = 0;
	for (uint32_t chunk = 0; chunk < CHUNKS; chunk++) {
		for (uint32_t i = 0; i < pages_a_turn; i++)
			write_page(trace, at++ % PAGES);
		turn(trace, chunk);
	}
}

static void torn_sweep_slow(struct sim_trace *trace, unsigned int round)
{
	torn_sweep(trace, round, 97);
}

static void torn_sweep_abreast(struct sim_trace *trace, unsigned int round)
{
	torn_sweep(trace, round, 365);
}

static void torn_sweep_fast(struct sim_trace *trace, unsigned int round)
{
	torn_sweep(trace, round, 1337);
}

/* A working set of 1024 pages, of which each page is written in most rounds. */
static void torn_set(struct sim_trace *trace, unsigned int round)
{
	static uint32_t set[1024];

	if (!round)
		for (uint32_t i = 0; i < 1024; i++)
			set[i] = below(PAGES);
	for (uint32_t chunk = 0; chunk < CHUNKS; chunk++) {
		for (uint32_t i = 0; i < 384; i++)
			write_page(trace, set[below(1024)]);
		turn(trace, chunk);
	}
}

/*
 * What a small Linux guest might do: some pages that are hot, files that are read
 * into runs of free pages, and single pages here and there.
 */
static void mixture(struct sim_trace *trace, unsigned int round)
{
	static uint32_t hot[512], at;

	if (!round)
		for (uint32_t i = 0; i < 512; i++)
			hot[i] = below(PAGES);
	for (uint32_t i = 0; i < 700; i++)
		write_page(trace, hot[below(1 + below(512))]);
	for (uint32_t i = 0; i < 12; i++) {
		uint32_t pages = 1 + below(64);

		if (!below(4))
			at = below(PAGES);
		while (pages--)
			write_page(trace, at++ % PAGES);
	}
	for (uint32_t i = 0; i < 32; i++)
		write_page(trace, below(PAGES));
	all_turns(trace);
}

const struct sim_pattern sim_patterns[] = {
	{ "sequential", "every page, in order", sequential },
	{ "downwards", "every page, from the last to the first", downwards },
	{ "dense", "four random writes for each page", dense },
	{ "stride2", "every second page", stride2 },
	{ "stride4", "every fourth page", stride4 },
	{ "stride16", "every sixteenth page", stride16 },
	{ "sparse", "one page in 64, always the same", sparse_fixed },
	{ "sparse-random", "one page in 64, others each round", sparse_random },
	{ "zipf", "one write per page on average, s = 1", zipf },
	{ "hot+sweep", "two hot regions and an eighth of a sweep", hot_and_sweep },
	{ "medium", "one random write for four pages", medium },
	{ "short-runs", "runs of up to 32 pages anywhere", short_runs },
	{ "two-buffers", "odd and even pages by turns", two_buffers },
	{ "mixture", "hot pages, runs, and single pages", mixture },
	{ "torn-slow", "a sweep, slower than the turns that interrupt it", torn_sweep_slow },
	{ "torn-abreast", "one about as fast", torn_sweep_abreast },
	{ "torn-fast", "one that is faster", torn_sweep_fast },
	{ "torn-set", "a random working set, with turns in between", torn_set },
	{ }
};

/**
 * sim_generate() - Make the trace of a pattern
 * @trace: out: the trace
 * @pattern: what the guest does
 * @rounds: how often
 * @seed: of what is random; the same one gives the same trace
 */
void sim_generate(struct sim_trace *trace, const struct sim_pattern *pattern,
		  unsigned int rounds, uint64_t seed)
{
	random_state = seed * 0x9e3779b97f4a7c15 | 1;
	*trace = (struct sim_trace){ .name = pattern->name };
	memset(seen, 0, sizeof(seen));
	for (unsigned int round = 0; round < rounds; round++) {
		sim_event(trace, SIM_PASS, 0);
		pattern->round(trace, round);
	}
}
