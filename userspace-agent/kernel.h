/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel module. kernel.c is the only file that opens /dev/kvmferry and
 * knows its ioctls; linux/kvmferry.h is their manual.
 *
 * Every function that can fail returns -1 and turns the error of the kernel into
 * a sentence with a remedy.
 */
#ifndef KVMFERRY_KERNEL_H
#define KVMFERRY_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "log.h"
#include "ramblocks.h"

#define KERNEL_DEVICE	"/dev/kvmferry"

/* One VM in the kernel module. Begin with kernel_open(). */
struct kernel {
	int fd;			/* readable when a pass has ended; -1 when closed */
	struct ferry_info info;
};

/* ioctl(2) on a file of the module, again after a signal. */
int kernel_call(int fd, unsigned long command, void *argument);

/* Opens the device and shakes hands. */
int kernel_open(struct kernel *k, struct failure *why);

/* Lets go of the VM, which runs on untracked. Channels end. May be repeated. */
void kernel_close(struct kernel *k);

/**
 * kernel_attach - begin to follow a process
 * @codecs:	bit (1 << FERRY_CODEC_x) for each that may be used, of those in
 *		@k->info
 * @key:	of the page hashes
 */
int kernel_attach(struct kernel *k, pid_t pid, uint64_t codecs,
		  const uint8_t key[FERRY_KEY_SIZE], struct failure *why);

/* Adds a RAM block, which records will call @id. */
int kernel_add_ram(struct kernel *k, unsigned int id, const struct ramblock *b,
		   struct failure *why);

/**
 * kernel_pass - begin to send everything that is pending
 * @final:	the VM is stopped and its I/O has drained
 * @pass:	out: number of the pass
 */
int kernel_pass(struct kernel *k, bool final, uint64_t *pass,
		struct failure *why);

/**
 * kernel_status - how far it is
 * @scan:	look for what was written since; takes milliseconds for each GiB
 *
 * That tracking was lost counts as a failure.
 */
int kernel_status(struct kernel *k, bool scan, struct ferry_status *status,
		  struct failure *why);

/* What the kernel counts of a VM. */
struct kernel_counts {
	struct ferry_status status;
	struct ferry_group_stats group;
	struct ferry_compression_stats compression;
};

/* Pages that went on the wire, zero pages included. */
static inline uint64_t kernel_sent(const struct ferry_status *status)
{
	return status->zero + status->raw + status->encoded;
}

/* kernel_status() and all the statistics. */
int kernel_counts(struct kernel *k, bool scan, struct kernel_counts *counts,
		  struct failure *why);

/**
 * kernel_workers - how much CPU the channels may use
 * @cpu_limit:	percent of one CPU, all together; 0: any
 * @nice:	as in nice(2)
 */
int kernel_workers(struct kernel *k, unsigned int cpu_limit, int nice,
		   struct failure *why);

/**
 * kernel_digest - what a RAM block must hash to on the target
 * @full:	read all of it anew, instead of what was kept while sending
 */
int kernel_digest(struct kernel *k, unsigned int id, bool full,
		  uint8_t digest[FERRY_HASH_SIZE], struct failure *why);

/* ------------------------------------------------------------------------
 * Groups of pages, and writers that wait
 *
 * A module from before there were groups has none of this: FERRY_GROUP is not
 * made, all counts are 0, and nobody can be slowed down.
 * ------------------------------------------------------------------------ */

/* Does this kernel module know groups at all? */
bool kernel_has_groups(const struct kernel *k);

/* How many pages a fault opens; in force from the next fault on. */
int kernel_group(struct kernel *k, const struct ferry_group *group,
		 struct failure *why);

/* What the groups brought and cost. */
int kernel_group_stats(struct kernel *k, struct ferry_group_stats *stats,
		       struct failure *why);

/**
 * kernel_group_map - where in a RAM block groups were opened
 * @id:		of the block
 * @first:	first chunk of 2 MiB
 * @count:	chunks, within the block
 * @cells:	out: @count of them
 *
 * Returns 0, 1 if this kernel module cannot tell, or -1 with @why.
 */
int kernel_group_map(struct kernel *k, unsigned int id, uint64_t first, uint64_t count,
		     struct ferry_group_cell *cells, struct failure *why);

/**
 * kernel_limit - slow writers down
 * @pages_per_s: pages that the VM may begin to write to in a second; 0: any
 * @max_slowdown: percent of its time that a vCPU may wait; 1 to 99
 *
 * Returns 0, 1 if this kernel has no way to do it, or -1 with @why.
 */
int kernel_limit(struct kernel *k, uint64_t pages_per_s,
		 unsigned int max_slowdown, struct failure *why);

/**
 * kernel_vm_stats - any VM that is followed, seen from outside
 * @k:		needs to be open only, not attached
 * @pid:	this one, or the next higher
 *
 * Returns 1 and the VM, 0 if there is none, or -1 with @why.
 */
int kernel_vm_stats(struct kernel *k, pid_t pid, struct ferry_vm_stats *vm,
		    struct failure *why);

/* ------------------------------------------------------------------------
 * Channels: rings of bytes for the wire
 * ------------------------------------------------------------------------ */

struct channel {
	int fd;			/* readable: bytes; hang-up: no more will come */
	void *map;
	size_t map_size;
	size_t size;		/* bytes of data in the ring */
	uint64_t tail;
};

/* Adds a channel with a ring of @size bytes, a power of two, and maps it. */
int kernel_add_channel(struct kernel *k, size_t size, struct channel *c,
		       struct failure *why);

/* The bytes that wait, contiguous, in place; @length may be 0. */
const void *channel_bytes(const struct channel *c, size_t *length);

/*
 * Gives @length bytes back to the kernel, after they were sent. @idle_ns: as in struct
 * ferry_consume.
 */
int channel_consume(struct channel *c, size_t length, uint64_t idle_ns, struct failure *why);

void channel_close(struct channel *c);

#endif /* KVMFERRY_KERNEL_H */
