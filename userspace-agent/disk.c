// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One disk: its ioctls, and their errors as sentences.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "kernel.h"

/* What any command may run into. */
static int refuse(const struct disk *d, const char *what, struct failure *why)
{
	switch (errno) {
	case ENODEV:
		return fail(why, "disk %s: the device has been removed", d->path);
	case EBUSY:
		return fail(why, "disk %s: another process has it in hand; kvmferry disk tells its state, and fuser -v /dev/kvmferry who it may be",
			    d->path);
	case ENOMEM:
		return fail(why, "disk %s: the kernel has no memory for it; free some",
			    d->path);
	default:
		return fail(why, "disk %s: cannot %s: %m; see dmesg", d->path, what);
	}
}

/* ------------------------------------------------------------------------
 * Open and close
 * ------------------------------------------------------------------------ */

static bool is_block(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISBLK(st.st_mode);
}

static int bind_device(struct disk *d, int module, int device, struct failure *why)
{
	struct ferry_disk_bind bind = { .fd = device };

	d->fd = ioctl(module, FERRY_DISK_BIND, &bind);
	if (d->fd >= 0)
		return 1;
	/* An older module knows no disks at all. */
	if (errno == ENXIO || errno == ENOTTY)
		return 0;
	return refuse(d, "bind it", why);
}

int disk_open(struct disk *d, const char *path, struct failure *why)
{
	int module, device, result;

	*d = (struct disk){ .fd = -1 };
	snprintf(d->path, sizeof(d->path), "%s", path);
	if (!is_block(path))
		return 0;
	module = open(KERNEL_DEVICE, O_RDWR | O_CLOEXEC);
	if (module < 0)
		return 0;
	device = open(path, O_RDONLY | O_CLOEXEC);
	if (device >= 0) {
		result = bind_device(d, module, device, why);
		close(device);
	} else {
		result = fail(why, "disk %s: cannot open it: %m", path);
	}
	close(module);
	return result;
}

void disk_close(struct disk *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

/* ------------------------------------------------------------------------
 * At the source
 * ------------------------------------------------------------------------ */

int disk_status(const struct disk *d, struct ferry_disk_status *status,
		struct failure *why)
{
	*status = (struct ferry_disk_status){ 0 };
	return kernel_call(d->fd, FERRY_DISK_STATUS, status) ?
	       refuse(d, "ask for its state", why) : 0;
}

int disk_cancel(const struct disk *d, uint32_t kinds, bool fail_flushes,
		struct ferry_disk_cancel *result, struct failure *why)
{
	*result = (struct ferry_disk_cancel){
		.kinds = kinds,
		.flags = fail_flushes ? FERRY_DISK_FAIL_FLUSHES : 0,
	};
	return kernel_call(d->fd, FERRY_DISK_CANCEL, result) ?
	       refuse(d, "cancel its requests", why) : 0;
}

int disk_resume(const struct disk *d, struct failure *why)
{
	struct ferry_disk_resume resume = { .flags = FERRY_DISK_WHEN_SETTLED };

	return kernel_call(d->fd, FERRY_DISK_RESUME, &resume) ?
	       refuse(d, "resume it", why) : 0;
}

struct ferry_disk_request *disk_list(const struct disk *d, uint32_t states,
				     unsigned int *count, struct failure *why)
{
	struct ferry_disk_request *requests = calloc(FERRY_DISK_MAX_LIST, sizeof(*requests));
	struct ferry_disk_list list = {
		.requests = (uintptr_t)requests,
		.room = FERRY_DISK_MAX_LIST,
		.states = states,
	};

	if (!requests) {
		fail(why, "not enough memory");
		return NULL;
	}
	if (kernel_call(d->fd, FERRY_DISK_LIST, &list)) {
		refuse(d, "list its requests", why);
		free(requests);
		return NULL;
	}
	if (list.total > list.count) {
		fail(why, "disk %s: it has %llu requests, more than can be listed",
		     d->path, (unsigned long long)list.total);
		free(requests);
		return NULL;
	}
	*count = list.count;
	return requests;
}

int disk_ack(const struct disk *d, uint64_t number, struct failure *why)
{
	struct ferry_disk_ack ack = { .number = number };

	return kernel_call(d->fd, FERRY_DISK_ACK, &ack) ?
	       refuse(d, "forget a request", why) : 0;
}

/* ------------------------------------------------------------------------
 * At the target
 * ------------------------------------------------------------------------ */

int disk_guard(const struct disk *d, const struct ferry_disk_range *ranges,
	       unsigned int count, struct failure *why)
{
	struct ferry_disk_guard guard = { .ranges = (uintptr_t)ranges, .count = count };

	if (!kernel_call(d->fd, FERRY_DISK_GUARD, &guard))
		return 0;
	if (errno == EINVAL)
		return fail(why, "disk %s: a range ends beyond it; is it as large as the source's?",
			    d->path);
	if (errno == E2BIG)
		return fail(why, "disk %s: more than %d ranges are in doubt", d->path,
			    FERRY_DISK_MAX_RANGES);
	return refuse(d, "guard it", why);
}

int disk_unguard(const struct disk *d, uint64_t id, struct failure *why)
{
	struct ferry_disk_unguard unguard = { .id = id };

	return kernel_call(d->fd, FERRY_DISK_UNGUARD, &unguard) ?
	       refuse(d, "open a range of it", why) : 0;
}

int disk_unguard_all(const struct disk *d, struct failure *why)
{
	struct ferry_disk_unguard unguard = { .flags = FERRY_DISK_EVERY_RANGE };

	return kernel_call(d->fd, FERRY_DISK_UNGUARD, &unguard) ?
	       refuse(d, "open its ranges", why) : 0;
}

struct ferry_disk_range *disk_ranges(const struct disk *d, unsigned int *count,
				     struct failure *why)
{
	struct ferry_disk_range *ranges = calloc(FERRY_DISK_MAX_RANGES, sizeof(*ranges));
	struct ferry_disk_ranges all = {
		.ranges = (uintptr_t)ranges,
		.room = FERRY_DISK_MAX_RANGES,
	};

	if (!ranges) {
		fail(why, "not enough memory");
		return NULL;
	}
	if (kernel_call(d->fd, FERRY_DISK_RANGES, &all)) {
		refuse(d, "list what is guarded", why);
		free(ranges);
		return NULL;
	}
	*count = all.count;
	return ranges;
}
