/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What waits at a disk, and what it waits for.
 *
 * A bio waits because the disk holds everything, because it overlaps a guarded range,
 * or because it overlaps one that waits already and came before it: what is written
 * to the same sectors reaches them in the order in which it came. All functions whose
 * names begin with __ are called with the disk's lock held.
 */
#ifndef FERRY_GATE_H
#define FERRY_GATE_H

#include <linux/bio.h>
#include <linux/interval_tree.h>
#include <linux/list.h>
#include <linux/types.h>

/* A bio that may have to wait: what device-mapper keeps for it. */
struct ferry_held {
	struct list_head link;
	struct interval_tree_node range;
	u64 arrival;		/* 0: it has not waited yet */
};

/* A guarded range. */
struct ferry_guard {
	struct interval_tree_node range;
	u64 id;
};

struct ferry_gate {
	struct list_head held;		/* in the order of their arrival */
	unsigned int nr_held;
	u64 arrivals;
	struct rb_root_cached waiting;	/* the ranges of what is held */
	struct rb_root_cached guarded;
	unsigned int nr_guarded;
};

void ferry_gate_init(struct ferry_gate *gate);
void ferry_gate_prepare(struct bio *bio);

bool __ferry_gate_stops(struct ferry_gate *gate, struct bio *bio);
void __ferry_gate_hold(struct ferry_gate *gate, struct bio *bio);
struct bio *__ferry_gate_next(struct ferry_gate *gate);
void __ferry_gate_take(struct ferry_gate *gate, u32 kinds, struct bio_list *to);

void __ferry_gate_guard(struct ferry_gate *gate, struct ferry_guard *guard);
void __ferry_gate_unguard(struct ferry_gate *gate, struct ferry_guard *guard);
u32 __ferry_gate_ranges(struct ferry_gate *gate,
			struct ferry_disk_range *ranges, u32 room);

#endif /* FERRY_GATE_H */
