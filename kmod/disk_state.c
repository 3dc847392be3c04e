// SPDX-License-Identifier: GPL-2.0-only
/* The states of a disk, and what user space asks about it. See disk.c. */

#include <linux/poll.h>

#include "disk.h"
#include "disk_request.h"
#include "fault.h"

/**
 * __ferry_disk_update() - Is this normal life?
 * @disk: the disk; something has changed that decides it
 *
 * Context: Any, under disk->lock.
 */
void __ferry_disk_update(struct ferry_disk *disk)
{
	lockdep_assert_held(&disk->lock);

	WRITE_ONCE(disk->slow, disk->state != FERRY_DISK_PASS ||
		   disk->requeue || disk->gate.nr_held || disk->gate.nr_guarded);
}

/**
 * ferry_disk_sync() - Nobody is on the way to a lane who went by what was before
 * @disk: the disk
 *
 * Context: Process context.
 */
void ferry_disk_sync(struct ferry_disk *disk)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct ferry_lane *lane = per_cpu_ptr(disk->lanes, cpu);

		spin_lock_irq(&lane->lock);
		spin_unlock_irq(&lane->lock);
	}
}

static void __set_state(struct ferry_disk *disk, u32 state, const void *owner)
{
	lockdep_assert_held(&disk->lock);

	disk->state = state;
	disk->owner = owner;
	__ferry_disk_update(disk);
	wake_up(&disk->wait);
	queue_work(ferry_release_queue, &disk->release);
}

static void __forget(struct ferry_disk *disk, struct ferry_request *request)
{
	list_del(&request->link);
	disk->nr_ended--;
	ferry_request_destroy(request);
}

static void __forget_ended(struct ferry_disk *disk)
{
	struct ferry_request *request, *next;

	list_for_each_entry_safe(request, next, &disk->ended, link)
		__forget(disk, request);
}

/**
 * __ferry_disk_settle() - Go on to PASS if that is what was waited for
 * @disk: the disk; a request has ended, or the state is new
 *
 * Context: Any, under disk->lock.
 */
void __ferry_disk_settle(struct ferry_disk *disk)
{
	lockdep_assert_held(&disk->lock);

	if (disk->state == FERRY_DISK_SETTLING && !disk->nr_doubt)
		__set_state(disk, FERRY_DISK_PASS, NULL);
	if (disk->state == FERRY_DISK_PASS)
		__forget_ended(disk);
}

static bool __is_others(const struct ferry_disk *disk, const void *owner)
{
	return disk->owner && disk->owner != owner;
}

/**
 * ferry_disk_hold() - FERRY_DISK_HOLD
 * @disk: the disk
 * @owner: the file that asks
 *
 * Context: Process context, under disk->commands. May sleep.
 * Return: 0 or what FERRY_DISK_HOLD documents.
 */
int ferry_disk_hold(struct ferry_disk *disk, const void *owner)
{
	int err = 0;

	spin_lock_irq(&disk->lock);
	if (__is_others(disk, owner))
		err = -EBUSY;
	else
		__set_state(disk, FERRY_DISK_HOLDING, owner);
	spin_unlock_irq(&disk->lock);
	if (!err)
		ferry_disk_sync(disk);
	return err;
}

/* Take what is to be cancelled off a lane, and the bios above that wait for it. */
static void cancel_lane(struct ferry_lane *lane, u32 kinds,
			struct bio_list *uppers, struct ferry_disk_cancel *arg)
{
	struct ferry_disk *disk = lane->disk;
	struct ferry_request *request, *next;

	spin_lock_irq(&lane->lock);
	spin_lock(&disk->lock);
	list_for_each_entry_safe(request, next, &lane->requests, link) {
		if (!(kinds & BIT(request->kind)) ||
		    !ferry_request_pin(request)) {
			arg->kept++;
			continue;
		}
		bio_list_add(uppers, request->upper);
		request->upper = NULL;
		lane->count--;
		if (!request->number)
			request->number = atomic64_inc_return(&disk->numbers);
		list_move_tail(&request->link, &disk->doubt);
		disk->nr_doubt++;
		disk->cancelled++;
		arg->cancelled++;
	}
	spin_unlock(&disk->lock);
	spin_unlock_irq(&lane->lock);
}

static void fail_all(struct bio_list *bios)
{
	struct bio *bio;

	while ((bio = bio_list_pop(bios)))
		bio_io_error(bio);
}

/**
 * ferry_disk_cancel() - FERRY_DISK_CANCEL
 * @disk: the disk
 * @owner: the file that asks
 * @arg: the command's argument; the counts are set
 *
 * Context: Process context, under disk->commands. May sleep.
 * Return: 0 or what FERRY_DISK_CANCEL documents.
 */
int ferry_disk_cancel(struct ferry_disk *disk, const void *owner,
		      struct ferry_disk_cancel *arg)
{
	struct bio_list failed = BIO_EMPTY_LIST, cancelled = BIO_EMPTY_LIST;
	int cpu;

	arg->cancelled = 0;
	arg->kept = 0;
	spin_lock_irq(&disk->lock);
	if (__is_others(disk, owner)) {
		spin_unlock_irq(&disk->lock);
		return -EBUSY;
	}
	disk->kinds = arg->kinds;
	disk->fail_flushes = arg->flags & FERRY_DISK_FAIL_FLUSHES;
	__ferry_gate_take(&disk->gate, arg->kinds, &failed);
	__set_state(disk, FERRY_DISK_CANCELLING, owner);
	arg->failed = bio_list_size(&failed);
	disk->failed += arg->failed;
	spin_unlock_irq(&disk->lock);

	fail_all(&failed);
	for_each_possible_cpu(cpu)
		cancel_lane(per_cpu_ptr(disk->lanes, cpu), arg->kinds,
			    &cancelled, arg);
	fail_all(&cancelled);
	return 0;
}

/**
 * ferry_disk_resume() - FERRY_DISK_RESUME
 * @disk: the disk
 * @owner: the file that asks
 * @flags: of the command
 *
 * Context: Process context, under disk->commands.
 * Return: 0 or what FERRY_DISK_RESUME documents.
 */
int ferry_disk_resume(struct ferry_disk *disk, const void *owner, u32 flags)
{
	int err = 0;

	spin_lock_irq(&disk->lock);
	if (__is_others(disk, owner))
		err = -EBUSY;
	else if (!disk->nr_doubt || ferry_fault(FERRY_FAULT_RESUME_EARLY))
		__set_state(disk, FERRY_DISK_PASS, NULL);
	else if (flags & FERRY_DISK_WHEN_SETTLED)
		__set_state(disk, FERRY_DISK_SETTLING, NULL);
	else
		err = -EBUSY;
	__ferry_disk_settle(disk);
	spin_unlock_irq(&disk->lock);
	return err;
}

/**
 * ferry_disk_disown() - A file is closed: let the disk find back to PASS
 * @disk: the disk
 * @owner: the file
 *
 * Context: Process context.
 */
void ferry_disk_disown(struct ferry_disk *disk, const void *owner)
{
	spin_lock_irq(&disk->lock);
	if (disk->owner == owner) {
		__set_state(disk, FERRY_DISK_SETTLING, NULL);
		__ferry_disk_settle(disk);
	}
	spin_unlock_irq(&disk->lock);
}

/* --- what user space asks */

static u64 count_in_flight(struct ferry_disk *disk)
{
	u64 count = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		count += READ_ONCE(per_cpu_ptr(disk->lanes, cpu)->count);
	return count;
}

static u64 __oldest_ms(const struct ferry_disk *disk)
{
	const struct ferry_request *request;
	u64 oldest = 0;

	list_for_each_entry(request, &disk->doubt, link)
		oldest = max(oldest, ferry_request_age(request));
	return oldest;
}

/**
 * ferry_disk_status() - FERRY_DISK_STATUS
 * @disk: the disk
 * @to: the command's argument
 *
 * Context: Process context.
 */
void ferry_disk_status(struct ferry_disk *disk, struct ferry_disk_status *to)
{
	spin_lock_irq(&disk->lock);
	to->state = disk->state;
	to->sectors = disk->sectors;
	to->in_flight = count_in_flight(disk);
	to->in_doubt = disk->nr_doubt;
	to->ended = disk->nr_ended;
	to->held = disk->gate.nr_held;
	to->ranges = disk->gate.nr_guarded;
	to->oldest_ms = __oldest_ms(disk);
	to->cancelled = disk->cancelled;
	to->failed = disk->failed;
	to->answered = disk->answered;
	to->flushed = disk->flushed;
	to->flush_errors = disk->flush_errors;
	to->flushing = !!work_busy(&disk->flush);
	spin_unlock_irq(&disk->lock);
}

/**
 * ferry_disk_ready() - What is a poll to return?
 * @disk: the disk
 *
 * Context: Process context.
 */
__poll_t ferry_disk_ready(struct ferry_disk *disk)
{
	__poll_t mask = 0;

	spin_lock_irq(&disk->lock);
	if (disk->nr_ended)
		mask |= EPOLLIN | EPOLLRDNORM;
	if (disk->state != FERRY_DISK_PASS && !disk->nr_doubt &&
	    !count_in_flight(disk))
		mask |= EPOLLOUT | EPOLLWRNORM;
	spin_unlock_irq(&disk->lock);
	if (READ_ONCE(disk->gone))
		mask |= EPOLLHUP;
	return mask;
}

/* An answer that is being put together. */
struct listing {
	struct ferry_disk_request *to;
	u32 room;
	u64 total;
};

static void list_one(struct ferry_disk *disk, struct ferry_request *request,
		     u32 state, struct listing *listing)
{
	if (listing->total < listing->room) {
		if (!request->number)
			request->number = atomic64_inc_return(&disk->numbers);
		ferry_request_describe(request, state,
				       &listing->to[listing->total]);
	}
	listing->total++;
}

static void list_lane(struct ferry_lane *lane, struct listing *listing)
{
	struct ferry_request *request;

	spin_lock_irq(&lane->lock);
	list_for_each_entry(request, &lane->requests, link)
		list_one(lane->disk, request, FERRY_DISK_IN_FLIGHT, listing);
	spin_unlock_irq(&lane->lock);
}

/**
 * ferry_disk_list() - FERRY_DISK_LIST
 * @disk: the disk
 * @states: bits: which requests
 * @to: where they are written
 * @room: how many there is room for
 *
 * Context: Process context.
 * Return: how many there are.
 */
u64 ferry_disk_list(struct ferry_disk *disk, u32 states,
		    struct ferry_disk_request *to, u32 room)
{
	struct listing listing = { .to = to, .room = room };
	struct ferry_request *request;
	int cpu;

	if (states & BIT(FERRY_DISK_IN_FLIGHT)) {
		for_each_possible_cpu(cpu)
			list_lane(per_cpu_ptr(disk->lanes, cpu), &listing);
	}
	spin_lock_irq(&disk->lock);
	if (states & BIT(FERRY_DISK_IN_DOUBT)) {
		list_for_each_entry(request, &disk->doubt, link)
			list_one(disk, request, FERRY_DISK_IN_DOUBT, &listing);
	}
	if (states & BIT(FERRY_DISK_ENDED)) {
		list_for_each_entry(request, &disk->ended, link)
			list_one(disk, request, FERRY_DISK_ENDED, &listing);
	}
	spin_unlock_irq(&disk->lock);
	return listing.total;
}

/**
 * ferry_disk_ack() - FERRY_DISK_ACK
 * @disk: the disk
 * @number: of a request; 0 for all that have ended
 *
 * Context: Process context.
 * Return: 0 or -ENOENT.
 */
int ferry_disk_ack(struct ferry_disk *disk, u64 number)
{
	struct ferry_request *request, *next;
	int err = number ? -ENOENT : 0;

	spin_lock_irq(&disk->lock);
	list_for_each_entry_safe(request, next, &disk->ended, link) {
		if (!number || request->number == number) {
			__forget(disk, request);
			err = 0;
		}
	}
	spin_unlock_irq(&disk->lock);
	return err;
}
