// SPDX-License-Identifier: GPL-2.0-only
/* One Zstandard frame through all records of a channel. See zstream.h. */

#include <linux/kvmferry.h>
#include <linux/mm.h>

#include "fault.h"
#include "zstream.h"

#define LEVEL		6
#define WINDOW_LOG	25U	/* as the ABI says */
/* The level's own are for a window of 2 MiB. */
#define TABLE_LOG	21U

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

static bool set_up(struct ferry_zstream *z)
{
	zstd_parameters parameters = zstd_get_params(LEVEL, 0);
	size_t size;

	parameters.cParams.windowLog = WINDOW_LOG;
	parameters.cParams.hashLog = TABLE_LOG;
	parameters.cParams.chainLog = TABLE_LOG;
	size = zstd_cstream_workspace_bound(&parameters.cParams);
	if (ferry_fault(FERRY_FAULT_ZSTREAM_NOMEM))
		return false;
	z->workspace = kvmalloc(size, GFP_KERNEL_ACCOUNT);
	if (!z->workspace)
		return false;
	WRITE_ONCE(z->size, size);
	z->stream = zstd_init_cstream(&parameters, 0, z->workspace, size);
	return z->stream;
}

/**
 * ferry_zstream_ready() - May it be used? Gets its memory, if it has none yet
 * @z: the encoder
 *
 * Context: Process context, one caller at a time. May sleep.
 * Return: false where there is not enough memory, or it has failed before.
 */
bool ferry_zstream_ready(struct ferry_zstream *z)
{
	if (!z->workspace && !z->failed)
		z->failed = !set_up(z);
	return !z->failed;
}

/**
 * ferry_zstream_destroy() - Give its memory back
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
 * @z: the encoder, ready
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

	while (in.pos < in.size)
		if (zstd_is_error(zstd_compress_stream(z->stream, &out, &in)) ||
		    out.pos == out.size)
			goto broken;
	/* Anything but 0: an error, or there was no room for all of it. */
	if (zstd_flush_stream(z->stream, &out))
		goto broken;
	return out.pos;

broken:
	z->failed = true;
	return 0;
}

#else

bool ferry_zstream_ready(struct ferry_zstream *z)
{
	return false;
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
