// SPDX-License-Identifier: GPL-2.0-only
/* Page hashes. See hash.h. */

#include <linux/err.h>
#include <linux/kvmferry.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "hash.h"
#include "ram.h"

#define HASH_SIZE	32	/* of BLAKE2b-256 */

#ifdef FERRY_OPEN_blake2b_update

#include <crypto/blake2b.h>

/* @keyed: the state that every hash with this key begins with */
struct ferry_hash_key {
	struct blake2b_ctx keyed;
};

struct ferry_hasher {
	struct blake2b_ctx keyed;
	struct blake2b_ctx state;
};

static int make_key(struct ferry_hash_key *key, const u8 *bytes)
{
	blake2b_init_key(&key->keyed, HASH_SIZE, bytes, FERRY_KEY_SIZE);
	return 0;
}

static void drop_key(struct ferry_hash_key *key)
{
}

static size_t hasher_size(const struct ferry_hash_key *key)
{
	return sizeof(struct ferry_hasher);
}

static void make_hasher(struct ferry_hasher *hasher, struct ferry_hash_key *key)
{
	hasher->keyed = key->keyed;
}

static int hash_two(struct ferry_hasher *hasher, const void *a, size_t a_size,
		    const void *b, size_t b_size, u8 out[HASH_SIZE])
{
	hasher->state = hasher->keyed;
	blake2b_update(&hasher->state, a, a_size);
	blake2b_update(&hasher->state, b, b_size);
	blake2b_final(&hasher->state, out);
	return 0;
}

#else

#include <crypto/hash.h>

struct ferry_hash_key {
	struct crypto_shash *tfm;
};

struct ferry_hasher {
	struct shash_desc desc;	/* its state follows */
};

static int make_key(struct ferry_hash_key *key, const u8 *bytes)
{
	int err;

	key->tfm = crypto_alloc_shash("blake2b-256", 0, 0);
	if (IS_ERR(key->tfm))
		return PTR_ERR(key->tfm);
	err = crypto_shash_setkey(key->tfm, bytes, FERRY_KEY_SIZE);
	if (err)
		crypto_free_shash(key->tfm);
	return err;
}

static void drop_key(struct ferry_hash_key *key)
{
	crypto_free_shash(key->tfm);
}

static size_t hasher_size(const struct ferry_hash_key *key)
{
	return sizeof(struct ferry_hasher) + crypto_shash_descsize(key->tfm);
}

static void make_hasher(struct ferry_hasher *hasher, struct ferry_hash_key *key)
{
	hasher->desc.tfm = key->tfm;
}

static int hash_two(struct ferry_hasher *hasher, const void *a, size_t a_size,
		    const void *b, size_t b_size, u8 out[HASH_SIZE])
{
	return crypto_shash_init(&hasher->desc) ?:
	       crypto_shash_update(&hasher->desc, a, a_size) ?:
	       crypto_shash_finup(&hasher->desc, b, b_size, out);
}

#endif

/**
 * ferry_hash_key_new() - Make a key ready for use
 * @bytes: FERRY_KEY_SIZE of them
 *
 * Context: Process context. May sleep and load modules.
 * Return: the key, or an error pointer.
 */
struct ferry_hash_key *ferry_hash_key_new(const u8 *bytes)
{
	struct ferry_hash_key *key = kzalloc(sizeof(*key), GFP_KERNEL_ACCOUNT);
	int err;

	if (!key)
		return ERR_PTR(-ENOMEM);
	err = make_key(key, bytes);
	if (!err)
		return key;
	kfree_sensitive(key);
	return ERR_PTR(err);
}

/**
 * ferry_hash_key_free() - Undo ferry_hash_key_new()
 * @key: the key, whose hashers are gone
 *
 * Context: Process context. May sleep.
 */
void ferry_hash_key_free(struct ferry_hash_key *key)
{
	drop_key(key);
	kfree_sensitive(key);
}

/**
 * ferry_hasher_new() - Make what one thread needs to hash with
 * @key: the key, which outlives it
 *
 * Context: Process context. May sleep.
 * Return: to be freed with ferry_hasher_free(), or NULL.
 */
struct ferry_hasher *ferry_hasher_new(struct ferry_hash_key *key)
{
	struct ferry_hasher *hasher = kzalloc(hasher_size(key), GFP_KERNEL_ACCOUNT);

	if (hasher)
		make_hasher(hasher, key);
	return hasher;
}

/**
 * ferry_hasher_free() - Undo ferry_hasher_new()
 * @hasher: or NULL
 *
 * Context: Process context.
 */
void ferry_hasher_free(struct ferry_hasher *hasher)
{
	kfree_sensitive(hasher);
}

/**
 * ferry_hash_page() - Hash one page
 * @hasher: the calling thread's
 * @id: RAM block id
 * @page: page index in the block
 * @data: PAGE_SIZE bytes, not all of them zero; NULL stands for all zero
 * @hash: out
 *
 * Context: Process context.
 * Return: 0 or what the crypto API says.
 */
int ferry_hash_page(struct ferry_hasher *hasher, u32 id, u64 page,
		    const void *data, struct ferry_hash *hash)
{
	__le64 where[2] = { cpu_to_le64(id), cpu_to_le64(page) };
	u8 out[HASH_SIZE];
	int err;

	memset(hash, 0, sizeof(*hash));
	if (!data)
		return 0;
	err = hash_two(hasher, where, sizeof(where), data, PAGE_SIZE, out);
	if (!err)
		memcpy(hash, out, sizeof(*hash));
	return err;
}
