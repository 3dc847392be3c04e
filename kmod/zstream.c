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

/**
 * ferry_zstream_encode() - Encode the next bytes
 * @z: the encoder
 * @data: @size bytes
 * @size: up to FERRY_RECORD_MAX_PAGES pages
 * @to: room for as many bytes, and FERRY_RECORD_EXTRA
 *
 * Once it has failed it is of no use any more.
 *
 * Context: Process context, one caller at a time.
 * Return: bytes at @to, which must be sent, or 0 on failure.
 */
u32 ferry_zstream_encode(struct ferry_zstream *z, const void *data, u32 size,
			 void *to)
{
	zstd_in_buffer in = { .src = data, .size = size };
	zstd_out_buffer out = { .dst = to, .size = size + FERRY_RECORD_EXTRA };

	if (!z->stream)
		return 0;
	while (in.pos < in.size)
		if (zstd_is_error(zstd_compress_stream(z->stream, &out, &in)) ||
		    out.pos == out.size)
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

u32 ferry_zstream_encode(struct ferry_zstream *z, const void *data, u32 size,
			 void *to)
{
	return 0;
}

#endif
