// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The disks with target "ferry" of this host.
 */
#include <dirent.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"
#include "diskshow.h"
#include "fence.h"
#include "guard.h"
#include "kernel.h"
#include "sysfs.h"

#define SYS_BLOCK	"/sys/block"

/* A disk, and all that is said of it. */
struct shown {
	char name[SYSFS_NAME];	/* device-mapper's */
	struct disk disk;
	struct fence fence;
	struct ferry_disk_status status;
	struct ferry_disk_range *ranges;
	unsigned int count;	/* of ranges */
};

static const char *const fences[] = {
	[FENCE_NONE] = "none",
	[FENCE_READY] = "ready",
	[FENCE_CUT] = "cut",
};

static const char *const states[] = {
	[FERRY_DISK_PASS] = "pass",
	[FERRY_DISK_HOLDING] = "holding",
	[FERRY_DISK_CANCELLING] = "cancelling",
	[FERRY_DISK_SETTLING] = "settling",
};

static const char *state_of(const struct shown *d)
{
	uint32_t state = d->status.state;

	return state < sizeof(states) / sizeof(states[0]) ? states[state] : "unknown";
}

/* ------------------------------------------------------------------------
 * For people, for programs
 * ------------------------------------------------------------------------ */

static void print_doubt(const struct shown *d)
{
	if (!d->status.in_doubt)
		return;
	printf("  in doubt: %" PRIu64 " requests were cancelled here and are still with the storage, the oldest for %.1f s.\n"
	       "    Until it has ended them, the target of the VM holds what overlaps them.\n",
	       (uint64_t)d->status.in_doubt, (double)d->status.oldest_ms / 1000);
}

static void print_held(const struct shown *d)
{
	if (!d->status.held)
		return;
	printf("  held: %" PRIu64 " requests wait here until %s.\n", (uint64_t)d->status.held,
	       d->status.state == FERRY_DISK_SETTLING ? "nothing is in doubt any more" :
	       d->status.state == FERRY_DISK_HOLDING ? "the migration has ended" :
	       "the ranges below are opened");
}

static void print_guarded(const struct shown *d)
{
	if (!d->count)
		return;
	printf("  guarded: what overlaps these ranges waits, as the VM's former host has sent\n"
	       "  writes there that may still come:\n");
	for (unsigned int i = 0; i < d->count; i++)
		printf("    sectors %" PRIu64 " to %" PRIu64 "\n", (uint64_t)d->ranges[i].sector,
		       (uint64_t)(d->ranges[i].sector + d->ranges[i].sectors - 1));
	printf("  They are opened as its agent tells that the storage has ended them. If it has died:\n"
	       "  run kvmferry disk on that host. Once it shows nothing in doubt, or when the host\n"
	       "  was cut off from the storage for good (fenced, or powered off), this is safe:\n"
	       "    kvmferry disk --disk %s --open\n"
	       "  Earlier it is not: a late write would land on newer data.\n", d->name);
	if (d->fence.state == FENCE_READY && d->fence.side == JOURNAL_TARGET)
		printf("  Or cut that host off from the storage, now, and open them:\n"
		       "    kvmferry disk --disk %s --cut-off\n", d->name);
}

static void print_fence(const struct shown *d)
{
	if (d->fence.state == FENCE_NONE)
		return;
	printf("  fence: ");
	if (d->fence.state == FENCE_CUT)
		printf("the VM's former host was cut off from the storage. No host but this one can\n"
		       "  write to it. Once that host has been started anew, or is gone for good, end this:\n");
	else
		printf("this host has a key for the storage's reservation, of a migration with\n"
		       "  --fence pr. If that is over, and nothing is guarded at either host, end this:\n");
	printf("    kvmferry disk --disk %s --release\n", d->name);
}

static void print(const struct shown *d)
{
	printf("%s (%s): %s, %" PRIu64 " requests in flight\n", d->name, d->disk.path,
	       state_of(d), (uint64_t)d->status.in_flight);
	print_doubt(d);
	print_held(d);
	print_guarded(d);
	print_fence(d);
}

static void print_json(const struct shown *d)
{
	json_t *guarded = json_array(), *object;

	for (unsigned int i = 0; i < d->count; i++)
		json_array_append_new(guarded,
				      json_pack("{s:I, s:I, s:I}",
						"id", (json_int_t)d->ranges[i].id,
						"sector", (json_int_t)d->ranges[i].sector,
						"sectors", (json_int_t)d->ranges[i].sectors));
	object = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:s}",
			   "event", "disk", "name", d->name, "device", d->disk.path,
			   "state", state_of(d),
			   "sectors", (json_int_t)d->status.sectors,
			   "in_flight", (json_int_t)d->status.in_flight,
			   "in_doubt", (json_int_t)d->status.in_doubt,
			   "ended", (json_int_t)d->status.ended,
			   "held", (json_int_t)d->status.held,
			   "oldest_ms", (json_int_t)d->status.oldest_ms,
			   "guarded", guarded, "fence", fences[d->fence.state]);
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
}

/* ------------------------------------------------------------------------
 * Which disks
 * ------------------------------------------------------------------------ */

struct request {
	const struct diskshow_options *options;
	unsigned int shown;
};

/* What was asked for, before it is shown. Whoever is cut off can do no harm any more. */
static int act(struct shown *d, enum diskshow_action action, struct failure *why)
{
	switch (action) {
	case DISKSHOW_LOOK:
		return 0;
	case DISKSHOW_CUT_OFF:
		if (d->fence.state != FENCE_READY || d->fence.side != JOURNAL_TARGET)
			return fail(why, "disk %s: nobody can be cut off from it: no VM has come here with --fence pr, or it is done already",
				    d->name);
		return fence_cut(&d->fence, why) ||
		       guard_open_some(&d->disk, d->fence.salt, why) < 0 ? -1 : 0;
	case DISKSHOW_OPEN:
		return disk_unguard_all(&d->disk, why);
	case DISKSHOW_RELEASE:
		return d->fence.state == FENCE_NONE ?
			fail(why, "disk %s has no fence", d->name) : fence_end(&d->fence, why);
	}
	return 0;
}

static int show(struct shown *d, struct request *r, struct failure *why)
{
	const struct diskshow_options *o = r->options;

	if (fence_read(&d->fence, o->state_dir, d->disk.path, why) || act(d, o->action, why) ||
	    disk_status(&d->disk, &d->status, why))
		return -1;
	d->ranges = disk_ranges(&d->disk, &d->count, why);
	if (!d->ranges)
		return -1;
	(o->json ? print_json : print)(d);
	free(d->ranges);
	r->shown++;
	return 0;
}

static int show_device(const char *device, struct request *r, struct failure *why)
{
	struct shown d = { .disk.fd = -1 };
	const char *name = r->options->name;
	char path[300];
	int result;

	snprintf(path, sizeof(path), "/dev/%s", device);
	if (!sysfs_mapper_name(path, d.name) || (name && strcmp(d.name, name) != 0))
		return 0;
	result = disk_open(&d.disk, path, why);
	if (result > 0)
		result = show(&d, r, why);
	disk_close(&d.disk);
	return result;
}

static int show_all(struct request *r, struct failure *why)
{
	DIR *devices = opendir(SYS_BLOCK);
	struct dirent *entry;
	int result = 0;

	if (!devices)
		return fail(why, "cannot read " SYS_BLOCK ": %m");
	while (!result && (entry = readdir(devices)))
		result = show_device(entry->d_name, r, why);
	closedir(devices);
	if (!result && r->options->name && !r->shown)
		return fail(why, "%s is no disk with a target \"ferry\"; kvmferry disk without --disk shows all that are",
			    r->options->name);
	return result;
}

enum exit_status diskshow_run(const struct diskshow_options *options)
{
	struct request request = { .options = options };
	struct failure why = { 0 };
	struct kernel k;
	int result;

	result = kernel_open(&k, &why);
	if (!result) {
		result = show_all(&request, &why);
		kernel_close(&k);
	}
	if (result) {
		log_error("%s", why.text);
		return EXIT_FAILED;
	}
	if (!request.shown && !options->json)
		puts("no disk of this host has a target \"ferry\"");
	return EXIT_DONE;
}
