/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The codec "zstd-stream": one Zstandard frame that goes through all records of a
 * channel for which it is used.
 *
 * What a record has in common with those before it is found, too, as far back as 2 MiB of
 * pages, and the level is higher than the crypto API's: a seventh fewer bytes than
 * its zstd needs for 64 KiB at a time, for two and a half times the work. So it is for
 * streams that are much slower than the CPU. The crypto API has neither levels nor
 * anything that outlives a request, hence the kernel's zstd library itself.
 *
 * The target decodes the frame piece by piece, so what was encoded must be sent: it may
 * be FERRY_RECORD_EXTRA bytes longer than the pages (headers of frame and blocks).
 */
#ifndef FERRY_ZSTREAM_H
#define FERRY_ZSTREAM_H

#include <linux/types.h>
#include <linux/zstd.h>

/**
 * struct ferry_zstream - an encoder
 * @stream:	the library's, in @workspace; NULL: not set up, or it has failed
 * @workspace:	all its memory
 * @size:	bytes of it
 */
struct ferry_zstream {
	zstd_cstream *stream;
	void *workspace;
	size_t size;
};

bool ferry_zstream_available(void);
int ferry_zstream_init(struct ferry_zstream *z);
void ferry_zstream_destroy(struct ferry_zstream *z);
u32 ferry_zstream_encode(struct ferry_zstream *z, const void *data, u32 size,
			 void *to);

#endif /* FERRY_ZSTREAM_H */
