// SPDX-License-Identifier: GPL-2.0-only
/* The list of attached VMs. See registry.h. */

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/rculist.h>
#include <linux/sched/mm.h>
#include <linux/srcu.h>

#include "registry.h"
#include "vm.h"

/* Read under @registry_lock; or under @registry_srcu, as a guest's faults are. */
static LIST_HEAD(registry);
static DEFINE_MUTEX(registry_lock);	/* protects changes of @registry */
DEFINE_STATIC_SRCU(registry_srcu);

/**
 * ferry_registry_add() - Let a VM be found
 * @vm: the VM; gets @vm->mm and @vm->pid, with a reference to each
 * @mm: its address space
 * @pid: its process, in the caller's pid namespace
 *
 * Context: Process context. May sleep.
 * Return: 0, or -EBUSY when this address space has a VM already.
 */
int ferry_registry_add(struct ferry_vm *vm, struct mm_struct *mm, pid_t pid)
{
	struct ferry_vm *other;
	int err = 0;

	mutex_lock(&registry_lock);
	list_for_each_entry(other, &registry, node)
		if (other->mm == mm)
			err = -EBUSY;
	if (!err) {
		mmgrab(mm);
		vm->mm = mm;
		vm->pid = find_get_pid(pid);
		list_add_rcu(&vm->node, &registry);
	}
	mutex_unlock(&registry_lock);
	return err;
}

/**
 * ferry_registry_remove() - Undo ferry_registry_add(), but for the references
 * @vm: the VM
 *
 * On return nobody finds the VM, and nobody who had found it is left.
 *
 * Context: Process context, not under ferry_registry_lock(). Sleeps.
 */
void ferry_registry_remove(struct ferry_vm *vm)
{
	mutex_lock(&registry_lock);
	list_del_rcu(&vm->node);
	mutex_unlock(&registry_lock);
	synchronize_srcu(&registry_srcu);
}

/**
 * ferry_registry_lock() - Keep every VM that may be found
 *
 * Context: Any but NMI.
 * Return: what to give to ferry_registry_unlock().
 */
int ferry_registry_lock(void)
	__acquires(&registry_srcu)
{
	return srcu_read_lock(&registry_srcu);
}

/**
 * ferry_registry_unlock() - Undo ferry_registry_lock()
 * @idx: what that returned
 *
 * Context: Any but NMI.
 */
void ferry_registry_unlock(int idx)
	__releases(&registry_srcu)
{
	srcu_read_unlock(&registry_srcu, idx);
}

/**
 * ferry_registry_find() - Find the VM that an address space belongs to
 * @mm: the address space
 *
 * Context: Any, under ferry_registry_lock().
 * Return: the VM or NULL.
 */
struct ferry_vm *ferry_registry_find(const struct mm_struct *mm)
{
	struct ferry_vm *vm;

	list_for_each_entry_srcu(vm, &registry, node,
				 srcu_read_lock_held(&registry_srcu))
		if (vm->mm == mm)
			return vm;
	return NULL;
}

/**
 * ferry_registry_find_pid() - Find the VM with this process id or the next higher one
 * @pid: the id in the caller's pid namespace; out: that of the VM found
 *
 * Context: Process context, under ferry_registry_lock().
 * Return: the VM or NULL.
 */
struct ferry_vm *ferry_registry_find_pid(pid_t *pid)
{
	struct ferry_vm *vm, *found = NULL;
	pid_t best = 0;

	list_for_each_entry_srcu(vm, &registry, node,
				 srcu_read_lock_held(&registry_srcu)) {
		pid_t id = pid_vnr(vm->pid);

		/* 0: a process that the caller's namespace does not know */
		if (!id || id < *pid || (found && id > best))
			continue;
		found = vm;
		best = id;
	}
	if (found)
		*pid = best;
	return found;
}
