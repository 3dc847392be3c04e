/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page hashes and digests, as linux/kvmferry.h describes them.
 */
#ifndef KVMFERRY_HASH_H
#define KVMFERRY_HASH_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/kvmferry.h>

/* A keyed hash; one for each thread. */
struct hash;

/**
 * hash_new - make a hash ready for pages
 * @key:	the key of this migration
 *
 * Returns NULL when there is no memory, or OpenSSL does not offer BLAKE2b.
 */
struct hash *hash_new(const uint8_t key[FERRY_KEY_SIZE]);

/* Forgets the key. NULL is allowed. */
void hash_free(struct hash *h);

/**
 * hash_page - hash one page in its place
 * @h:		the hash
 * @block:	RAM block id
 * @page:	page index in the block
 * @content:	FERRY_PAGE_SIZE bytes
 * @out:	the hash; 0 for a page of zero bytes
 *
 * Returns 0, or -1 when OpenSSL fails, which it has no reason to.
 */
int hash_page(struct hash *h, uint64_t block, uint64_t page, const void *content,
	      uint8_t out[FERRY_HASH_SIZE]);

/**
 * hash_toggle - add a page to a digest, or take it out again
 * @digest:	digest of a RAM block
 *
 * Otherwise as hash_page(). Twice the same page leaves the digest as it was.
 */
int hash_toggle(struct hash *h, uint64_t block, uint64_t page, const void *content,
		uint8_t digest[FERRY_HASH_SIZE]);

/* digest ^= other */
void hash_xor(uint8_t digest[FERRY_HASH_SIZE],
	      const uint8_t other[FERRY_HASH_SIZE]);

/* Are all FERRY_PAGE_SIZE bytes zero? */
bool hash_is_zero(const void *content);

#endif /* KVMFERRY_HASH_H */
