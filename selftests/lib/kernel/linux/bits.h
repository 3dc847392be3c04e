/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Single bits, as in the kernel. */
#ifndef KVMFERRY_LIB_LINUX_BITS_H
#define KVMFERRY_LIB_LINUX_BITS_H

#define BITS_PER_LONG		((int)(8 * sizeof(long)))
#define BITS_TO_LONGS(n)	(((n) + BITS_PER_LONG - 1) / BITS_PER_LONG)
#define BIT(n)			(1UL << (n))
#define BIT_ULL(n)		(1ULL << (n))
#define BIT_WORD(n)		((n) / BITS_PER_LONG)
#define BIT_MASK(n)		(1UL << ((n) % BITS_PER_LONG))

#endif /* KVMFERRY_LIB_LINUX_BITS_H */
