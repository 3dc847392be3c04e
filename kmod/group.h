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

/**
 * struct ferry_group_vm - what holds for all chunks of a VM
 * @policy:	FERRY_GROUP_*
 * @order:	of static groups
 * @floor:	backlog, in pages, from which on nothing is opened on suspicion
 * @budget:	pages that may still be opened on suspicion in this pass
 */
struct ferry_group_vm {
	u32 policy;
	u32 order;
	u64 floor;
	s64 budget;
};

/**
 * struct ferry_group_chunk - what is remembered of a chunk
 * @opened:	pages that were opened since they were last taken, without a
 *		fault of their own
 */
struct ferry_group_chunk {
	struct ferry_chunk_set opened;
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
			      struct ferry_group_chunk *chunk,
			      const struct ferry_group_view *view,
			      unsigned int page, struct ferry_chunk_set *open);
void ferry_group_take(struct ferry_group_chunk *chunk,
		      const struct ferry_chunk_set *take,
		      struct ferry_chunk_set *opened);
void ferry_group_learn(struct ferry_group_vm *vm,
		       struct ferry_group_chunk *chunk,
		       const struct ferry_chunk_set *take,
		       const struct ferry_chunk_set *opened,
		       const struct ferry_chunk_set *changed);

#endif /* FERRY_GROUP_H */
