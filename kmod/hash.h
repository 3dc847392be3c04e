/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page hashes, as linux/kvmferry.h defines them: BLAKE2b-256, keyed.
 *
 * By the kernel's library, where it has one for everybody (from 6.19 on), else through the
 * crypto API.
 */
#ifndef FERRY_HASH_H
#define FERRY_HASH_H

#include <linux/types.h>

struct ferry_hash;
struct ferry_hash_key;
struct ferry_hasher;

struct ferry_hash_key *ferry_hash_key_new(const u8 *bytes);
void ferry_hash_key_free(struct ferry_hash_key *key);
struct ferry_hasher *ferry_hasher_new(struct ferry_hash_key *key);
void ferry_hasher_free(struct ferry_hasher *hasher);
int ferry_hash_page(struct ferry_hasher *hasher, u32 id, u64 page,
		    const void *data, struct ferry_hash *hash);

#endif /* FERRY_HASH_H */
