/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The VM of fuzz-source.c and fuzz-target.c, as their seeds know it.
 */
#ifndef KVMFERRY_FUZZ_VM_H
#define KVMFERRY_FUZZ_VM_H

/* Two RAM blocks: a chunk and a bit, and less than one. */
#define FUZZ_RAM0		"ram0"
#define FUZZ_RAM0_SIZE		0x210000ul
#define FUZZ_RAM1		"ram1"
#define FUZZ_RAM1_SIZE		0x10000ul

#define FUZZ_DISK		"/machine/disk"
#define FUZZ_DISK_SECTORS	2048ul

#define FUZZ_ID			"0123456789abcde"	/* of the migration, with its NUL */

#endif /* KVMFERRY_FUZZ_VM_H */
