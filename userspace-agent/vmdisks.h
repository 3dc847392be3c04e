/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The disks of a VM: which they are, and which of them need not be waited for.
 *
 * Requests of a disk can be *cancelled* in the blackout, and are then sent again by
 * the target's QEMU, if
 *
 *  - it is a device-mapper target "ferry", used raw and without the host's page
 *    cache (cache.direct=on): what QEMU sends is what the disk sees;
 *  - the guest sees it as virtio-blk, or as a SCSI disk behind virtio-scsi: only
 *    these carry requests that failed in their device state;
 *  - its error policies are rerror=stop and werror=stop: the guest must not be told of
 *    the error, which to be cancelled is.
 *
 * The requests of any other disk are *drained*: `stop` waits for them, however long
 * the storage takes.
 */
#ifndef KVMFERRY_VMDISKS_H
#define KVMFERRY_VMDISKS_H

#include "disk.h"
#include "qmp.h"
#include "wire.h"

/* One disk, as the guest has it. */
struct vmdisk {
	char name[WIRE_DISK_NAME_SIZE];	/* QOM path of the guest's device */
	struct disk disk;		/* closed: no target ferry */
	uint64_t sectors;
	uint32_t kinds;			/* of requests to be cancelled; 0: none */
	struct failure drained;		/* why it is none */
};

struct vmdisks {
	unsigned int count;
	struct vmdisk disk[WIRE_MAX_DISKS];
};

/**
 * vmdisks_find - find them all, open those that are ferry
 *
 * Asks QEMU, changes nothing. Empty drives and what is read-only are left out.
 *
 * Returns 0, to be undone with vmdisks_close(), or -1 with @why.
 */
int vmdisks_find(struct vmdisks *disks, struct qmp *qmp, struct failure *why);

/* Does nothing for a struct of zero bytes. */
void vmdisks_close(struct vmdisks *disks);

/* Its number, or -1. */
int vmdisks_by_name(const struct vmdisks *disks, const char *name);

#endif /* KVMFERRY_VMDISKS_H */
