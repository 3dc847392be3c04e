// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Page hashes and digests.
 */
#include <stdio.h>
#include <string.h>

#include "cmocka-all.h"
#include "hash.h"

/*
 * Made with another implementation than the one under test. The first one again:
 *
 *	openssl mac -macopt size:32 -macopt hexkey:000102...1f -in FILE BLAKE2BMAC
 *
 * with 16 zero bytes, a byte of 1 and 4095 zero bytes in FILE; the first half of it.
 */
enum fill { FIRST_ONE, LAST_80, RAMP };

static const struct vector {
	uint64_t block;
	uint64_t page;
	enum fill fill;
	uint8_t key;		/* 0: bytes 0, 1, 2, ...; else all bytes are this */
	const char *hash;
} vectors[] = {
	{ 0, 0, FIRST_ONE, 0, "933d15074c6d71aed592eabcd95b89c4" },
	{ 3, 0x123456789, LAST_80, 0, "a6079e21ec7579196e447ed6faf086a9" },
	{ 1, 2, RAMP, 0, "088ebf83d9228f900050ae8b2f84c118" },
	{ 2, 1, RAMP, 0, "024fcb164e72679195d0e40db99c7471" },
	{ 1, 2, RAMP, 0xff, "6456ea53bcd0233409dc5d6cae75b11d" },
};

static void fill_page(uint8_t page[FERRY_PAGE_SIZE], enum fill fill)
{
	memset(page, 0, FERRY_PAGE_SIZE);
	switch (fill) {
	case FIRST_ONE:
		page[0] = 1;
		break;
	case LAST_80:
		page[FERRY_PAGE_SIZE - 1] = 0x80;
		break;
	case RAMP:
		for (int i = 0; i < FERRY_PAGE_SIZE; i++)
			page[i] = (uint8_t)(i * 7);
		break;
	}
}

static struct hash *new_hash(uint8_t key_byte)
{
	uint8_t key[FERRY_KEY_SIZE];
	struct hash *h;

	for (int i = 0; i < FERRY_KEY_SIZE; i++)
		key[i] = key_byte ? key_byte : (uint8_t)i;
	h = hash_new(key);
	assert_non_null(h);
	return h;
}

static void test_vectors(void **state)
{
	uint8_t page[FERRY_PAGE_SIZE], out[FERRY_HASH_SIZE];
	char hex[2 * FERRY_HASH_SIZE + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const struct vector *v = &vectors[i];
		struct hash *h = new_hash(v->key);

		fill_page(page, v->fill);
		/* Twice: the second page must not depend on the first. */
		for (int twice = 0; twice < 2; twice++) {
			assert_int_equal(hash_page(h, v->block, v->page, page, out), 0);
			for (int b = 0; b < FERRY_HASH_SIZE; b++)
				snprintf(hex + 2 * b, 3, "%02x", out[b]);
			assert_string_equal(hex, v->hash);
		}
		hash_free(h);
	}
}

static void test_zero_page_is_zero(void **state)
{
	static const uint8_t zero[FERRY_PAGE_SIZE];
	uint8_t out[FERRY_HASH_SIZE] = { 1 };
	struct hash *h = new_hash(0);

	(void)state;
	assert_int_equal(hash_page(h, 5, 77, zero, out), 0);
	assert_memory_equal(out, zero, FERRY_HASH_SIZE);
	hash_free(h);
}

static void test_every_byte_counts_as_not_zero(void **state)
{
	uint8_t page[FERRY_PAGE_SIZE] = { 0 };

	(void)state;
	assert_true(hash_is_zero(page));
	for (int i = 0; i < FERRY_PAGE_SIZE; i++) {
		page[i] = 1;
		assert_false(hash_is_zero(page));
		page[i] = 0;
	}
}

static void test_place_matters(void **state)
{
	uint8_t page[FERRY_PAGE_SIZE];
	uint8_t a[FERRY_HASH_SIZE], b[FERRY_HASH_SIZE];
	struct hash *h = new_hash(0);

	(void)state;
	fill_page(page, RAMP);
	hash_page(h, 1, 2, page, a);
	hash_page(h, 1, 3, page, b);
	assert_memory_not_equal(a, b, FERRY_HASH_SIZE);
	hash_page(h, 2, 2, page, b);
	assert_memory_not_equal(a, b, FERRY_HASH_SIZE);
	hash_free(h);
}

static void test_digest_is_order_free_and_undone_by_repeating(void **state)
{
	static const uint8_t zero[FERRY_HASH_SIZE];
	uint8_t a[FERRY_HASH_SIZE] = { 0 }, b[FERRY_HASH_SIZE] = { 0 };
	uint8_t page[FERRY_PAGE_SIZE];
	struct hash *h = new_hash(0);

	(void)state;
	fill_page(page, RAMP);
	for (uint64_t i = 0; i < 8; i++) {
		assert_int_equal(hash_toggle(h, 0, i, page, a), 0);
		assert_int_equal(hash_toggle(h, 0, 7 - i, page, b), 0);
	}
	assert_memory_equal(a, b, FERRY_HASH_SIZE);
	for (uint64_t i = 0; i < 8; i++)
		hash_toggle(h, 0, i, page, a);
	assert_memory_equal(a, zero, FERRY_HASH_SIZE);

	/* The same page in two places does not cancel out. */
	hash_toggle(h, 0, 1, page, a);
	hash_toggle(h, 0, 2, page, a);
	assert_memory_not_equal(a, zero, FERRY_HASH_SIZE);
	hash_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_zero_page_is_zero),
		cmocka_unit_test(test_every_byte_counts_as_not_zero),
		cmocka_unit_test(test_place_matters),
		cmocka_unit_test(test_digest_is_order_free_and_undone_by_repeating),
	};

	return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
