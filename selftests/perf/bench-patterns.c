// SPDX-License-Identifier: GPL-2.0-or-later
/* The benchmark's write patterns. */
#include "bench-patterns.h"

#include <stddef.h>
#include <string.h>

#include "die.h"

#define BLOCK		4096u	/* pages of the patterns that fill something */
#define DENSE_STORES	4u	/* for each page */
#define SPARSE		64u	/* one page in as many */
#define ZIPF_STORES	4096u
#define HOT_PAGES	256u
#define HOT_STORES	4u	/* for each page, on average */
#define SWEEP_PAGES	512u	/* a round */

/* The hot regions; on purpose not where a group begins. */
static const uint32_t hot_region[] = { 777, 5003 };

/* xorshift64; @s is never 0. */
static uint64_t shuffle(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* Below @n; the high bits are the better ones. */
static uint32_t below(uint64_t *s, uint32_t n)
{
	return (shuffle(s) >> 32) * n >> 32;
}

static uint64_t seed(unsigned int round)
{
	return 0x9e3779b97f4a7c15ull * (round + 1);
}

static void store(struct places *p, uint32_t page)
{
	if (p->stores == PATTERN_MAX_STORES || page >= PATTERN_PAGES)
		die("a pattern leaves its bounds");
	p->page[p->stores++] = page;
	if (p->seen[page / 64] >> (page % 64) & 1)
		return;
	p->seen[page / 64] |= 1ull << (page % 64);
	p->pages++;
}

/* What was stored in order, in random order. */
static void mix(struct places *p, uint64_t *s)
{
	uint32_t i, j, page;

	for (i = p->stores; i > 1; i--) {
		j = below(s, i);
		page = p->page[i - 1];
		p->page[i - 1] = p->page[j];
		p->page[j] = page;
	}
}

static void sequential(struct places *p, unsigned int round)
{
	uint32_t page;

	(void)round;
	for (page = 0; page < BLOCK; page++)
		store(p, page);
}

static void random_dense(struct places *p, unsigned int round)
{
	uint64_t s = seed(round);
	uint32_t i;

	for (i = 0; i < BLOCK * DENSE_STORES; i++)
		store(p, i % BLOCK);
	mix(p, &s);
}

static void strided(struct places *p, uint32_t stride, uint32_t pages)
{
	uint32_t page;

	for (page = 0; page < pages; page += stride)
		store(p, page);
}

static void strided_2(struct places *p, unsigned int round)
{
	(void)round;
	strided(p, 2, BLOCK);
}

static void strided_16(struct places *p, unsigned int round)
{
	(void)round;
	strided(p, 16, PATTERN_PAGES);
}

static void sparse_new(struct places *p, unsigned int round)
{
	uint64_t s = seed(round);
	uint32_t page;

	for (page = 0; page < PATTERN_PAGES; page += SPARSE)
		store(p, page + below(&s, SPARSE));
	mix(p, &s);
}

static void sparse_same(struct places *p, unsigned int round)
{
	(void)round;
	sparse_new(p, 0);
}

/* Page number of each rank: popular pages lie anywhere. */
static const uint32_t *ranks(void)
{
	static uint32_t page[PATTERN_PAGES];
	uint64_t s = seed(1000);
	uint32_t i, j;

	/* Fisher and Yates, from the inside out */
	for (i = 0; i < PATTERN_PAGES; i++) {
		j = below(&s, i + 1);
		page[i] = page[j];
		page[j] = i;
	}
	return page;
}

/* Rank k, from 0, is written in proportion to 1 / (k + 1). */
static void zipf(struct places *p, unsigned int round)
{
	static double sum[PATTERN_PAGES];
	const uint32_t *page = ranks();
	uint64_t s = seed(round);
	double all = 0, want;
	uint32_t i, low, high;

	for (i = 0; i < PATTERN_PAGES; i++)
		sum[i] = all += 1.0 / (i + 1);
	for (i = 0; i < ZIPF_STORES; i++) {
		want = (shuffle(&s) >> 32) / 4294967296.0 * all;
		for (low = 0, high = PATTERN_PAGES - 1; low < high;) {
			uint32_t middle = (low + high) / 2;

			if (sum[middle] > want)
				high = middle;
			else
				low = middle + 1;
		}
		store(p, page[low]);
	}
}

/* Hot pages at random, and in between a sweep in order. */
static void hot_and_sweep(struct places *p, unsigned int round)
{
	uint64_t s = seed(round);
	uint32_t sweep = round * SWEEP_PAGES;
	uint32_t i;

	for (i = 0; i < HOT_PAGES * HOT_STORES * 2; i++) {
		store(p, hot_region[i % 2] + below(&s, HOT_PAGES));
		if (i % (HOT_PAGES * HOT_STORES * 2 / SWEEP_PAGES) == 0)
			store(p, sweep++ % PATTERN_PAGES);
	}
}

const struct pattern patterns[] = {
	{ .name = "sequential", .fill = sequential },
	{ .name = "random-dense", .fill = random_dense },
	{ .name = "strided-2", .fill = strided_2 },
	{ .name = "strided-16", .fill = strided_16 },
	{ .name = "sparse-same", .fill = sparse_same },
	{ .name = "sparse-new", .fill = sparse_new },
	{ .name = "zipf", .fill = zipf },
	{ .name = "hot-and-sweep", .fill = hot_and_sweep },
	{ .name = "reads", .fill = sequential, .reads = true },
	{},
};

void pattern_places(const struct pattern *pattern, unsigned int round, struct places *p)
{
	memset(p, 0, sizeof(*p));
	pattern->fill(p, round);
}
