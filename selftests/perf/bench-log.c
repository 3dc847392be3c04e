// SPDX-License-Identifier: GPL-2.0-or-later
/* KVM's dirty log, what the benchmark compares with. */
#include "bench-log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

static uint64_t pages_of(const struct log_slot *slot)
{
	return slot->region.memory_size / 4096;
}

int log_switch(int vm, struct log_slot *slot, bool on)
{
	struct kvm_userspace_memory_region region = slot->region;

	/* the slot itself stays as its owner made it */
	if (on)
		region.flags |= KVM_MEM_LOG_DIRTY_PAGES;
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region))
		return -errno;
	free(slot->dirty);
	slot->dirty = on ? calloc((pages_of(slot) + 63) / 64, sizeof(uint64_t)) : NULL;
	return on && !slot->dirty ? -ENOMEM : 0;
}

int log_fetch(int vm, struct log_slot *slot, bool clear, uint64_t *pages)
{
	struct kvm_dirty_log log = {
		.slot = slot->region.slot,
		.dirty_bitmap = slot->dirty,
	};
	struct kvm_clear_dirty_log clear_log = {
		.slot = slot->region.slot,
		.num_pages = pages_of(slot),
		.dirty_bitmap = slot->dirty,
	};
	uint64_t i;

	if (ioctl(vm, KVM_GET_DIRTY_LOG, &log))
		return -errno;
	if (clear && ioctl(vm, KVM_CLEAR_DIRTY_LOG, &clear_log))
		return -errno;
	for (i = 0; i < (pages_of(slot) + 63) / 64; i++)
		*pages += __builtin_popcountll(slot->dirty[i]);
	return 0;
}
