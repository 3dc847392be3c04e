/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Results of the benchmark of group policies, and its two kinds of runs. */
#ifndef PERF_BENCH_GROUP_H
#define PERF_BENCH_GROUP_H

#include "bench-patterns.h"
#include "bench-tracker.h"

#define BENCH_MAX_ROUNDS	16
#define BENCH_UNKNOWN		UINT64_MAX

/* One phase of one run. Numbers that nobody knows are BENCH_UNKNOWN, or of @counts 0. */
struct bench_result {
	const char *pattern;
	const char *phase;
	unsigned int rounds;
	uint64_t pages_written;	/* different ones in each round, summed up */
	uint64_t exits;
	uint64_t irq_exits;	/* of @exits, for the host's own interrupts */
	unsigned int each;	/* rounds in exits_each */
	uint64_t exits_each[BENCH_MAX_ROUNDS];	/* without irq_exits */
	uint64_t work;		/* that the guest did, in its own units */
	uint64_t differ;	/* pages that the target would have wrong */
	uint64_t late;		/* rounds that took longer than their interval */
	double seconds;
	struct counts counts;	/* of this phase */
};

/* One line, a JSON object. */
void bench_report(const struct tracker *t, const struct bench_result *r);

/* later - earlier, member by member */
void bench_counts_add(struct counts *sum, const struct counts *later,
		      const struct counts *earlier);

uint64_t bench_now_us(void);
bool bench_wanted(const char *list, const char *name);

void bench_vmm(const char *pattern_list, const char *policy_list);

struct bench_qemu {
	pid_t pid;
	const char *ram;	/* the file that is its RAM */
	const char *log_socket;	/* see bench-preload.c */
	unsigned int seconds;	/* for each policy */
	unsigned int interval_ms;
};

void bench_qemu(const struct bench_qemu *q, char **policy_names);

#endif /* PERF_BENCH_GROUP_H */
