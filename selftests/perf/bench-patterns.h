/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which pages the test guest writes in each round of a benchmark: the same places for
 * every policy, since all that is random here begins with a fixed seed.
 */
#ifndef PERF_BENCH_PATTERNS_H
#define PERF_BENCH_PATTERNS_H

#include <stdbool.h>
#include <stdint.h>

#define PATTERN_PAGES		8192ul	/* of the guest's RAM; a pattern may use fewer */
#define PATTERN_MAX_STORES	32768u

/* The stores of one round, in order. */
struct places {
	uint32_t page[PATTERN_MAX_STORES];
	uint32_t stores;
	uint32_t pages;				/* different ones */
	uint64_t seen[PATTERN_PAGES / 64];
};

struct pattern {
	const char *name;
	void (*fill)(struct places *p, unsigned int round);
	/* what is measured are not the stores, but reads once the pages are protected */
	bool reads;
};

/* The last one has no name. */
extern const struct pattern patterns[];

/* Rounds count from 0. */
void pattern_places(const struct pattern *pattern, unsigned int round, struct places *p);

#endif /* PERF_BENCH_PATTERNS_H */
