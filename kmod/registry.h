/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All VMs that are attached. No process is followed twice; and who only knows an
 * address space, or a process, finds its VM here.
 */
#ifndef FERRY_REGISTRY_H
#define FERRY_REGISTRY_H

#include <linux/types.h>

struct ferry_vm;
struct mm_struct;

int ferry_registry_add(struct ferry_vm *vm, struct mm_struct *mm, pid_t pid);
void ferry_registry_remove(struct ferry_vm *vm);

int ferry_registry_lock(void);
void ferry_registry_unlock(int idx);
struct ferry_vm *ferry_registry_find(const struct mm_struct *mm);
struct ferry_vm *ferry_registry_find_pid(pid_t *pid);

#endif /* FERRY_REGISTRY_H */
