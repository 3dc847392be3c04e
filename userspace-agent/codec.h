/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What pages are compressed with: names, and decoding. The kernel encodes.
 */
#ifndef KVMFERRY_CODEC_H
#define KVMFERRY_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/kvmferry.h>

#include "log.h"

/* Codecs that can be decoded, bit (1 << FERRY_CODEC_x). */
#define CODEC_ALL	((1u << FERRY_NR_CODECS) - 1)
/*
 * What "auto" stands for. The others take longer than zstd does and make pages no
 * smaller, unless the host has hardware for them.
 */
#define CODEC_AUTO	(1u << FERRY_CODEC_NONE | 1u << FERRY_CODEC_LZ4 | \
			 1u << FERRY_CODEC_ZSTD | 1u << FERRY_CODEC_ZSTD_STREAM)
/* What may be written, for messages. */
#define CODEC_WORDS	"auto, or one or more of none,lz4,lz4hc,zstd,zstd-stream,deflate"

/**
 * codec_parse - read "auto", or names with commas in between
 * @codecs:	out: bit (1 << FERRY_CODEC_x) for each
 *
 * Returns false if it is neither.
 */
bool codec_parse(const char *text, uint64_t *codecs);

/* The name of FERRY_CODEC_x; "unknown" for one from the future. */
const char *codec_name(unsigned int codec);

/* Decodes; one for each stream of records, in their order. */
struct decoder;

/* Returns NULL when there is no memory. */
struct decoder *decoder_new(void);
/* NULL is allowed. */
void decoder_free(struct decoder *d);

/**
 * decode - decode a payload
 * @d:		the decoder
 * @codec:	FERRY_CODEC_*, but not FERRY_CODEC_NONE
 * @in:		@length bytes, from anybody
 * @out:	@want bytes, which is what they must decode to; on failure it
 *		holds anything
 *
 * Allocates no memory, whatever @in asks for, but for FERRY_CODEC_ZSTD_STREAM, whose window is
 * bounded. After a failure no further payload of that codec can be decoded.
 *
 * Returns 0, or -1 with @why set.
 */
int decode(struct decoder *d, unsigned int codec, const void *in, size_t length,
	   void *out, size_t want, struct failure *why);

#endif /* KVMFERRY_CODEC_H */
