// SPDX-License-Identifier: GPL-2.0-only
/* What user space may ask: status, pending pages, digests. */

#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/time64.h>
#include <linux/uaccess.h>

#include "channel.h"
#include "hash.h"
#include "protect.h"
#include "ram.h"
#include "registry.h"
#include "vm.h"

static void add_page_counts(struct ferry_status *arg,
			    const struct ferry_counters *count)
{
	u32 id;

	arg->raw += READ_ONCE(count->codec[FERRY_CODEC_NONE].pages);
	for (id = FERRY_CODEC_NONE + 1; id < FERRY_NR_CODECS; id++) {
		arg->encoded += READ_ONCE(count->codec[id].pages);
		arg->bytes_encoded += READ_ONCE(count->codec[id].bytes);
	}
}

static u64 codecs_memory(const struct ferry_channel *channel)
{
	u64 bytes = 0;
	u32 id;

	for (id = 0; id < FERRY_NR_CODECS; id++)
		bytes += ferry_codec_memory(&channel->codec[id]);
	return bytes;
}

static void add_channel_counters(struct ferry_status *arg,
				 struct ferry_channel *channel)
{
	const struct ferry_counters *count = &channel->count;

	arg->channels += sizeof(*channel) + ferry_ring_memory(&channel->ring) +
			 ferry_record_memory(channel) + codecs_memory(channel);
	arg->taken += READ_ONCE(count->taken);
	arg->zero += READ_ONCE(count->zero);
	add_page_counts(arg, count);
	arg->bytes_wire += READ_ONCE(count->bytes_wire);
	arg->written += READ_ONCE(count->written);
	arg->pinned += READ_ONCE(count->pinned);
	arg->protected_runs += READ_ONCE(count->protected_runs);
	arg->protected_huge += READ_ONCE(count->protected_huge);
	arg->waits += READ_ONCE(count->waits);
	arg->unchanged += READ_ONCE(count->unchanged);
}

static u32 state(struct ferry_vm *vm)
{
	if (!vm->mm)
		return FERRY_STATE_NEW;
	if (ferry_vm_lost(vm))
		return FERRY_STATE_LOST;
	return atomic_read(&vm->running) ? FERRY_STATE_PASS : FERRY_STATE_IDLE;
}

/* Scans chunks @first to @last of a block; nothing is taken or protected. */
static void scan_chunks(struct ferry_vm *vm, struct ferry_ram *ram,
			unsigned long first, unsigned long last)
{
	struct ferry_scan scan;

	for (; first <= last; first++) {
		ferry_protect_scan(vm->mm, ram, first, &scan);
		cond_resched();
	}
}

/* Holds the address space for a scan, and makes sure that scanning tells all. */
static int scan_begin(struct ferry_vm *vm)
{
	int err = ferry_vm_check(vm);

	if (!err && !mmget_not_zero(vm->mm)) {
		ferry_vm_lose(vm, -ESRCH);
		err = -ENODATA;
	}
	return err;
}

static void scan_all(struct ferry_vm *vm)
{
	unsigned int i;

	if (scan_begin(vm))
		return;
	for (i = 0; i < vm->nr_ram; i++)
		scan_chunks(vm, vm->ram[i], 0, ferry_ram_chunks(vm->ram[i]) - 1);
	mmput(vm->mm);
}

/* With vm->lock, or under ferry_registry_lock(): blocks and channels only grow. */
static void fill_status(struct ferry_vm *vm, struct ferry_status *arg)
{
	/* pairs with the release in add_channel() */
	unsigned int nr_channels = smp_load_acquire(&vm->nr_channels);
	/* pairs with the release in add_ram() */
	unsigned int i, nr_ram = smp_load_acquire(&vm->nr_ram);

	memset(arg, 0, sizeof(*arg));
	arg->state = state(vm);
	arg->pass = ferry_vm_pass(vm);
	arg->error = -ferry_vm_lost(vm);
	arg->memory = sizeof(*vm);
	arg->foreign = atomic64_read(&vm->foreign);
	for (i = 0; i < nr_ram; i++) {
		arg->ram_pages += vm->ram[i]->pages;
		arg->pending += ferry_ram_pending(vm->ram[i]);
		arg->memory += ferry_ram_memory(vm->ram[i]);
	}
	for (i = 0; i < nr_channels; i++)
		add_channel_counters(arg, vm->channel[i]);
}

/**
 * ferry_vm_status() - FERRY_STATUS
 * @vm: the VM
 * @arg: in and out, as documented
 *
 * Context: Process context. May sleep.
 */
void ferry_vm_status(struct ferry_vm *vm, struct ferry_status *arg)
{
	mutex_lock(&vm->lock);
	if (vm->mm && arg->flags & FERRY_STATUS_SCAN)
		scan_all(vm);
	fill_status(vm, arg);
	mutex_unlock(&vm->lock);
}

/* Locking as for fill_status(). */
static void fill_group_stats(struct ferry_vm *vm, struct ferry_group_stats *arg)
{
	/* pairs with the release in add_channel() */
	unsigned int i, nr = smp_load_acquire(&vm->nr_channels);
	struct ferry_fault_counters *count = &vm->faults;

	memset(arg, 0, sizeof(*arg));
	arg->backend = ferry_unprotect_backend();
	arg->budget = max(READ_ONCE(vm->group.budget), 0LL);
	arg->write_faults = atomic64_read(&count->write_faults);
	arg->read_faults = atomic64_read(&count->read_faults);
	arg->opened = atomic64_read(&count->opened);
	arg->read_mapped = atomic64_read(&count->read_mapped);
	arg->skipped = atomic64_read(&count->skipped);
	arg->throttled = atomic64_read(&vm->limiter.waits);
	arg->throttled_us = div_u64(atomic64_read(&vm->limiter.waited_ns),
				    NSEC_PER_USEC);
	for (i = 0; i <= FERRY_GROUP_MAX_ORDER; i++)
		arg->groups[i] = atomic64_read(&count->groups[i]);
	for (i = 0; i < nr; i++) {
		const struct ferry_counters *c = &vm->channel[i]->count;

		arg->opened_changed += READ_ONCE(c->opened_changed);
		arg->opened_unchanged += READ_ONCE(c->opened_unchanged);
	}
}

/**
 * ferry_vm_group_stats() - FERRY_GROUP_STATS
 * @vm: the VM
 * @arg: out
 *
 * Context: Process context. May sleep.
 * Return: 0 or -ENXIO.
 */
int ferry_vm_group_stats(struct ferry_vm *vm, struct ferry_group_stats *arg)
{
	int err = 0;

	mutex_lock(&vm->lock);
	if (vm->mm)
		fill_group_stats(vm, arg);
	else
		err = -ENXIO;
	mutex_unlock(&vm->lock);
	return err;
}

static void add_codecs(struct ferry_compression_stats *arg,
		       const struct ferry_counters *count)
{
	u32 id;

	for (id = 0; id < FERRY_NR_CODECS; id++) {
		arg->codec[id].pages += READ_ONCE(count->codec[id].pages);
		arg->codec[id].bytes += READ_ONCE(count->codec[id].bytes);
		arg->codec[id].ns += READ_ONCE(count->codec[id].ns);
	}
	arg->untried += READ_ONCE(count->untried);
}

/* Locking as for fill_status(). */
static void fill_compression_stats(struct ferry_vm *vm,
				   struct ferry_compression_stats *arg)
{
	/* pairs with the release in add_channel() */
	unsigned int i, nr = smp_load_acquire(&vm->nr_channels);

	memset(arg, 0, sizeof(*arg));
	for (i = 0; i < nr; i++) {
		struct ferry_channel *channel = vm->channel[i];

		ferry_ring_add_stats(&channel->ring, arg);
		arg->slept_ns += READ_ONCE(channel->budget.slept);
		/* not the thread's own: an onlooker may come when it has ended */
		arg->cpu_ns += READ_ONCE(channel->budget.used);
		add_codecs(arg, &channel->count);
	}
}

/**
 * ferry_vm_compression_stats() - FERRY_COMPRESSION_STATS
 * @vm: the VM
 * @arg: out
 *
 * Context: Process context. May sleep.
 * Return: 0 or -ENXIO.
 */
int ferry_vm_compression_stats(struct ferry_vm *vm,
			       struct ferry_compression_stats *arg)
{
	int err = 0;

	mutex_lock(&vm->lock);
	if (vm->mm)
		fill_compression_stats(vm, arg);
	else
		err = -ENXIO;
	mutex_unlock(&vm->lock);
	return err;
}

/**
 * ferry_vm_stats() - FERRY_VM_STATS
 * @arg: the command's argument
 *
 * Context: Process context. May sleep.
 * Return: 0 or -ESRCH.
 */
int ferry_vm_stats(struct ferry_vm_stats *arg)
{
	struct ferry_vm *vm;
	int idx;

	idx = ferry_registry_lock();
	vm = ferry_registry_find_pid(&arg->pid);
	if (vm) {
		fill_status(vm, &arg->status);
		fill_group_stats(vm, &arg->group);
		fill_compression_stats(vm, &arg->compression);
	}
	ferry_registry_unlock(idx);
	return vm ? 0 : -ESRCH;
}

static struct ferry_ram *find_ram(const struct ferry_vm *vm, u32 id)
{
	unsigned int i;

	for (i = 0; i < vm->nr_ram; i++)
		if (vm->ram[i]->id == id)
			return vm->ram[i];
	return NULL;
}

static int get_pending(struct ferry_vm *vm, const struct ferry_pending *arg)
{
	struct ferry_ram *ram = find_ram(vm, arg->block);
	unsigned long last;
	int err;

	if (!ram)
		return -ENOENT;
	if (!IS_ALIGNED(arg->first | arg->count, BITS_PER_LONG) ||
	    !arg->count || arg->first > ram->pages ||
	    arg->count > round_up(ram->pages, BITS_PER_LONG) - arg->first)
		return -EINVAL;

	err = scan_begin(vm);
	if (err)
		return err;
	last = min_t(u64, arg->first + arg->count, ram->pages) - 1;
	scan_chunks(vm, ram, arg->first >> FERRY_CHUNK_SHIFT,
		    last >> FERRY_CHUNK_SHIFT);
	mmput(vm->mm);

	if (copy_to_user(u64_to_user_ptr(arg->bitmap),
			 ram->pending + BIT_WORD(arg->first), arg->count / 8))
		return -EFAULT;
	return 0;
}

/**
 * ferry_vm_get_pending() - FERRY_PENDING
 * @vm: the VM
 * @arg: the command's argument
 *
 * Context: Process context. May sleep.
 * Return: 0 or what FERRY_PENDING documents.
 */
int ferry_vm_get_pending(struct ferry_vm *vm, const struct ferry_pending *arg)
{
	int err;

	mutex_lock(&vm->lock);
	err = get_pending(vm, arg);
	mutex_unlock(&vm->lock);
	return err;
}

static void read_cell(struct ferry_ram_chunk *chunk,
		      struct ferry_group_cell *cell)
{
	spin_lock(&chunk->lock);
	*cell = chunk->cell;
	spin_unlock(&chunk->lock);
}

static int get_group_map(struct ferry_vm *vm, const struct ferry_group_map *arg)
{
	struct ferry_group_cell __user *to = u64_to_user_ptr(arg->cells);
	struct ferry_ram *ram = find_ram(vm, arg->block);
	u64 i;

	if (!ram)
		return -ENOENT;
	if (!arg->count || arg->first > ferry_ram_chunks(ram) ||
	    arg->count > ferry_ram_chunks(ram) - arg->first)
		return -EINVAL;

	for (i = 0; i < arg->count; i++) {
		struct ferry_group_cell cell;

		read_cell(&ram->chunk[arg->first + i], &cell);
		if (copy_to_user(&to[i], &cell, sizeof(cell)))
			return -EFAULT;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/**
 * ferry_vm_get_group_map() - FERRY_GROUP_MAP
 * @vm: the VM
 * @arg: the command's argument
 *
 * Context: Process context. May sleep.
 * Return: 0 or what FERRY_GROUP_MAP documents.
 */
int ferry_vm_get_group_map(struct ferry_vm *vm, const struct ferry_group_map *arg)
{
	int err;

	mutex_lock(&vm->lock);
	err = get_group_map(vm, arg);
	mutex_unlock(&vm->lock);
	return err;
}

/* Reads all of a block as it is now. */
static int digest_now(const struct ferry_ram *ram, struct ferry_hasher *hasher,
		      void *page, struct ferry_hash *digest)
{
	unsigned long i;

	memset(digest, 0, sizeof(*digest));
	for (i = 0; i < ram->pages; i++) {
		struct ferry_hash hash;
		struct ferry_refs refs;
		int ret;

		ret = ferry_ram_read(ram, i, page, &refs);
		if (ret < 0)
			return ret;
		if (!ret || !memchr_inv(page, 0, PAGE_SIZE))
			continue;
		ret = ferry_hash_page(hasher, ram->id, i, page, &hash);
		if (ret)
			return ret;
		ferry_hash_xor(digest, &hash);

		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static int digest_full(struct ferry_vm *vm, const struct ferry_ram *ram,
		       struct ferry_hash *digest)
{
	struct ferry_hasher *hasher = ferry_hasher_new(vm->key);
	void *page = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	int err = -ENOMEM;

	if (hasher && page)
		err = digest_now(ram, hasher, page, digest);
	free_page((unsigned long)page);
	ferry_hasher_free(hasher);
	return err;
}

static int get_digest(struct ferry_vm *vm, struct ferry_digest *arg)
{
	struct ferry_ram *ram = find_ram(vm, arg->block);
	struct ferry_hash digest;
	int err = 0;

	if (!ram)
		return -ENOENT;
	if (atomic_read(&vm->running))
		return -EBUSY;

	if (arg->flags & FERRY_DIGEST_FULL)
		err = digest_full(vm, ram, &digest);
	else
		ferry_ram_digest(ram, &digest);
	if (!err)
		memcpy(arg->digest, &digest, sizeof(arg->digest));
	return err;
}

/**
 * ferry_vm_get_digest() - FERRY_DIGEST
 * @vm: the VM
 * @arg: the command's argument; @arg->digest is set
 *
 * Context: Process context. May sleep, and take seconds for a full one.
 * Return: 0 or what FERRY_DIGEST documents.
 */
int ferry_vm_get_digest(struct ferry_vm *vm, struct ferry_digest *arg)
{
	int err;

	mutex_lock(&vm->lock);
	err = get_digest(vm, arg);
	mutex_unlock(&vm->lock);
	return err;
}
