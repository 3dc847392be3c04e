// SPDX-License-Identifier: GPL-2.0-only
/* Page hashes through the kernel crypto API. */

#include <crypto/hash.h>
#include <linux/kvmferry.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "hash.h"
#include "ram.h"

#define BLAKE2B_256_SIZE	32

/**
 * ferry_hash_key() - Make a keyed hash
 * @key: FERRY_KEY_SIZE bytes
 *
 * Context: Process context. May sleep and load modules.
 * Return: the transform, to be freed with crypto_free_shash(), or an error
 *	   pointer.
 */
struct crypto_shash *ferry_hash_key(const u8 *key)
{
	struct crypto_shash *tfm = crypto_alloc_shash("blake2b-256", 0, 0);
	int err;

	if (IS_ERR(tfm))
		return tfm;
	err = crypto_shash_setkey(tfm, key, FERRY_KEY_SIZE);
	if (err) {
		crypto_free_shash(tfm);
		return ERR_PTR(err);
	}
	return tfm;
}

/**
 * ferry_hash_desc() - Make what one thread needs to hash with
 * @tfm: the keyed hash
 *
 * Context: Process context. May sleep.
 * Return: the descriptor, to be freed with kfree_sensitive(), or NULL.
 */
struct shash_desc *ferry_hash_desc(struct crypto_shash *tfm)
{
	struct shash_desc *desc;

	desc = kzalloc(sizeof(*desc) + crypto_shash_descsize(tfm),
		       GFP_KERNEL_ACCOUNT);
	if (desc)
		desc->tfm = tfm;
	return desc;
}

/**
 * ferry_hash_page() - Hash one page
 * @desc: the calling thread's descriptor
 * @id: RAM block id
 * @page: page index in the block
 * @data: PAGE_SIZE bytes, not all of them zero; NULL stands for all zero
 * @hash: out
 *
 * Context: Process context.
 * Return: 0 or what the crypto API says.
 */
int ferry_hash_page(struct shash_desc *desc, u32 id, u64 page, const void *data,
		    struct ferry_hash *hash)
{
	__le64 where[2] = { cpu_to_le64(id), cpu_to_le64(page) };
	u8 out[BLAKE2B_256_SIZE];
	int err;

	memset(hash, 0, sizeof(*hash));
	if (!data)
		return 0;

	err = crypto_shash_init(desc) ?:
	      crypto_shash_update(desc, (u8 *)where, sizeof(where)) ?:
	      crypto_shash_finup(desc, data, PAGE_SIZE, out);
	if (!err)
		memcpy(hash, out, sizeof(*hash));
	return err;
}
