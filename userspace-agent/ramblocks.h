/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The RAM blocks of a VM: which they are, where QEMU has mapped them, and the
 * file behind each.
 *
 * Both sides ask their own QEMU, and pair blocks by QEMU's block id alone, which
 * is also what QEMU's own stream uses. The way from a block id to a file is
 *
 *	query-memdev		which blocks are shared memory backends
 *	info ramblock		the block's id and size
 *	info mtree -f -o	a guest address that the backend of that id owns,
 *				and the offset in the block of what is there
 *	gpa2hva			the address of it in QEMU
 *	/proc/PID/maps		device, inode and file offset of what is mapped there
 *
 * Names, sizes and orders are never matched: with two NUMA nodes of one size
 * they lie. Blocks that no shared backend owns (ROMs, video memory) are left to
 * QEMU, which sends them with the device state.
 */
#ifndef KVMFERRY_RAMBLOCKS_H
#define KVMFERRY_RAMBLOCKS_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>
#include "qmp.h"
#include "wire.h"

/* One RAM block that kvmferry moves. Bytes throughout. */
struct ramblock {
	char name[WIRE_NAME_SIZE];	/* QEMU's block id */
	uint64_t address;		/* where QEMU has mapped it */
	uint64_t size;
	uint64_t offset;		/* of its first byte in the file */
	int fd;				/* the file, open for reading and writing */
	char path[PATH_MAX];		/* for people; it may have been unlinked */
	dev_t device;
	ino_t inode;
};

struct ramblocks {
	pid_t pid;			/* QEMU */
	unsigned int count;
	struct ramblock block[FERRY_MAX_RAM];
	uint64_t total;			/* bytes of all blocks above */
	uint64_t left;			/* bytes of RAM that QEMU itself sends */
};

/**
 * ramblocks_find - find them all, open their files
 *
 * Asks QEMU and /proc, changes nothing. Works on a running VM and on one that
 * waits with "-incoming defer". Refuses, with the remedy in @why, whatever
 * kvmferry cannot move: private or anonymous RAM, memfd, huge pages of
 * hugetlbfs, files not on tmpfs, files that a second process maps.
 *
 * Returns 0, to be undone with ramblocks_close(), or -1 with @why.
 */
int ramblocks_find(struct ramblocks *rams, struct qmp *qmp, struct failure *why);

/* Closes the files. Does nothing for a struct of zero bytes. */
void ramblocks_close(struct ramblocks *rams);

/* The block with this id, or NULL. */
const struct ramblock *ramblocks_by_name(const struct ramblocks *rams,
					 const char *name);

#endif /* KVMFERRY_RAMBLOCKS_H */
