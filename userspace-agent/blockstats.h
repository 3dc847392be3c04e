/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long the disks of a VM will have `stop` wait, as far as what they did until now tells:
 * pure arithmetic on what QEMU answers to query-blockstats.
 *
 * `stop` waits for the requests that are in flight, then has what was written flushed, and
 * QEMU flushes once more before it hands the disk over:
 *
 *	max(read, write) + 2 * flush
 *
 * each the mean of the requests of that kind that have ended since the last look, or, if none
 * has, of all before. Disks wait at the same time: the slowest one counts.
 *
 * A request that has not ended yet is not in there. So a storage that has become slow within the
 * migration is noticed only once it has answered.
 */
#ifndef KVMFERRY_BLOCKSTATS_H
#define KVMFERRY_BLOCKSTATS_H

#include <jansson.h>
#include <stdint.h>

#include "wire.h"

enum blockstats_kind {
	BLOCKSTATS_READ,
	BLOCKSTATS_WRITE,
	BLOCKSTATS_FLUSH,
	BLOCKSTATS_KINDS,
};

/* Requests that had ended when it was last looked, and the nanoseconds that they took. */
struct blockstats_count {
	uint64_t requests;
	uint64_t ns;
};

/**
 * struct blockstats - the disks of a VM; begins as zeroes
 * @seen:	of each of them, by its number in struct vmdisks
 * @mean_ns:	the means above
 */
struct blockstats {
	struct blockstats_count seen[WIRE_MAX_DISKS][BLOCKSTATS_KINDS];
	uint64_t mean_ns[WIRE_MAX_DISKS][BLOCKSTATS_KINDS];
};

/**
 * blockstats_look - take in what QEMU says about one disk
 * @disk:	its number, below WIRE_MAX_DISKS
 * @stats:	its "stats" in the answer; what is missing there counts as 0
 *
 * Returns how long it will have `stop` wait, in microseconds.
 */
uint64_t blockstats_look(struct blockstats *b, unsigned int disk, const json_t *stats);

#endif /* KVMFERRY_BLOCKSTATS_H */
