// SPDX-License-Identifier: GPL-2.0-only
/* Codecs through the kernel crypto API. See codec.h. */

#include <crypto/acompress.h>
#include <linux/kvmferry.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "codec.h"
#include "compat/compat.h"
#include "fault.h"
#include "record.h"

/*
 * A record must save this much, in bytes for each page: what is less is not worth
 * the target's time. See compression.c.
 */
#define LEAST_SAVED	64

/* Whatever the host has registered under these names, offload drivers included. */
static const char * const codec_names[FERRY_NR_CODECS] = {
	[FERRY_CODEC_LZ4]	= "lz4",
	[FERRY_CODEC_LZ4HC]	= "lz4hc",
	[FERRY_CODEC_ZSTD]	= "zstd",
	[FERRY_CODEC_DEFLATE]	= "deflate",
};

/**
 * ferry_codecs_available() - Which codecs work on this host?
 *
 * Context: Process context. May sleep and load modules.
 * Return: bit (1 << FERRY_CODEC_x) for each.
 */
u64 ferry_codecs_available(void)
{
	u64 bits = BIT_ULL(FERRY_CODEC_NONE);
	u32 id;

	if (ferry_zstream_available())
		bits |= BIT_ULL(FERRY_CODEC_ZSTD_STREAM);
	for (id = 0; id < ARRAY_SIZE(codec_names); id++)
		if (codec_names[id] &&
		    crypto_has_alg(codec_names[id], CRYPTO_ALG_TYPE_ACOMPRESS,
				   CRYPTO_ALG_TYPE_ACOMPRESS_MASK))
			bits |= BIT_ULL(id);
	return bits;
}

/**
 * ferry_codec_init() - Set up a compressor
 * @codec: zeroed
 * @id: FERRY_CODEC_*, not FERRY_CODEC_NONE
 *
 * Context: Process context. May sleep and load modules.
 * Return: 0; -EOPNOTSUPP no such codec here; -ENOMEM.
 */
int ferry_codec_init(struct ferry_codec *codec, u32 id)
{
	struct crypto_acomp *tfm;

	codec->id = id;
	if (id == FERRY_CODEC_ZSTD_STREAM)
		return ferry_zstream_available() ? 0 : -EOPNOTSUPP;
	tfm = crypto_alloc_acomp(codec_names[id], 0, 0);
	if (IS_ERR(tfm))
		return PTR_ERR(tfm) == -ENOMEM ? -ENOMEM : -EOPNOTSUPP;
	codec->req = acomp_request_alloc(tfm);
	if (!codec->req) {
		crypto_free_acomp(tfm);
		return -ENOMEM;
	}
	codec->tfm = tfm;
	crypto_init_wait(&codec->wait);
	acomp_request_set_callback(codec->req, CRYPTO_TFM_REQ_MAY_BACKLOG,
				   crypto_req_done, &codec->wait);
	return 0;
}

/**
 * ferry_codec_destroy() - Undo ferry_codec_init()
 * @codec: the codec, or zeroes
 *
 * Context: Process context. May sleep.
 */
void ferry_codec_destroy(struct ferry_codec *codec)
{
	ferry_zstream_destroy(&codec->zstream);
	if (!codec->tfm)
		return;
	acomp_request_free(codec->req);
	crypto_free_acomp(codec->tfm);
	codec->tfm = NULL;
}

static u32 most_of(unsigned int pages)
{
	return pages * (PAGE_SIZE - LEAST_SAVED);
}

/**
 * ferry_codec_pays() - Has it been worth the effort?
 * @pages: that were encoded
 * @length: what they became, 0 if nothing
 *
 * Context: Any.
 */
bool ferry_codec_pays(unsigned int pages, u32 length)
{
	return length && length <= most_of(pages);
}

/**
 * ferry_codec_memory() - What a codec costs, as far as that is known
 * @codec: the codec, or zeroes
 *
 * Context: Any.
 * Return: bytes.
 */
u64 ferry_codec_memory(const struct ferry_codec *codec)
{
	return READ_ONCE(codec->zstream.size);
}

/**
 * ferry_codec_ready() - May it be used now?
 * @codec: the codec, or zeroes
 *
 * Context: Process context, the worker. May sleep.
 */
bool ferry_codec_ready(struct ferry_codec *codec)
{
	return codec->id != FERRY_CODEC_ZSTD_STREAM ||
	       ferry_zstream_ready(&codec->zstream);
}

static u32 encode(struct ferry_codec *codec, const struct ferry_batch *batch)
{
	u32 size = batch->count * PAGE_SIZE, most = most_of(batch->count);
	struct scatterlist lists[2];

	ferry_acomp_set_memory(codec->req, batch->data, size, batch->bounce,
			       most, lists);
	if (crypto_wait_req(crypto_acomp_compress(codec->req), &codec->wait) ||
	    codec->req->dlen > most)
		return 0;
	return codec->req->dlen;
}

/**
 * ferry_codec_encode() - Encode the pages of a batch
 * @codec: the codec, ready
 * @batch: not empty; its bounce buffer is overwritten
 * @to: room for as many bytes as they are, and FERRY_RECORD_EXTRA
 *
 * Any failure of the codec is an answer too: send the pages as they are. What
 * FERRY_CODEC_ZSTD_STREAM has made must be sent even if it is longer.
 *
 * Context: Process context, the worker. May sleep.
 * Return: bytes to send instead of the pages, or 0 when they do not get smaller.
 */
u32 ferry_codec_encode(struct ferry_codec *codec,
		       const struct ferry_batch *batch, void *to)
{
	u32 length;

	if (ferry_fault(FERRY_FAULT_ENCODE_ERROR))
		return 0;
	if (codec->id == FERRY_CODEC_ZSTD_STREAM)
		return ferry_zstream_encode(&codec->zstream, batch->data,
					    batch->count * PAGE_SIZE, to);
	length = encode(codec, batch);
	memcpy(to, batch->bounce, length);
	return length;
}
