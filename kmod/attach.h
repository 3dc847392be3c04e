/* SPDX-License-Identifier: GPL-2.0-only */
/* Who is the VM: finding its address space, with the right to. */
#ifndef FERRY_ATTACH_H
#define FERRY_ATTACH_H

#include <linux/types.h>

struct mm_struct;

struct mm_struct *ferry_attach_mm(pid_t pid, int mem_fd);

#endif /* FERRY_ATTACH_H */
