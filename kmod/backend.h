/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The two ways to map a page in KVM's own tables for a guest that has not asked for it.
 *
 *	page-fault	KVM's fault handler, called with the vCPU loaded, before
 *			KVM_RUN enters the guest again. Where KVM exports it to
 *			everybody.
 *	prefault	KVM_PRE_FAULT_MEMORY, an ioctl of the vCPU's file. It takes the
 *			vCPU's mutex, so KVM_RUN has to end first: it returns -EINTR
 *			to the VMM, as for a signal, and the VMM calls it again. KVM
 *			emulates nothing for it.
 */
#ifndef FERRY_BACKEND_H
#define FERRY_BACKEND_H

#include <linux/kvm_host.h>
#include <linux/task_work.h>

#include "protect.h"

struct ferry_vm;

/**
 * struct ferry_site - a fault, when it is being handled
 * @vm:		the VM
 * @vcpu:	the vCPU; it stays while it is entered
 * @file:	prefault: the vCPU's file, with a reference
 * @gfn:	guest frame of the first page of the chunk
 * @ram:	the block
 * @chunk:	number of the chunk in the block
 * @page:	page of the chunk that faulted
 * @scan:	the chunk as the page tables show it
 */
struct ferry_site {
	struct ferry_vm *vm;
	struct kvm_vcpu *vcpu;
	struct file *file;
	gfn_t gfn;
	struct ferry_ram *ram;
	unsigned long chunk;
	unsigned int page;
	struct ferry_scan scan;
};

/**
 * struct ferry_backend - one way to map pages
 * @id:		FERRY_BACKEND_*
 * @notify:	how the work of a fault is queued in the vCPU's thread
 * @upgrades:	a page that KVM maps read-only becomes writable by mapping it
 * @hold:	take what is needed of KVM; false: it is not there
 * @release:	give it back
 * @enter:	get hold of the vCPU of a site that has @vm and @vcpu; false: it is
 *		not the one of this thread, or is busy
 * @leave:	undo @enter
 * @map:	map pages of the site's chunk as the VMM's page tables have them; takes those
 *		that were mapped out of the set and returns how many
 * @forget:	leave nothing in the VM's address space; may be NULL
 */
struct ferry_backend {
	u32 id;
	enum task_work_notify_mode notify;
	bool upgrades;
	bool (*hold)(void);
	void (*release)(void);
	bool (*enter)(struct ferry_site *site);
	void (*leave)(struct ferry_site *site);
	unsigned long (*map)(const struct ferry_site *site,
			     struct ferry_chunk_set *set);
	void (*forget)(struct ferry_vm *vm);
};

extern const struct ferry_backend ferry_backend_page_fault;
extern const struct ferry_backend ferry_backend_prefault;

#endif /* FERRY_BACKEND_H */
