/* SPDX-License-Identifier: GPL-2.0-only */
/* Page hashes, as linux/kvmferry.h defines them: BLAKE2b-256, keyed. */
#ifndef FERRY_HASH_H
#define FERRY_HASH_H

#include <linux/types.h>

struct crypto_shash;
struct shash_desc;
struct ferry_hash;

struct crypto_shash *ferry_hash_key(const u8 *key);
struct shash_desc *ferry_hash_desc(struct crypto_shash *tfm);
int ferry_hash_page(struct shash_desc *desc, u32 id, u64 page, const void *data,
		    struct ferry_hash *hash);

#endif /* FERRY_HASH_H */
