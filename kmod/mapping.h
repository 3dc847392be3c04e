/* SPDX-License-Identifier: GPL-2.0-only */
/* How a RAM block is mapped: by the VM, once, shared and writable? */
#ifndef FERRY_MAPPING_H
#define FERRY_MAPPING_H

struct ferry_ram;
struct mm_struct;

int ferry_mapping_check(struct mm_struct *mm, const struct ferry_ram *ram);

#endif /* FERRY_MAPPING_H */
