// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Cancelling disk requests, at the source.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attend.h"
#include "clock.h"
#include "outgoing.h"
#include "storage.h"

/* What a target may take to end its part of a fence: the answers of its storage, and a busy host. */
#define TARGET_END_MS	15000

/* Runs over the disks that are cancelled. */
#define each_chosen(s, i)						\
	for ((i) = 0; (i) < (s)->storage.disks.count; (i)++)		\
		if ((s)->storage.chosen >> (i) & 1)

static const struct disk *disk_at(const struct source *s, unsigned int i)
{
	return &s->storage.disks.disk[i].disk;
}

/* ------------------------------------------------------------------------
 * Which disks
 * ------------------------------------------------------------------------ */

static uint64_t cancellable(const struct source *s)
{
	uint64_t disks = 0;

	for (unsigned int i = 0; i < s->storage.disks.count; i++)
		if (s->storage.disks.disk[i].kinds)
			disks |= 1ull << i;
	return disks;
}

static bool is_answered(const struct source *s)
{
	return s->storage.answered;
}

static int queue_disks(struct source *s, struct failure *why)
{
	uint8_t payload[WIRE_DISKS_MAX];
	struct wire_disks list = { .disks = s->storage.disks.count };

	for (unsigned int i = 0; i < list.disks; i++) {
		const struct vmdisk *d = &s->storage.disks.disk[i];

		memcpy(list.disk[i].name, d->name, sizeof(d->name));
		list.disk[i].sectors = d->sectors;
	}
	s->storage.asked = true;
	return frames_queue(&s->control, WIRE_DISKS, payload,
			    wire_put_disks(payload, &list), why);
}

/* The same for the fence of each disk, also after one has failed. */
static int each_fence(struct source *s, enum fencer_task task, struct failure *why)
{
	uint64_t disks = cancellable(s);
	uint32_t salt = fence_salt(s->id);
	int result = 0;

	for (unsigned int i = 0; fencer_is_there(&s->fencer) && i < s->storage.disks.count; i++)
		if (disks >> i & 1 && fencer_do(&s->fencer, task, disk_at(s, i)->path,
						JOURNAL_SOURCE, salt, why))
			result = -1;
	return result;
}

int storage_offer(struct source *s, struct failure *why)
{
	if (s->options->drain_storage || !cancellable(s))
		return 0;
	if (each_fence(s, FENCER_READY, why) || queue_disks(s, why))
		return -1;
	return attend_until(s, is_answered, "the target did not say which disks it can guard",
			    why);
}

static void tell_drained(const struct source *s)
{
	uint64_t drained = cancellable(s) & ~s->storage.chosen;

	for (unsigned int i = 0; i < s->storage.disks.count; i++)
		if (drained >> i & 1)
			log_warn("disk %s: the target cannot guard it, so its requests will be waited for in the blackout; see the target's log",
				 disk_at(s, i)->path);
}

int storage_take_ready(struct source *s, uint64_t usable, struct failure *why)
{
	if (!s->storage.asked || s->storage.answered)
		return fail(why, "the target broke the protocol: it was not asked about disks");
	s->storage.answered = true;
	s->storage.chosen = usable & cancellable(s);
	tell_drained(s);
	return 0;
}

/* Also if there is none. */
static bool all_chosen(const struct source *s)
{
	for (unsigned int disk = 0; disk < s->storage.disks.count; disk++)
		if (!(s->storage.chosen >> disk & 1))
			return false;
	return true;
}

static uint64_t expect_disk(struct source *s, const json_t *device)
{
	const char *name = json_string_value(json_object_get(device, "qdev"));
	int disk = name ? vmdisks_by_name(&s->storage.disks, name) : -1;

	if (disk < 0 || s->storage.chosen >> disk & 1)
		return 0;
	return blockstats_look(&s->storage.stats, (unsigned int)disk,
			       json_object_get(device, "stats"));
}

int storage_expect(struct source *s, uint64_t *us, struct failure *why)
{
	json_t *devices, *device;
	size_t i;

	*us = 0;
	if (all_chosen(s))
		return 0;
	devices = attend_command(s, -1, "query-blockstats", NULL, why);
	json_array_foreach(devices, i, device) {
		uint64_t one = expect_disk(s, device);

		if (one > *us)
			*us = one;
	}
	json_decref(devices);
	return devices ? 0 : -1;
}

/* ------------------------------------------------------------------------
 * Cancel, resume
 * ------------------------------------------------------------------------ */

static int cancel(struct source *s, bool fail_flushes, struct failure *why)
{
	struct ferry_disk_cancel result;
	unsigned int i;

	each_chosen(s, i) {
		s->storage.begun = true;
		if (disk_cancel(disk_at(s, i), s->storage.disks.disk[i].kinds, fail_flushes,
				&result, why))
			return -1;
		s->storage.cancelled += result.cancelled;
		if (result.kept)
			log_info("disk %s: %" PRIu64 " requests cannot be cancelled and are waited for",
				 disk_at(s, i)->path, (uint64_t)result.kept);
	}
	return 0;
}

static int watch_disks(struct source *s, struct failure *why)
{
	unsigned int i;

	s->storage.watch = epoll_create1(EPOLL_CLOEXEC);
	if (s->storage.watch < 0)
		return fail(why, "epoll_create1: %m");
	each_chosen(s, i) {
		struct epoll_event event = { .events = EPOLLIN };

		if (epoll_ctl(s->storage.watch, EPOLL_CTL_ADD, disk_at(s, i)->fd, &event))
			return fail(why, "epoll_ctl: %m");
	}
	return 0;
}

static bool is_writing(const struct ferry_disk_request *r)
{
	return 1u << r->kind & DISK_WRITING_KINDS;
}

static int queue_doubt(struct source *s, struct wire_doubt *doubt, struct failure *why)
{
	uint8_t payload[WIRE_DOUBT_MAX];

	if (!doubt->ranges)
		return 0;
	if (frames_queue(&s->control, WIRE_DOUBT, payload, wire_put_doubt(payload, doubt),
			 why) || attend_flushed(s, why))
		return -1;
	s->storage.doubt += doubt->ranges;
	doubt->ranges = 0;
	return 0;
}

/* What has ended before the target knew of it never has to be told. */
static int sort_out(struct source *s, unsigned int i, const struct ferry_disk_request *r,
		    struct wire_doubt *doubt, struct failure *why)
{
	if (r->state == FERRY_DISK_ENDED)
		return disk_ack(disk_at(s, i), r->number, why);
	s->storage.reads += r->kind == FERRY_DISK_READ;
	if (!is_writing(r))
		return 0;
	doubt->range[doubt->ranges++] = (struct ferry_disk_range){
		.id = r->number,
		.sector = r->sector,
		.sectors = r->sectors,
	};
	return doubt->ranges < WIRE_MAX_RANGES ? 0 : queue_doubt(s, doubt, why);
}

/* Tells the target which ranges of a disk are in doubt. */
static int tell_doubt(struct source *s, unsigned int i, struct failure *why)
{
	struct wire_doubt doubt = { .disk = i };
	unsigned int count, n;
	struct ferry_disk_request *list =
		disk_list(disk_at(s, i), 1u << FERRY_DISK_IN_DOUBT | 1u << FERRY_DISK_ENDED,
			  &count, why);
	int result = list ? 0 : -1;

	for (n = 0; !result && n < count; n++)
		result = sort_out(s, i, &list[n], &doubt, why);
	free(list);
	return result ? result : queue_doubt(s, &doubt, why);
}

static void tell_cancelled(struct source *s)
{
	s->storage.told = s->storage.doubt;
	progress_event(&s->progress, "disks",
		       json_pack("{s:I, s:I, s:I}", "cancelled",
				 (json_int_t)s->storage.cancelled, "reads_in_doubt",
				 (json_int_t)s->storage.reads, "writes_in_doubt",
				 (json_int_t)s->storage.told));
	if (s->storage.cancelled)
		log_info("%" PRIu64 " disk requests were cancelled; %u writes of them are in doubt",
			 s->storage.cancelled, s->storage.told);
}

int storage_drain(struct source *s, struct failure *why)
{
	unsigned int i;

	if (cancel(s, true, why) || outgoing_stopped(s, why) || cancel(s, false, why))
		return -1;
	if (!s->storage.chosen)
		return 0;
	if (watch_disks(s, why))
		return -1;
	each_chosen(s, i)
		if (tell_doubt(s, i, why))
			return -1;
	tell_cancelled(s);
	s->storage.complete = true;
	return frames_queue(&s->control, WIRE_DOUBT_END, NULL, 0, why);
}

/* What is still in doubt delays the VM's requests, but not the VM. */
static void tell_in_doubt(const struct disk *d)
{
	struct ferry_disk_status status;

	if (!disk_status(d, &status, NULL) && status.in_doubt)
		log_info("disk %s: %" PRIu64 " cancelled requests are still with the storage; the VM's requests wait until it has ended them",
			 d->path, (uint64_t)status.in_doubt);
}

void storage_resume(struct source *s)
{
	unsigned int i;

	if (!s->storage.begun)
		return;
	s->storage.begun = false;
	each_chosen(s, i) {
		struct failure why = { 0 };

		if (disk_resume(disk_at(s, i), &why))
			log_error("%s", why.text);
		tell_in_doubt(disk_at(s, i));
	}
}

/* ------------------------------------------------------------------------
 * Guard, and the end
 * ------------------------------------------------------------------------ */

static bool is_guarded(const struct source *s)
{
	return s->storage.guarded;
}

int storage_guard(struct source *s, struct failure *why)
{
	if (!s->storage.chosen)
		return 0;
	return attend_until(s, is_guarded, "the target did not guard what is in doubt", why);
}

/* Of one disk; those that it was told of are writes. */
static int tell_ended(struct source *s, unsigned int i, struct failure *why)
{
	uint8_t payload[WIRE_ENDED_MAX];
	struct wire_ended ended = { .disk = i };
	unsigned int count, n;
	struct ferry_disk_request *list =
		disk_list(disk_at(s, i), 1u << FERRY_DISK_ENDED, &count, why);
	int result = list ? 0 : -1;

	for (n = 0; !result && n < count && ended.ids < WIRE_MAX_IDS; n++) {
		if (is_writing(&list[n]))
			ended.id[ended.ids++] = list[n].number;
		result = disk_ack(disk_at(s, i), list[n].number, why);
	}
	free(list);
	s->storage.doubt -= ended.ids;
	if (result || !ended.ids || s->control.link.fd < 0)
		return result;
	return frames_queue(&s->control, WIRE_ENDED, payload, wire_put_ended(payload, &ended),
			    why);
}

int storage_tell_ended(struct source *s, struct failure *why)
{
	unsigned int i;

	each_chosen(s, i)
		if (tell_ended(s, i, why))
			return -1;
	return 0;
}

static void lose_target(struct source *s, const struct failure *why)
{
	frames_close(&s->control);
	s->held = true;
	log_warn("the target cannot be told any more what the storage has ended: %s; it runs the VM, and holds what it sends to these ranges",
		 why->text);
}

/* Without the target, at least the operator here is told when it is safe. */
static void wait_for_storage(struct source *s)
{
	while (s->storage.doubt && !s->storage.interrupted) {
		struct failure why = { 0 };

		if (!attend(s, -1, &why) || s->storage.interrupted)
			continue;
		if (s->control.link.fd < 0) {
			log_error("%s", why.text);
			break;
		}
		lose_target(s, &why);
	}
}

static bool is_open(const struct source *s)
{
	return s->storage.open;
}

static void wait_for_target(struct source *s)
{
	struct failure why = { 0 };

	if (s->control.link.fd >= 0 &&
	    attend_until(s, is_open, "it did not say that nothing is guarded any more", &why))
		lose_target(s, &why);
}

static void settle(struct source *s)
{
	log_info("the VM runs on %s; %u of its cancelled writes are still with the storage, and it waits there if it needs the same blocks",
		 s->options->to, s->storage.doubt);
	s->storage.settling = true;
	wait_for_storage(s);
	if (!s->storage.doubt)
		wait_for_target(s);
	if (s->storage.doubt) {
		s->held = true;
		log_warn("%u cancelled writes are still with the storage; once kvmferry disk shows nothing in doubt here, it is safe to open their ranges there (kvmferry disk --open)",
			 s->storage.doubt);
	} else if (s->held) {
		log_warn("nothing is in doubt here any more: it is safe to open what is held there (kvmferry disk --open)");
	}
}

/* The target closes the connection when it has ended its part; see fence.h for why that is waited for. */
static void await_target_end(struct source *s)
{
	struct pollfd p = { .fd = s->control.link.fd, .events = POLLIN };
	int64_t deadline = clock_ms() + TARGET_END_MS;
	char rest[4096];
	ssize_t n;

	if (p.fd < 0 || !fencer_is_there(&s->fencer))
		return;
	shutdown(p.fd, SHUT_WR);
	while (clock_left(deadline) && poll(&p, 1, clock_left(deadline)) > 0) {
		n = recv(p.fd, rest, sizeof(rest), MSG_DONTWAIT);
		if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
			return;
	}
}

void storage_unfence(struct source *s)
{
	struct failure why = { 0 };

	await_target_end(s);
	if (each_fence(s, FENCER_END, &why))
		log_warn("a reservation is left: %s; kvmferry disk tells what to do", why.text);
}

/* A target that could not be told may still want to cut us off. */
int storage_settle(struct source *s, struct failure *why)
{
	(void)why;
	if (s->storage.told && !s->storage.open)
		settle(s);
	if (!s->held)
		storage_unfence(s);
	return 0;
}

void storage_close(struct source *s)
{
	vmdisks_close(&s->storage.disks);
	if (s->storage.watch >= 0)
		close(s->storage.watch);
	s->storage.watch = -1;
}
