// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long the disks of a VM will have `stop` wait.
 */
#include "blockstats.h"

#define FLUSHES	2	/* by `stop`, and before the disk is handed over */

/* What QEMU calls them. */
static const struct {
	const char *requests, *ns;
} members[BLOCKSTATS_KINDS] = {
	[BLOCKSTATS_READ] = { "rd_operations", "rd_total_time_ns" },
	[BLOCKSTATS_WRITE] = { "wr_operations", "wr_total_time_ns" },
	[BLOCKSTATS_FLUSH] = { "flush_operations", "flush_total_time_ns" },
};

static uint64_t member(const json_t *stats, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(stats, name));

	return n > 0 ? (uint64_t)n : 0;
}

/* Counts that go backwards are those of a device that was reset: they say nothing. */
static uint64_t mean_ns(const struct blockstats_count *seen, const struct blockstats_count *now,
			uint64_t before)
{
	if (now->requests <= seen->requests || now->ns < seen->ns)
		return before;
	return (now->ns - seen->ns) / (now->requests - seen->requests);
}

static uint64_t more(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t blockstats_look(struct blockstats *b, unsigned int disk, const json_t *stats)
{
	uint64_t *mean = b->mean_ns[disk];

	for (unsigned int kind = 0; kind < BLOCKSTATS_KINDS; kind++) {
		struct blockstats_count now = {
			.requests = member(stats, members[kind].requests),
			.ns = member(stats, members[kind].ns),
		};

		mean[kind] = mean_ns(&b->seen[disk][kind], &now, mean[kind]);
		b->seen[disk][kind] = now;
	}
	return (more(mean[BLOCKSTATS_READ], mean[BLOCKSTATS_WRITE]) +
		FLUSHES * mean[BLOCKSTATS_FLUSH]) / 1000;
}
