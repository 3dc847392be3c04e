// SPDX-License-Identifier: GPL-2.0-only
/* One Zstandard frame through all records of a channel. See zstream.h. */

#include <linux/kvmferry.h>
#include <linux/mm.h>

#include "zstream.h"

#define LEVEL		6
#define WINDOW_LOG	21U	/* as the ABI says; the level's own, today */

/**
 * ferry_zstream_available() - Does this kernel have the library?
 *
 * Context: Any.
 */
bool ferry_zstream_available(void)
{
	return IS_ENABLED(CONFIG_ZSTD_COMPRESS);
}

#if IS_ENABLED(CONFIG_ZSTD_COMPRESS)

/**
 * ferry_zstream_init() - Set up an encoder
 * @z: zeroed
 *
 * Context: Process context. May sleep.
 * Return: 0; -EOPNOTSUPP not on this kernel; -ENOMEM.
 */
int ferry_zstream_init(struct ferry_zstream *z)
{
	zstd_parameters parameters = zstd_get_params(LEVEL, 0);

	parameters.cParams.windowLog = min(parameters.cParams.windowLog,
					   WINDOW_LOG);
	z->size = zstd_cstream_workspace_bound(&parameters.cParams);
	z->workspace = kvmalloc(z->size, GFP_KERNEL_ACCOUNT);
	if (!z->workspace)
		return -ENOMEM;
	z->stream = zstd_init_cstream(&parameters, 0, z->workspace, z->size);
	if (z->stream)
		return 0;
	ferry_zstream_destroy(z);
	return -ENOMEM;
}

/**
 * ferry_zstream_destroy() - Undo ferry_zstream_init()
 * @z: the encoder, or zeroes
 *
 * Context: Process context. May sleep.
 */
void ferry_zstream_destroy(struct ferry_zstream *z)
{
	kvfree(z->workspace);
	*z = (struct ferry_zstream){};
}

static bool feed_page(zstd_cstream *stream, zstd_out_buffer *out, void *page)
{
	zstd_in_buffer in = { .src = page, .size = PAGE_SIZE };

	while (in.pos < in.size)
		if (zstd_is_error(zstd_compress_stream(stream, out, &in)) ||
		    (out->pos == out->size && in.pos < in.size))
			return false;
	return true;
}

/**
 * ferry_zstream_encode() - Encode the next pages
 * @z: the encoder
 * @page: @pages times PAGE_SIZE bytes
 * @pages: how many
 * @to: room for as many bytes, and FERRY_RECORD_EXTRA
 *
 * Once it has failed it is of no use any more.
 *
 * Context: Process context, one caller at a time.
 * Return: bytes at @to, which must be sent, or 0 on failure.
 */
u32 ferry_zstream_encode(struct ferry_zstream *z, void * const *page,
			 unsigned int pages, void *to)
{
	zstd_out_buffer out = {
		.dst = to,
		.size = pages * PAGE_SIZE + FERRY_RECORD_EXTRA,
	};
	unsigned int i;

	if (!z->stream)
		return 0;
	for (i = 0; i < pages; i++)
		if (!feed_page(z->stream, &out, page[i]))
			goto broken;
	/* Anything but 0: an error, or there was no room for all of it. */
	if (zstd_flush_stream(z->stream, &out))
		goto broken;
	return out.pos;

broken:
	z->stream = NULL;
	return 0;
}

#else

int ferry_zstream_init(struct ferry_zstream *z)
{
	return -EOPNOTSUPP;
}

void ferry_zstream_destroy(struct ferry_zstream *z)
{
}

u32 ferry_zstream_encode(struct ferry_zstream *z, void * const *page,
			 unsigned int pages, void *to)
{
	return 0;
}

#endif
