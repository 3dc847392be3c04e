// SPDX-License-Identifier: GPL-2.0-only
/* Guarded ranges of a disk, as user space sets and opens them. See gate.h. */

#include <linux/slab.h>

#include "disk.h"

static bool range_ok(const struct ferry_disk *disk,
		     const struct ferry_disk_range *range)
{
	return range->sectors && range->sector < disk->sectors &&
	       range->sectors <= disk->sectors - range->sector;
}

static int guard_range(struct ferry_disk *disk,
		       const struct ferry_disk_range *range)
{
	struct ferry_guard *guard;
	int err;

	if (!range_ok(disk, range))
		return -EINVAL;
	guard = kzalloc(sizeof(*guard), GFP_KERNEL_ACCOUNT);
	if (!guard)
		return -ENOMEM;
	guard->id = range->id;
	guard->range.start = range->sector;
	guard->range.last = range->sector + range->sectors - 1;
	err = xa_insert(&disk->guards, guard->id, guard, GFP_KERNEL_ACCOUNT);
	if (err) {
		kfree(guard);
		return err == -EBUSY ? -EEXIST : err;
	}
	spin_lock_irq(&disk->lock);
	__ferry_gate_guard(&disk->gate, guard);
	__ferry_disk_update(disk);
	spin_unlock_irq(&disk->lock);
	return 0;
}

static void remove_guard(struct ferry_disk *disk, struct ferry_guard *guard)
{
	xa_erase(&disk->guards, guard->id);
	spin_lock_irq(&disk->lock);
	__ferry_gate_unguard(&disk->gate, guard);
	__ferry_disk_update(disk);
	spin_unlock_irq(&disk->lock);
	kfree(guard);
}

static void release_held(struct ferry_disk *disk)
{
	queue_work(ferry_release_queue, &disk->release);
}

/**
 * ferry_disk_guard() - FERRY_DISK_GUARD
 * @disk: the disk
 * @ranges: to hold what overlaps them
 * @count: how many
 *
 * Context: Process context, under disk->commands. May sleep.
 * Return: 0 or what FERRY_DISK_GUARD documents.
 */
int ferry_disk_guard(struct ferry_disk *disk,
		     const struct ferry_disk_range *ranges, u32 count)
{
	u32 i;
	int err = 0;

	lockdep_assert_held(&disk->commands);

	if (count > FERRY_DISK_MAX_RANGES - disk->gate.nr_guarded)
		return -E2BIG;
	for (i = 0; i < count && !err; i++)
		err = guard_range(disk, &ranges[i]);
	if (err) {
		/* the last one was not added */
		for (i--; i--;)
			remove_guard(disk, xa_load(&disk->guards, ranges[i].id));
		release_held(disk);
		return err;
	}
	ferry_disk_sync(disk);
	return 0;
}

/**
 * ferry_disk_unguard() - FERRY_DISK_UNGUARD of one range
 * @disk: the disk
 * @id: of the range
 *
 * Context: Process context, under disk->commands. May sleep.
 * Return: 0 or -ENOENT.
 */
int ferry_disk_unguard(struct ferry_disk *disk, u64 id)
{
	struct ferry_guard *guard;

	lockdep_assert_held(&disk->commands);

	guard = xa_load(&disk->guards, id);
	if (!guard)
		return -ENOENT;
	remove_guard(disk, guard);
	release_held(disk);
	return 0;
}

/**
 * ferry_disk_unguard_all() - FERRY_DISK_UNGUARD of every range
 * @disk: the disk
 *
 * Context: Process context, under disk->commands. May sleep.
 */
void ferry_disk_unguard_all(struct ferry_disk *disk)
{
	struct ferry_guard *guard;
	unsigned long id;

	lockdep_assert_held(&disk->commands);

	xa_for_each(&disk->guards, id, guard)
		remove_guard(disk, guard);
	release_held(disk);
}

/**
 * ferry_disk_ranges() - FERRY_DISK_RANGES
 * @disk: the disk
 * @ranges: where they are written
 * @room: how many there is room for
 *
 * Context: Process context, under disk->commands.
 * Return: how many were written.
 */
u32 ferry_disk_ranges(struct ferry_disk *disk, struct ferry_disk_range *ranges,
		      u32 room)
{
	u32 count;

	spin_lock_irq(&disk->lock);
	count = __ferry_gate_ranges(&disk->gate, ranges, room);
	spin_unlock_irq(&disk->lock);
	return count;
}
