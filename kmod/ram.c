// SPDX-License-Identifier: GPL-2.0-only
/* RAM blocks: the pending bits, the page hashes, reading a page. See ram.h. */

#include <linux/err.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/magic.h>
#include <linux/overflow.h>
#include <linux/page-flags.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/xarray.h>

#include "compat/compat.h"
#include "fault.h"
#include "ram.h"

/* Words of @pending: whole chunks, so that a chunk never shares a word. */
static unsigned long pending_words(unsigned long pages)
{
	return BITS_TO_LONGS(round_up(pages, FERRY_CHUNK_PAGES));
}

static int ram_check_range(const struct ferry_add_ram *arg)
{
	u64 end;

	if (!arg->size || !IS_ALIGNED(arg->address | arg->size, PAGE_SIZE) ||
	    !IS_ALIGNED(arg->offset, FERRY_CHUNK_SIZE))
		return -EINVAL;
	if (check_add_overflow(arg->address, arg->size, &end) ||
	    end > TASK_SIZE_MAX ||
	    check_add_overflow(arg->offset, arg->size, &end) || end > S64_MAX)
		return -EINVAL;
	return 0;
}

/* Only memory of tmpfs and memfd is followed: see protect.h. */
static int ram_check_file(struct file *file)
{
	if (file_inode(file)->i_sb->s_magic == HUGETLBFS_MAGIC)
		return -EOPNOTSUPP;
	if (!shmem_mapping(file->f_mapping))
		return -ENODEV;
	return 0;
}

static int ram_alloc(struct ferry_ram *ram)
{
	size_t hashes = ferry_fault(FERRY_FAULT_MEMORY_HIDDEN) ? 2 : 1;
	unsigned long i;

	ram->pending = kvcalloc(pending_words(ram->pages), sizeof(long),
				GFP_KERNEL_ACCOUNT);
	if (!ram->pending)
		return -ENOMEM;

	ram->chunk = kvcalloc(ferry_ram_chunks(ram), sizeof(*ram->chunk),
			      GFP_KERNEL_ACCOUNT);
	if (!ram->chunk)
		return -ENOMEM;
	for (i = 0; i < ferry_ram_chunks(ram); i++)
		spin_lock_init(&ram->chunk[i].lock);

	/* All at once: better no migration than one that fails half-way. */
	ram->sent = __vmalloc(array3_size(ram->pages, sizeof(*ram->sent), hashes),
			      GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!ram->sent)
		return -ENOMEM;
	return 0;
}

/**
 * ferry_ram_create() - Make a RAM block of what FERRY_ADD_RAM says
 * @arg: the command's argument; its range and file are checked here, that the
 *	 VM maps them is checked by ferry_mapping_check()
 *
 * Every page is pending.
 *
 * Context: Process context. May sleep.
 * Return: the block, or an error pointer: -EINVAL, -EBADF, -EOPNOTSUPP,
 *	   -ENODEV, -ENOMEM as FERRY_ADD_RAM documents them.
 */
struct ferry_ram *ferry_ram_create(const struct ferry_add_ram *arg)
{
	struct ferry_ram *ram;
	int err;

	err = ram_check_range(arg);
	if (err)
		return ERR_PTR(err);

	ram = kzalloc(sizeof(*ram), GFP_KERNEL_ACCOUNT);
	if (!ram)
		return ERR_PTR(-ENOMEM);

	ram->id = arg->id;
	ram->address = arg->address;
	ram->pages = arg->size >> PAGE_SHIFT;
	ram->index = arg->offset >> PAGE_SHIFT;

	err = -EBADF;
	ram->file = fget(arg->fd);
	if (!ram->file)
		goto err_destroy;
	ram->mapping = ram->file->f_mapping;

	err = ram_check_file(ram->file);
	if (err)
		goto err_destroy;

	err = ram_alloc(ram);
	if (err)
		goto err_destroy;

	bitmap_set(ram->pending, 0, ram->pages);
	return ram;

err_destroy:
	ferry_ram_destroy(ram);
	return ERR_PTR(err);
}

/**
 * ferry_ram_destroy() - Undo ferry_ram_create()
 * @ram: the block; nobody may be using it any more
 *
 * Context: Process context. May sleep.
 */
void ferry_ram_destroy(struct ferry_ram *ram)
{
	vfree(ram->sent);
	kvfree(ram->chunk);
	kvfree(ram->pending);
	if (ram->file)
		fput(ram->file);
	kfree(ram);
}

/**
 * ferry_ram_memory() - What a block costs
 * @ram: the block
 *
 * Return: bytes of kernel memory.
 */
size_t ferry_ram_memory(const struct ferry_ram *ram)
{
	return sizeof(*ram) + pending_words(ram->pages) * sizeof(long) +
	       ferry_ram_chunks(ram) * sizeof(*ram->chunk) +
	       ram->pages * sizeof(*ram->sent);
}

/**
 * ferry_ram_mark() - Make a range of pages pending
 * @ram: the block
 * @first: first page
 * @last: last page, inclusive, within the block
 *
 * The bits are set with full ordering: whoever takes a chunk afterwards sees
 * them.
 *
 * Context: Any.
 */
void ferry_ram_mark(struct ferry_ram *ram, unsigned long first,
		    unsigned long last)
{
	unsigned long word = BIT_WORD(first);

	for (; word <= BIT_WORD(last); word++) {
		unsigned long mask = ~0UL;

		if (word == BIT_WORD(first))
			mask &= BITMAP_FIRST_WORD_MASK(first);
		if (word == BIT_WORD(last))
			mask &= BITMAP_LAST_WORD_MASK(last + 1);
		atomic_long_fetch_or(mask, (atomic_long_t *)&ram->pending[word]);
	}
}

/**
 * ferry_ram_mark_set() - Make a set of pages of a chunk pending
 * @ram: the block
 * @chunk: number of the chunk in the block
 * @set: the pages
 *
 * Context: Any.
 * Return: how many were not pending before.
 */
unsigned long ferry_ram_mark_set(struct ferry_ram *ram, unsigned long chunk,
				 const struct ferry_chunk_set *set)
{
	unsigned long *pending = ram->pending +
				 BIT_WORD(chunk << FERRY_CHUNK_SHIFT);
	unsigned long fresh = 0, old;
	int i;

	for (i = 0; i < BITS_TO_LONGS(FERRY_CHUNK_PAGES); i++) {
		if (!set->page[i])
			continue;
		old = atomic_long_fetch_or(set->page[i],
					   (atomic_long_t *)&pending[i]);
		fresh += hweight_long(set->page[i] & ~old);
	}
	return fresh;
}

/**
 * ferry_ram_take() - Claim the pending pages of a chunk
 * @ram: the block
 * @chunk: number of the chunk in the block
 * @take: out: the pages that the caller must now send
 * @opened: out: those of them that were opened as part of a group
 *
 * Context: Process context; the chunk's worker only.
 * Return: how many pages were taken.
 */
unsigned long ferry_ram_take(struct ferry_ram *ram, unsigned long chunk,
			     struct ferry_chunk_set *take,
			     struct ferry_chunk_set *opened)
{
	struct ferry_ram_chunk *c = &ram->chunk[chunk];
	unsigned long *pending = ram->pending +
				 BIT_WORD(chunk << FERRY_CHUNK_SHIFT);
	int i;

	for (i = 0; i < BITS_TO_LONGS(FERRY_CHUNK_PAGES); i++)
		take->page[i] = xchg(&pending[i], 0);

	spin_lock(&c->lock);
	ferry_group_take(&c->group, take, opened);
	spin_unlock(&c->lock);
	return bitmap_weight(take->page, FERRY_CHUNK_PAGES);
}

/**
 * ferry_ram_pending() - Count the pending pages
 * @ram: the block
 *
 * Context: Any.
 * Return: how many pages are pending.
 */
unsigned long ferry_ram_pending(const struct ferry_ram *ram)
{
	return bitmap_weight(ram->pending, ram->pages);
}

/* Not in the page cache: zero, or on swap? */
static struct folio *ram_fetch(const struct ferry_ram *ram, pgoff_t index)
{
	void *entry = xa_load(&ram->mapping->i_pages, index);

	if (!entry)
		return NULL;
	if (!xa_is_value(entry))
		return ERR_PTR(-EAGAIN);
	return shmem_read_folio_gfp(ram->mapping, index,
				    mapping_gfp_mask(ram->mapping));
}

static struct folio *ram_try_folio(const struct ferry_ram *ram, pgoff_t index)
{
	struct folio *folio = filemap_get_folio(ram->mapping, index);
	bool gone;

	if (ferry_no_folio(folio))
		folio = ram_fetch(ram, index);
	if (IS_ERR_OR_NULL(folio) || folio_test_uptodate(folio))
		return folio;

	/*
	 * Preallocated and never touched; or a huge page that is just being put
	 * together, to which the small ones have not been copied yet. That one
	 * is locked until it is complete, or has gone again.
	 */
	folio_lock(folio);
	gone = folio->mapping != ram->mapping;
	folio_unlock(folio);
	if (!gone)
		return folio;
	folio_put(folio);
	return ERR_PTR(-EAGAIN);
}

/* The folio of a page with a reference, NULL for a hole, or an error. */
static struct folio *ram_get_folio(const struct ferry_ram *ram, pgoff_t index)
{
	struct folio *folio;

	do {
		folio = ram_try_folio(ram, index);
	} while (folio == ERR_PTR(-EAGAIN));
	return folio;
}

/**
 * ferry_ram_read() - Copy a page as it is now
 * @ram: the block
 * @page: which page
 * @to: PAGE_SIZE bytes; not written when the page is a hole
 * @refs: out: who held the page before it was copied
 *
 * Allocates nothing for a hole; brings a page back from swap. The VM may be
 * writing to the page meanwhile: then @to holds some mixture, and the page is
 * mapped writable and so found by the next scan.
 *
 * Context: Process context. May sleep.
 * Return: 1 copied, 0 a hole: all bytes are zero, negative errno otherwise.
 */
int ferry_ram_read(const struct ferry_ram *ram, unsigned long page, void *to,
		   struct ferry_refs *refs)
{
	pgoff_t index = ram->index + page;
	struct folio *folio;
	struct page *p;
	int ret = 0;

	*refs = (struct ferry_refs){};
	if (ferry_fault(FERRY_FAULT_READ_ERROR))
		return -EIO;

	folio = ram_get_folio(ram, index);
	if (!folio)
		return 0;
	if (IS_ERR(folio))
		return PTR_ERR(folio);

	refs->first = folio->index - ram->index;
	refs->pages = folio_nr_pages(folio);
	refs->cache = refs->pages + folio_test_private(folio);
	refs->count = folio_ref_count(folio) - 1;
	/* References first: one that is gone by now has written before we copy. */
	smp_rmb();

	p = folio_file_page(folio, index);
	if (PageHWPoison(p)) {
		ret = -EIO;
	} else if (folio_test_uptodate(folio)) {
		/* else preallocated and never touched, so zero as well */
		memcpy_from_page(to, p, 0, PAGE_SIZE);
		ret = 1;
	}
	folio_put(folio);
	return ret;
}

/**
 * ferry_ram_sent() - Remember what a page was sent as
 * @ram: the block
 * @page: which page
 * @hash: its hash
 *
 * Context: Any; the chunk's worker only.
 * Return: true if that is not what it was sent as before.
 */
bool ferry_ram_sent(struct ferry_ram *ram, unsigned long page,
		    const struct ferry_hash *hash)
{
	struct ferry_hash *sent = &ram->sent[page];
	bool changed = false;
	int i;

	for (i = 0; i < ARRAY_SIZE(hash->lane); i++) {
		u64 delta = sent->lane[i] ^ hash->lane[i];

		atomic64_xor(delta, &ram->digest[i]);
		changed |= delta;
	}
	*sent = *hash;
	return changed;
}

/**
 * ferry_ram_digest() - XOR of the hashes of all pages as last sent
 * @ram: the block; no pass may be under way
 * @digest: out
 *
 * Context: Any.
 */
void ferry_ram_digest(const struct ferry_ram *ram, struct ferry_hash *digest)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(digest->lane); i++)
		digest->lane[i] = atomic64_read(&ram->digest[i]);
}
