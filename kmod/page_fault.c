// SPDX-License-Identifier: GPL-2.0-only
/* Back end page-fault: KVM's own fault handler. See backend.h, unprotect.h. */

#include <linux/module.h>

#include "backend.h"
#include "fault.h"
#include "slot.h"

static struct {
	struct kvm_vcpu *(*running)(void);
	int (*page_fault)(struct kvm_vcpu *vcpu, gpa_t gpa, u64 error,
			  void *insn, int insn_len);
} kvm;

static void release(void)
{
	if (kvm.page_fault)
		symbol_put(kvm_mmu_page_fault);
	if (kvm.running)
		symbol_put(kvm_get_running_vcpu);
	kvm.page_fault = NULL;
	kvm.running = NULL;
}

static bool hold(void)
{
	kvm.running = symbol_get(kvm_get_running_vcpu);
	kvm.page_fault = symbol_get(kvm_mmu_page_fault);
	if (kvm.running && kvm.page_fault)
		return true;
	release();
	return false;
}

static bool enter(struct ferry_site *site)
{
	return kvm.running() == site->vcpu;
}

static void leave(struct ferry_site *site)
{
}

/* Rules 1 and 2. False: no use to go on. */
static bool map_page(const struct ferry_site *site, unsigned int page)
{
	unsigned long address = ferry_ram_address(site->ram, site->chunk, page);
	struct kvm_vcpu *vcpu = site->vcpu;
	gfn_t gfn = site->gfn + page;
	int ret = 1, idx;

	if (!VALID_PAGE(vcpu->arch.mmu->root.hpa) || signal_pending(current))
		return false;

	idx = srcu_read_lock(&vcpu->kvm->srcu);
	if (ferry_slot_address(vcpu, gfn) == address ||
	    ferry_fault(FERRY_FAULT_SLOT_BLIND))
		ret = kvm.page_fault(vcpu, gfn_to_gpa(gfn), PFERR_USER_MASK,
				     NULL, 0);
	srcu_read_unlock(&vcpu->kvm->srcu, idx);
	return ret > 0;
}

static unsigned long map(const struct ferry_site *site,
			 struct ferry_chunk_set *set)
{
	unsigned long page, mapped = 0;

	for_each_set_bit(page, set->page, FERRY_CHUNK_PAGES) {
		if (!map_page(site, page))
			break;
		__clear_bit(page, set->page);
		mapped++;
		cond_resched();
	}
	return mapped;
}

const struct ferry_backend ferry_backend_page_fault = {
	.id = FERRY_BACKEND_PAGE_FAULT,
	.notify = TWA_RESUME,
	.upgrades = true,
	.hold = hold,
	.release = release,
	.enter = enter,
	.leave = leave,
	.map = map,
};
