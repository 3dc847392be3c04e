/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Group write-unprotection: one fault of the guest opens many pages.
 *
 * Theory of operation
 *
 * Making the VMM's page table entries writable is not enough: the guest would
 * still leave KVM once for each page. The group has to be mapped in KVM's own
 * tables before the guest runs again:
 *
 *	guest writes to a protected page: exit
 *	  KVM's tracepoint kvm_page_fault	(atomic context)
 *	    probe: a followed page of an attached VM? queue work for this thread
 *	  KVM resolves the fault for this one page, unless its mappings are just
 *	  being changed: then the guest would have to try again
 *	before the vCPU enters the guest again: task work
 *	  (may sleep, kvm->srcu is not held)
 *	    wait, should a worker be protecting pages of this very chunk
 *	    policy chooses the pages of the group			(group.c)
 *	    write fault: make the VMM's page table entries writable
 *	    map all of them for the guest			(backend.h)
 *	guest runs on; its writes to the group cost nothing
 *
 * Last of all, a vCPU that writes faster than it may is made to wait (limit.h).
 *
 * To protect pages makes KVM drop its mappings of them, so the guest cannot even
 * read them. Any fault, of either kind, therefore also maps again what was dropped
 * around it: as no page table entry of the VMM changes for that, these pages are
 * mapped read-only, and tracking stays exact. Opened pages are writable, so the
 * next scan takes them for written (protect.h).
 *
 * The rules. With KVM's fault handler as the back end, to break one of the first three can
 * lose a write of the guest: where KVM cannot resolve the fault that we ask for, it
 * emulates the *current* instruction of the guest with our address.
 *
 *  1. We ask for a read by the user, never for a write. KVM still maps the page
 *     writable, as the VMM's page table entry is.
 *  2. The page lies in a memory slot that is valid, writable and shows the very
 *     page of our block. That is checked in the same SRCU section in which KVM is
 *     called: a slot that is being removed is first marked invalid, and only
 *     after a grace period is it gone. KVM retries on an invalid slot, and
 *     emulates only where there is none.
 *  3. The vCPU that faulted is the one loaded in this thread, or its file is open
 *     here. The work may come late (a signal ends KVM_RUN first) and may outlive
 *     the vCPU: its pointer is compared before it is followed.
 *  4. Only with a direct MMU and a valid root, not in system management mode,
 *     not while anything nested runs: else the address is not what it seems.
 *  5. Only pages that are mapped are opened: opening fills no holes and brings
 *     nothing back from swap.
 *
 * Whatever does not fit is skipped, which is always correct and costs an exit.
 */
#ifndef FERRY_UNPROTECT_H
#define FERRY_UNPROTECT_H

#include <linux/atomic.h>
#include <linux/kvmferry.h>

struct ferry_vm;

/* What the faults of a VM led to; counted by vCPUs, read by anyone. */
struct ferry_fault_counters {
	atomic64_t write_faults;
	atomic64_t read_faults;
	atomic64_t opened;
	atomic64_t read_mapped;
	atomic64_t skipped;
	atomic64_t groups[FERRY_GROUP_MAX_ORDER + 1];
};

void ferry_unprotect_hook(void);
void ferry_unprotect_unhook(void);
void ferry_unprotect_flush(void);
void ferry_unprotect_forget(struct ferry_vm *vm);
u32 ferry_unprotect_backend(void);
int ferry_unprotect_check(void);

#endif /* FERRY_UNPROTECT_H */
