// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where in RAM the groups of a pass were opened.
 */
#include <string.h>

#include "heat.h"

void heat_begin(struct heat *h, uint64_t chunks)
{
	*h = (struct heat){
		.chunks = chunks,
		.columns = chunks < HEAT_COLUMNS ? (unsigned int)chunks : HEAT_COLUMNS,
	};
}

void heat_add(struct heat *h, uint64_t first, const struct ferry_group_cell *cells,
	      uint64_t count)
{
	for (uint64_t i = 0; i < count && first + i < h->chunks; i++) {
		struct ferry_group_cell *to = &h->now[(first + i) * h->columns / h->chunks];

		to->write_faults += cells[i].write_faults;
		to->opened += cells[i].opened;
	}
}

static char digit(uint32_t faults, uint32_t opened)
{
	static const char digits[] = "0123456789";
	unsigned int order = 0;
	uint64_t pages;

	if (!faults)
		return '.';
	for (pages = ((uint64_t)faults + opened) / faults; pages > 1 && order < 9; pages >>= 1)
		order++;
	return digits[order];
}

void heat_line(struct heat *h, char text[HEAT_COLUMNS + 1])
{
	for (unsigned int i = 0; i < h->columns; i++)
		text[i] = digit(h->now[i].write_faults - h->was[i].write_faults,
				h->now[i].opened - h->was[i].opened);
	text[h->columns] = '\0';
	memcpy(h->was, h->now, sizeof(h->was));
	memset(h->now, 0, sizeof(h->now));
}
