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
#include "kernel.h"

#define SYS_BLOCK	"/sys/block"

/* A disk, and all that is said of it. */
struct shown {
	char name[128];		/* device-mapper's */
	struct disk disk;
	struct ferry_disk_status status;
	struct ferry_disk_range *ranges;
	unsigned int count;	/* of ranges */
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
}

static void print(const struct shown *d)
{
	printf("%s (%s): %s, %" PRIu64 " requests in flight\n", d->name, d->disk.path,
	       state_of(d), (uint64_t)d->status.in_flight);
	print_doubt(d);
	print_held(d);
	print_guarded(d);
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
	object = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
			   "event", "disk", "name", d->name, "device", d->disk.path,
			   "state", state_of(d),
			   "sectors", (json_int_t)d->status.sectors,
			   "in_flight", (json_int_t)d->status.in_flight,
			   "in_doubt", (json_int_t)d->status.in_doubt,
			   "ended", (json_int_t)d->status.ended,
			   "held", (json_int_t)d->status.held,
			   "oldest_ms", (json_int_t)d->status.oldest_ms,
			   "guarded", guarded);
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
}

/* ------------------------------------------------------------------------
 * Which disks
 * ------------------------------------------------------------------------ */

struct request {
	const char *name;
	bool open;
	bool json;
	unsigned int shown;
};

/* What device-mapper calls the block device; false if it is none of its. */
static bool read_name(const char *device, char name[128])
{
	char path[300];
	FILE *file;
	bool read;

	snprintf(path, sizeof(path), SYS_BLOCK "/%s/dm/name", device);
	file = fopen(path, "re");
	if (!file)
		return false;
	read = fgets(name, 128, file) != NULL;
	fclose(file);
	name[strcspn(name, "\n")] = '\0';
	return read;
}

static int show(struct shown *d, struct request *r, struct failure *why)
{
	if (r->open && disk_unguard_all(&d->disk, why))
		return -1;
	if (disk_status(&d->disk, &d->status, why))
		return -1;
	d->ranges = disk_ranges(&d->disk, &d->count, why);
	if (!d->ranges)
		return -1;
	(r->json ? print_json : print)(d);
	free(d->ranges);
	r->shown++;
	return 0;
}

static int show_device(const char *device, struct request *r, struct failure *why)
{
	struct shown d = { .disk.fd = -1 };
	char path[300];
	int result;

	if (!read_name(device, d.name) || (r->name && strcmp(d.name, r->name) != 0))
		return 0;
	snprintf(path, sizeof(path), "/dev/%s", device);
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
	if (!result && r->name && !r->shown)
		return fail(why, "%s is no disk with a target \"ferry\"; kvmferry disk without --disk shows all that are",
			    r->name);
	return result;
}

enum exit_status diskshow_run(const char *name, bool open, bool json)
{
	struct request request = { .name = name, .open = open, .json = json };
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
	if (!request.shown && !json)
		puts("no disk of this host has a target \"ferry\"");
	return EXIT_DONE;
}
