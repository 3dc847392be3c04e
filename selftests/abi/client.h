/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One client of the fuzzer: a process that does to /dev/kvmferry whatever comes to its mind, with several
 * threads, to VMs that are its own memory or the guest of its parent. It ends by itself, or is killed.
 */
#ifndef ABI_CLIENT_H
#define ABI_CLIENT_H

#include "vmproc.h"

/* What the clients play with. */
struct toys {
	struct vmproc vm;	/* a guest that computes */
	unsigned int spare;	/* its block in which holes may be punched */
	int disk[2];		/* block devices with target ferry */
};

/* Never returns. */
void client_run(const struct toys *toys, uint64_t seed, unsigned int steps)
	__attribute__((noreturn));

/* One random command on the file of a disk, or -1 for a new file of one. Returns a file to keep, or -1. */
int disk_step(const struct toys *toys, int file);

#endif /* ABI_CLIENT_H */
