/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the VMM has the guest's frames: KVM's memory slots. */
#ifndef FERRY_SLOT_H
#define FERRY_SLOT_H

#include <linux/kvm_host.h>

const struct kvm_memory_slot *ferry_slot_find(struct kvm_vcpu *vcpu, gfn_t gfn);
unsigned long ferry_slot_address(struct kvm_vcpu *vcpu, gfn_t gfn);

#endif /* FERRY_SLOT_H */
