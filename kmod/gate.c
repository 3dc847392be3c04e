// SPDX-License-Identifier: GPL-2.0-only
/* The bios that wait at a disk, and the ranges that are guarded. See gate.h. */

#include <linux/device-mapper.h>
#include <linux/kvmferry.h>

#include "disk_request.h"
#include "fault.h"
#include "gate.h"

static struct ferry_held *held_of(struct bio *bio)
{
	return dm_per_bio_data(bio, sizeof(struct ferry_held));
}

static struct bio *bio_of(struct ferry_held *held)
{
	return dm_bio_from_per_bio_data(held, sizeof(struct ferry_held));
}

/**
 * ferry_gate_init() - An empty gate
 * @gate: the gate
 *
 * Context: Any.
 */
void ferry_gate_init(struct ferry_gate *gate)
{
	INIT_LIST_HEAD(&gate->held);
	gate->waiting = RB_ROOT_CACHED;
	gate->guarded = RB_ROOT_CACHED;
}

/**
 * ferry_gate_prepare() - A bio comes that may have to wait
 * @bio: device-mapper's clone
 *
 * Context: Any.
 */
void ferry_gate_prepare(struct bio *bio)
{
	struct ferry_held *held = held_of(bio);

	held->arrival = 0;
	held->range.start = bio->bi_iter.bi_sector;
	held->range.last = bio_end_sector(bio) - 1;
}

/* Does it overlap one that waits and came before it? */
static bool is_behind(struct ferry_gate *gate, const struct ferry_held *held)
{
	struct interval_tree_node *node;

	for (node = interval_tree_iter_first(&gate->waiting, held->range.start,
					     held->range.last);
	     node; node = interval_tree_iter_next(node, held->range.start,
						  held->range.last)) {
		const struct ferry_held *other =
			container_of(node, struct ferry_held, range);

		if (!held->arrival || other->arrival < held->arrival)
			return true;
	}
	return false;
}

/**
 * __ferry_gate_stops() - Does the gate stop this bio?
 * @gate: the gate
 * @bio: prepared, held or not
 *
 * Context: Any, under the disk's lock.
 */
bool __ferry_gate_stops(struct ferry_gate *gate, struct bio *bio)
{
	const struct ferry_held *held = held_of(bio);

	/* a flush speaks of what has been answered, and what waits has not */
	if (!bio_sectors(bio))
		return false;
	if (interval_tree_iter_first(&gate->guarded, held->range.start,
				     held->range.last) &&
	    !ferry_fault(FERRY_FAULT_GUARD_BLIND))
		return true;
	return is_behind(gate, held);
}

/**
 * __ferry_gate_hold() - Let a bio wait
 * @gate: the gate
 * @bio: prepared; one that has waited before gets its old place
 *
 * Another thread will send it, which may sleep, and whose control group has nothing
 * to do with it.
 *
 * Context: The thread that submits the bio, the first time; under the disk's lock.
 */
void __ferry_gate_hold(struct ferry_gate *gate, struct bio *bio)
{
	struct ferry_held *held = held_of(bio);

	if (held->arrival) {
		/* only one thread takes them out, the first one first */
		list_add(&held->link, &gate->held);
	} else {
		bio_associate_blkg(bio);
		bio->bi_opf &= ~REQ_NOWAIT;
		held->arrival = ++gate->arrivals;
		list_add_tail(&held->link, &gate->held);
	}
	gate->nr_held++;
	if (bio_sectors(bio))
		interval_tree_insert(&held->range, &gate->waiting);
}

static struct bio *take_out(struct ferry_gate *gate, struct ferry_held *held)
{
	struct bio *bio = bio_of(held);

	list_del(&held->link);
	gate->nr_held--;
	if (bio_sectors(bio))
		interval_tree_remove(&held->range, &gate->waiting);
	return bio;
}

/**
 * __ferry_gate_next() - The first bio that need not wait any longer
 * @gate: the gate
 *
 * Context: Any, under the disk's lock.
 * Return: it, taken out, or NULL.
 */
struct bio *__ferry_gate_next(struct ferry_gate *gate)
{
	struct ferry_held *held;

	list_for_each_entry(held, &gate->held, link) {
		if (!__ferry_gate_stops(gate, bio_of(held)))
			return take_out(gate, held);
	}
	return NULL;
}

/**
 * __ferry_gate_take() - Take out all bios of some kinds
 * @gate: the gate
 * @kinds: bits of FERRY_DISK_READ and so on
 * @to: where they are added, in the order of their arrival
 *
 * Context: Any, under the disk's lock.
 */
void __ferry_gate_take(struct ferry_gate *gate, u32 kinds, struct bio_list *to)
{
	struct ferry_held *held, *next;

	list_for_each_entry_safe(held, next, &gate->held, link) {
		if (kinds & BIT(ferry_request_kind(bio_of(held))))
			bio_list_add(to, take_out(gate, held));
	}
}

/**
 * __ferry_gate_guard() - Close a range
 * @gate: the gate
 * @guard: the range, complete; the gate's until it is opened
 *
 * Context: Any, under the disk's lock.
 */
void __ferry_gate_guard(struct ferry_gate *gate, struct ferry_guard *guard)
{
	interval_tree_insert(&guard->range, &gate->guarded);
	gate->nr_guarded++;
}

/**
 * __ferry_gate_unguard() - Open a range
 * @gate: the gate
 * @guard: the range; the caller's from now on
 *
 * Context: Any, under the disk's lock.
 */
void __ferry_gate_unguard(struct ferry_gate *gate, struct ferry_guard *guard)
{
	interval_tree_remove(&guard->range, &gate->guarded);
	gate->nr_guarded--;
}

/**
 * __ferry_gate_ranges() - Which ranges are closed?
 * @gate: the gate
 * @ranges: where they are written, by sector
 * @room: how many there is room for
 *
 * Context: Any, under the disk's lock.
 * Return: how many were written.
 */
u32 __ferry_gate_ranges(struct ferry_gate *gate,
			struct ferry_disk_range *ranges, u32 room)
{
	struct interval_tree_node *node;
	u32 n = 0;

	for (node = interval_tree_iter_first(&gate->guarded, 0, ULONG_MAX);
	     node && n < room;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX)) {
		ranges[n].id = container_of(node, struct ferry_guard, range)->id;
		ranges[n].sector = node->start;
		ranges[n].sectors = node->last - node->start + 1;
		n++;
	}
	return n;
}
