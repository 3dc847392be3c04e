/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KVM's own dirty log of one memory slot. Must be used by the process whose VM it is. */
#ifndef PERF_BENCH_LOG_H
#define PERF_BENCH_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/kvm.h>

struct log_slot {
	struct kvm_userspace_memory_region region;
	uint64_t *dirty;	/* a bit for each page, as last fetched */
};

/* All return 0 or -errno. Logging on: every page of the slot is protected. */
int log_switch(int vm, struct log_slot *slot, bool on);
/*
 * Fetches the pages written since the last fetch, and protects them again; adds their
 * number to @pages. @clear: the VM has KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 on, so that KVM
 * protects only when asked once more.
 */
int log_fetch(int vm, struct log_slot *slot, bool clear, uint64_t *pages);

#endif /* PERF_BENCH_LOG_H */
