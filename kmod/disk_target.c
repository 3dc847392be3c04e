// SPDX-License-Identifier: GPL-2.0-only
/* The device-mapper target "ferry": "0 SECTORS ferry DEVICE". See disk.h. */

#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "disk.h"
#include "disk_request.h"

struct workqueue_struct *ferry_release_queue, *ferry_flush_queue;

/* One table of a disk. */
struct ferry_target {
	struct ferry_disk *disk;
	struct dm_dev *dev;
};

static int open_device(struct dm_target *ti, struct ferry_target *target,
		       const char *path)
{
	int err = dm_get_device(ti, path, dm_table_get_mode(ti->table),
				&target->dev);

	if (err) {
		ti->error = "The device cannot be opened";
		return err;
	}
	if (bdev_is_zoned(target->dev->bdev)) {
		ti->error = "Zoned devices are not supported";
		dm_put_device(ti, target->dev);
		return -EOPNOTSUPP;
	}
	return 0;
}

static int join_disk(struct dm_target *ti, struct ferry_target *target)
{
	dev_t dev = disk_devt(dm_disk(dm_table_get_md(ti->table)));

	target->disk = ferry_disk_add_table(dev, ti->len);
	if (IS_ERR(target->disk)) {
		ti->error = "No memory for the disk";
		return PTR_ERR(target->disk);
	}
	return 0;
}

static int target_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct ferry_target *target;
	int err;

	if (argc != 1) {
		ti->error = "One argument is needed: the device";
		return -EINVAL;
	}
	target = kzalloc(sizeof(*target), GFP_KERNEL);
	if (!target) {
		ti->error = "No memory for the target";
		return -ENOMEM;
	}
	err = open_device(ti, target, argv[0]);
	if (err)
		goto err_free;
	err = join_disk(ti, target);
	if (err)
		goto err_device;

	ti->private = target;
	ti->num_flush_bios = 1;
	ti->num_discard_bios = 1;
	ti->num_secure_erase_bios = 1;
	ti->num_write_zeroes_bios = 1;
	ti->per_io_data_size = sizeof(struct ferry_held);
	return 0;

err_device:
	dm_put_device(ti, target->dev);
err_free:
	kfree(target);
	return err;
}

static void target_dtr(struct dm_target *ti)
{
	struct ferry_target *target = ti->private;

	ferry_disk_remove_table(target->disk);
	dm_put_device(ti, target->dev);
	kfree(target);
}

static int target_map(struct dm_target *ti, struct bio *bio)
{
	struct ferry_target *target = ti->private;
	unsigned int limit = ferry_request_limit(bio);

	if (unlikely(limit < bio_sectors(bio))) {
		if (!limit)
			return DM_MAPIO_KILL;
		dm_accept_partial_bio(bio, limit);
	}
	return ferry_disk_map(target->disk, target->dev->bdev, bio);
}

static void target_presuspend(struct dm_target *ti)
{
	struct ferry_target *target = ti->private;

	ferry_disk_begin_suspend(target->disk, dm_noflush_suspending(ti));
}

static void target_presuspend_undo(struct dm_target *ti)
{
	struct ferry_target *target = ti->private;

	ferry_disk_undo_suspend(target->disk);
}

static void target_postsuspend(struct dm_target *ti)
{
	struct ferry_target *target = ti->private;

	ferry_disk_end_suspend(target->disk);
}

static void target_resume(struct dm_target *ti)
{
	struct ferry_target *target = ti->private;

	ferry_disk_activate(target->disk, target->dev->bdev, ti->len);
}

static const char *state_name(u32 state)
{
	static const char * const names[] = {
		[FERRY_DISK_PASS] = "pass",
		[FERRY_DISK_HOLDING] = "hold",
		[FERRY_DISK_CANCELLING] = "cancel",
		[FERRY_DISK_SETTLING] = "settle",
	};

	return names[state];
}

static void target_status(struct dm_target *ti, status_type_t type,
			  unsigned int flags, char *result, unsigned int maxlen)
{
	struct ferry_target *target = ti->private;
	struct ferry_disk_status status;
	unsigned int sz = 0;		/* DMEMIT wants this name */

	switch (type) {
	case STATUSTYPE_INFO:
		ferry_disk_status(target->disk, &status);
		DMEMIT("%s %llu in flight, %llu in doubt, %llu held, %llu guarded",
		       state_name(status.state), status.in_flight,
		       status.in_doubt, status.held, status.ranges);
		break;
	case STATUSTYPE_TABLE:
		DMEMIT("%s", target->dev->name);
		break;
	case STATUSTYPE_IMA:
		DMEMIT_TARGET_NAME_VERSION(ti->type);
		DMEMIT(",device_name=%s;", target->dev->name);
		break;
	}
}

static int target_iterate_devices(struct dm_target *ti,
				  iterate_devices_callout_fn fn, void *data)
{
	struct ferry_target *target = ti->private;

	return fn(ti, target->dev, 0, ti->len, data);
}

/* 1: the disk is a part of the device only, so that the caller needs more rights. */
static int target_prepare_ioctl(FERRY_PREPARE_IOCTL_ARGS)
{
	struct ferry_target *target = ti->private;

	*bdev = target->dev->bdev;
	return ti->len != bdev_nr_sectors(*bdev);
}

static struct target_type target_type = {
	.name = "ferry",
	.version = { 1, 0, 0 },
	.features = DM_TARGET_SINGLETON | DM_TARGET_NOWAIT,
	.module = THIS_MODULE,
	.ctr = target_ctr,
	.dtr = target_dtr,
	.map = target_map,
	.presuspend = target_presuspend,
	.presuspend_undo = target_presuspend_undo,
	.postsuspend = target_postsuspend,
	.resume = target_resume,
	.status = target_status,
	.iterate_devices = target_iterate_devices,
	.prepare_ioctl = target_prepare_ioctl,
};

/**
 * ferry_disk_register() - Make the target known to device-mapper
 *
 * Flushes have a queue of their own: they take as long as the storage does, and what
 * is released must not wait for them.
 *
 * Context: Process context. May sleep.
 * Return: 0 or a negative errno.
 */
int ferry_disk_register(void)
{
	int err = -ENOMEM;

	ferry_release_queue = alloc_workqueue("kvmferry-release",
					      WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!ferry_release_queue)
		return err;
	ferry_flush_queue = alloc_workqueue("kvmferry-flush", WQ_UNBOUND, 0);
	if (!ferry_flush_queue)
		goto err_release;
	err = dm_register_target(&target_type);
	if (err)
		goto err_flush;
	return 0;

err_flush:
	destroy_workqueue(ferry_flush_queue);
err_release:
	destroy_workqueue(ferry_release_queue);
	return err;
}

/**
 * ferry_disk_unregister() - Take it back
 *
 * Context: Process context. May sleep. There is no disk, and no file of one.
 */
void ferry_disk_unregister(void)
{
	dm_unregister_target(&target_type);
	destroy_workqueue(ferry_flush_queue);
	destroy_workqueue(ferry_release_queue);
}
