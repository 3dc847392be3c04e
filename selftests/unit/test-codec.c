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

/* Those whose payloads stand for themselves. */
#define each_codec(c) (unsigned int c = FERRY_CODEC_LZ4; c <= FERRY_CODEC_DEFLATE; c++)

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

/* --- one frame through all payloads */

static ZSTD_CCtx *begin_frame(int window_log)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();

	assert_non_null(c);
	ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, 6);
	ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window_log);
	return c;
}

/* The next piece, of @want bytes of content from @at on, into payload. Returns its bytes. */
static size_t piece(ZSTD_CCtx *c, size_t at, size_t want, ZSTD_EndDirective how)
{
	ZSTD_inBuffer in = { .src = content + at, .size = want };
	ZSTD_outBuffer to = { .dst = payload, .size = sizeof(payload) };

	assert_int_equal(ZSTD_compressStream2(c, &to, &in, how), 0);
	assert_int_equal(in.pos, in.size);
	return to.pos;
}

static int decode_piece(size_t length, size_t want, struct failure *why)
{
	return decode_exact(FERRY_CODEC_ZSTD_STREAM, payload, length, want, why);
}

static void renew_decoder(void)
{
	decoder_free(decoder);
	decoder = decoder_new();
	assert_non_null(decoder);
}

static void test_pieces_of_a_frame(void **state)
{
	ZSTD_CCtx *c = begin_frame(25);
	struct failure why;
	size_t first, again;

	(void)state;
	renew_decoder();
	first = piece(c, 0, MAX, ZSTD_e_flush);
	assert_int_equal(decode_piece(first, MAX, &why), 0);
	assert_memory_equal(out, content, MAX);
	/* another codec in between is none of its business */
	again = encode(FERRY_CODEC_ZSTD, FERRY_PAGE_SIZE);
	assert_int_equal(decode_exact(FERRY_CODEC_ZSTD, payload, again, FERRY_PAGE_SIZE, &why), 0);
	/* the same once more is known already */
	again = piece(c, 0, MAX, ZSTD_e_flush);
	assert_true(again < first / 4);
	assert_int_equal(decode_piece(again, MAX, &why), 0);
	assert_memory_equal(out, content, MAX);
	again = piece(c, 100, FERRY_PAGE_SIZE, ZSTD_e_flush);
	assert_int_equal(decode_piece(again, FERRY_PAGE_SIZE, &why), 0);
	assert_memory_equal(out, content + 100, FERRY_PAGE_SIZE);
	ZSTD_freeCCtx(c);
}

/* What goes on after a failure is no longer the frame; each begins a new one. */
static void test_bad_pieces_are_refused(void **state)
{
	static const struct {
		int window_log;
		ZSTD_EndDirective how;
		size_t cut, claimed;
	} bad[] = {
		{ 25, ZSTD_e_flush, 1, MAX },			/* cut short */
		{ 25, ZSTD_e_flush, 0, MAX / 2 },		/* more than it says */
		{ 25, ZSTD_e_end, 0, MAX },			/* the frame ends */
		{ 26, ZSTD_e_flush, 0, MAX },			/* too large a window */
	};
	struct failure why;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ZSTD_CCtx *c = begin_frame(bad[i].window_log);
		size_t length = piece(c, 0, MAX, bad[i].how);

		renew_decoder();
		if (!decode_piece(length - bad[i].cut, bad[i].claimed, &why))
			fail_msg("number %zu was decoded", i);
		ZSTD_freeCCtx(c);
	}
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 251 >> 3);
	renew_decoder();
	assert_int_equal(decode_piece(1000, FERRY_PAGE_SIZE, &why), -1);
	renew_decoder();
	assert_int_equal(decode_piece(0, FERRY_PAGE_SIZE, &why), -1);
	renew_decoder();
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
		cmocka_unit_test(test_pieces_of_a_frame),
		cmocka_unit_test(test_bad_pieces_are_refused),
		cmocka_unit_test(test_no_codec_is_no_codec),
	};

	return cmocka_run_group_tests_name("codec", tests, begin, end);
}
