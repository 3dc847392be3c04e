/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dirty tracking through the VMM's page tables: scan, take, protect.
 *
 * Theory of operation
 *
 * KVM maps a guest page writable only while the VMM's own page table entry (PTE)
 * for it is writable, and drops its mapping through its MMU notifier when that
 * entry is write-protected. So for guest and VMM alike:
 *
 *	present and writable  ==  may have been written since last protected
 *
 * One chunk's turn in a pass, by the one thread that works on the chunk:
 *
 *	scan	 every page that is mapped writable becomes pending
 *	take	 claim the pending pages
 *	protect	 write-protect those that were taken *and* found writable
 *	read	 count the references of each, then copy it   (pass.c)
 *
 * The guarantees, and what each step leans on:
 *
 *  1. A write before "protect" is in the copy, as the copy comes later.
 *  2. A write after it faults first and leaves the PTE writable: the next scan
 *     sees it. A page that becomes writable between "scan" and "protect"
 *     without having been seen is not protected, so it stays visible too.
 *  3. Nothing but what was taken is ever protected. To protect another page
 *     would hide the writes made to it so far: its PTE was the only witness.
 *  4. What changes mappings behind our back (hole punching, reclaim,
 *     migration, splitting of huge pages) is told to our MMU notifier, before and
 *     after: the range becomes pending both times. As a hole is punched into the
 *     *file* only after its mappings are gone, a chunk that was taken from waits
 *     for the inode's lock before it is read (ferry_protect_settle).
 *  5. A writer that holds the page by reference, such as direct I/O, is not seen
 *     by PTE. After "protect" no new one can come without a write fault; the old
 *     ones are betrayed by the reference count, and their pages stay pending.
 *  6. Several mappings of a block would each need a scan: there may be only one
 *     (ferry_mapping_check in mapping.c).
 *
 * Huge pages: wp_shared_mapping_range() must not meet a writable huge PMD (it
 * warns and skips it), and folio_mkclean() protects the folio whole. So the chunk
 * is looked at under the lock of a folio in it: while one is locked, the chunk can
 * be neither collapsed into a huge page nor mapped as one. Under the lock, a
 * huge mapping is known for one; all 512 pages are then pending, and taken.
 */
#ifndef FERRY_PROTECT_H
#define FERRY_PROTECT_H

#include "ram.h"

struct mm_struct;

/**
 * struct ferry_scan - a chunk as the VM's page tables show it
 * @present:	pages that are mapped
 * @writable:	of these, the ones mapped writable
 * @huge:	by one huge PMD
 */
struct ferry_scan {
	struct ferry_chunk_set present;
	struct ferry_chunk_set writable;
	bool huge;
};

/**
 * struct ferry_turn - what "scan, take, protect" did with a chunk
 * @scan:	the chunk as it was found
 * @take:	pages that were taken and must now be sent
 * @taken:	how many
 * @written:	pages that the scan made pending
 * @opened:	pages of @take that had been opened as part of a group
 * @changed:	pages of @take whose content is not the one sent last (pass.c)
 * @runs:	runs of contiguous pages that were protected
 * @huge:	huge pages that were protected
 */
struct ferry_turn {
	struct ferry_scan scan;
	struct ferry_chunk_set take;
	struct ferry_chunk_set opened;
	struct ferry_chunk_set changed;
	unsigned long taken;
	unsigned long written;
	unsigned long runs;
	unsigned long huge;
};

void ferry_protect_look(struct mm_struct *mm, const struct ferry_ram *ram,
			unsigned long chunk, struct ferry_scan *scan);
unsigned long ferry_protect_scan(struct mm_struct *mm, struct ferry_ram *ram,
				 unsigned long chunk, struct ferry_scan *scan);
void ferry_protect_turn(struct mm_struct *mm, struct ferry_ram *ram,
			unsigned long chunk, struct ferry_turn *turn);
void ferry_protect_drop(struct mm_struct *mm, const struct ferry_ram *ram,
			unsigned long chunk, const struct ferry_chunk_set *set);
void ferry_protect_settle(const struct ferry_ram *ram);
bool ferry_protect_pinned(const struct ferry_scan *scan,
			  const struct ferry_refs *refs);

#endif /* FERRY_PROTECT_H */
