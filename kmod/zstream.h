/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The codec "zstd-stream": one Zstandard frame that goes through all records of a
 * channel for which it is used.
 *
 * What a record has in common with those before it is found, too, in a window of 32 MiB of
 * pages, and the level is higher than the crypto API's: a fifth fewer bytes than
 * its zstd needs for 64 KiB at a time, for three to four times the work and some 50 MiB of
 * memory. How much of the window is found again is the library's matter: two million
 * places are remembered, of all of it up to v6.1 or so, the latest ones since then. So it
 * is for streams that are much slower than the CPU, and takes its memory only once one
 * is met. The crypto API has neither levels nor anything that outlives a request, hence
 * the kernel's zstd library itself.
 *
 * The target decodes the frame piece by piece, so what was encoded must be sent: it may
 * be FERRY_RECORD_EXTRA bytes longer than the pages (headers of frame and blocks).
 */
#ifndef FERRY_ZSTREAM_H
#define FERRY_ZSTREAM_H

#include <linux/types.h>
#include <linux/zstd.h>

/**
 * struct ferry_zstream - an encoder; begins as zeroes
 * @stream:	the library's, in @workspace; NULL: not set up, or it has failed
 * @workspace:	all its memory
 * @size:	bytes of it; may be read by anyone
 * @failed:	of no use any more
 */
struct ferry_zstream {
	zstd_cstream *stream;
	void *workspace;
	size_t size;
	bool failed;
};

bool ferry_zstream_available(void);
bool ferry_zstream_ready(struct ferry_zstream *z);
void ferry_zstream_destroy(struct ferry_zstream *z);
u32 ferry_zstream_encode(struct ferry_zstream *z, const void *data, u32 size,
			 void *to);

#endif /* FERRY_ZSTREAM_H */
