/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A test VM in a process of its own, as it is in life: it can be killed, and the
 * client need not map its RAM. The parent tells it what to do by calling functions of
 * its own in the child, which is a fork and so has them at the same addresses.
 */
#ifndef SELFTESTS_VMPROC_H
#define SELFTESTS_VMPROC_H

#include <sys/types.h>

#include "vmm.h"

struct vmproc {
	pid_t pid;
	int socket;
	struct ram ram[VMM_MAX_RAM];	/* @map is the child's, @fd is ours */
	unsigned int rams;
};

typedef long vmproc_fn(struct vmm *vmm, long argument);

/* A VM with these RAM blocks and @vcpus vCPUs; no /dev/kvm is needed for 0 vCPUs. */
void vmproc_start(struct vmproc *vm, const struct ram_spec *specs, unsigned int rams,
		  unsigned int vcpus);
/* Runs @fn in the child. */
long vmproc_call(struct vmproc *vm, vmproc_fn *fn, long argument);
/* The same without waiting for an answer; there will be none. */
void vmproc_cast(struct vmproc *vm, vmproc_fn *fn, long argument);
/*
 * For vmproc_call(): the guest begins to compute in its first block, from this seed on. And: how often has
 * it computed wrongly since, or not at all? That ends it.
 */
vmproc_fn vmproc_compute, vmproc_errors;
/* Ends the VM, if it has not ended yet, and forgets it. */
void vmproc_kill(struct vmproc *vm);

#endif /* SELFTESTS_VMPROC_H */
