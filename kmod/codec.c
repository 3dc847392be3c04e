// SPDX-License-Identifier: GPL-2.0-only
/* Codecs through the kernel crypto API. See codec.h. */

#include <crypto/acompress.h>
#include <linux/kvmferry.h>
#include <linux/slab.h>

#include "codec.h"
#include "fault.h"

/*
 * A page is worth encoding only if it becomes this small, in bytes: what is less
 * would save nothing after header and padding.
 */
#define ENCODED_MAX	(PAGE_SIZE - 64)

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

	for (id = FERRY_CODEC_NONE + 1; id < ARRAY_SIZE(codec_names); id++)
		if (crypto_has_alg(codec_names[id], CRYPTO_ALG_TYPE_ACOMPRESS,
				   CRYPTO_ALG_TYPE_ACOMPRESS_MASK))
			bits |= BIT_ULL(id);
	return bits;
}

/**
 * ferry_codec_init() - Set up a compressor
 * @codec: uninitialised
 * @id: FERRY_CODEC_*
 *
 * Context: Process context. May sleep and load modules.
 * Return: 0; -EOPNOTSUPP no such codec here; -ENOMEM.
 */
int ferry_codec_init(struct ferry_codec *codec, u32 id)
{
	int err = -ENOMEM;

	memset(codec, 0, sizeof(*codec));
	codec->id = id;
	if (id == FERRY_CODEC_NONE)
		return 0;
	if (id >= ARRAY_SIZE(codec_names))
		return -EOPNOTSUPP;

	codec->tfm = crypto_alloc_acomp(codec_names[id], 0, 0);
	if (IS_ERR(codec->tfm))
		return PTR_ERR(codec->tfm) == -ENOMEM ? -ENOMEM : -EOPNOTSUPP;

	codec->req = acomp_request_alloc(codec->tfm);
	if (!codec->req)
		goto err_tfm;
	codec->out = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!codec->out)
		goto err_req;

	crypto_init_wait(&codec->wait);
	acomp_request_set_callback(codec->req, CRYPTO_TFM_REQ_MAY_BACKLOG,
				   crypto_req_done, &codec->wait);
	sg_init_one(&codec->dst, codec->out, ENCODED_MAX);
	return 0;

err_req:
	acomp_request_free(codec->req);
err_tfm:
	crypto_free_acomp(codec->tfm);
	return err;
}

/**
 * ferry_codec_destroy() - Undo ferry_codec_init()
 * @codec: the codec
 *
 * Context: Process context. May sleep.
 */
void ferry_codec_destroy(struct ferry_codec *codec)
{
	if (codec->id == FERRY_CODEC_NONE)
		return;
	free_page((unsigned long)codec->out);
	acomp_request_free(codec->req);
	crypto_free_acomp(codec->tfm);
}

/**
 * ferry_codec_encode() - Encode one page
 * @codec: the codec
 * @page: PAGE_SIZE bytes, in the linear mapping, that nobody else writes to
 *
 * Any failure of the codec is an answer too: send the page as it is.
 *
 * Context: Process context. May sleep.
 * Return: bytes in @codec->out, or 0 when the page does not get smaller.
 */
unsigned int ferry_codec_encode(struct ferry_codec *codec, const void *page)
{
	int err;

	if (codec->id == FERRY_CODEC_NONE ||
	    ferry_fault(FERRY_FAULT_ENCODE_ERROR))
		return 0;

	sg_init_one(&codec->src, page, PAGE_SIZE);
	acomp_request_set_params(codec->req, &codec->src, &codec->dst,
				 PAGE_SIZE, ENCODED_MAX);
	err = crypto_wait_req(crypto_acomp_compress(codec->req), &codec->wait);
	if (err || codec->req->dlen > ENCODED_MAX)
		return 0;
	return codec->req->dlen;
}
