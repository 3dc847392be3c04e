/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Digests of RAM read anew from its files, in the background.
 *
 * The digests that apply.h keeps say what was received. These say what is there:
 * they find a page that somebody else has written, or that the file lost.
 */
#ifndef KVMFERRY_VERIFY_H
#define KVMFERRY_VERIFY_H

#include <stdint.h>

#include "apply.h"
#include "log.h"
#include "wire.h"

struct verify;

/**
 * verify_start - begin to read
 * @rams:	the RAM blocks in the order of their ids; copied
 * @n:		how many
 * @threads:	how many threads read, 1 to FERRY_MAX_CHANNELS
 * @key:	key of the page hashes
 * @wake:	an eventfd to write to when all has been read
 * @why:	the reason of a failure
 *
 * Returns NULL on failure.
 */
struct verify *verify_start(const struct apply_ram *rams, unsigned int n,
			    unsigned int threads,
			    const uint8_t key[FERRY_KEY_SIZE], int wake,
			    struct failure *why);

/**
 * verify_result - is it done?
 * @v:		from verify_start()
 * @digests:	out: pass 0, and the digest of each RAM block
 * @why:	the reason of a failure to read
 *
 * Returns 1 with the digests, 0 if it still reads, -1 on failure.
 */
int verify_result(struct verify *v, struct wire_digests *digests,
		  struct failure *why);

/* Stops reading, soon, and frees @v. NULL is allowed. */
void verify_destroy(struct verify *v);

#endif /* KVMFERRY_VERIFY_H */
