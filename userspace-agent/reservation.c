// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Persistent reservations, by ioctl.
 *
 * What such an ioctl returns above 0 is the storage's own status, in the lowest byte, or
 * that none came.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pr.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "reservation.h"
#include "sysfs.h"

#define STATUS_BYTE		0xff
#define CHECK_CONDITION		0x02
#define CONFLICT		0x18
#define TYPE			PR_WRITE_EXCLUSIVE_REG_ONLY

/*
 * Whatever others did to the reservations is told to us once, in the stead of an
 * answer (unit attention). Linux 6.1 hands that on.
 */
#define ATTENTIONS		3

/* ------------------------------------------------------------------------
 * What is below a disk
 * ------------------------------------------------------------------------ */

/* The devices right below one, by /sys/dev/block/..., up to @room of them. Returns how many. */
static unsigned int below(const char *device, char name[][RESERVATION_NAME], unsigned int room)
{
	char path[PATH_MAX];
	struct dirent *entry;
	unsigned int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/slaves", device);
	dir = opendir(path);
	if (!dir)
		return 0;
	while (count < room && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			snprintf(name[count++], RESERVATION_NAME, "%.32s", entry->d_name);
	closedir(dir);
	return count;
}

static bool is_multipath(const char *name)
{
	static const char prefix[] = "mpath-";
	char uuid[SYSFS_NAME];

	return sysfs_line(uuid, sizeof(uuid), "/sys/class/block/%s/dm/uuid", name) &&
	       !strncmp(uuid, prefix, sizeof(prefix) - 1);
}

/* Is it a logical unit, and all of it? @device is the disk's, by /sys/dev/block/... */
static int check_whole(const char *disk, const char *device, const char *name,
		       struct failure *why)
{
	char ours[32], theirs[32], unused[SYSFS_NAME];

	if (sysfs_line(unused, sizeof(unused), "/sys/class/block/%s/partition", name))
		return fail(why, "disk %s lies on a partition (%s), and a reservation would be of all of its storage; a fence needs a disk that has a logical unit of its own",
			    disk, name);
	if (sysfs_line(unused, sizeof(unused), "/sys/class/block/%s/dm/name", name) &&
	    !is_multipath(name))
		return fail(why, "disk %s lies on %s, which is no logical unit but made by device-mapper (%s); a fence needs a disk that has a logical unit of its own",
			    disk, name, unused);
	if (!sysfs_line(ours, sizeof(ours), "%s/size", device) ||
	    !sysfs_line(theirs, sizeof(theirs), "/sys/class/block/%s/size", name) ||
	    strcmp(ours, theirs) != 0)
		return fail(why, "disk %s is not all of %s (%s and %s sectors), and a reservation would be of all of it",
			    disk, name, ours, theirs);
	return 0;
}

static void find_paths(struct reservation *r, const char *name)
{
	char device[64], paths[RESERVATION_PATHS][RESERVATION_NAME];

	snprintf(r->device, sizeof(r->device), "/dev/%.32s", name);
	snprintf(device, sizeof(device), "/sys/class/block/%.32s", name);
	r->paths = is_multipath(name) ? below(device, paths, RESERVATION_PATHS) : 0;
	for (unsigned int i = 0; i < r->paths; i++)
		snprintf(r->path[i], sizeof(r->path[i]), "/dev/%.32s", paths[i]);
	if (!r->paths)
		memcpy(r->path[r->paths++], r->device, sizeof(r->device));
}

int reservation_find(struct reservation *r, const char *disk, struct failure *why)
{
	char device[64], name[2][RESERVATION_NAME];
	struct stat st;

	*r = (struct reservation){ 0 };
	if (stat(disk, &st))
		return fail(why, "disk %s: %m", disk);
	snprintf(device, sizeof(device), "/sys/dev/block/%u:%u", major(st.st_rdev),
		 minor(st.st_rdev));
	if (below(device, name, 2) != 1)
		return fail(why, "disk %s: it is not known what it lies on", disk);
	if (check_whole(disk, device, name[0], why))
		return -1;
	find_paths(r, name[0]);
	return 0;
}

/* ------------------------------------------------------------------------
 * Commands
 * ------------------------------------------------------------------------ */

static bool is_status(int result, int status)
{
	return result > 0 && (result & STATUS_BYTE) == status;
}

static int call(const char *device, unsigned long command, const void *argument)
{
	int fd = open(device, O_RDWR | O_CLOEXEC);
	int status = -1, saved;

	for (int i = 0; fd >= 0 && i < ATTENTIONS; i++) {
		status = ioctl(fd, command, argument);
		if (!is_status(status, CHECK_CONDITION))
			break;
	}
	saved = errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
	return status;
}

static int outcome(int status, const char *device, const char *what, struct failure *why)
{
	if (!status)
		return 0;
	if (is_status(status, CONFLICT)) {
		fail(why, "%s: cannot %s: another has a reservation there, or ours is gone",
		     device, what);
		return RESERVATION_NOT_OURS;
	}
	if (is_status(status, CHECK_CONDITION) ||
	    (status < 0 && (errno == EOPNOTSUPP || errno == ENOTTY)))
		return fail(why, "%s: cannot %s: the storage has no persistent reservations",
			    device, what);
	if (status > 0)
		return fail(why, "%s: cannot %s: the storage answers %#x", device, what, status);
	return fail(why, "%s: cannot %s: %m", device, what);
}

int reservation_register(const struct reservation *r, uint64_t key, struct failure *why)
{
	const struct pr_registration argument = {
		.new_key = key, .flags = PR_FL_IGNORE_KEY,
	};

	return outcome(call(r->device, IOC_PR_REGISTER, &argument), r->device,
		       "register a key", why);
}

int reservation_unregister(const struct reservation *r, uint64_t key, struct failure *why)
{
	const struct pr_registration argument = { .old_key = key };

	return outcome(call(r->device, IOC_PR_REGISTER, &argument), r->device,
		       "take a key back", why);
}

int reservation_take(const struct reservation *r, uint64_t key, struct failure *why)
{
	const struct pr_reservation argument = { .key = key, .type = TYPE };

	return outcome(call(r->device, IOC_PR_RESERVE, &argument), r->device, "reserve it",
		       why);
}

/*
 * On one path after the other: device-mapper would hand it on without the abort. For SCSI and NVMe alike @old_key
 * is the key of who preempts, whatever the kernel's Documentation/block/pr.rst says.
 */
int reservation_preempt(const struct reservation *r, uint64_t mine, uint64_t theirs,
			struct failure *why)
{
	const struct pr_preempt argument = {
		.old_key = mine, .new_key = theirs, .type = TYPE,
	};
	int status = -1;
	unsigned int i;

	for (i = 0; i < r->paths; i++) {
		status = call(r->path[i], IOC_PR_PREEMPT_ABORT, &argument);
		if (!status || is_status(status, CONFLICT))
			break;
	}
	return outcome(status, r->device, "cut off the other host", why);
}

int reservation_clear(const struct reservation *r, uint64_t key, struct failure *why)
{
	const struct pr_clear argument = { .key = key };
	int status = call(r->device, IOC_PR_CLEAR, &argument);

	/* LIO calls it an invalid command if the key is not registered. */
	return outcome(is_status(status, CHECK_CONDITION) ? CONFLICT : status, r->device,
		       "end the reservation", why);
}
