/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Codecs: the kernel crypto API's compressors (acomp), some pages at a time, and the one
 * of zstream.h.
 *
 * Each channel has codecs of its own, so nothing here is shared or locked.
 */
#ifndef FERRY_CODEC_H
#define FERRY_CODEC_H

#include <linux/crypto.h>
#include <linux/kvmferry.h>
#include <linux/types.h>

#include "zstream.h"

struct acomp_req;
struct crypto_acomp;
struct ferry_batch;

/**
 * struct ferry_codec - one compressor
 * @id:		FERRY_CODEC_*
 * @tfm:	the transform, NULL if it was not set up, or is no acomp
 * @req:	its one request
 * @wait:	for codecs that answer later
 * @zstream:	instead of all that, for FERRY_CODEC_ZSTD_STREAM
 */
struct ferry_codec {
	u32 id;
	struct crypto_acomp *tfm;
	struct acomp_req *req;
	struct crypto_wait wait;
	struct ferry_zstream zstream;
};

u64 ferry_codecs_available(void);
int ferry_codec_init(struct ferry_codec *codec, u32 id);
void ferry_codec_destroy(struct ferry_codec *codec);
bool ferry_codec_ready(struct ferry_codec *codec);
u32 ferry_codec_encode(struct ferry_codec *codec,
		       const struct ferry_batch *batch, void *to);
bool ferry_codec_pays(unsigned int pages, u32 length);
u64 ferry_codec_memory(const struct ferry_codec *codec);

#endif /* FERRY_CODEC_H */
