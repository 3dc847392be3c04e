// SPDX-License-Identifier: GPL-2.0-only
/* Scan, take, protect. The guarantees are in protect.h. */

#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/rmap.h>
#include <linux/sched.h>

#include "compat/compat.h"
#include "fault.h"
#include "protect.h"

/* The PMD for @address, or an empty one. Each level is read once. */
static pmd_t scan_read_pmd(struct mm_struct *mm, unsigned long address)
{
	pgd_t pgd;
	p4d_t p4d;
	pud_t pud;

	pgd = READ_ONCE(*pgd_offset(mm, address));
	if (pgd_none(pgd))
		return __pmd(0);
	p4d = READ_ONCE(*p4d_offset(&pgd, address));
	if (p4d_none(p4d) || !p4d_present(p4d))
		return __pmd(0);
	pud = READ_ONCE(*pud_offset(&p4d, address));
	if (pud_none(pud) || !pud_present(pud) || pud_leaf(pud))
		return __pmd(0);
	return READ_ONCE(*pmd_offset(&pud, address));
}

/* @nr pages under one PMD; they are pages @first and following of the chunk. */
static void scan_pmd(pmd_t pmd, unsigned long address, unsigned long first,
		     unsigned long nr, struct ferry_scan *scan)
{
	unsigned long i;
	pte_t *ptep;

	if (pmd_none(pmd) || !pmd_present(pmd))
		return;

	if (pmd_leaf(pmd)) {
		scan->huge = true;
		bitmap_set(scan->present.page, first, nr);
		if (pmd_write(pmd) && !ferry_fault(FERRY_FAULT_HUGE_BLIND))
			bitmap_set(scan->writable.page, first, nr);
		return;
	}

	ptep = pte_offset_kernel(&pmd, address);
	for (i = first; i < first + nr; i++, ptep++) {
		pte_t pte = ptep_get_lockless(ptep);

		if (!pte_present(pte))
			continue;
		__set_bit(i, scan->present.page);
		if (pte_write(pte))
			__set_bit(i, scan->writable.page);
	}
}

/**
 * ferry_protect_look() - Look a chunk up in the VM's page tables
 * @mm: the VM's address space; the caller keeps it alive
 * @ram: the block
 * @chunk: number of the chunk in the block
 * @scan: out: what was found
 *
 * Changes nothing, and makes nothing pending. Takes no lock: with interrupts off no
 * page table can be freed under us.
 *
 * Context: Any. Interrupts are off for the length of 512 page table entries.
 */
void ferry_protect_look(struct mm_struct *mm, const struct ferry_ram *ram,
			unsigned long chunk, struct ferry_scan *scan)
{
	unsigned long address = ram->address + chunk * FERRY_CHUNK_SIZE;
	unsigned long pages = ferry_ram_chunk_pages(ram, chunk);
	unsigned long end = address + (pages << PAGE_SHIFT);
	unsigned long first = 0, flags, next;

	memset(scan, 0, sizeof(*scan));

	local_irq_save(flags);
	for (; address < end; address = next) {
		unsigned long nr;

		next = pmd_addr_end(address, end);
		nr = (next - address) >> PAGE_SHIFT;
		scan_pmd(scan_read_pmd(mm, address), address, first, nr, scan);
		first += nr;
	}
	local_irq_restore(flags);
}

/**
 * ferry_protect_scan() - Find what was written in a chunk
 * @mm: the VM's address space; the caller holds a user reference
 * @ram: the block
 * @chunk: number of the chunk in the block
 * @scan: out: what was found
 *
 * Makes every page that is mapped writable pending. Changes no mapping.
 *
 * Context: Any. Interrupts are off for the length of 512 page table entries.
 * Return: how many pages were not pending before.
 */
unsigned long ferry_protect_scan(struct mm_struct *mm, struct ferry_ram *ram,
				 unsigned long chunk, struct ferry_scan *scan)
{
	ferry_protect_look(mm, ram, chunk, scan);
	return ferry_ram_mark_set(ram, chunk, &scan->writable);
}

/*
 * Scans a chunk under the lock of one of its folios, if it has a page that needs
 * protecting: until that lock is dropped, no huge mapping can appear in the chunk.
 * Gives up after a few rounds in which the folio that the page tables show was
 * not in the file; nothing is then protected, which is always safe.
 */
static struct folio *scan_and_lock(struct mm_struct *mm,
				   const struct ferry_ram *ram,
				   unsigned long chunk, struct ferry_scan *scan)
{
	pgoff_t index = ram->index + (chunk << FERRY_CHUNK_SHIFT);
	struct folio *folio;
	int tries;

	for (tries = 0; tries < 4; tries++) {
		unsigned long page;

		ferry_protect_look(mm, ram, chunk, scan);
		page = find_first_bit(scan->writable.page, FERRY_CHUNK_PAGES);
		if (page == FERRY_CHUNK_PAGES)
			return NULL;

		folio = filemap_lock_folio(ram->mapping, index + page);
		if (ferry_no_folio(folio))
			continue;

		ferry_protect_look(mm, ram, chunk, scan);
		if (!scan->huge || folio_test_large(folio))
			return folio;
		folio_unlock(folio);
		folio_put(folio);
	}
	return NULL;
}

/* No huge mapping may be, or come, in the chunk. Returns in how many runs. */
static unsigned long protect_set(const struct ferry_ram *ram, unsigned long chunk,
				 const struct ferry_chunk_set *set)
{
	pgoff_t index = ram->index + (chunk << FERRY_CHUNK_SHIFT);
	unsigned long start, end, runs = 0;

	for_each_set_bitrange(start, end, set->page, FERRY_CHUNK_PAGES) {
		wp_shared_mapping_range(ram->mapping, index + start,
					end - start);
		runs++;
	}
	return runs;
}

static void protect_runs(const struct ferry_ram *ram, unsigned long chunk,
			 const struct ferry_chunk_set *set,
			 struct ferry_turn *turn)
{
	struct ferry_ram_chunk *c = &ram->chunk[chunk];

	turn->runs += protect_set(ram, chunk, set);

	/* Afterwards: whoever comes in between costs a call too many, not an exit. */
	spin_lock(&c->lock);
	bitmap_or(c->dropped.page, c->dropped.page, set->page,
		  FERRY_CHUNK_PAGES);
	spin_unlock(&c->lock);
}

/* Guarantee 3 broken on purpose, with a window wide enough to be seen. */
static void protect_too_much(const struct ferry_ram *ram, unsigned long chunk,
			     struct ferry_turn *turn)
{
	struct ferry_chunk_set all;

	bitmap_zero(all.page, FERRY_CHUNK_PAGES);
	bitmap_set(all.page, 0, ferry_ram_chunk_pages(ram, chunk));
	usleep_range(5000, 10000);
	protect_runs(ram, chunk, &all, turn);
}

static void protect_taken(const struct ferry_ram *ram, unsigned long chunk,
			  struct folio *folio, struct ferry_turn *turn)
{
	struct ferry_chunk_set set;

	if (turn->scan.huge) {
		folio_mkclean(folio);
		turn->huge++;
		return;
	}
	if (ferry_fault(FERRY_FAULT_PROTECT_ALL)) {
		protect_too_much(ram, chunk, turn);
		return;
	}
	bitmap_and(set.page, turn->take.page, turn->scan.writable.page,
		   FERRY_CHUNK_PAGES);
	protect_runs(ram, chunk, &set, turn);
}

/* Guarantee 2 broken on purpose for what groups have opened. */
static void hide_opened(const struct ferry_ram *ram, unsigned long chunk,
			struct ferry_scan *scan)
{
	bitmap_andnot(scan->writable.page, scan->writable.page,
		      ram->chunk[chunk].group.opened.page, FERRY_CHUNK_PAGES);
}

/**
 * ferry_protect_turn() - Scan a chunk, take what is pending, protect it
 * @mm: the VM's address space; the caller holds a user reference
 * @ram: the block
 * @chunk: number of the chunk in the block
 * @turn: out: what was done; @turn->take must now be sent
 *
 * Context: Process context, the chunk's worker only. May sleep on a folio's lock.
 */
void ferry_protect_turn(struct mm_struct *mm, struct ferry_ram *ram,
			unsigned long chunk, struct ferry_turn *turn)
{
	struct folio *folio;

	turn->runs = 0;
	turn->huge = 0;
	folio = scan_and_lock(mm, ram, chunk, &turn->scan);
	if (ferry_fault(FERRY_FAULT_OPENED_BLIND))
		hide_opened(ram, chunk, &turn->scan);
	turn->written = ferry_ram_mark_set(ram, chunk, &turn->scan.writable);
	turn->taken = ferry_ram_take(ram, chunk, &turn->take, &turn->opened);
	if (!folio)
		return;

	protect_taken(ram, chunk, folio, turn);
	folio_unlock(folio);
	folio_put(folio);
}

/**
 * ferry_protect_drop() - Make KVM drop its mappings of some pages
 * @mm: the VM's address space; the caller keeps it alive
 * @ram: the block
 * @chunk: number of the chunk in the block
 * @set: pages that were not mapped writable lately
 *
 * Should one of them be writable by now, it is protected. That hides nothing, as no
 * worker does it: for the MMU notifier it is a foreign change, so the pages become pending
 * before and after it.
 *
 * Context: Process context, no worker. May sleep on a folio's lock.
 */
void ferry_protect_drop(struct mm_struct *mm, const struct ferry_ram *ram,
			unsigned long chunk, const struct ferry_chunk_set *set)
{
	pgoff_t index = ram->index + (chunk << FERRY_CHUNK_SHIFT);
	unsigned long first = find_first_bit(set->page, FERRY_CHUNK_PAGES);
	struct ferry_scan scan;
	struct folio *folio;

	if (first == FERRY_CHUNK_PAGES)
		return;
	folio = filemap_lock_folio(ram->mapping, index + first);
	if (ferry_no_folio(folio))
		return;
	ferry_protect_look(mm, ram, chunk, &scan);
	if (!scan.huge)
		protect_set(ram, chunk, set);
	folio_unlock(folio);
	folio_put(folio);
}

/**
 * ferry_protect_settle() - Wait for the holes that are being punched
 * @ram: the block
 *
 * To be called between a take and the reading of what was taken. A hole that
 * was begun before the take is complete on return; one that begins later makes
 * its pages pending again.
 *
 * Context: Process context. May sleep.
 */
void ferry_protect_settle(const struct ferry_ram *ram)
{
	struct inode *inode = file_inode(ram->file);

	inode_lock_shared(inode);
	inode_unlock_shared(inode);
}

/**
 * ferry_protect_pinned() - Does somebody hold this page besides its mapping?
 * @scan: the chunk as it was when the page was protected
 * @refs: the references to the page's folio, read after that
 *
 * The page cache accounts for @refs->cache references, the one mapping for one
 * per page table entry (one in all for a huge one). May say yes where a page was
 * mapped meanwhile or waits in a per-CPU list: that costs one more sending.
 *
 * Context: Any.
 * Return: true if a writer may be hidden behind a reference.
 */
bool ferry_protect_pinned(const struct ferry_scan *scan,
			  const struct ferry_refs *refs)
{
	unsigned long first = refs->first & (FERRY_CHUNK_PAGES - 1);
	unsigned long end = min(first + refs->pages, FERRY_CHUNK_PAGES);
	unsigned int mapped = 0;

	if (ferry_fault(FERRY_FAULT_PIN_BLIND) || !refs->pages)
		return false;

	if (scan->huge)
		mapped = 1;
	else
		for (; first < end; first++)
			mapped += test_bit(first, scan->present.page);
	return refs->count > refs->cache + mapped;
}
