/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_SORTING_H
#define GUEST_SORTING_H

#include <stdint.h>

struct record {
	uint64_t key;
	uint64_t rest[7];	/* a function of the key */
};

/* New records, in order. */
void sorting_begin(struct record *r, uint64_t records);
/*
 * Shuffles the records, sorts and checks them. Adds to @done as it goes. Returns the
 * number of records that are wrong, which are made good.
 */
uint64_t sorting_round(struct record *r, uint64_t records, uint64_t *random,
		       volatile uint64_t *done);

#endif /* GUEST_SORTING_H */
