/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_SORTING_H
#define GUEST_SORTING_H

#include <stdint.h>

struct record {
	uint64_t key;
	uint64_t rest[7];	/* a function of key and batch */
};

/*
 * Makes a batch of records, shuffles, sorts and checks them. No two batches have a page in
 * common, so that what is written over and over has changed each time. Adds to @done as
 * it goes. Returns the number of records that are wrong in the end.
 */
uint64_t sorting_round(struct record *r, uint64_t records, uint64_t batch, uint64_t *random,
		       volatile uint64_t *done);

#endif /* GUEST_SORTING_H */
