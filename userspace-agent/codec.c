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

struct decoder {
	ZSTD_DCtx *zstd;
	z_stream deflate;
};

static const char *const names[FERRY_NR_CODECS] = {
	[FERRY_CODEC_NONE] = "none",
	[FERRY_CODEC_LZ4] = "lz4",
	[FERRY_CODEC_LZ4HC] = "lz4hc",
	[FERRY_CODEC_ZSTD] = "zstd",
	[FERRY_CODEC_DEFLATE] = "deflate",
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

struct decoder *decoder_new(void)
{
	struct decoder *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->zstd = ZSTD_createDCtx();
	/* as in RFC 1951: without a header, of any window */
	if (d->zstd && inflateInit2(&d->deflate, -MAX_WBITS) == Z_OK)
		return d;
	ZSTD_freeDCtx(d->zstd);
	free(d);
	return NULL;
}

void decoder_free(struct decoder *d)
{
	if (!d)
		return;
	inflateEnd(&d->deflate);
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
	else if (codec == FERRY_CODEC_DEFLATE)
		got = decode_deflate(d, in, length, out, want);

	if (got < 0)
		return fail(why, "the payload is not %s", codec_name(codec));
	if ((size_t)got != want)
		return fail(why, "the payload decodes to %ld bytes, not %zu", got, want);
	return 0;
}
