/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * struct ferry_vm: one migrating VM, which is one open file of /dev/kvmferry.
 *
 * Whatever happens, the file is closed in the end, and that takes everything
 * down in this order: workers first (they use all the rest), then the handling of
 * the guest's faults and the MMU notifier (they use the RAM blocks), then the RAM
 * blocks. The VM's pages may stay write-protected; each costs one more write
 * fault and that is all.
 *
 * When tracking is lost, for whatever reason, that is remembered for good: no
 * further pass is begun and nobody can take what was sent for the VM's memory.
 */
#ifndef FERRY_VM_H
#define FERRY_VM_H

#include <linux/atomic.h>
#include <linux/kvmferry.h>
#include <linux/list.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/wait.h>

#include "compression.h"
#include "group.h"
#include "limit.h"
#include "unprotect.h"

struct ferry_channel;
struct ferry_hash_key;
struct ferry_ram;
struct pid;

/**
 * struct ferry_vm - a VM
 * @lock:	serialises the commands; protects @mm, @nr_ram, @nr_channels and
 *		the beginning of passes
 * @node:	in the registry
 * @mm:		the VM's address space, NULL before FERRY_ATTACH; holds a
 *		reference to the structure, not to its users
 * @pid:	the VM's process; for onlookers
 * @notifier:	tells when its mappings change
 * @key:	of the page hashes
 * @ladder:	the codecs that channels may use
 * @cpu_limit:	percent of a CPU that the workers may use together, 0 any
 * @nice:	of the workers
 * @ram:	RAM blocks in the order in which they were added
 * @nr_ram:	how many; an entry is complete before it is counted
 * @channel:	channels
 * @nr_channels: how many; fixed, as is @nr_ram, when the first pass begins
 * @pass:	number of the pass under way or last ended
 * @pass_flags:	its FERRY_PASS_*; stable while a channel is at work
 * @running:	channels still at work on it
 * @begin:	woken when a pass begins
 * @end:	woken when a pass has ended or tracking was lost
 * @protected:	woken when a worker has protected what it took of a chunk
 * @lost:	0 or the negative errno that ended tracking
 * @foreign:	pages made pending by changes of the VM's mappings
 * @group:	how write faults are grouped
 * @read_order:	binary logarithm of the pages that a read fault maps
 * @resend:	send pages even if the target has their content
 * @taken:	pages taken before the pass under way began
 * @faults:	what the guest's faults led to
 * @limiter:	slows writers down
 * @scratch:	memory of ours in the VM's address space, 0 if there is none
 */
struct ferry_vm {
	struct mutex lock;	/* the commands, one at a time */
	struct list_head node;
	struct mm_struct *mm;
	struct pid *pid;
	struct mmu_notifier notifier;
	struct ferry_hash_key *key;
	struct ferry_ladder ladder;
	u32 cpu_limit;
	s32 nice;
	struct ferry_ram *ram[FERRY_MAX_RAM];
	unsigned int nr_ram;
	struct ferry_channel *channel[FERRY_MAX_CHANNELS];
	unsigned int nr_channels;
	u64 pass;
	u32 pass_flags;
	atomic_t running;
	wait_queue_head_t begin;
	wait_queue_head_t end;
	wait_queue_head_t protected;
	int lost;
	atomic64_t foreign;
	struct ferry_group_vm group;
	u32 read_order;
	bool resend;
	u64 taken;
	struct ferry_fault_counters faults;
	struct ferry_limiter limiter;
	unsigned long scratch;
};

struct ferry_vm *ferry_vm_create(void);
void ferry_vm_destroy(struct ferry_vm *vm);

int ferry_vm_attach(struct ferry_vm *vm, const struct ferry_attach *arg);
int ferry_vm_add_ram(struct ferry_vm *vm, const struct ferry_add_ram *arg);
int ferry_vm_add_channel(struct ferry_vm *vm,
			 const struct ferry_add_channel *arg);
int ferry_vm_begin_pass(struct ferry_vm *vm, struct ferry_pass *arg);
void ferry_vm_status(struct ferry_vm *vm, struct ferry_status *arg);
int ferry_vm_get_pending(struct ferry_vm *vm, const struct ferry_pending *arg);
int ferry_vm_get_group_map(struct ferry_vm *vm, const struct ferry_group_map *arg);
int ferry_vm_get_digest(struct ferry_vm *vm, struct ferry_digest *arg);
bool ferry_vm_pass_ended(struct ferry_vm *vm);
int ferry_vm_set_group(struct ferry_vm *vm, const struct ferry_group *arg);
int ferry_vm_set_limit(struct ferry_vm *vm, const struct ferry_limit *arg);
int ferry_vm_set_workers(struct ferry_vm *vm, const struct ferry_workers *arg);
int ferry_vm_compression_stats(struct ferry_vm *vm,
			       struct ferry_compression_stats *arg);
int ferry_vm_group_stats(struct ferry_vm *vm, struct ferry_group_stats *arg);
int ferry_vm_stats(struct ferry_vm_stats *arg);

struct ferry_ram *ferry_vm_find_page(struct ferry_vm *vm, unsigned long address,
				     unsigned long *page);

int ferry_vm_check(struct ferry_vm *vm);
void ferry_vm_lose(struct ferry_vm *vm, int err);
void ferry_vm_channel_done(struct ferry_vm *vm);

static inline int ferry_vm_lost(const struct ferry_vm *vm)
{
	return READ_ONCE(vm->lost);
}

/* The pass under way or last ended, for those without vm->lock. */
static inline u64 ferry_vm_pass(const struct ferry_vm *vm)
{
	/* pairs with the release in begin_pass(): the flags before the number */
	return smp_load_acquire(&vm->pass);
}

#endif /* FERRY_VM_H */
