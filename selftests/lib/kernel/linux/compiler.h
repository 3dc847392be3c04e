/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Accesses that the compiler may not tear or repeat. */
#ifndef KVMFERRY_LIB_LINUX_COMPILER_H
#define KVMFERRY_LIB_LINUX_COMPILER_H

#define READ_ONCE(x)		(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, value)	(*(volatile __typeof__(x) *)&(x) = (value))

#endif /* KVMFERRY_LIB_LINUX_COMPILER_H */
