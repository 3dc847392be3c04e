/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which pages to open on a write fault: pure decisions, no locks, no address
 * spaces. User-space tests and the simulator in selftests/perf run the same code.
 */
#ifndef FERRY_GROUP_H
#define FERRY_GROUP_H

#include <linux/kvmferry.h>
#include <linux/types.h>

#include "chunk.h"

#define FERRY_GROUP_COUNT_BITS	3
#define FERRY_GROUP_COUNTS	BIT(FERRY_GROUP_COUNT_BITS)

/**
 * struct ferry_group_vm - what holds for all chunks of a VM; begins as zeroes
 * @policy:	FERRY_GROUP_*
 * @order:	of static groups
 * @floor:	backlog, in pages, from which on nothing is opened on suspicion
 * @budget:	pages that may still be opened on suspicion in this pass
 * @ahead_trust: what opening ahead of a sweep has earned
 * @next:	number of the chunk that a sweep is about to enter
 * @next_run:	pages that it has written by then
 *
 * @policy, @order and @floor are the caller's, the rest belongs to group.c. No
 * lock: an update that gets lost costs a few exits or a few pages.
 */
struct ferry_group_vm {
	u32 policy;
	u32 order;
	u64 floor;
	s64 budget;
	s32 ahead_trust;
	u64 next;
	u32 next_run;
};

/**
 * struct ferry_group_chunk - what is remembered of a chunk; begins as zeroes
 * @opened:	pages that were opened since they were last taken, without a
 *		fault of their own
 * @count:	a count per page, bit by bit: count[0] holds the lowest
 * @trust:	what opening "all pages that have at least this count" has earned
 * @named:	how many these were at the last turn
 * @faulted:	a page was opened by a fault since the last take
 * @learn:	the same before the last take: there is something to learn
 *
 * Protected by a lock of the caller.
 */
struct ferry_group_chunk {
	struct ferry_chunk_set opened;
	struct ferry_chunk_set count[FERRY_GROUP_COUNT_BITS];
	s16 trust[FERRY_GROUP_COUNTS];
	u16 named[FERRY_GROUP_COUNTS];
	bool faulted;
	bool learn;
};

/**
 * struct ferry_group_view - a chunk as the page tables show it at a fault
 * @present:	pages that are mapped
 * @writable:	of these, the ones mapped writable
 */
struct ferry_group_view {
	struct ferry_chunk_set present;
	struct ferry_chunk_set writable;
};

void ferry_group_begin_pass(struct ferry_group_vm *vm, u64 backlog);
unsigned int ferry_group_open(struct ferry_group_vm *vm,
			      struct ferry_group_chunk *chunk, u64 number,
			      const struct ferry_group_view *view,
			      unsigned int page, struct ferry_chunk_set *open);
void ferry_group_take(struct ferry_group_chunk *chunk,
		      const struct ferry_chunk_set *take,
		      struct ferry_chunk_set *opened);
void ferry_group_learn(struct ferry_group_vm *vm,
		       struct ferry_group_chunk *chunk,
		       const struct ferry_chunk_set *present,
		       const struct ferry_chunk_set *take,
		       const struct ferry_chunk_set *opened,
		       const struct ferry_chunk_set *changed);

#endif /* FERRY_GROUP_H */
