/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * struct ferry_ram: one RAM block, and what is known of each of its pages.
 *
 * Theory of operation
 *
 * One bit is the truth about a page: *pending*, it must still be sent.
 *
 *	set by		the start		every page
 *			a scan			the page is mapped writable
 *			a foreign invalidation	its mapping changed under us
 *			a pin			somebody may still write to it
 *	cleared by	a take, and nothing else
 *
 * Whoever takes a page must send it. A bit may be set by anyone at any moment and
 * in any context; to set one too many costs a page of traffic, to lose one costs
 * the guest its memory. So bits are set before and after whatever makes a page
 * change, and taken before the page is read.
 *
 * Pages are taken by the chunk: 512 pages, 2 MiB, aligned in the block and, as
 * the block's offset is a multiple of 2 MiB, in the file. A chunk is worked on by
 * one thread only, the worker of its channel.
 *
 * The block's memory is reached through its file, never through the VM's address
 * space: a page that is not in the page cache is a hole (zero) or swapped out.
 */
#ifndef FERRY_RAM_H
#define FERRY_RAM_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/kvmferry.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "compression.h"
#include "group.h"

#define FERRY_CHUNK_SIZE	(FERRY_CHUNK_PAGES << PAGE_SHIFT)

struct ferry_hash {
	u64 lane[FERRY_HASH_SIZE / sizeof(u64)];
};

static inline void ferry_hash_xor(struct ferry_hash *hash,
				  const struct ferry_hash *other)
{
	hash->lane[0] ^= other->lane[0];
	hash->lane[1] ^= other->lane[1];
}

/**
 * struct ferry_ram_chunk - what is remembered of a chunk
 * @lock:	protects what follows
 * @group:	what its groups have taught
 * @cell:	what its groups were, for FERRY_GROUP_MAP
 * @dropped:	pages that were protected, for which KVM therefore dropped its
 *		mapping, and that nobody has mapped for the guest since
 * @protecting:	a worker is protecting pages here right now; no lock
 * @futility:	how compressible it was; the chunk's worker's own
 */
struct ferry_ram_chunk {
	spinlock_t lock;	/* see above */
	struct ferry_group_chunk group;
	struct ferry_group_cell cell;
	struct ferry_chunk_set dropped;
	bool protecting;
	struct ferry_futility futility;
};

/**
 * struct ferry_ram - a RAM block
 * @file:	its file; holds a reference
 * @mapping:	the file's page cache
 * @id:		how records name it
 * @address:	where the VM has it, bytes
 * @pages:	how many
 * @index:	page index in @file where it begins, a multiple of a chunk
 * @first_chunk: number of its first chunk, counted over all blocks of the VM
 * @pending:	a bit per page, atomic, rounded up to whole chunks
 * @chunk:	its chunks
 * @sent:	hash of each page as last sent; entry owned by the chunk's worker
 * @digest:	XOR of @sent, lane by lane
 */
struct ferry_ram {
	struct file *file;
	struct address_space *mapping;
	u32 id;
	unsigned long address;
	unsigned long pages;
	pgoff_t index;
	unsigned long first_chunk;
	unsigned long *pending;
	struct ferry_ram_chunk *chunk;
	struct ferry_hash *sent;
	atomic64_t digest[FERRY_HASH_SIZE / sizeof(u64)];
};

/**
 * struct ferry_refs - who holds the folio that a page is part of
 * @count:	references besides our own
 * @cache:	of these, how many the page cache and private data explain
 * @first:	first page of the folio, in pages of the block
 * @pages:	pages of the folio, 0 when the page is a hole
 */
struct ferry_refs {
	unsigned int count;
	unsigned int cache;
	unsigned long first;
	unsigned long pages;
};

static inline unsigned long ferry_ram_chunks(const struct ferry_ram *ram)
{
	return DIV_ROUND_UP(ram->pages, FERRY_CHUNK_PAGES);
}

/* Pages in chunk number @chunk of @ram: 512 but for the last one. */
static inline unsigned long ferry_ram_chunk_pages(const struct ferry_ram *ram,
						  unsigned long chunk)
{
	return min(FERRY_CHUNK_PAGES,
		   ram->pages - (chunk << FERRY_CHUNK_SHIFT));
}

/* Where the VM has page @page of chunk number @chunk, bytes. */
static inline unsigned long ferry_ram_address(const struct ferry_ram *ram,
					      unsigned long chunk,
					      unsigned long page)
{
	return ram->address + chunk * FERRY_CHUNK_SIZE + (page << PAGE_SHIFT);
}

struct ferry_ram *ferry_ram_create(const struct ferry_add_ram *arg);
void ferry_ram_destroy(struct ferry_ram *ram);
size_t ferry_ram_memory(const struct ferry_ram *ram);

void ferry_ram_mark(struct ferry_ram *ram, unsigned long first,
		    unsigned long last);
unsigned long ferry_ram_mark_set(struct ferry_ram *ram, unsigned long chunk,
				 const struct ferry_chunk_set *set);
unsigned long ferry_ram_take(struct ferry_ram *ram, unsigned long chunk,
			     struct ferry_chunk_set *take,
			     struct ferry_chunk_set *opened);
unsigned long ferry_ram_pending(const struct ferry_ram *ram);

int ferry_ram_read(const struct ferry_ram *ram, unsigned long page, void *to,
		   struct ferry_refs *refs);
bool ferry_ram_sent(struct ferry_ram *ram, unsigned long page,
		    const struct ferry_hash *hash);
void ferry_ram_digest(const struct ferry_ram *ram, struct ferry_hash *digest);

#endif /* FERRY_RAM_H */
