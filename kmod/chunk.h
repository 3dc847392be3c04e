/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A chunk: 512 pages, 2 MiB, what one page table maps. Sets of its pages.
 * User-space tests use this header, too.
 */
#ifndef FERRY_CHUNK_H
#define FERRY_CHUNK_H

#include <linux/bitmap.h>
#include <linux/bits.h>

#define FERRY_CHUNK_SHIFT	9
#define FERRY_CHUNK_PAGES	BIT(FERRY_CHUNK_SHIFT)

/* A set of pages in one chunk. */
struct ferry_chunk_set {
	DECLARE_BITMAP(page, FERRY_CHUNK_PAGES);
};

#endif /* FERRY_CHUNK_H */
