/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What fuzz-qmp.c and its seeds agree upon.
 */
#ifndef KVMFERRY_FUZZ_QMP_H
#define KVMFERRY_FUZZ_QMP_H

/* Where the "VM's" RAM is mapped, far from what the sanitizer uses, and its bytes. */
#define FUZZ_QMP_RAM		0x200000000000ul
#define FUZZ_QMP_RAM_SIZE	0x200000ul

#endif /* KVMFERRY_FUZZ_QMP_H */
