/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk of a VM: a device-mapper device whose table is one target "ferry". Its state
 * belongs to the device, not to a table, so that it outlives a reload. disk.c has the
 * drawing and the rules; kvmferry_disk.h says what user space sees.
 *
 *	disk.c		the life of a disk
 *	disk_state.c	its states, and what user space asks about it
 *	disk_guard.c	guarded ranges, as user space sets them
 *	disk_io.c	where a bio goes, and what happens when it has ended
 *	disk_request.c	what is kept of a bio that the storage has
 *	gate.c		the bios that wait here, and what they wait for
 *	disk_target.c	the target, as device-mapper sees it
 *	disk_file.c	the file of a disk
 */
#ifndef FERRY_DISK_H
#define FERRY_DISK_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/kref.h>
#include <linux/kvmferry.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "gate.h"

struct ferry_request;

/* What is in flight, of the requests that came on one CPU. */
struct ferry_lane {
	spinlock_t lock;		/* protects the next two */
	struct list_head requests;
	unsigned int count;
	struct ferry_disk *disk;
};

struct ferry_disk {
	struct kref ref;
	struct list_head link;		/* under disks_lock */
	dev_t dev;
	unsigned int tables;		/* under disks_lock */

	struct bio_set bios;		/* of requests */
	struct ferry_lane __percpu *lanes;
	/*
	 * Anything but normal life. Set and cleared under @lock, and asked under
	 * a lane's lock: whoever sets it and has then held each of these once knows
	 * that all that comes will see it.
	 */
	bool slow;

	struct mutex commands;		/* one at a time; protects the next two */
	bool gone;			/* no table any more */
	struct xarray guards;		/* by id */

	spinlock_t lock;		/* protects all that follows */
	u32 state;
	u32 kinds;			/* CANCELLING: what to fail */
	bool fail_flushes;		/* CANCELLING */
	bool requeue;			/* suspending: nothing may wait here */
	const void *owner;		/* the file that has set the state */
	struct block_device *bdev;	/* of the table in use */
	sector_t sectors;
	struct list_head doubt;		/* cancelled, oldest number first */
	struct list_head ended;		/* these, when they have ended */
	unsigned int nr_doubt;
	unsigned int nr_ended;
	wait_queue_head_t wait;		/* a request has ended, or the state changed */
	struct ferry_gate gate;
	u64 cancelled;
	u64 failed;
	u64 answered;
	u64 flushed;
	u64 flush_errors;

	atomic64_t numbers;		/* the last one given to a request */
	struct work_struct release;	/* sends what need not wait any longer */
	struct work_struct flush;	/* instead of flushes that were answered */
};

extern struct workqueue_struct *ferry_release_queue, *ferry_flush_queue;

/* --- disk.c */
struct ferry_disk *ferry_disk_add_table(dev_t dev, sector_t sectors);
void ferry_disk_remove_table(struct ferry_disk *disk);
struct ferry_disk *ferry_disk_find(dev_t dev);
void ferry_disk_put(struct ferry_disk *disk);
void ferry_disk_activate(struct ferry_disk *disk, struct block_device *bdev,
			 sector_t sectors);
void ferry_disk_begin_suspend(struct ferry_disk *disk, bool noflush);
void ferry_disk_undo_suspend(struct ferry_disk *disk);
void ferry_disk_end_suspend(struct ferry_disk *disk);

/* --- disk_state.c */
void __ferry_disk_update(struct ferry_disk *disk);
void __ferry_disk_settle(struct ferry_disk *disk);
void ferry_disk_sync(struct ferry_disk *disk);
int ferry_disk_hold(struct ferry_disk *disk, const void *owner);
int ferry_disk_cancel(struct ferry_disk *disk, const void *owner,
		      struct ferry_disk_cancel *arg);
int ferry_disk_resume(struct ferry_disk *disk, const void *owner, u32 flags);
void ferry_disk_disown(struct ferry_disk *disk, const void *owner);
void ferry_disk_status(struct ferry_disk *disk, struct ferry_disk_status *to);
__poll_t ferry_disk_ready(struct ferry_disk *disk);
u64 ferry_disk_list(struct ferry_disk *disk, u32 states,
		    struct ferry_disk_request *to, u32 room);
int ferry_disk_ack(struct ferry_disk *disk, u64 number);

/* --- disk_guard.c */
int ferry_disk_guard(struct ferry_disk *disk,
		     const struct ferry_disk_range *ranges, u32 count);
int ferry_disk_unguard(struct ferry_disk *disk, u64 id);
void ferry_disk_unguard_all(struct ferry_disk *disk);
u32 ferry_disk_ranges(struct ferry_disk *disk, struct ferry_disk_range *ranges,
		      u32 room);

/* --- disk_io.c */
int ferry_disk_map(struct ferry_disk *disk, struct block_device *bdev,
		   struct bio *bio);
void ferry_disk_end_io(struct bio *bio);
void ferry_disk_release(struct work_struct *work);
void ferry_disk_flush(struct work_struct *work);

/* --- disk_target.c */
int ferry_disk_register(void);
void ferry_disk_unregister(void);

/* --- disk_file.c */
long ferry_disk_open_fd(const struct ferry_disk_bind *arg);

#endif /* FERRY_DISK_H */
