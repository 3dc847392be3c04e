// SPDX-License-Identifier: GPL-2.0-only
/* The way of a bio through a disk, down and up. See the drawing in disk.c. */

#include <linux/device-mapper.h>

#include "disk.h"
#include "disk_request.h"

enum verdict {
	VERDICT_PASS,		/* to the storage */
	VERDICT_HELD,		/* waits, and is no longer the caller's */
	VERDICT_FAIL,		/* an error, at once */
	VERDICT_ANSWER,		/* success, at once: a flush */
	VERDICT_REQUEUE,	/* back to device-mapper, which is suspending */
	VERDICT_BUSY,		/* no memory without waiting for it */
};

static bool is_cancelled(const struct ferry_disk *disk, u32 kind)
{
	return disk->state == FERRY_DISK_CANCELLING && disk->kinds & BIT(kind);
}

static bool holds_all(const struct ferry_disk *disk)
{
	return disk->state == FERRY_DISK_HOLDING ||
	       disk->state == FERRY_DISK_SETTLING;
}

/* What to do with a bio that is neither in flight nor held. */
static enum verdict __judge(struct ferry_disk *disk, struct bio *bio)
{
	u32 kind = ferry_request_kind(bio);

	lockdep_assert_held(&disk->lock);

	if (is_cancelled(disk, kind)) {
		if (kind == FERRY_DISK_FLUSH && !disk->fail_flushes) {
			disk->answered++;
			return VERDICT_ANSWER;
		}
		disk->failed++;
		return VERDICT_FAIL;
	}
	if (!holds_all(disk) && !__ferry_gate_stops(&disk->gate, bio))
		return VERDICT_PASS;
	if (disk->requeue)
		return VERDICT_REQUEUE;
	__ferry_gate_hold(&disk->gate, bio);
	__ferry_disk_update(disk);
	return VERDICT_HELD;
}

static enum verdict judge(struct ferry_disk *disk, struct bio *bio)
{
	enum verdict verdict;
	unsigned long flags;

	spin_lock_irqsave(&disk->lock, flags);
	verdict = __judge(disk, bio);
	spin_unlock_irqrestore(&disk->lock, flags);
	return verdict;
}

static struct bio *next_held(struct ferry_disk *disk)
{
	struct bio *bio = NULL;

	spin_lock_irq(&disk->lock);
	if (!holds_all(disk))
		bio = __ferry_gate_next(&disk->gate);
	if (bio)
		__ferry_disk_update(disk);
	spin_unlock_irq(&disk->lock);
	return bio;
}

/*
 * The last look, and the entry into the list of what is in flight, are one step: who
 * changes the state and then goes through the lanes misses nothing.
 */
static enum verdict enter_lane(struct ferry_disk *disk,
			       struct ferry_request *request)
{
	struct ferry_lane *lane = raw_cpu_ptr(disk->lanes);
	enum verdict verdict = VERDICT_PASS;
	unsigned long flags;

	spin_lock_irqsave(&lane->lock, flags);
	if (unlikely(disk->slow)) {
		spin_lock(&disk->lock);
		verdict = __judge(disk, request->upper);
		spin_unlock(&disk->lock);
	}
	if (likely(verdict == VERDICT_PASS)) {
		request->lane = lane;
		list_add_tail(&request->link, &lane->requests);
		lane->count++;
	}
	spin_unlock_irqrestore(&lane->lock, flags);
	return verdict;
}

/*
 * A request that may go, on its lane, or why not. A first look before anything is
 * allocated: what is held or failed needs no memory of the disk's, which may all be
 * in doubt.
 */
static enum verdict begin_request(struct ferry_disk *disk,
				  struct block_device *bdev, struct bio *bio,
				  struct ferry_request **request)
{
	enum verdict verdict = VERDICT_PASS;

	if (unlikely(READ_ONCE(disk->slow)))
		verdict = judge(disk, bio);
	if (unlikely(verdict != VERDICT_PASS))
		return verdict;

	*request = ferry_request_create(disk, bdev, bio);
	if (unlikely(!*request))
		return VERDICT_BUSY;
	verdict = enter_lane(disk, *request);
	if (unlikely(verdict != VERDICT_PASS))
		ferry_request_destroy(*request);
	return verdict;
}

static void answer(struct bio *bio, blk_status_t status)
{
	bio->bi_status = status;
	bio_endio(bio);
}

/* A bio that does not go to the storage, now at least. */
static void turn_back(struct ferry_disk *disk, struct bio *bio,
		      enum verdict verdict)
{
	switch (verdict) {
	case VERDICT_FAIL:
		answer(bio, BLK_STS_IOERR);
		break;
	case VERDICT_ANSWER:
		queue_work(ferry_flush_queue, &disk->flush);
		answer(bio, BLK_STS_OK);
		break;
	case VERDICT_REQUEUE:
		answer(bio, BLK_STS_DM_REQUEUE);
		break;
	case VERDICT_BUSY:
		answer(bio, BLK_STS_AGAIN);
		break;
	default:		/* held: it may be gone already */
		break;
	}
}

/**
 * ferry_disk_map() - A bio comes from above
 * @disk: the disk
 * @bdev: the device below
 * @bio: device-mapper's clone
 *
 * The clone, and the bio that it is a clone of, stay while this runs, whatever
 * becomes of them meanwhile: device-mapper has a reference of its own until its
 * target's map function has returned.
 *
 * Context: map of the target. May sleep, unless @bio has REQ_NOWAIT.
 * Return: what map is to return.
 */
int ferry_disk_map(struct ferry_disk *disk, struct block_device *bdev,
		   struct bio *bio)
{
	struct ferry_request *request;
	enum verdict verdict;

	ferry_gate_prepare(bio);
	verdict = begin_request(disk, bdev, bio, &request);
	if (likely(verdict == VERDICT_PASS))
		dm_submit_bio_remap(bio, &request->bio);
	else
		turn_back(disk, bio, verdict);
	return DM_MAPIO_SUBMITTED;
}

/**
 * ferry_disk_release() - Send what need not wait any longer
 * @work: of the disk
 *
 * Here a bio can end at any moment after its request is on a lane, so that nothing
 * above may be touched any more.
 *
 * Context: Work queue. May sleep.
 */
void ferry_disk_release(struct work_struct *work)
{
	struct ferry_disk *disk = container_of(work, struct ferry_disk, release);
	struct ferry_request *request;
	enum verdict verdict;
	struct bio *bio;

	while ((bio = next_held(disk))) {
		verdict = begin_request(disk, disk->bdev, bio, &request);
		if (verdict == VERDICT_PASS)
			submit_bio_noacct(&request->bio);
		else
			turn_back(disk, bio, verdict);
		cond_resched();
	}
}

/**
 * ferry_disk_flush() - Send the flush that was answered already
 * @work: of the disk
 *
 * Context: Work queue. Sleeps until the storage has answered.
 */
void ferry_disk_flush(struct work_struct *work)
{
	struct ferry_disk *disk = container_of(work, struct ferry_disk, flush);
	int err = blkdev_issue_flush(disk->bdev);

	spin_lock_irq(&disk->lock);
	disk->flushed++;
	disk->flush_errors += !!err;
	wake_up(&disk->wait);
	spin_unlock_irq(&disk->lock);
}

/* Nobody above has waited for it. After this, the disk may be gone. */
static void end_doubt(struct ferry_disk *disk, struct ferry_request *request)
{
	unsigned long flags;

	ferry_request_unpin(request);
	spin_lock_irqsave(&disk->lock, flags);
	disk->nr_doubt--;
	list_move_tail(&request->link, &disk->ended);
	disk->nr_ended++;
	__ferry_disk_settle(disk);
	wake_up(&disk->wait);
	spin_unlock_irqrestore(&disk->lock, flags);
}

/* Somebody may wait until nothing is in flight. */
static void tell_end(struct ferry_disk *disk)
{
	unsigned long flags;

	spin_lock_irqsave(&disk->lock, flags);
	wake_up(&disk->wait);
	spin_unlock_irqrestore(&disk->lock, flags);
}

/* The bio above is answered last: it is what keeps the disk. */
static void end_normal(struct ferry_disk *disk, struct ferry_request *request,
		       struct bio *upper)
{
	blk_status_t status = request->bio.bi_status;

	/* device-mapper looks there whether a discard can be done at all */
	if (unlikely(status))
		upper->bi_bdev = request->bio.bi_bdev;
	if (unlikely(READ_ONCE(disk->slow)))
		tell_end(disk);
	ferry_request_destroy(request);
	answer(upper, status);
}

/**
 * ferry_disk_end_io() - The storage has answered
 * @bio: of a request
 *
 * Context: Any.
 */
void ferry_disk_end_io(struct bio *bio)
{
	struct ferry_request *request =
		container_of(bio, struct ferry_request, bio);
	struct ferry_lane *lane = request->lane;
	unsigned long flags;
	struct bio *upper;

	spin_lock_irqsave(&lane->lock, flags);
	upper = request->upper;
	if (likely(upper)) {
		list_del(&request->link);
		lane->count--;
	}
	spin_unlock_irqrestore(&lane->lock, flags);

	if (likely(upper))
		end_normal(lane->disk, request, upper);
	else
		end_doubt(lane->disk, request);
}
