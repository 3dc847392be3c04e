/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Persistent reservations of the storage below a disk (SPC-4, section 5.12; NVMe has
 * the same under other names), through the kernel's <linux/pr.h>.
 *
 * A reservation is of a whole logical unit. So the disk has to be one: the target
 * "ferry" over all of a SCSI disk or an NVMe namespace, or over a device-mapper
 * multipath of such.
 *
 * Ours are of the type "write exclusive, registrants only": everybody may read, and
 * who has a key registered may write.
 *
 * Every function returns 0; RESERVATION_NOT_OURS: the storage knows no such key, or
 * another has the reservation; -1 with @why.
 */
#ifndef KVMFERRY_RESERVATION_H
#define KVMFERRY_RESERVATION_H

#include <stdint.h>
#include "log.h"

#define RESERVATION_NOT_OURS	1

#define RESERVATION_PATHS	32
#define RESERVATION_NAME	64

/**
 * struct reservation - the logical unit below a disk
 * @device:	its block device; of a multipath device, that with all paths
 * @path:	block devices that are one path each
 * @paths:	how many
 */
struct reservation {
	char device[RESERVATION_NAME];
	char path[RESERVATION_PATHS][RESERVATION_NAME];
	unsigned int paths;
};

/* Looks what is below the disk at @disk, the path of a target "ferry". */
int reservation_find(struct reservation *r, const char *disk, struct failure *why);

/* On all paths of this host, in the stead of a key that it has. Outlives a loss of power. */
int reservation_register(const struct reservation *r, uint64_t key, struct failure *why);
int reservation_unregister(const struct reservation *r, uint64_t key, struct failure *why);

int reservation_take(const struct reservation *r, uint64_t key, struct failure *why);

/**
 * reservation_preempt - cut off whoever has a key
 * @mine:	gets the reservation
 * @theirs:	is registered no more: what comes from there is refused
 *
 * Returns when the storage has ended, or will never do, what came from there before.
 */
int reservation_preempt(const struct reservation *r, uint64_t mine, uint64_t theirs,
			struct failure *why);

/* Everybody may write again: no reservation is left, and no key. @key has to be one. */
int reservation_clear(const struct reservation *r, uint64_t key, struct failure *why);

#endif /* KVMFERRY_RESERVATION_H */
