/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where in RAM the groups of a pass were opened, as one line of the log: a character for
 * each of at most HEAT_COLUMNS equal parts of RAM, however much RAM there is.
 */
#ifndef KVMFERRY_HEAT_H
#define KVMFERRY_HEAT_H

#include <linux/kvmferry.h>
#include <stdint.h>

#define HEAT_COLUMNS	512
#define HEAT_CHUNK	(2ull << 20)	/* bytes; see FERRY_GROUP_MAP */

/**
 * struct heat - begin with heat_begin()
 * @chunks:	of the VM, all blocks
 * @columns:	parts that RAM is shown in
 * @was:	counts at the last line, for each part
 * @now:	counts that have been added since, wrapping as the kernel's do
 */
struct heat {
	uint64_t chunks;
	unsigned int columns;
	struct ferry_group_cell was[HEAT_COLUMNS];
	struct ferry_group_cell now[HEAT_COLUMNS];
};

void heat_begin(struct heat *h, uint64_t chunks);

/* Adds @count cells of the kernel, from chunk number @first on, counted over all blocks. */
void heat_add(struct heat *h, uint64_t first, const struct ferry_group_cell *cells,
	      uint64_t count);

/**
 * heat_line - what has happened since the last line
 * @text:	out: @h->columns characters: '.', no write fault there; or the binary
 *		logarithm of the pages that one opened on average, rounded down, 0 to 9
 *
 * After heat_add() of all chunks.
 */
void heat_line(struct heat *h, char text[HEAT_COLUMNS + 1]);

#endif /* KVMFERRY_HEAT_H */
