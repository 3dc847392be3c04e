/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One disk: a device-mapper device with the target "ferry". disk.c is the only
 * file that knows its ioctls; linux/kvmferry_disk.h is their manual, and says what
 * to cancel, to be in doubt and to guard mean.
 *
 * Every function that can fail returns -1 and turns the error of the kernel into a
 * sentence with a remedy. Sectors have 512 bytes.
 */
#ifndef KVMFERRY_DISK_H
#define KVMFERRY_DISK_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <linux/kvmferry.h>
#include "log.h"

/* Kinds of requests that change what the storage holds. */
#define DISK_WRITING_KINDS	(1u << FERRY_DISK_WRITE | 1u << FERRY_DISK_DISCARD | \
				 1u << FERRY_DISK_WRITE_ZEROES |		\
				 1u << FERRY_DISK_SECURE_ERASE)

struct disk {
	int fd;			/* of FERRY_DISK_BIND; -1 when closed */
	char path[PATH_MAX];	/* of the block device */
};

/**
 * disk_open - bind the block device at @path
 *
 * Returns 1; 0 if it has no target ferry, or is no block device at all, or the kernel
 * module is not loaded; -1 with @why.
 */
int disk_open(struct disk *d, const char *path, struct failure *why);

/* Lets go of it. A disk that is not in PASS then settles by itself. May be repeated. */
void disk_close(struct disk *d);

int disk_status(const struct disk *d, struct ferry_disk_status *status,
		struct failure *why);

/**
 * disk_cancel - fail what is in flight, and what comes
 * @kinds:	bits (1 << FERRY_DISK_x)
 * @fail_flushes: flushes that come are failed, too, instead of answered at once
 * @result:	out: how many
 */
int disk_cancel(const struct disk *d, uint32_t kinds, bool fail_flushes,
		struct ferry_disk_cancel *result, struct failure *why);

/**
 * disk_resume - back to normal, as soon as nothing is in doubt
 *
 * The VM may run at once: what it sends waits until then.
 */
int disk_resume(const struct disk *d, struct failure *why);

/**
 * disk_list - requests that the storage has, or had
 * @states:	which, bits (1 << FERRY_DISK_x)
 * @count:	out: how many
 *
 * Returns them, to be freed, or NULL with @why.
 */
struct ferry_disk_request *disk_list(const struct disk *d, uint32_t states,
				     unsigned int *count, struct failure *why);

/* Forgets a request that has ended. */
int disk_ack(const struct disk *d, uint64_t number, struct failure *why);

/* Holds what overlaps these ranges: all of them, or none after a failure. */
int disk_guard(const struct disk *d, const struct ferry_disk_range *ranges,
	       unsigned int count, struct failure *why);

/* Opens one of them. One that is not guarded is a failure. */
int disk_unguard(const struct disk *d, uint64_t id, struct failure *why);

/* Opens every one. */
int disk_unguard_all(const struct disk *d, struct failure *why);

/**
 * disk_ranges - what is guarded
 * @count:	out: how many
 *
 * Returns them, by sector, to be freed, or NULL with @why.
 */
struct ferry_disk_range *disk_ranges(const struct disk *d, unsigned int *count,
				     struct failure *why);

#endif /* KVMFERRY_DISK_H */
