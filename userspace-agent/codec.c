// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What pages are compressed with.
 */
#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "codec.h"

#define STREAM_WINDOW_LOG	25	/* see FERRY_CODEC_ZSTD_STREAM */

struct decoder {
	ZSTD_DCtx *zstd;
	ZSTD_DCtx *stream;	/* in the middle of its frame */
	z_stream deflate;
};

static const char *const names[FERRY_NR_CODECS] = {
	[FERRY_CODEC_NONE] = "none",
	[FERRY_CODEC_LZ4] = "lz4",
	[FERRY_CODEC_LZ4HC] = "lz4hc",
	[FERRY_CODEC_ZSTD] = "zstd",
	[FERRY_CODEC_DEFLATE] = "deflate",
	[FERRY_CODEC_ZSTD_STREAM] = "zstd-stream",
};

/* The bit of the codec with this name, 0 if there is none. */
static uint64_t bit_of(const char *name, size_t length)
{
	for (unsigned int i = 0; i < FERRY_NR_CODECS; i++)
		if (strlen(names[i]) == length && !memcmp(name, names[i], length))
			return 1ull << i;
	return 0;
}

bool codec_parse(const char *text, uint64_t *codecs)
{
	uint64_t bit;

	*codecs = CODEC_AUTO;
	if (!strcmp(text, "auto"))
		return true;
	*codecs = 0;
	for (;;) {
		size_t length = strcspn(text, ",");

		bit = bit_of(text, length);
		*codecs |= bit;
		if (!bit || !text[length])
			return bit;
		text += length + 1;
	}
}

const char *codec_name(unsigned int codec)
{
	return codec < FERRY_NR_CODECS ? names[codec] : "unknown";
}

static bool limit_window(ZSTD_DCtx *stream)
{
	return ZSTD_isError(ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax,
						   STREAM_WINDOW_LOG));
}

struct decoder *decoder_new(void)
{
	struct decoder *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->zstd = ZSTD_createDCtx();
	d->stream = ZSTD_createDCtx();
	/* deflate as in RFC 1951: without a header, of any window */
	if (d->zstd && d->stream && !limit_window(d->stream) &&
	    inflateInit2(&d->deflate, -MAX_WBITS) == Z_OK)
		return d;
	ZSTD_freeDCtx(d->stream);
	ZSTD_freeDCtx(d->zstd);
	free(d);
	return NULL;
}

void decoder_free(struct decoder *d)
{
	if (!d)
		return;
	inflateEnd(&d->deflate);
	ZSTD_freeDCtx(d->stream);
	ZSTD_freeDCtx(d->zstd);
	free(d);
}

/* Each of these returns how many bytes it has got, or -1 where that is no such thing. */

static long decode_lz4(const void *in, size_t length, void *out, size_t want)
{
	return LZ4_decompress_safe(in, out, (int)length, (int)want);
}

static long decode_zstd(struct decoder *d, const void *in, size_t length, void *out,
			size_t want)
{
	size_t got = ZSTD_decompressDCtx(d->zstd, out, want, in, length);

	return ZSTD_isError(got) ? -1 : (long)got;
}

/* As far as there is input and room. False: it is no such frame, or one that ends. */
static bool decode_on(struct decoder *d, ZSTD_inBuffer *in, ZSTD_outBuffer *out)
{
	size_t before, left;

	do {
		before = in->pos + out->pos;
		left = ZSTD_decompressStream(d->stream, out, in);
		if (ZSTD_isError(left) || !left)
			return false;
	} while (in->pos + out->pos != before);
	return true;
}

/* The piece must give all of its pages, and nothing be left of it. */
static long decode_stream(struct decoder *d, const void *from, size_t length, void *to,
			  size_t want)
{
	ZSTD_inBuffer in = { .src = from, .size = length };
	ZSTD_outBuffer out = { .dst = to, .size = want };
	uint8_t byte;
	ZSTD_outBuffer surplus = { .dst = &byte, .size = 1 };

	if (!decode_on(d, &in, &out) || !decode_on(d, &in, &surplus) || in.pos != in.size)
		return -1;
	return (long)(out.pos + surplus.pos);
}

static long decode_deflate(struct decoder *d, const void *in, size_t length, void *out,
			   size_t want)
{
	z_stream *z = &d->deflate;

	if (inflateReset(z) != Z_OK)
		return -1;
	z->next_in = (void *)(uintptr_t)in;
	z->avail_in = (unsigned int)length;
	z->next_out = out;
	z->avail_out = (unsigned int)want;
	if (inflate(z, Z_FINISH) != Z_STREAM_END || z->avail_in)
		return -1;
	return (long)(want - z->avail_out);
}

int decode(struct decoder *d, unsigned int codec, const void *in, size_t length,
	   void *out, size_t want, struct failure *why)
{
	long got = -1;

	if (codec == FERRY_CODEC_LZ4 || codec == FERRY_CODEC_LZ4HC)
		got = decode_lz4(in, length, out, want);
	else if (codec == FERRY_CODEC_ZSTD)
		got = decode_zstd(d, in, length, out, want);
	else if (codec == FERRY_CODEC_ZSTD_STREAM)
		got = decode_stream(d, in, length, out, want);
	else if (codec == FERRY_CODEC_DEFLATE)
		got = decode_deflate(d, in, length, out, want);

	if (got < 0)
		return fail(why, "the payload is not %s", codec_name(codec));
	if ((size_t)got != want)
		return fail(why, "the payload decodes to %ld bytes, not %zu", got, want);
	return 0;
}
