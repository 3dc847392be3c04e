// SPDX-License-Identifier: GPL-2.0-only
/* Opens groups of pages when the guest faults. The rules are in unprotect.h. */

#include <linux/kvm_host.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/task_work.h>
#include <linux/tracepoint.h>
#include <linux/wait.h>

#include "backend.h"
#include "compat/compat.h"
#include "fault.h"
#include "protect.h"
#include "ram.h"
#include "registry.h"
#include "slot.h"
#include "trace.h"
#include "unprotect.h"
#include "vm.h"

/* In SVM's error code and in VMX's exit qualification alike. */
#define FAULT_WRITE	BIT_ULL(1)

/* Longer than it ever takes to protect a chunk. */
#define MAX_PROTECTION_MS	20

static char *backend = "auto";
module_param(backend, charp, 0444);
MODULE_PARM_DESC(backend,
		 "how pages are opened: page-fault, prefault, none; auto: the first that this kernel has");

/* What it may be, whatever this kernel has. */
static const char * const backend_words[] = {
	"auto", "page-fault", "prefault", "none",
};

/* In this order. */
static const struct {
	const char *name;
	const struct ferry_backend *ops;
} backends[] = {
#ifdef FERRY_OPEN_kvm_mmu_page_fault
	{ "page-fault", &ferry_backend_page_fault },
#endif
#ifdef KVM_PRE_FAULT_MEMORY
	{ "prefault", &ferry_backend_prefault },
#endif
};

/*
 * What we need of KVM, held while any VM is attached. KVM is not linked to: the
 * module also serves hosts on which KVM is not loaded or does not export this.
 */
static struct {
	struct mutex lock;	/* protects @users, and changes of what follows */
	unsigned int users;
	struct tracepoint *point;
	const struct ferry_backend *backend;
} kvm = {
	.lock = __MUTEX_INITIALIZER(kvm.lock),
};

/* Work that is queued or running, in any thread. */
static atomic_t works = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(works_done);

/**
 * struct fault_work - a fault, on its way from the probe to the thread's work
 * @head:	in the thread's list of work
 * @vcpu:	who faulted; not to be followed before it has been entered
 * @vcpu_index:	its number
 * @gfn:	guest frame that faulted
 * @address:	where the VMM maps it
 * @write:	the guest wanted to write
 */
struct fault_work {
	struct callback_head head;
	struct kvm_vcpu *vcpu;
	unsigned int vcpu_index;
	gfn_t gfn;
	unsigned long address;
	bool write;
};

/* Rule 4. */
static bool addresses_are_plain(const struct kvm_vcpu *vcpu)
{
	return vcpu->arch.mmu->root_role.direct &&
	       VALID_PAGE(vcpu->arch.mmu->root.hpa) &&
	       !(vcpu->arch.hflags & (HF_SMM_MASK | HF_GUEST_MASK)) &&
	       !READ_ONCE(vcpu->kvm->arch.indirect_shadow_pages);
}

/*
 * Returns how many pages were mapped. A signal may end it early: what is left belongs to
 * the next fault in the chunk.
 */
static unsigned long map_set(const struct ferry_site *site,
			     struct ferry_chunk_set *set)
{
	struct ferry_ram_chunk *chunk = &site->ram->chunk[site->chunk];
	unsigned long mapped;

	if (bitmap_empty(set->page, FERRY_CHUNK_PAGES))
		return 0;
	mapped = kvm.backend->map(site, set);
	if (!bitmap_empty(set->page, FERRY_CHUNK_PAGES)) {
		spin_lock(&chunk->lock);
		bitmap_or(chunk->dropped.page, chunk->dropped.page, set->page,
			  FERRY_CHUNK_PAGES);
		spin_unlock(&chunk->lock);
	}
	return mapped;
}

/* Makes the VMM's page table entries writable, as a write of its own would. */
static void unprotect_set(const struct ferry_site *site,
			  const struct ferry_chunk_set *set)
{
	unsigned long start, end;

	for_each_set_bitrange(start, end, set->page, FERRY_CHUNK_PAGES)
		fault_in_safe_writeable((void __user *)
			ferry_ram_address(site->ram, site->chunk, start),
			(end - start) << PAGE_SHIFT);
}

/* Returns how many pages the guest can now write to, and could not before. */
static unsigned int open_group(const struct ferry_site *site)
{
	struct ferry_ram_chunk *chunk = &site->ram->chunk[site->chunk];
	struct ferry_fault_counters *count = &site->vm->faults;
	struct ferry_group_view view = {
		.present = site->scan.present,
		.writable = site->scan.writable,
	};
	struct ferry_chunk_set set, kept;
	unsigned int opened;

	spin_lock(&chunk->lock);
	opened = ferry_group_open(&site->vm->group, &chunk->group,
				  site->ram->first_chunk + site->chunk, &view,
				  site->page, &set);
	bitmap_andnot(kept.page, set.page, chunk->dropped.page,
		      FERRY_CHUNK_PAGES);
	bitmap_andnot(chunk->dropped.page, chunk->dropped.page, set.page,
		      FERRY_CHUNK_PAGES);
	chunk->cell.write_faults++;
	chunk->cell.opened += opened;
	spin_unlock(&chunk->lock);

	atomic64_inc(&count->groups[ilog2(opened + 1)]);
	atomic64_add(opened, &count->opened);
	trace_ferry_group(site->ram, site->chunk, site->page, true, opened);

	if (!kvm.backend->upgrades)
		ferry_protect_drop(current->mm, site->ram, site->chunk, &kept);
	/* The page itself, too: KVM may have been told to try again. */
	__set_bit(site->page, set.page);
	unprotect_set(site, &set);
	map_set(site, &set);
	return opened + 1;
}

/*
 * Gives the guest back what it could read until the pages around were protected. Only
 * these: the others have kept their mapping, or never had one.
 */
static unsigned long map_group(const struct ferry_site *site, bool write)
{
	struct ferry_ram_chunk *chunk = &site->ram->chunk[site->chunk];
	unsigned int pages = 1 << READ_ONCE(site->vm->read_order);
	struct ferry_chunk_set set;
	unsigned long mapped;

	bitmap_zero(set.page, FERRY_CHUNK_PAGES);
	bitmap_set(set.page, round_down(site->page, pages), pages);

	spin_lock(&chunk->lock);
	__clear_bit(site->page, chunk->dropped.page);
	bitmap_and(set.page, set.page, chunk->dropped.page, FERRY_CHUNK_PAGES);
	bitmap_andnot(chunk->dropped.page, chunk->dropped.page, set.page,
		      FERRY_CHUNK_PAGES);
	spin_unlock(&chunk->lock);

	bitmap_and(set.page, set.page, site->scan.present.page,
		   FERRY_CHUNK_PAGES);
	if (!write)
		__set_bit(site->page, set.page);
	mapped = map_set(site, &set);
	/* The page that faulted is no gain. */
	if (!write && mapped)
		mapped--;
	atomic64_add(mapped, &site->vm->faults.read_mapped);
	return mapped;
}

/*
 * Leaves of the chunk what the guest sees through the slot that the fault was in. The
 * neighbours may be no RAM at all (a PC has holes), or be somewhere else.
 */
static bool limit_to_slot(struct ferry_site *site, unsigned long address)
{
	struct kvm *kvm = site->vcpu->kvm;
	gfn_t gfn = site->gfn + site->page;
	const struct kvm_memory_slot *slot;
	struct ferry_chunk_set visible;
	unsigned int first = 0, end = 0;
	int idx;

	idx = srcu_read_lock(&kvm->srcu);
	slot = ferry_slot_find(site->vcpu, gfn);
	if (slot && __gfn_to_hva_memslot(slot, gfn) == address) {
		first = site->page - min_t(u64, site->page,
					   gfn - slot->base_gfn);
		end = min_t(u64, FERRY_CHUNK_PAGES, site->page +
			    slot->base_gfn + slot->npages - gfn);
	}
	srcu_read_unlock(&kvm->srcu, idx);

	bitmap_zero(visible.page, FERRY_CHUNK_PAGES);
	bitmap_set(visible.page, first, end - first);
	bitmap_and(site->scan.present.page, site->scan.present.page,
		   visible.page, FERRY_CHUNK_PAGES);
	return end;
}

/*
 * A fault on a page that is just being protected cannot be resolved until that is done:
 * KVM would let the guest run into it again and again, an exit each time.
 */
static void wait_for_protection(struct ferry_vm *vm, struct ferry_ram *ram,
				unsigned long chunk)
{
	wait_event_interruptible_timeout(vm->protected,
					 !READ_ONCE(ram->chunk[chunk].protecting),
					 msecs_to_jiffies(MAX_PROTECTION_MS));
}

/* What must hold before anything is opened. The vCPU has been entered. */
static bool find_site(struct ferry_site *site, const struct fault_work *work)
{
	unsigned long page;

	if (!addresses_are_plain(work->vcpu))
		return false;
	site->ram = ferry_vm_find_page(site->vm, work->address, &page);
	if (!site->ram)
		return false;

	site->chunk = page >> FERRY_CHUNK_SHIFT;
	site->page = page & (FERRY_CHUNK_PAGES - 1);
	site->gfn = work->gfn - site->page;
	wait_for_protection(site->vm, site->ram, site->chunk);
	ferry_protect_look(current->mm, site->ram, site->chunk, &site->scan);
	return ferry_fault(FERRY_FAULT_SLOT_BLIND) ||
	       limit_to_slot(site, work->address);
}

/* Returns how many pages a write fault has made writable, 1 for a read fault. */
static unsigned int handle_group(const struct ferry_site *site, bool write)
{
	unsigned int pages = 1;
	unsigned long mapped;

	/* A chunk that one entry maps needs no group: KVM maps it as one, too. */
	if (site->scan.huge)
		return FERRY_CHUNK_PAGES;
	if (READ_ONCE(site->vm->group.policy) == FERRY_GROUP_OFF)
		return 1;
	if (write)
		pages = open_group(site);
	mapped = map_group(site, write);
	if (!write)
		trace_ferry_group(site->ram, site->chunk, site->page, false,
				  mapped);
	return pages;
}

/* Returns how many pages a write fault has made writable, 0 if it was skipped. */
static unsigned int handle_site(struct ferry_site *site,
				const struct fault_work *work)
{
	unsigned int pages = 0;

	/* Rule 3. */
	if (!kvm.backend->enter(site))
		return 0;
	if (find_site(site, work))
		pages = handle_group(site, work->write);
	kvm.backend->leave(site);
	return pages;
}

static void handle_fault(struct ferry_vm *vm, const struct fault_work *work)
{
	struct ferry_site site = { .vm = vm, .vcpu = work->vcpu };
	unsigned int pages;

	atomic64_inc(work->write ? &vm->faults.write_faults :
				   &vm->faults.read_faults);
	pages = handle_site(&site, work);
	if (!pages)
		atomic64_inc(&vm->faults.skipped);
	else if (work->write)
		ferry_limiter_wait(&vm->limiter, work->vcpu_index, pages);
}

/* In the vCPU's thread: when that is depends on the back end. */
static void run_work(struct callback_head *head)
{
	struct fault_work *work = container_of(head, struct fault_work, head);
	struct ferry_vm *vm;
	int idx;

	idx = ferry_registry_lock();
	vm = ferry_registry_find(current->mm);
	if (vm)
		handle_fault(vm, work);
	ferry_registry_unlock(idx);

	kfree(work);
	if (atomic_dec_and_test(&works))
		wake_up_all(&works_done);
}

static bool queue_work_here(const struct fault_work *fault)
{
	struct fault_work *work = NULL;

	if (!ferry_fault(FERRY_FAULT_WORK_NOMEM))
		work = kmemdup(fault, sizeof(*fault), GFP_NOWAIT | __GFP_NOWARN);
	if (!work)
		return false;

	init_task_work(&work->head, run_work);
	atomic_inc(&works);
	if (task_work_add(current, &work->head, kvm.backend->notify)) {
		atomic_dec(&works);
		kfree(work);
		return false;
	}
	return true;
}

/* Before the first pass nothing is protected. */
static bool wants_faults(const struct ferry_vm *vm)
{
	return ferry_vm_pass(vm) && !ferry_vm_lost(vm) &&
	       (READ_ONCE(vm->group.policy) != FERRY_GROUP_OFF ||
		ferry_limiter_is_on(&vm->limiter));
}

static void take_fault(struct ferry_vm *vm, struct fault_work *fault)
{
	unsigned long page;

	if (addresses_are_plain(fault->vcpu)) {
		fault->address = ferry_slot_address(fault->vcpu, fault->gfn);
		if (!ferry_vm_find_page(vm, fault->address, &page) ||
		    queue_work_here(fault))
			return;
	}
	atomic64_inc(&vm->faults.skipped);
}

/* Called by KVM, which holds kvm->srcu, before it resolves a guest's fault. */
static void probe_fault(void *data, struct kvm_vcpu *vcpu, u64 address,
			u64 error)
{
	struct fault_work fault = {
		.vcpu = vcpu,
		.vcpu_index = vcpu->vcpu_idx,
		.gfn = gpa_to_gfn(address),
		.write = error & FAULT_WRITE,
	};
	struct ferry_vm *vm;
	int idx;

	idx = ferry_registry_lock();
	vm = ferry_registry_find(current->mm);
	if (vm && wants_faults(vm))
		take_fault(vm, &fault);
	ferry_registry_unlock(idx);
}

static void release_kvm(void)
{
	if (kvm.backend)
		kvm.backend->release();
	if (kvm.point)
		symbol_put(__tracepoint_kvm_page_fault);
	WRITE_ONCE(kvm.backend, NULL);
	kvm.point = NULL;
}

static const struct ferry_backend *hold_backend(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(backends); i++) {
		if (strcmp(backend, "auto") && strcmp(backend, backends[i].name))
			continue;
		if (backends[i].ops->hold())
			return backends[i].ops;
	}
	return NULL;
}

static void hook_kvm(void)
{
	kvm.point = symbol_get(__tracepoint_kvm_page_fault);
	if (!kvm.point)
		return;
	WRITE_ONCE(kvm.backend, hold_backend());
	if (!kvm.backend ||
	    tracepoint_probe_register(kvm.point, probe_fault, NULL))
		release_kvm();
}

/**
 * ferry_unprotect_check() - Is the module's parameter one that is known?
 *
 * Context: Any.
 * Return: 0, or -EINVAL after a line in the log.
 */
int ferry_unprotect_check(void)
{
	if (match_string(backend_words, ARRAY_SIZE(backend_words), backend) >= 0)
		return 0;
	pr_err("kvmferry: parameter backend: not one of auto, page-fault, prefault, none\n");
	return -EINVAL;
}

/**
 * ferry_unprotect_backend() - How pages are opened here
 *
 * Context: Any; between ferry_unprotect_hook() and ferry_unprotect_unhook().
 * Return: FERRY_BACKEND_*.
 */
u32 ferry_unprotect_backend(void)
{
	const struct ferry_backend *now = READ_ONCE(kvm.backend);

	return now ? now->id : FERRY_BACKEND_NONE;
}

/**
 * ferry_unprotect_hook() - Begin to see KVM's faults, if that can be done here
 *
 * Counts its callers. Without what it needs of KVM, nothing is grouped.
 *
 * Context: Process context. May sleep.
 */
void ferry_unprotect_hook(void)
{
	mutex_lock(&kvm.lock);
	if (!kvm.users++)
		hook_kvm();
	mutex_unlock(&kvm.lock);
}

/**
 * ferry_unprotect_unhook() - Undo ferry_unprotect_hook()
 *
 * Work that is still queued finds no VM any more and does nothing.
 *
 * Context: Process context. Sleeps until no probe is running.
 */
void ferry_unprotect_unhook(void)
{
	mutex_lock(&kvm.lock);
	if (!--kvm.users && kvm.backend) {
		tracepoint_probe_unregister(kvm.point, probe_fault, NULL);
		tracepoint_synchronize_unregister();
		release_kvm();
	}
	mutex_unlock(&kvm.lock);
}

/**
 * ferry_unprotect_forget() - Leave nothing of ours in a VM's address space
 * @vm: the VM; no fault of its guest is being handled any more
 *
 * Context: Process context. May sleep.
 */
void ferry_unprotect_forget(struct ferry_vm *vm)
{
	if (kvm.backend && kvm.backend->forget)
		kvm.backend->forget(vm);
}

/**
 * ferry_unprotect_flush() - Wait until no thread runs code of ours any more
 *
 * To be called when the module goes and no VM is attached.
 *
 * Context: Process context. Sleeps until every vCPU that faulted lately has
 *	    been back in its KVM_RUN.
 */
void ferry_unprotect_flush(void)
{
	wait_event(works_done, !atomic_read(&works));
	/* The last one may still be on its way out of run_work(). */
	synchronize_rcu_tasks();
}
