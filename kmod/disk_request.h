/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One request that the storage has: a bio of our own below, and the bio above that
 * waits for it, until it has been answered. disk.c has the drawing.
 *
 * The bio below has its own vectors, because those of the bio above end with it, and
 * refers to the same pages; these are held, too, once it is in doubt.
 */
#ifndef FERRY_DISK_REQUEST_H
#define FERRY_DISK_REQUEST_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/kvmferry.h>
#include <linux/list.h>
#include <linux/types.h>

struct ferry_disk;
struct ferry_lane;

struct ferry_request {
	struct ferry_lane *lane;
	/* on the lane while in flight, then on a list of the disk */
	struct list_head link;
	struct bio *upper;		/* NULL: answered, so in doubt */
	u64 number;			/* 0: nobody has asked for it yet */
	sector_t sector;
	unsigned int sectors;
	unsigned int since;		/* jiffies */
	u8 kind;			/* FERRY_DISK_READ and so on */
	struct bio bio;			/* last: some vectors may follow it */
};

/* In front of each bio that is allocated for a request. */
#define FERRY_REQUEST_PAD	offsetof(struct ferry_request, bio)

u32 ferry_request_kind(const struct bio *bio);
unsigned int ferry_request_limit(struct bio *bio);

struct ferry_request *ferry_request_create(struct ferry_disk *disk,
					   struct block_device *bdev,
					   struct bio *upper);
void ferry_request_destroy(struct ferry_request *request);

bool ferry_request_pin(struct ferry_request *request);
void ferry_request_unpin(struct ferry_request *request);
u64 ferry_request_age(const struct ferry_request *request);
void ferry_request_describe(const struct ferry_request *request, u32 state,
			    struct ferry_disk_request *to);

#endif /* FERRY_DISK_REQUEST_H */
