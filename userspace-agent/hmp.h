/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading what QEMU's human monitor prints. Pure functions of a text.
 *
 * There is no other way to ask QEMU for its RAM blocks. The texts are for people,
 * so these readers take what they need from a line and ignore the rest of it:
 * newer QEMUs add columns.
 */
#ifndef KVMFERRY_HMP_H
#define KVMFERRY_HMP_H

#include <stdbool.h>
#include <stdint.h>

#define HMP_NAME_SIZE	256	/* of QEMU's block ids, and enough for QOM paths */

/* A line of `info ramblock`. Bytes. */
struct hmp_ramblock {
	char name[HMP_NAME_SIZE];
	uint64_t used;
	uint64_t total;
};

/**
 * hmp_next_ramblock - the next RAM block
 * @text:	where to read on; advanced
 *
 * Returns false at the end of the text.
 */
bool hmp_next_ramblock(const char **text, struct hmp_ramblock *block);

/* A range of guest addresses in `info mtree -f -o`. Bytes; both ends included. */
struct hmp_range {
	uint64_t first;
	uint64_t last;
	uint64_t offset;		/* of @first in its memory region */
	char owner[HMP_NAME_SIZE];	/* QOM path of the region's owner */
};

/* The way through `info mtree -f -o`. Begin with { .text = TEXT }. */
struct hmp_mtree {
	const char *text;
	bool system;			/* inside the view that gpa2hva uses */
};

/**
 * hmp_next_range - the next range of writable RAM that has an owner
 *
 * Only in the address space "memory", which is the one of `gpa2hva`.
 * Returns false at the end of the text.
 */
bool hmp_next_range(struct hmp_mtree *mtree, struct hmp_range *range);

/* The address in the answer of `gpa2hva`; false if it is an error message. */
bool hmp_host_address(const char *text, uint64_t *address);

#endif /* KVMFERRY_HMP_H */
