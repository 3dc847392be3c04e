/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Codecs: the kernel crypto API's compressors (acomp), one page at a time.
 *
 * Each channel has a codec of its own, so nothing here is shared or locked.
 */
#ifndef FERRY_CODEC_H
#define FERRY_CODEC_H

#include <linux/crypto.h>
#include <linux/scatterlist.h>
#include <linux/types.h>

struct acomp_req;
struct crypto_acomp;

/**
 * struct ferry_codec - one compressor
 * @id:		FERRY_CODEC_*
 * @tfm:	the transform, NULL for FERRY_CODEC_NONE
 * @req:	its one request
 * @wait:	for codecs that answer later
 * @out:	one page, what the last encoding gave
 * @src:	describes the page to encode
 * @dst:	describes @out
 */
struct ferry_codec {
	u32 id;
	struct crypto_acomp *tfm;
	struct acomp_req *req;
	struct crypto_wait wait;
	void *out;
	struct scatterlist src;
	struct scatterlist dst;
};

u64 ferry_codecs_available(void);
int ferry_codec_init(struct ferry_codec *codec, u32 id);
void ferry_codec_destroy(struct ferry_codec *codec);
unsigned int ferry_codec_encode(struct ferry_codec *codec, const void *page);

#endif /* FERRY_CODEC_H */
