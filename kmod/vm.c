// SPDX-License-Identifier: GPL-2.0-only
/* One migrating VM: its life, its MMU notifier, its passes. See vm.h. */

#include <linux/kthread.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "attach.h"
#include "channel.h"
#include "codec.h"
#include "fault.h"
#include "hash.h"
#include "mapping.h"
#include "ram.h"
#include "registry.h"
#include "vm.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

#define DEFAULT_READ_ORDER	FERRY_GROUP_MAX_ORDER

/* How many channels there are, for those without vm->lock. */
static unsigned int channels_made(struct ferry_vm *vm)
{
	/* pairs with the release in add_channel() */
	return smp_load_acquire(&vm->nr_channels);
}

/**
 * ferry_vm_lose() - Remember that the VM can no longer be followed
 * @vm: the VM
 * @err: why, a negative errno; the first one counts
 *
 * Context: Any.
 */
void ferry_vm_lose(struct ferry_vm *vm, int err)
{
	unsigned int i, nr = channels_made(vm);

	if (cmpxchg(&vm->lost, 0, err))
		return;
	trace_ferry_lost(err);
	for (i = 0; i < nr; i++)
		wake_up(&vm->channel[i]->ring.writable);
	wake_up_interruptible(&vm->end);
}

/* Is this thread one of our workers, in the middle of protecting? */
static bool is_ours(struct ferry_vm *vm)
{
	unsigned int i, nr = channels_made(vm);

	for (i = 0; i < nr; i++)
		if (vm->channel[i]->worker == current)
			return READ_ONCE(vm->channel[i]->protecting);
	return false;
}

/* The part of a range of addresses that shows this block becomes pending. */
static unsigned long mark_foreign(struct ferry_ram *ram, unsigned long start,
				  unsigned long end)
{
	unsigned long ram_end = ram->address + (ram->pages << PAGE_SHIFT);
	unsigned long first, last;

	start = max(start, ram->address);
	end = min(end, ram_end);
	if (start >= end)
		return 0;
	first = (start - ram->address) >> PAGE_SHIFT;
	last = (end - 1 - ram->address) >> PAGE_SHIFT;
	ferry_ram_mark(ram, first, last);
	return last - first + 1;
}

static unsigned long foreign(struct ferry_vm *vm,
			     const struct mmu_notifier_range *range)
{
	/* pairs with the release in add_ram(): a block before its count */
	unsigned int i, nr = smp_load_acquire(&vm->nr_ram);
	unsigned long pages = 0;

	if (is_ours(vm) || ferry_fault(FERRY_FAULT_FOREIGN_BLIND))
		return 0;
	for (i = 0; i < nr; i++)
		pages += mark_foreign(vm->ram[i], range->start, range->end);
	if (pages)
		trace_ferry_foreign(range->start, range->end, range->event,
				    pages);
	return pages;
}

static int notifier_start(struct mmu_notifier *notifier,
			  const struct mmu_notifier_range *range)
{
	struct ferry_vm *vm = container_of(notifier, struct ferry_vm, notifier);

	atomic64_add(foreign(vm, range), &vm->foreign);
	return 0;
}

static void notifier_end(struct mmu_notifier *notifier,
			 const struct mmu_notifier_range *range)
{
	foreign(container_of(notifier, struct ferry_vm, notifier), range);
}

static void notifier_release(struct mmu_notifier *notifier,
			     struct mm_struct *mm)
{
	ferry_vm_lose(container_of(notifier, struct ferry_vm, notifier),
		      -ESRCH);
}

static const struct mmu_notifier_ops notifier_ops = {
	.release = notifier_release,
	.invalidate_range_start = notifier_start,
	.invalidate_range_end = notifier_end,
};

/**
 * ferry_vm_create() - Make a VM that is not attached yet
 *
 * Context: Process context. May sleep.
 * Return: the VM or NULL.
 */
struct ferry_vm *ferry_vm_create(void)
{
	struct ferry_vm *vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);

	if (!vm)
		return NULL;
	vm->group.policy = FERRY_GROUP_DYNAMIC;
	vm->read_order = DEFAULT_READ_ORDER;
	ferry_limiter_init(&vm->limiter);
	mutex_init(&vm->lock);
	INIT_LIST_HEAD(&vm->node);
	init_waitqueue_head(&vm->begin);
	init_waitqueue_head(&vm->end);
	init_waitqueue_head(&vm->protected);
	return vm;
}

/**
 * ferry_vm_find_page() - Find the page that a VM has at an address
 * @vm: the VM
 * @address: in the VM's address space, bytes
 * @page: out: number of the page in its block
 *
 * Context: Any.
 * Return: the block, NULL if nothing there is followed.
 */
struct ferry_ram *ferry_vm_find_page(struct ferry_vm *vm, unsigned long address,
				     unsigned long *page)
{
	/* pairs with the release in add_ram(): a block before its count */
	unsigned int i, nr = smp_load_acquire(&vm->nr_ram);

	for (i = 0; i < nr; i++) {
		struct ferry_ram *ram = vm->ram[i];

		*page = (address - ram->address) >> PAGE_SHIFT;
		if (address >= ram->address && *page < ram->pages)
			return ram;
	}
	return NULL;
}

static void put_mm(struct ferry_vm *vm)
{
	put_pid(vm->pid);
	mmdrop(vm->mm);
	vm->mm = NULL;
}

static int attach(struct ferry_vm *vm, struct mm_struct *mm,
		  const struct ferry_attach *arg)
{
	int err;

	ferry_ladder_make(&vm->ladder, arg->codecs);
	vm->key = ferry_hash_key_new(arg->key);
	if (IS_ERR(vm->key))
		return PTR_ERR(vm->key);

	ferry_unprotect_hook();
	err = ferry_registry_add(vm, mm, arg->pid);
	if (err)
		goto err_hook;

	vm->notifier.ops = &notifier_ops;
	err = mmu_notifier_register(&vm->notifier, mm);
	if (err)
		goto err_registry;

	if (ferry_fault(FERRY_FAULT_ATTACH_NOMEM)) {
		err = -ENOMEM;
		goto err_notifier;
	}
	return 0;

err_notifier:
	mmu_notifier_unregister(&vm->notifier, mm);
	/* That called ->release(), but nothing was lost: nothing was begun. */
	WRITE_ONCE(vm->lost, 0);
err_registry:
	ferry_registry_remove(vm);
	put_mm(vm);
err_hook:
	ferry_unprotect_unhook();
	ferry_hash_key_free(vm->key);
	return err;
}

/**
 * ferry_vm_attach() - FERRY_ATTACH
 * @vm: the VM
 * @arg: the command's argument
 *
 * Context: Process context. May sleep.
 * Return: 0 or what FERRY_ATTACH documents.
 */
int ferry_vm_attach(struct ferry_vm *vm, const struct ferry_attach *arg)
{
	struct mm_struct *mm;
	int err;

	if (!arg->codecs || arg->codecs & ~ferry_codecs_available())
		return -EOPNOTSUPP;

	mm = ferry_attach_mm(arg->pid, arg->mem_fd);
	if (IS_ERR(mm))
		return PTR_ERR(mm);

	mutex_lock(&vm->lock);
	err = vm->mm ? -EBUSY : attach(vm, mm, arg);
	mutex_unlock(&vm->lock);
	mmput(mm);
	return err;
}

/* The list of blocks may grow: attached, and no pass has begun. */
static int may_add(struct ferry_vm *vm)
{
	lockdep_assert_held(&vm->lock);

	if (!vm->mm)
		return -ENXIO;
	if (vm->pass)
		return -EBUSY;
	return 0;
}

static bool ram_collides(const struct ferry_vm *vm, const struct ferry_ram *ram)
{
	unsigned int i;

	for (i = 0; i < vm->nr_ram; i++) {
		const struct ferry_ram *other = vm->ram[i];

		if (other->id == ram->id)
			return true;
		if (other->mapping == ram->mapping &&
		    other->index < ram->index + ram->pages &&
		    ram->index < other->index + other->pages)
			return true;
	}
	return false;
}

static int check_mapping(struct ferry_vm *vm, const struct ferry_ram *ram)
{
	int err = 0;

	if (!mmget_not_zero(vm->mm))
		return -ESRCH;
	if (!ferry_fault(FERRY_FAULT_MAPPING_BLIND))
		err = ferry_mapping_check(vm->mm, ram);
	mmput(vm->mm);
	return err;
}

static unsigned long count_chunks(const struct ferry_vm *vm)
{
	const struct ferry_ram *last;

	if (!vm->nr_ram)
		return 0;
	last = vm->ram[vm->nr_ram - 1];
	return last->first_chunk + ferry_ram_chunks(last);
}

static int add_ram(struct ferry_vm *vm, const struct ferry_add_ram *arg)
{
	struct ferry_ram *ram;
	int err;

	err = may_add(vm);
	if (err)
		return err;
	if (vm->nr_ram == FERRY_MAX_RAM)
		return -E2BIG;

	ram = ferry_ram_create(arg);
	if (IS_ERR(ram))
		return PTR_ERR(ram);

	err = ram_collides(vm, ram) ? -EEXIST : check_mapping(vm, ram);
	if (!err && ferry_fault(FERRY_FAULT_RAM_NOMEM))
		err = -ENOMEM;
	if (err) {
		ferry_ram_destroy(ram);
		return err;
	}

	ram->first_chunk = count_chunks(vm);
	vm->ram[vm->nr_ram] = ram;
	/* The notifier may look at any time: the block before its count. */
	smp_store_release(&vm->nr_ram, vm->nr_ram + 1);
	return 0;
}

/**
 * ferry_vm_add_ram() - FERRY_ADD_RAM
 * @vm: the VM
 * @arg: the command's argument
 *
 * Context: Process context. May sleep.
 * Return: 0 or what FERRY_ADD_RAM documents.
 */
int ferry_vm_add_ram(struct ferry_vm *vm, const struct ferry_add_ram *arg)
{
	int err;

	if (arg->id >= FERRY_MAX_RAM)
		return -E2BIG;

	mutex_lock(&vm->lock);
	err = add_ram(vm, arg);
	mutex_unlock(&vm->lock);
	return err;
}

static int add_channel(struct ferry_vm *vm, u64 size)
{
	struct ferry_channel *channel;
	int ret;

	ret = may_add(vm);
	if (ret)
		return ret;
	if (vm->nr_channels == FERRY_MAX_CHANNELS)
		return -E2BIG;

	channel = ferry_channel_create(vm, vm->nr_channels, size);
	if (IS_ERR(channel))
		return PTR_ERR(channel);

	ret = ferry_channel_open_fd(channel);
	if (ret < 0) {
		ferry_channel_halt(channel);
		ferry_channel_destroy(channel);
		return ret;
	}
	vm->channel[vm->nr_channels] = channel;
	/* The notifier may look at any time: the channel before its count. */
	smp_store_release(&vm->nr_channels, vm->nr_channels + 1);
	return ret;
}

/**
 * ferry_vm_add_channel() - FERRY_ADD_CHANNEL
 * @vm: the VM
 * @arg: the command's argument
 *
 * Context: Process context. May sleep.
 * Return: a file descriptor or what FERRY_ADD_CHANNEL documents.
 */
int ferry_vm_add_channel(struct ferry_vm *vm,
			 const struct ferry_add_channel *arg)
{
	int ret;

	mutex_lock(&vm->lock);
	ret = add_channel(vm, arg->size);
	mutex_unlock(&vm->lock);
	return ret;
}

/**
 * ferry_vm_check() - Are all blocks still mapped as they were?
 * @vm: the VM
 *
 * If not, tracking is lost: a scan would call clean what it can no longer see.
 *
 * Context: Process context, under vm->lock. May sleep.
 * Return: 0 or -ENODATA.
 */
int ferry_vm_check(struct ferry_vm *vm)
{
	unsigned int i;
	int err = 0;

	lockdep_assert_held(&vm->lock);

	for (i = 0; i < vm->nr_ram && !err; i++)
		err = check_mapping(vm, vm->ram[i]);
	if (err)
		ferry_vm_lose(vm, err);
	return ferry_vm_lost(vm) ? -ENODATA : 0;
}

/* The backlog that a pass has met decides what the next one may open. */
static void begin_groups(struct ferry_vm *vm)
{
	u64 taken = 0, backlog;
	unsigned int i;

	for (i = 0; i < vm->nr_channels; i++)
		taken += READ_ONCE(vm->channel[i]->count.taken);
	backlog = taken - vm->taken;
	/* Before the first pass, everything is. */
	for (i = 0; i < vm->nr_ram && !vm->pass; i++)
		backlog += vm->ram[i]->pages;
	ferry_group_begin_pass(&vm->group, backlog);
	vm->taken = taken;
}

static int begin_pass(struct ferry_vm *vm, u32 flags)
{
	lockdep_assert_held(&vm->lock);

	if (!vm->nr_ram || !vm->nr_channels)
		return -ENXIO;
	if (ferry_vm_lost(vm))
		return -ENODATA;
	if (atomic_read(&vm->running))
		return -EBUSY;
	if (ferry_vm_check(vm))
		return -ENODATA;

	trace_ferry_pass(vm->pass + 1, flags);
	begin_groups(vm);
	vm->pass_flags = flags;
	atomic_set(&vm->running, vm->nr_channels);
	/* pairs with ferry_vm_pass() */
	smp_store_release(&vm->pass, vm->pass + 1);
	wake_up_all(&vm->begin);
	return 0;
}

/**
 * ferry_vm_begin_pass() - FERRY_PASS
 * @vm: the VM
 * @arg: the command's argument; @arg->pass is set
 *
 * Context: Process context. May sleep.
 * Return: 0 or what FERRY_PASS documents.
 */
int ferry_vm_begin_pass(struct ferry_vm *vm, struct ferry_pass *arg)
{
	int err;

	mutex_lock(&vm->lock);
	err = begin_pass(vm, arg->flags);
	arg->pass = vm->pass;
	mutex_unlock(&vm->lock);
	return err;
}

/**
 * ferry_vm_set_group() - FERRY_GROUP
 * @vm: the VM
 * @arg: the command's argument
 *
 * Context: Process context. May sleep.
 * Return: 0 or what FERRY_GROUP documents.
 */
int ferry_vm_set_group(struct ferry_vm *vm, const struct ferry_group *arg)
{
	int err = 0;

	if (arg->policy > FERRY_GROUP_DYNAMIC ||
	    arg->order > FERRY_GROUP_MAX_ORDER ||
	    (arg->order && arg->policy != FERRY_GROUP_STATIC) ||
	    arg->read_order > FERRY_GROUP_MAX_ORDER)
		return -EINVAL;

	mutex_lock(&vm->lock);
	if (vm->mm) {
		WRITE_ONCE(vm->group.policy, arg->policy);
		WRITE_ONCE(vm->group.order, arg->order);
		WRITE_ONCE(vm->group.floor, arg->floor);
		WRITE_ONCE(vm->read_order, arg->read_order);
		WRITE_ONCE(vm->resend, arg->flags & FERRY_GROUP_RESEND);
	} else {
		err = -ENXIO;
	}
	mutex_unlock(&vm->lock);
	return err;
}

/**
 * ferry_vm_set_limit() - FERRY_LIMIT
 * @vm: the VM
 * @arg: the command's argument
 *
 * Context: Process context. May sleep.
 * Return: 0 or what FERRY_LIMIT documents.
 */
int ferry_vm_set_limit(struct ferry_vm *vm, const struct ferry_limit *arg)
{
	int err = 0;

	if (arg->max_slowdown > FERRY_LIMIT_MAX_SLOWDOWN ||
	    !arg->max_slowdown != !arg->pages_per_s)
		return -EINVAL;

	mutex_lock(&vm->lock);
	if (!vm->mm)
		err = -ENXIO;
	else if (ferry_unprotect_backend() == FERRY_BACKEND_NONE)
		err = -EOPNOTSUPP;
	else
		ferry_limiter_set(&vm->limiter, arg->pages_per_s,
				  arg->max_slowdown);
	mutex_unlock(&vm->lock);
	return err;
}

/**
 * ferry_vm_set_workers() - FERRY_WORKERS
 * @vm: the VM
 * @arg: the command's argument
 *
 * Context: Process context. May sleep.
 * Return: 0 or what FERRY_WORKERS documents.
 */
int ferry_vm_set_workers(struct ferry_vm *vm, const struct ferry_workers *arg)
{
	unsigned int i;
	int err = 0;

	if (arg->nice < MIN_NICE || arg->nice > MAX_NICE)
		return -EINVAL;

	mutex_lock(&vm->lock);
	if (vm->mm) {
		WRITE_ONCE(vm->cpu_limit, arg->cpu_limit);
		vm->nice = arg->nice;
		for (i = 0; i < vm->nr_channels; i++)
			set_user_nice(vm->channel[i]->worker, arg->nice);
	} else {
		err = -ENXIO;
	}
	mutex_unlock(&vm->lock);
	return err;
}

/**
 * ferry_vm_channel_done() - A channel has finished its part of the pass
 * @vm: the VM
 *
 * Context: Process context, a worker.
 */
void ferry_vm_channel_done(struct ferry_vm *vm)
{
	if (atomic_dec_and_test(&vm->running))
		wake_up_interruptible(&vm->end);
}

/**
 * ferry_vm_pass_ended() - Is there a pass behind us and none under way?
 * @vm: the VM
 *
 * Context: Any.
 */
bool ferry_vm_pass_ended(struct ferry_vm *vm)
{
	return ferry_vm_pass(vm) && !atomic_read(&vm->running);
}

/**
 * ferry_vm_destroy() - Let go of the VM, in the order that vm.h gives
 * @vm: the VM; no command is running and none will come
 *
 * Context: Process context. May sleep.
 */
void ferry_vm_destroy(struct ferry_vm *vm)
{
	unsigned int i, nr = vm->nr_channels;

	/*
	 * Every worker first, then the notifier: it looks through the channels,
	 * so none may be freed before it is gone.
	 */
	for (i = 0; i < nr; i++)
		ferry_channel_halt(vm->channel[i]);
	if (vm->mm) {
		ferry_limiter_set(&vm->limiter, 0, 0);
		ferry_registry_remove(vm);
		ferry_unprotect_forget(vm);
		ferry_unprotect_unhook();
		mmu_notifier_unregister(&vm->notifier, vm->mm);
	}

	for (i = 0; i < nr; i++)
		ferry_channel_destroy(vm->channel[i]);
	for (i = 0; i < vm->nr_ram; i++)
		ferry_ram_destroy(vm->ram[i]);
	if (vm->mm) {
		put_mm(vm);
		ferry_hash_key_free(vm->key);
	}
	mutex_destroy(&vm->lock);
	kfree(vm);
}
