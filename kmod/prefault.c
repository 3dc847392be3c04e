// SPDX-License-Identifier: GPL-2.0-only
/*
 * Back end prefault: KVM_PRE_FAULT_MEMORY. See backend.h.
 *
 * The ioctl wants its argument in the VMM's memory. So each VM gets an anonymous mapping
 * in which each of its vCPUs has a place, made at the first fault and unmapped when the VM
 * is let go of.
 *
 * KVM may spin in it. When a memory slot goes, KVM's page tables are made obsolete, and
 * every vCPU is requested to leave them before it enters the guest again. Up to here
 * (6.12) KVM_PRE_FAULT_MEMORY does not leave them, and tries again until a signal is
 * pending. It holds kvm->srcu meanwhile, for which whoever removes the slot is
 * waiting: QEMU's main thread, with its big lock. So there is a deadline, after which
 * we pretend that there is a signal.
 */

#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "backend.h"
#include "fault.h"
#include "vm.h"

#ifdef KVM_PRE_FAULT_MEMORY

#define SCRATCH_SIZE	(64ul << 10)
#define SCRATCH_PLACES	(SCRATCH_SIZE / sizeof(struct kvm_pre_fault_memory))

/* Longer than it takes to map a chunk. */
#define DEADLINE_MS	20

/* A vCPU's file is found by what it is and whose; its name is for userspace. */
struct search {
	const struct kvm_vcpu *vcpu;
	struct file **found;
};

static int look_at_file(const void *context, struct file *file, unsigned int fd)
{
	const struct search *search = context;

	/* Its file of statistics has the same private data, but no mmap(). */
	if (file->private_data != search->vcpu || !file->f_op->unlocked_ioctl ||
	    !file->f_op->mmap ||
	    strncmp(file->f_path.dentry->d_name.name, "kvm-vcpu", 8))
		return 0;
	*search->found = get_file(file);
	return 1;
}

/* The thread's own files: no other process can run this vCPU. */
static struct file *find_file(const struct kvm_vcpu *vcpu)
{
	struct file *found = NULL;
	struct search search = { .vcpu = vcpu, .found = &found };

	iterate_fd(current->files, 0, look_at_file, &search);
	return found;
}

static bool hold(void)
{
	return true;
}

static void release(void)
{
}

static bool enter(struct ferry_site *site)
{
	site->file = find_file(site->vcpu);
	if (!site->file)
		return false;
	/*
	 * Should KVM_RUN be under way after all, to wait for it is to wait for us. Of
	 * obsolete page tables it is better not to wait for the deadline.
	 */
	if (!mutex_is_locked(&site->vcpu->mutex) &&
	    !kvm_test_request(KVM_REQ_MMU_FREE_OBSOLETE_ROOTS, site->vcpu))
		return true;
	fput(site->file);
	return false;
}

static void leave(struct ferry_site *site)
{
	fput(site->file);
}

static unsigned long make_scratch(struct ferry_vm *vm)
{
	unsigned long address, other;

	address = vm_mmap(NULL, 0, SCRATCH_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, 0);
	if (IS_ERR_VALUE(address))
		return 0;
	other = cmpxchg(&vm->scratch, 0, address);
	if (!other)
		return address;
	vm_munmap(address, SCRATCH_SIZE);
	return other;
}

static struct kvm_pre_fault_memory __user *
find_place(const struct ferry_site *site)
{
	unsigned long scratch = READ_ONCE(site->vm->scratch);
	unsigned int number = site->vcpu->vcpu_idx;

	if (number >= SCRATCH_PLACES)
		return NULL;
	if (!scratch)
		scratch = make_scratch(site->vm);
	return scratch ? (struct kvm_pre_fault_memory __user *)scratch + number :
			 NULL;
}

/* Returns how many pages from the first on KVM has mapped. */
static unsigned long map_run(const struct ferry_site *site,
			     struct kvm_pre_fault_memory __user *place,
			     unsigned long first, unsigned long pages)
{
	u64 size = pages << PAGE_SHIFT;
	struct kvm_pre_fault_memory range = {
		.gpa = gfn_to_gpa(site->gfn + first),
		.size = size,
	};

	if (copy_to_user(place, &range, sizeof(range)) ||
	    site->file->f_op->unlocked_ioctl(site->file, KVM_PRE_FAULT_MEMORY,
					     (unsigned long)place) ||
	    copy_from_user(&range, place, sizeof(range)) || range.size > size)
		return 0;
	return (size - range.size) >> PAGE_SHIFT;
}

static unsigned long map_runs(const struct ferry_site *site,
			      struct kvm_pre_fault_memory __user *place,
			      struct ferry_chunk_set *set)
{
	unsigned long first, end, mapped = 0;

	for_each_set_bitrange(first, end, set->page, FERRY_CHUNK_PAGES) {
		unsigned long pages = map_run(site, place, first, end - first);

		bitmap_clear(set->page, first, pages);
		mapped += pages;
		if (pages < end - first)
			break;
	}
	return mapped;
}

struct deadline {
	struct timer_list timer;
	struct task_struct *task;
};

/*
 * The task is running, there is nobody to wake. It forgets this on its way out of the
 * kernel, which is where it is.
 */
static void deadline_passed(struct timer_list *timer)
{
	struct deadline *deadline = container_of(timer, struct deadline, timer);

	set_tsk_thread_flag(deadline->task, TIF_NOTIFY_SIGNAL);
}

static unsigned long map(const struct ferry_site *site,
			 struct ferry_chunk_set *set)
{
	struct kvm_pre_fault_memory __user *place = find_place(site);
	struct deadline *deadline;
	unsigned long mapped;

	if (!place)
		return 0;
	deadline = kmalloc(sizeof(*deadline), GFP_KERNEL);
	if (!deadline)
		return 0;

	deadline->task = current;
	timer_setup(&deadline->timer, deadline_passed, 0);
	if (!ferry_fault(FERRY_FAULT_PREFAULT_PATIENT))
		mod_timer(&deadline->timer,
			  jiffies + msecs_to_jiffies(DEADLINE_MS));
	mapped = map_runs(site, place, set);
	timer_delete_sync(&deadline->timer);
	kfree(deadline);
	return mapped;
}

struct unmapping {
	struct work_struct work;
	struct ferry_vm *vm;
};

static void unmap_scratch(struct work_struct *work)
{
	struct ferry_vm *vm = container_of(work, struct unmapping, work)->vm;

	kthread_use_mm(vm->mm);
	vm_munmap(vm->scratch, SCRATCH_SIZE);
	kthread_unuse_mm(vm->mm);
}

/* Only a kernel thread can borrow the VM's address space. */
static void forget(struct ferry_vm *vm)
{
	struct unmapping unmapping = { .vm = vm };

	if (!vm->scratch || !mmget_not_zero(vm->mm))
		return;
	INIT_WORK_ONSTACK(&unmapping.work, unmap_scratch);
	schedule_work(&unmapping.work);
	flush_work(&unmapping.work);
	destroy_work_on_stack(&unmapping.work);
	mmput(vm->mm);
}

const struct ferry_backend ferry_backend_prefault = {
	.id = FERRY_BACKEND_PREFAULT,
	.notify = TWA_SIGNAL,
	.hold = hold,
	.release = release,
	.enter = enter,
	.leave = leave,
	.map = map,
	.forget = forget,
};

#endif /* KVM_PRE_FAULT_MEMORY */
