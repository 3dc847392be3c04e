// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a disk, and how its parts fit together.
 *
 * A request, from the bio above to its end:
 *
 *	 bio above
 *	     |
 *	   judge --- of a kind that is cancelled ----------> answered: EIO, or
 *	     |   \                                           success (a flush)
 *	     |    HOLD, SETTLE, a guarded range,
 *	     |    or behind one that waits
 *	     |         |
 *	     |        HELD --- CANCEL ---------------------> answered: EIO
 *	     |         |   \-- suspend without flush ------> back to device-mapper
 *	     |      released
 *	     v         |
 *	  IN FLIGHT <--+   on a lane; our bio is below
 *	   |      |
 *	   |      +---- CANCEL: pages kept, ---------------> answered: EIO
 *	   |            bio above answered
 *	   |                  |
 *	   |               IN DOUBT   on disk->doubt; our bio is still below
 *	   |                  |
 *	   | the storage      | the storage answers
 *	   | answers          v
 *	   |                ENDED     on disk->ended, until acknowledged or PASS
 *	   v
 *	 answered: as the storage has
 *
 * What must hold:
 *
 *  - A bio above is answered once. In flight, whoever takes the request off its lane,
 *    under the lane's lock, answers it; held, whoever takes it out of the gate, under
 *    the disk's lock.
 *  - What is in doubt keeps its memory: the request, its vectors, its pages.
 *  - In PASS nothing is in doubt. Only this makes it safe to send again what
 *    was cancelled.
 *  - A table is not taken away from under a request: device-mapper waits for bios above,
 *    we wait for what is in doubt.
 *
 * A new state is set first, and then every lane's lock is taken once: after that
 * nothing goes by the old one. In normal life a bio pays for a lane's lock, twice, that is
 * its CPU's own as a rule, and for one look at disk->slow.
 */

#include <linux/slab.h>

#include "disk.h"
#include "disk_request.h"
#include "fault.h"

#define MIN_REQUESTS	64	/* that make progress whatever happens */

static DEFINE_MUTEX(disks_lock);	/* protects what follows */
static LIST_HEAD(disks);

/* --- a table comes into use, and goes */

/**
 * ferry_disk_activate() - The table in use is new, or in use again
 * @disk: the disk
 * @bdev: the device below
 * @sectors: size
 *
 * Context: resume of the target.
 */
void ferry_disk_activate(struct ferry_disk *disk, struct block_device *bdev,
			 sector_t sectors)
{
	spin_lock_irq(&disk->lock);
	disk->bdev = bdev;
	disk->sectors = sectors;
	disk->requeue = false;
	__ferry_disk_update(disk);
	spin_unlock_irq(&disk->lock);
	queue_work(ferry_release_queue, &disk->release);
}

/**
 * ferry_disk_begin_suspend() - The table is going to rest
 * @disk: the disk
 * @noflush: bios that are held are given back to device-mapper, which sends them again
 *	     when the device is resumed. Otherwise it waits for them to end, and so
 *	     until somebody lets them go, or a signal comes: nothing that is held is
 *	     sent to the storage, or failed, because of a suspend
 *
 * Context: presuspend of the target.
 */
void ferry_disk_begin_suspend(struct ferry_disk *disk, bool noflush)
{
	struct bio_list held = BIO_EMPTY_LIST;
	struct bio *bio;

	if (!noflush)
		return;
	spin_lock_irq(&disk->lock);
	disk->requeue = true;
	__ferry_gate_take(&disk->gate, FERRY_DISK_ALL_KINDS, &held);
	__ferry_disk_update(disk);
	spin_unlock_irq(&disk->lock);

	while ((bio = bio_list_pop(&held))) {
		bio->bi_status = BLK_STS_DM_REQUEUE;
		bio_endio(bio);
	}
}

/**
 * ferry_disk_undo_suspend() - It was not suspended after all
 * @disk: the disk
 *
 * Context: presuspend_undo of the target.
 */
void ferry_disk_undo_suspend(struct ferry_disk *disk)
{
	spin_lock_irq(&disk->lock);
	disk->requeue = false;
	__ferry_disk_update(disk);
	spin_unlock_irq(&disk->lock);
}

static bool has_doubt(struct ferry_disk *disk)
{
	bool doubt;

	/* with the lock: whoever ended the last one has then left the disk */
	spin_lock_irq(&disk->lock);
	doubt = disk->nr_doubt;
	spin_unlock_irq(&disk->lock);
	return doubt;
}

/**
 * ferry_disk_end_suspend() - Wait until the storage has nothing more of this disk
 * @disk: the disk; every bio above has been answered, and none comes
 *
 * Context: postsuspend and dtr of the target. Sleeps as long as the storage takes.
 */
void ferry_disk_end_suspend(struct ferry_disk *disk)
{
	wait_event_idle(disk->wait, !has_doubt(disk));
	flush_work(&disk->release);
	flush_work(&disk->flush);
}

/* --- the life of a disk */

static void destroy(struct ferry_disk *disk)
{
	free_percpu(disk->lanes);
	bioset_exit(&disk->bios);
	xa_destroy(&disk->guards);
	mutex_destroy(&disk->commands);
	kfree(disk);
}

static void release_disk(struct kref *ref)
{
	destroy(container_of(ref, struct ferry_disk, ref));
}

/**
 * ferry_disk_put() - Give up a reference
 * @disk: the disk
 *
 * Context: Process context. May sleep.
 */
void ferry_disk_put(struct ferry_disk *disk)
{
	kref_put(&disk->ref, release_disk);
}

static void init_disk(struct ferry_disk *disk)
{
	kref_init(&disk->ref);
	mutex_init(&disk->commands);
	xa_init(&disk->guards);
	spin_lock_init(&disk->lock);
	INIT_LIST_HEAD(&disk->doubt);
	INIT_LIST_HEAD(&disk->ended);
	init_waitqueue_head(&disk->wait);
	ferry_gate_init(&disk->gate);
	INIT_WORK(&disk->release, ferry_disk_release);
	INIT_WORK(&disk->flush, ferry_disk_flush);
}

static int init_lanes(struct ferry_disk *disk)
{
	int cpu;

	disk->lanes = alloc_percpu(struct ferry_lane);
	if (!disk->lanes)
		return -ENOMEM;
	for_each_possible_cpu(cpu) {
		struct ferry_lane *lane = per_cpu_ptr(disk->lanes, cpu);

		spin_lock_init(&lane->lock);
		INIT_LIST_HEAD(&lane->requests);
		lane->disk = disk;
	}
	return 0;
}

static struct ferry_disk *create(dev_t dev)
{
	struct ferry_disk *disk = kzalloc(sizeof(*disk), GFP_KERNEL);
	int err;

	if (!disk)
		return ERR_PTR(-ENOMEM);
	init_disk(disk);
	disk->dev = dev;

	err = bioset_init(&disk->bios, MIN_REQUESTS, FERRY_REQUEST_PAD,
			  BIOSET_NEED_BVECS);
	if (!err)
		err = init_lanes(disk);
	if (!err && ferry_fault(FERRY_FAULT_DISK_NOMEM))
		err = -ENOMEM;
	if (err) {
		destroy(disk);
		return ERR_PTR(err);
	}
	return disk;
}

static struct ferry_disk *find(dev_t dev)
{
	struct ferry_disk *disk;

	lockdep_assert_held(&disks_lock);

	list_for_each_entry(disk, &disks, link) {
		if (disk->dev == dev)
			return disk;
	}
	return NULL;
}

/**
 * ferry_disk_add_table() - A table is made for a device
 * @dev: the device
 * @sectors: size, in case that this is its first table
 *
 * Context: Process context. May sleep.
 * Return: the disk, to be given up by ferry_disk_remove_table(), or an error pointer.
 */
struct ferry_disk *ferry_disk_add_table(dev_t dev, sector_t sectors)
{
	struct ferry_disk *disk;

	mutex_lock(&disks_lock);
	disk = find(dev);
	if (!disk) {
		disk = create(dev);
		if (IS_ERR(disk))
			goto out;
		disk->sectors = sectors;
		list_add(&disk->link, &disks);
	}
	disk->tables++;
out:
	mutex_unlock(&disks_lock);
	return disk;
}

/* With its last table a disk is gone, but for the files that still know it. */
static void retire(struct ferry_disk *disk)
{
	mutex_lock(&disk->commands);
	WRITE_ONCE(disk->gone, true);
	ferry_disk_unguard_all(disk);
	ferry_disk_resume(disk, disk->owner, 0);
	mutex_unlock(&disk->commands);
	flush_work(&disk->release);
}

/**
 * ferry_disk_remove_table() - A table goes
 * @disk: the disk
 *
 * Context: Process context. Sleeps as long as the storage takes.
 */
void ferry_disk_remove_table(struct ferry_disk *disk)
{
	bool last;

	mutex_lock(&disks_lock);
	last = !--disk->tables;
	if (last)
		list_del(&disk->link);
	mutex_unlock(&disks_lock);
	if (!last)
		return;
	ferry_disk_end_suspend(disk);
	retire(disk);
	ferry_disk_put(disk);
}

/**
 * ferry_disk_find() - The disk of a block device
 * @dev: the device
 *
 * Context: Process context. May sleep.
 * Return: a reference, to be given up by ferry_disk_put(), or NULL.
 */
struct ferry_disk *ferry_disk_find(dev_t dev)
{
	struct ferry_disk *disk;

	mutex_lock(&disks_lock);
	disk = find(dev);
	if (disk)
		kref_get(&disk->ref);
	mutex_unlock(&disks_lock);
	return disk;
}
