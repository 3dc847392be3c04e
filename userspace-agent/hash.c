// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Page hashes: BLAKE2b-256 with a key, through OpenSSL.
 *
 * The algorithm is looked up and the key set once. Each page then begins anew
 * with the key that the context remembers.
 */
#include <endian.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

#define BLAKE2B_256	32	/* bytes, of which a page hash keeps the first 16 */

struct hash {
	EVP_MAC_CTX *ctx;
};

static EVP_MAC_CTX *new_context(const uint8_t key[FERRY_KEY_SIZE])
{
	size_t size = BLAKE2B_256;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "BLAKE2BMAC", NULL);
	EVP_MAC_CTX *ctx;

	if (!mac)
		return NULL;
	ctx = EVP_MAC_CTX_new(mac);
	EVP_MAC_free(mac);
	if (ctx && !EVP_MAC_init(ctx, key, FERRY_KEY_SIZE, params)) {
		EVP_MAC_CTX_free(ctx);
		ctx = NULL;
	}
	return ctx;
}

struct hash *hash_new(const uint8_t key[FERRY_KEY_SIZE])
{
	struct hash *h = malloc(sizeof(*h));

	if (!h)
		return NULL;
	h->ctx = new_context(key);
	if (!h->ctx) {
		free(h);
		return NULL;
	}
	return h;
}

void hash_free(struct hash *h)
{
	if (!h)
		return;
	EVP_MAC_CTX_free(h->ctx);
	free(h);
}

int hash_page(struct hash *h, uint64_t block, uint64_t page, const void *content,
	      uint8_t out[FERRY_HASH_SIZE])
{
	uint64_t place[2] = { htole64(block), htole64(page) };
	uint8_t full[BLAKE2B_256];
	size_t len;

	if (hash_is_zero(content)) {
		memset(out, 0, FERRY_HASH_SIZE);
		return 0;
	}

	if (!EVP_MAC_init(h->ctx, NULL, 0, NULL) ||
	    !EVP_MAC_update(h->ctx, (const uint8_t *)place, sizeof(place)) ||
	    !EVP_MAC_update(h->ctx, content, FERRY_PAGE_SIZE) ||
	    !EVP_MAC_final(h->ctx, full, &len, sizeof(full)) || len != sizeof(full))
		return -1;

	memcpy(out, full, FERRY_HASH_SIZE);
	return 0;
}

int hash_toggle(struct hash *h, uint64_t block, uint64_t page, const void *content,
		uint8_t digest[FERRY_HASH_SIZE])
{
	uint8_t hash[FERRY_HASH_SIZE];

	if (hash_page(h, block, page, content, hash))
		return -1;
	hash_xor(digest, hash);
	return 0;
}

void hash_xor(uint8_t digest[FERRY_HASH_SIZE], const uint8_t other[FERRY_HASH_SIZE])
{
	for (int i = 0; i < FERRY_HASH_SIZE; i++)
		digest[i] ^= other[i];
}

bool hash_is_zero(const void *content)
{
	const uint8_t *p = content;

	/*
	 * Pages that are not empty mostly show it in their first bytes. If the
	 * first 16 are zero and every byte equals the one 16 further on, all are.
	 */
	for (int i = 0; i < 16; i++)
		if (p[i])
			return false;
	return !memcmp(p, p + 16, FERRY_PAGE_SIZE - 16);
}
