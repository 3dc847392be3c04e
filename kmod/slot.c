// SPDX-License-Identifier: GPL-2.0-only
/* Memory slots that may be opened: rule 2 of unprotect.h. */

#include "slot.h"

/**
 * ferry_slot_find() - Find the memory slot of a guest frame
 * @vcpu: the vCPU
 * @gfn: the frame
 *
 * Context: Any, under kvm->srcu.
 * Return: the slot; NULL if there is none, or it is no ordinary RAM.
 */
const struct kvm_memory_slot *ferry_slot_find(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	const struct kvm_memory_slot *slot;

	slot = __gfn_to_memslot(kvm_vcpu_memslots(vcpu), gfn);
	/* The one flag that changes nothing here; KVM's own flags do, too. */
	if (!slot || slot->flags & ~KVM_MEM_LOG_DIRTY_PAGES)
		return NULL;
	return slot;
}

/**
 * ferry_slot_address() - Where the VMM has a guest frame
 * @vcpu: the vCPU
 * @gfn: the frame
 *
 * Context: Any, under kvm->srcu.
 * Return: an address in the VMM, 0 where ferry_slot_find() finds nothing.
 */
unsigned long ferry_slot_address(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	const struct kvm_memory_slot *slot = ferry_slot_find(vcpu, gfn);

	return slot ? __gfn_to_hva_memslot(slot, gfn) : 0;
}
