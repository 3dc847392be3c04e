/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A page of the guest's in which it counts what it has done, and that a host can find in
 * the guest's RAM and read without disturbing it: the first words of no other page are
 * these.
 */
#ifndef GUEST_LEDGER_H
#define GUEST_LEDGER_H

#include <stdint.h>

#define LEDGER_WORDS		8
#define LEDGER_MAX_THREADS	16

struct ledger {
	uint64_t magic[LEDGER_WORDS];
	struct {
		uint64_t records;	/* handled: a record once for each step it takes part in */
		uint64_t sorts;		/* done, and checked */
		uint64_t unused[6];
	} thread[LEDGER_MAX_THREADS];
};

static inline uint64_t ledger_magic(unsigned int word)
{
	return 0x6b766d6665727279ull * (2 * word + 3) ^ 0x6c65646765720000ull;
}

#endif /* GUEST_LEDGER_H */
