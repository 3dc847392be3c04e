/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the pure parts of the module need of the kernel's headers, for user space:
 * the compiler finds these in place of the kernel's with -I selftests/lib/kernel.
 */
#ifndef KVMFERRY_LIB_LINUX_TYPES_H
#define KVMFERRY_LIB_LINUX_TYPES_H

#include_next <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;

#endif /* KVMFERRY_LIB_LINUX_TYPES_H */
