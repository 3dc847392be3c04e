// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Codecs: names, and payloads from the libraries' own encoders and from nobody.
 */
#include <lz4hc.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "cmocka-all.h"
#include "codec.h"

#define MAX	((size_t)FERRY_RECORD_MAX_PAGES * FERRY_PAGE_SIZE)

static struct decoder *decoder;
static uint8_t content[MAX], out[MAX], payload[2 * MAX];

static int begin(void **state)
{
	(void)state;
	decoder = decoder_new();
	for (size_t i = 0; i < MAX; i++)
		content[i] = (uint8_t)(i * i >> 7 ^ i / 300);
	memset(out, 0, MAX);
	return !decoder;
}

static int end(void **state)
{
	(void)state;
	decoder_free(decoder);
	return 0;
}

static size_t deflate_raw(size_t want)
{
	z_stream z = { .next_in = content, .avail_in = (unsigned int)want,
		       .next_out = payload, .avail_out = sizeof(payload) };

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, -11, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return sizeof(payload) - z.avail_out;
}

static size_t encode(unsigned int codec, size_t want)
{
	switch (codec) {
	case FERRY_CODEC_LZ4:
		return (size_t)LZ4_compress_default((char *)content, (char *)payload,
						    (int)want, sizeof(payload));
	case FERRY_CODEC_LZ4HC:
		return (size_t)LZ4_compress_HC((char *)content, (char *)payload, (int)want,
					       sizeof(payload), 9);
	case FERRY_CODEC_ZSTD:
		return ZSTD_compress(payload, sizeof(payload), content, want, 3);
	default:
		return deflate_raw(want);
	}
}

/* Exactly as many bytes as there are, so that a sanitizer sees a read beyond them. */
static int decode_exact(unsigned int codec, const void *in, size_t length, size_t want,
			struct failure *why)
{
	uint8_t *copy = malloc(length ? length : 1), *to = malloc(want);
	int result;

	assert_non_null(copy);
	assert_non_null(to);
	memcpy(copy, in, length);
	*why = (struct failure){ 0 };
	result = decode(decoder, codec, copy, length, to, want, why);
	memcpy(out, to, want);
	free(copy);
	free(to);
	return result;
}

#define each_codec(c) (unsigned int c = FERRY_CODEC_LZ4; c < FERRY_NR_CODECS; c++)

static const char *const wrong[] = {
	"", ",", "gzip", "lz", "lz4h", "lz4,", ",lz4", "lz4,,zstd", "lz4 zstd", "auto,lz4",
};

#define each_wrong(text) (const char *const *text = wrong; text < wrong + 10; text++)

static void test_names(void **state)
{
	uint64_t codecs;

	(void)state;
	for (unsigned int i = 0; i < FERRY_NR_CODECS; i++) {
		assert_true(codec_parse(codec_name(i), &codecs));
		assert_int_equal(codecs, 1u << i);
	}
	assert_true(codec_parse("auto", &codecs));
	assert_int_equal(codecs, CODEC_AUTO);
	assert_true(codec_parse("zstd,none,zstd", &codecs));
	assert_int_equal(codecs, 1u << FERRY_CODEC_ZSTD | 1u << FERRY_CODEC_NONE);
	for each_wrong(text)
		assert_false(codec_parse(*text, &codecs));
	assert_string_equal(codec_name(FERRY_NR_CODECS), "unknown");
}

static void test_what_was_encoded_comes_back(void **state)
{
	struct failure why;

	(void)state;
	for each_codec(c)
		for (size_t want = FERRY_PAGE_SIZE; want <= MAX; want *= 4) {
			size_t length = encode(c, want);

			assert_int_equal(decode_exact(c, payload, length, want, &why), 0);
			assert_memory_equal(out, content, want);
		}
}

static void test_another_size_is_refused(void **state)
{
	struct failure why;

	(void)state;
	for each_codec(c) {
		size_t length = encode(c, 2 * FERRY_PAGE_SIZE);

		assert_int_equal(decode_exact(c, payload, length, FERRY_PAGE_SIZE, &why), -1);
		assert_int_equal(decode_exact(c, payload, length, 3 * FERRY_PAGE_SIZE, &why), -1);
		assert_string_equal(why.text, "the payload decodes to 8192 bytes, not 12288");
	}
}

static void test_every_truncation_is_refused(void **state)
{
	struct failure why;

	(void)state;
	for each_codec(c) {
		size_t length = encode(c, FERRY_PAGE_SIZE);

		for (size_t cut = 0; cut < length; cut++)
			assert_int_equal(decode_exact(c, payload, cut, FERRY_PAGE_SIZE, &why), -1);
	}
}

static void test_bytes_after_the_end_are_refused(void **state)
{
	struct failure why;

	(void)state;
	for each_codec(c) {
		size_t length = encode(c, FERRY_PAGE_SIZE);

		memset(payload + length, 0xff, 64);
		assert_int_equal(decode_exact(c, payload, length + 64, FERRY_PAGE_SIZE, &why), -1);
	}
}

static void test_noise_is_refused(void **state)
{
	uint64_t s = 88172645463325252ull;
	struct failure why;

	(void)state;
	for each_codec(c)
		for (unsigned int round = 0; round < 200; round++) {
			for (size_t i = 0; i < 1000; i++) {
				s ^= s << 13, s ^= s >> 7, s ^= s << 17;
				payload[i] = (uint8_t)s;
			}
			assert_int_equal(decode_exact(c, payload, 1000, FERRY_PAGE_SIZE, &why), -1);
		}
}

/* A decoder that has failed decodes the next payload. */
static void test_a_failure_leaves_no_trace(void **state)
{
	struct failure why;

	(void)state;
	for each_codec(c) {
		size_t length = encode(c, FERRY_PAGE_SIZE);

		assert_int_equal(decode_exact(c, payload, length / 2, FERRY_PAGE_SIZE, &why), -1);
		assert_true(why.text[0]);
		assert_int_equal(decode_exact(c, payload, length, FERRY_PAGE_SIZE, &why), 0);
		assert_memory_equal(out, content, FERRY_PAGE_SIZE);
	}
}

static void test_no_codec_is_no_codec(void **state)
{
	struct failure why;

	(void)state;
	assert_int_equal(decode_exact(FERRY_CODEC_NONE, content, 4096, 4096, &why), -1);
	assert_int_equal(decode_exact(FERRY_NR_CODECS, content, 4096, 4096, &why), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_what_was_encoded_comes_back),
		cmocka_unit_test(test_another_size_is_refused),
		cmocka_unit_test(test_every_truncation_is_refused),
		cmocka_unit_test(test_bytes_after_the_end_are_refused),
		cmocka_unit_test(test_noise_is_refused),
		cmocka_unit_test(test_a_failure_leaves_no_trace),
		cmocka_unit_test(test_no_codec_is_no_codec),
	};

	return cmocka_run_group_tests_name("codec", tests, begin, end);
}
