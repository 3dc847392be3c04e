// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which pages to open on a write fault.
 *
 * The rule (FERRY_GROUP_DYNAMIC)
 *
 * A page that was opened and then changed is an exit saved, a *hit*. One that did
 * not change was opened in *vain*: it is taken and looked at for nothing. Of all
 * pages taken no more than one in 20 shall be in vain; we aim at one in 23. So
 * whatever opens pages has a counter of what became of them when they were taken
 * again, its trust, which begins at 0 and stays within -11264 .. 1024.
 *
 * What repeats, per chunk: each page has a count from 0 to 7. It goes up by one
 * when the page changed and is halved when it did not. A fault opens all pages
 * that have a count of at least n, for the smallest n whose trust is at least half
 * the number of these pages (n = 0: all of the chunk), unless they are more than twice as
 * many as they were at the last turn: those who have joined since, as after a sweep, have
 * no part in the trust. There are 8 trusts; at each turn
 *
 *	trust += min(changed, 22 * hits) - 22 * vain
 *
 * where changed is all pages of the chunk that did, hits and vain what this n would
 * have come to, acted on or not: nothing is tried before it has proved itself. It
 * earns as much as the pages taken allow, if it hits more often than not.
 *
 * What is new, per VM: a sweep. A fault right behind a run of writable pages, which
 * may have begun in the chunks before, opens ahead of it
 *
 *	2 ^ (6 + trust / 256) pages, at most run / 8, at least run / 32
 *
 *	trust += changed - 22 * vain
 *
 * at each turn of any chunk, where vain is all that was opened there in vain:
 * this may waste what the counts have left over.
 *
 * What bounds it all: in a pass no more than 4 * (backlog - floor) pages are opened,
 * where the backlog is what the pass before took.
 *
 * What does not count: a turn without a fault (the VMM wrote, or the guest was
 * elsewhere: nothing would have been opened); a page that was taken for another
 * reason than that it was opened, and had not changed (pinned, or
 * written with what it held); a page that is not mapped.
 *
 * How it was chosen: selftests/perf/README.md.
 */

#include <linux/bitmap.h>
#include <linux/compiler.h>
#include <linux/minmax.h>

#include "group.h"

#define VAIN_COST	22
#define TRUST_MAX	1024
#define TRUST_MIN	(-VAIN_COST * (int)FERRY_CHUNK_PAGES)

#define AHEAD_ORDER	6
#define AHEAD_STEP	256
#define AHEAD_MOST	3	/* binary logarithm of a part of the run */
#define AHEAD_LEAST	5

#define BUDGET_FACTOR	4

/* Pages of a chunk with the same count, and how they fared. */
struct tally {
	int pages;
	int hits;
	int vain;
};

/**
 * ferry_group_begin_pass() - Set the budget of a pass
 * @vm: the VM
 * @backlog: pages that the pass before took; before the first, pages pending
 *
 * Context: Any.
 */
void ferry_group_begin_pass(struct ferry_group_vm *vm, u64 backlog)
{
	u64 floor = READ_ONCE(vm->floor);
	s64 budget = backlog > floor ? (backlog - floor) * BUDGET_FACTOR : 0;

	WRITE_ONCE(vm->budget, budget);
}

/* Writable pages in a row that end right before @page. */
static unsigned int run_before(const struct ferry_chunk_set *writable,
			       unsigned int page)
{
	unsigned int run = 0;

	while (run < page && test_bit(page - run - 1, writable->page))
		run++;
	return run;
}

/* Writable pages in a row that begin right after @page. */
static unsigned int run_after(const struct ferry_chunk_set *writable,
			      unsigned int page)
{
	return find_next_zero_bit(writable->page, FERRY_CHUNK_PAGES, page + 1) -
	       (page + 1);
}

static void add_after(struct ferry_chunk_set *set, unsigned int page,
		      unsigned int pages)
{
	bitmap_set(set->page, page,
		   min_t(unsigned int, pages + 1, FERRY_CHUNK_PAGES - page));
}

static void open_static(const struct ferry_group_vm *vm, unsigned int page,
			struct ferry_chunk_set *open)
{
	unsigned int order = min_t(unsigned int, READ_ONCE(vm->order),
				   FERRY_GROUP_MAX_ORDER);

	bitmap_set(open->page, page >> order << order, BIT(order));
}

/*
 * FERRY_GROUP_CONTIGUOUS: behind a run of n writable pages the next n are opened, and
 * as many before a run as it has pages.
 */
static void open_contiguous(const struct ferry_group_view *view,
			    unsigned int page, struct ferry_chunk_set *open)
{
	unsigned int before = min(run_after(&view->writable, page), page);

	add_after(open, page, run_before(&view->writable, page));
	bitmap_set(open->page, page - before, before);
}

/* Of word @i of the chunk, the pages with exactly this count. */
static unsigned long with_count(const struct ferry_group_chunk *chunk,
				unsigned int count, unsigned int i)
{
	unsigned long pages = ~0UL;
	unsigned int bit;

	for (bit = 0; bit < FERRY_GROUP_COUNT_BITS; bit++)
		pages &= chunk->count[bit].page[i] ^
			 (count & BIT(bit) ? 0 : ~0UL);
	return pages;
}

/* The pages that repeat: those of the smallest n that is trusted with them. */
static void open_repeating(const struct ferry_group_chunk *chunk,
			   const struct ferry_group_view *view,
			   struct ferry_chunk_set *open)
{
	struct ferry_chunk_set named = { };
	unsigned int i;
	int count;

	for (count = FERRY_GROUP_COUNTS - 1; count >= 0; count--) {
		int pages = 0;

		for (i = 0; i < BITS_TO_LONGS(FERRY_CHUNK_PAGES); i++) {
			named.page[i] |= with_count(chunk, count, i) &
					 view->present.page[i];
			pages += hweight_long(named.page[i]);
		}
		if (2 * chunk->trust[count] >= pages &&
		    pages <= 2 * chunk->named[count])
			*open = named;
	}
}

/* How many pages to open ahead of a sweep that has written @run pages. */
static unsigned int ahead_of(const struct ferry_group_vm *vm, unsigned int run)
{
	int order = AHEAD_ORDER + READ_ONCE(vm->ahead_trust) / AHEAD_STEP;
	unsigned int pages = order < 0 ? 0 : BIT(order);

	return clamp(pages, run >> AHEAD_LEAST, run >> AHEAD_MOST);
}

/* Adds what lies ahead of a sweep; tells the next chunk when it gets there. */
static void add_ahead(struct ferry_group_vm *vm, u64 number,
		      const struct ferry_group_view *view,
		      unsigned int page, struct ferry_chunk_set *open)
{
	unsigned int run = run_before(&view->writable, page);
	struct ferry_chunk_set both;
	unsigned int end;

	if (run == page && READ_ONCE(vm->next) == number)
		run += READ_ONCE(vm->next_run);
	add_after(open, page, ahead_of(vm, run));

	bitmap_or(both.page, open->page, view->writable.page, FERRY_CHUNK_PAGES);
	end = page + 1 + run_after(&both, page);
	if (end == FERRY_CHUNK_PAGES) {
		WRITE_ONCE(vm->next, number + 1);
		WRITE_ONCE(vm->next_run, run + end - page);
	}
}

/* Only pages that are mapped, and not writable yet. Returns how many. */
static unsigned int trim_to_view(const struct ferry_group_view *view,
				 unsigned int page, struct ferry_chunk_set *open)
{
	bitmap_and(open->page, open->page, view->present.page,
		   FERRY_CHUNK_PAGES);
	bitmap_andnot(open->page, open->page, view->writable.page,
		      FERRY_CHUNK_PAGES);
	__clear_bit(page, open->page);
	return bitmap_weight(open->page, FERRY_CHUNK_PAGES);
}

/* No more than the budget has. Returns how many. */
static unsigned int trim_to_budget(struct ferry_group_vm *vm, unsigned int size,
				   struct ferry_chunk_set *open)
{
	s64 budget = max_t(s64, READ_ONCE(vm->budget), 0);
	unsigned int seen = 0, page;

	if (size > budget) {
		for_each_set_bit(page, open->page, FERRY_CHUNK_PAGES)
			if (seen++ >= budget)
				__clear_bit(page, open->page);
		size = budget;
	}
	WRITE_ONCE(vm->budget, budget - size);
	return size;
}

/**
 * ferry_group_open() - Which pages to open besides the one that was written to
 * @vm: the VM
 * @chunk: the chunk of the page
 * @number: of the chunk, counted over all blocks: it tells a sweep from one to the next
 * @view: the chunk as it is mapped
 * @page: page in the chunk, 0 to 511
 * @open: out: pages to open: mapped, not writable yet, without @page
 *
 * They count as opened from now on, until they are taken.
 *
 * Context: Any; the caller has locked the chunk.
 * Return: How many pages to open.
 */
unsigned int ferry_group_open(struct ferry_group_vm *vm,
			      struct ferry_group_chunk *chunk, u64 number,
			      const struct ferry_group_view *view,
			      unsigned int page, struct ferry_chunk_set *open)
{
	u32 policy = READ_ONCE(vm->policy);
	unsigned int size;

	chunk->faulted = true;
	bitmap_zero(open->page, FERRY_CHUNK_PAGES);
	if (policy == FERRY_GROUP_STATIC) {
		open_static(vm, page, open);
	} else if (policy == FERRY_GROUP_CONTIGUOUS) {
		open_contiguous(view, page, open);
	} else if (policy == FERRY_GROUP_DYNAMIC) {
		open_repeating(chunk, view, open);
		add_ahead(vm, number, view, page, open);
	}

	size = trim_to_view(view, page, open);
	if (policy == FERRY_GROUP_DYNAMIC)
		size = trim_to_budget(vm, size, open);
	bitmap_or(chunk->opened.page, chunk->opened.page, open->page,
		  FERRY_CHUNK_PAGES);
	return size;
}

/**
 * ferry_group_take() - Pages of a chunk are taken
 * @chunk: the chunk
 * @take: pages that are taken
 * @opened: out: of these, the ones that were opened without a fault
 *
 * Context: Any; the caller has locked the chunk.
 */
void ferry_group_take(struct ferry_group_chunk *chunk,
		      const struct ferry_chunk_set *take,
		      struct ferry_chunk_set *opened)
{
	bitmap_and(opened->page, chunk->opened.page, take->page,
		   FERRY_CHUNK_PAGES);
	bitmap_andnot(chunk->opened.page, chunk->opened.page, take->page,
		      FERRY_CHUNK_PAGES);
	chunk->learn = chunk->faulted;
	chunk->faulted = false;
}

static int trust_after(int trust, int earned, int vain)
{
	return clamp(trust + earned - VAIN_COST * vain, TRUST_MIN, TRUST_MAX);
}

static struct tally tally_count(const struct ferry_group_chunk *chunk,
				unsigned int count,
				const struct ferry_chunk_set *present,
				const struct ferry_chunk_set *changed,
				const struct ferry_chunk_set *idle)
{
	struct tally tally = { 0 };
	unsigned int i;

	for (i = 0; i < BITS_TO_LONGS(FERRY_CHUNK_PAGES); i++) {
		unsigned long pages = with_count(chunk, count, i);

		tally.pages += hweight_long(pages & present->page[i]);
		tally.hits += hweight_long(pages & changed->page[i]);
		tally.vain += hweight_long(pages & idle->page[i]);
	}
	return tally;
}

/* Scores each trust of the chunk as if it had been acted on. */
static void score_counts(struct ferry_group_chunk *chunk, int nr_changed,
			 const struct ferry_chunk_set *present,
			 const struct ferry_chunk_set *changed,
			 const struct ferry_chunk_set *idle)
{
	struct tally sum = { 0 };
	int count;

	for (count = FERRY_GROUP_COUNTS - 1; count >= 0; count--) {
		struct tally tally = tally_count(chunk, count, present,
						  changed, idle);

		sum.pages += tally.pages;
		sum.hits += tally.hits;
		sum.vain += tally.vain;
		chunk->named[count] = sum.pages;
		chunk->trust[count] = trust_after(chunk->trust[count],
						  min(nr_changed, VAIN_COST * sum.hits),
						  sum.vain);
	}
}

/* Half where the page did not change, one more where it did. */
static void move_counts(struct ferry_group_chunk *chunk,
			const struct ferry_chunk_set *changed,
			const struct ferry_chunk_set *idle)
{
	unsigned int i;

	for (i = 0; i < BITS_TO_LONGS(FERRY_CHUNK_PAGES); i++) {
		unsigned long *b0 = &chunk->count[0].page[i];
		unsigned long *b1 = &chunk->count[1].page[i];
		unsigned long *b2 = &chunk->count[2].page[i];
		unsigned long half = idle->page[i];
		unsigned long more = changed->page[i] & ~(*b0 & *b1 & *b2);

		*b0 = (*b0 & ~half) | (*b1 & half);
		*b1 = (*b1 & ~half) | (*b2 & half);
		*b2 &= ~half;

		*b2 ^= more & *b0 & *b1;
		*b1 ^= more & *b0;
		*b0 ^= more;
	}
}

/* Opening ahead answers for all that was opened in vain. */
static void score_ahead(struct ferry_group_vm *vm, int nr_changed,
			const struct ferry_chunk_set *opened,
			const struct ferry_chunk_set *changed)
{
	struct ferry_chunk_set vain;

	bitmap_andnot(vain.page, opened->page, changed->page, FERRY_CHUNK_PAGES);
	WRITE_ONCE(vm->ahead_trust,
		   trust_after(READ_ONCE(vm->ahead_trust), nr_changed,
			       bitmap_weight(vain.page, FERRY_CHUNK_PAGES)));
}

/**
 * ferry_group_learn() - What came of a chunk's turn
 * @vm: the VM
 * @chunk: the chunk
 * @present: pages that were mapped when it was scanned
 * @take: pages that were taken
 * @opened: of these, the ones that ferry_group_take() gave
 * @changed: of @take, the ones whose content had changed since they were last sent
 *
 * In passes after the first, once after each ferry_group_take().
 *
 * Context: Any; the caller has locked the chunk.
 */
void ferry_group_learn(struct ferry_group_vm *vm,
		       struct ferry_group_chunk *chunk,
		       const struct ferry_chunk_set *present,
		       const struct ferry_chunk_set *take,
		       const struct ferry_chunk_set *opened,
		       const struct ferry_chunk_set *changed)
{
	int nr_changed = bitmap_weight(changed->page, FERRY_CHUNK_PAGES);
	struct ferry_chunk_set idle;
	unsigned int i;

	if (!chunk->learn)
		return;
	chunk->learn = false;

	for (i = 0; i < BITS_TO_LONGS(FERRY_CHUNK_PAGES); i++)
		idle.page[i] = present->page[i] & ~changed->page[i] &
			       (opened->page[i] | ~take->page[i]);
	if (READ_ONCE(vm->policy) == FERRY_GROUP_DYNAMIC)
		score_ahead(vm, nr_changed, opened, changed);
	score_counts(chunk, nr_changed, present, changed, &idle);
	move_counts(chunk, changed, &idle);
}
