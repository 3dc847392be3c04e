// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guarding what is in doubt, at the target.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fence.h"
#include "guard.h"

/* ------------------------------------------------------------------------
 * Ids
 * ------------------------------------------------------------------------ */

#define SALT_SHIFT	32

/* What the source calls a range, as the disk here does; 0 if that cannot be. */
static uint64_t our_id(const struct guard *g, uint64_t theirs, struct failure *why)
{
	if (theirs && !(theirs >> SALT_SHIFT))
		return (uint64_t)g->salt << SALT_SHIFT | theirs;
	fail(why, "the source broke the protocol: the id of a range is out of bounds");
	return 0;
}

/* ------------------------------------------------------------------------
 * Disks
 * ------------------------------------------------------------------------ */

static bool is_usable(const struct guard *g, unsigned int number)
{
	return g->usable >> number & 1;
}

const struct disk *guard_disk(const struct guard *g, const struct vmdisks *disks,
			      unsigned int number)
{
	return is_usable(g, number) ? &disks->disk[g->ours[number]].disk : NULL;
}

static const struct disk *disk_of(const struct guard *g, const struct vmdisks *disks,
				  unsigned int number, struct failure *why)
{
	const struct disk *disk = guard_disk(g, disks, number);

	if (!disk)
		fail(why, "the source broke the protocol: it tells of a disk that was not offered");
	return disk;
}

/* Could our disk of this name be guarded in the stead of the source's? */
static void match(struct guard *g, const struct vmdisks *disks, unsigned int number)
{
	const char *name = g->theirs.disk[number].name;
	int ours = vmdisks_by_name(disks, name);

	if (ours < 0) {
		log_warn("the source has a disk %s that the target does not have", name);
		return;
	}
	if (disks->disk[ours].disk.fd < 0) {
		log_warn("disk %s is not on a device-mapper target \"ferry\" here: the source has to wait for its requests",
			 name);
		return;
	}
	if (disks->disk[ours].sectors != g->theirs.disk[number].sectors) {
		log_warn("disk %s has %" PRIu64 " sectors here and %" PRIu64 " at the source; is it the same storage?",
			 name, disks->disk[ours].sectors, g->theirs.disk[number].sectors);
		return;
	}
	g->ours[number] = ours;
	g->usable |= 1ull << number;
}

int guard_offer(struct guard *g, const struct vmdisks *disks,
		const uint8_t id[WIRE_ID_SIZE], const uint8_t *payload, size_t len,
		struct failure *why)
{
	const char *fault;

	if (g->asked)
		return fail(why, "the source broke the protocol: it names its disks twice");
	if (wire_get_disks(&g->theirs, payload, len, &fault))
		return fail(why, "the source's list of disks is wrong: %s", fault);
	g->asked = true;
	g->salt = fence_salt(id);
	for (unsigned int i = 0; i < g->theirs.disks; i++)
		match(g, disks, i);
	return 0;
}

/* ------------------------------------------------------------------------
 * Ranges
 * ------------------------------------------------------------------------ */

int guard_doubt(struct guard *g, const struct vmdisks *disks, const uint8_t *payload,
		size_t len, struct failure *why)
{
	const struct disk *disk;
	struct wire_doubt doubt;
	const char *fault;

	if (g->complete)
		return fail(why, "the source broke the protocol: more is in doubt than it said");
	if (wire_get_doubt(&doubt, payload, len, &fault))
		return fail(why, "the source's ranges in doubt are wrong: %s", fault);
	disk = disk_of(g, disks, doubt.disk, why);
	if (!disk)
		return -1;
	for (unsigned int i = 0; i < doubt.ranges; i++) {
		doubt.range[i].id = our_id(g, doubt.range[i].id, why);
		if (!doubt.range[i].id)
			return -1;
	}
	if (disk_guard(disk, doubt.range, doubt.ranges, why))
		return -1;
	g->closed += doubt.ranges;
	return 0;
}

int guard_complete(struct guard *g, struct failure *why)
{
	if (g->complete || !g->usable)
		return fail(why, "the source broke the protocol: an end of what is in doubt, without a beginning");
	g->complete = true;
	if (g->closed)
		log_info("%u ranges of its disks are guarded: the source's storage may still write to them",
			 g->closed);
	return 0;
}

int guard_ended(struct guard *g, const struct vmdisks *disks, const uint8_t *payload,
		size_t len, struct failure *why)
{
	const struct disk *disk;
	struct wire_ended ended;
	const char *fault;

	if (!g->complete)
		return fail(why, "the source broke the protocol: something ended before it was in doubt");
	if (wire_get_ended(&ended, payload, len, &fault))
		return fail(why, "the source's list of what has ended is wrong: %s", fault);
	disk = disk_of(g, disks, ended.disk, why);
	if (!disk)
		return -1;
	for (unsigned int i = 0; i < ended.ids; i++) {
		uint64_t id = our_id(g, ended.id[i], why);

		if (!id || disk_unguard(disk, id, why))
			return -1;
		g->closed--;
	}
	return 0;
}

bool guard_is_whole(const struct guard *g)
{
	return g->complete || !g->closed;
}

/* ------------------------------------------------------------------------
 * Ranges that nobody will tell of any more
 * ------------------------------------------------------------------------ */

/* Opens the ranges for which @is_one says so. Returns how many there were, or -1. */
static int open_some(const struct disk *d,
		     bool (*is_one)(uint64_t id, const void *opaque), const void *opaque,
		     struct failure *why)
{
	unsigned int count, i;
	struct ferry_disk_range *ranges = disk_ranges(d, &count, why);
	int opened = 0;

	if (!ranges)
		return -1;
	for (i = 0; i < count && opened >= 0; i++)
		if (is_one(ranges[i].id, opaque))
			opened = disk_unguard(d, ranges[i].id, why) ? -1 : opened + 1;
	free(ranges);
	return opened;
}

static bool is_of(uint64_t id, const void *opaque)
{
	return id >> SALT_SHIFT == *(const uint32_t *)opaque;
}

int guard_open_some(const struct disk *disk, uint32_t salt, struct failure *why)
{
	return open_some(disk, is_of, &salt, why);
}

int guard_open(struct guard *g, const struct vmdisks *disks, struct failure *why)
{
	int result = 0;

	for (unsigned int i = 0; g->closed && i < g->theirs.disks; i++) {
		const struct disk *disk = guard_disk(g, disks, i);

		if (disk && guard_open_some(disk, g->salt, why) < 0)
			result = -1;
	}
	if (!result)
		g->closed = 0;
	return result;
}

struct records {
	const char *dir;
	const char *vm;
};

static bool was_attempt(uint64_t id, const void *opaque)
{
	const struct records *records = opaque;
	const uint8_t start[4] = {
		(uint8_t)(id >> 56), (uint8_t)(id >> 48), (uint8_t)(id >> 40),
		(uint8_t)(id >> 32),
	};

	return journal_was_attempt(records->dir, records->vm, start, sizeof(start));
}

/* How many ranges are guarded for good, or -1. */
static int count_for_good(const struct disk *d, const struct records *records,
			  struct failure *why)
{
	unsigned int count, i;
	struct ferry_disk_range *ranges = disk_ranges(d, &count, why);
	int guarded = 0;

	if (!ranges)
		return -1;
	for (i = 0; i < count; i++)
		guarded += !records || !was_attempt(ranges[i].id, records);
	free(ranges);
	return guarded;
}

static int admit_fence(const struct disk *d, const char *state_dir, struct failure *why)
{
	struct fence fence;

	if (fence_read(&fence, state_dir, d->path, why))
		return -1;
	return fence.state == FENCE_NONE ? 0 :
		fail(why, "disk %s has a fence of an earlier migration, so the next host could not write to it; kvmferry disk tells what to do",
		     d->path);
}

int guard_admits(const struct vmdisks *disks, enum journal_side side,
		 const char *state_dir, const char *vm, struct failure *why)
{
	const struct records records = { .dir = state_dir, .vm = vm };

	for (unsigned int i = 0; i < disks->count; i++) {
		const struct disk *d = &disks->disk[i].disk;
		int guarded = 0;

		if (d->fd >= 0)
			guarded = count_for_good(d, side == JOURNAL_TARGET ? &records : NULL,
						 why);
		if (guarded > 0)
			fail(why, "%d ranges of disk %s are guarded, as an earlier host of the VM has requests in doubt there; kvmferry disk tells what to do",
			     guarded, d->path);
		if (guarded || admit_fence(d, state_dir, why))
			return -1;
	}
	return 0;
}

int guard_forget(const struct vmdisks *disks, const char *state_dir, const char *vm,
		 struct failure *why)
{
	const struct records records = { .dir = state_dir, .vm = vm };

	for (unsigned int i = 0; i < disks->count; i++) {
		const struct disk *d = &disks->disk[i].disk;
		int opened = d->fd < 0 ? 0 : open_some(d, was_attempt, &records, why);

		if (opened < 0)
			return -1;
		if (opened)
			log_info("disk %s: opened %d ranges that were guarded for a migration that did not come",
				 d->path, opened);
	}
	return 0;
}
