// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which pages are opened on a write fault: the module's own code.
 */
#include "cmocka-all.h"
#include "group.h"

#define PAGES	((unsigned int)FERRY_CHUNK_PAGES)
#define CHUNKS	8u

/* A VM of 8 chunks, with the page tables and the guest that group.c does not see. */
struct world {
	struct ferry_group_vm vm;
	struct ferry_group_chunk chunk[CHUNKS];
	struct ferry_group_view view[CHUNKS];
	struct ferry_chunk_set written[CHUNKS];
	unsigned long exits, taken, changed, backlog;
};

static struct world world;
static uint64_t random_state;

static unsigned int below(unsigned int bound)
{
	random_state = random_state * 6364136223846793005 + 1442695040888963407;
	return (random_state >> 33) % bound;
}

static unsigned int weight(const struct ferry_chunk_set *set)
{
	return bitmap_weight(set->page, PAGES);
}

static int begin(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	random_state = 1;
	world.vm.policy = FERRY_GROUP_DYNAMIC;
	for (unsigned int i = 0; i < CHUNKS; i++)
		bitmap_fill(world.view[i].present.page, PAGES);
	ferry_group_begin_pass(&world.vm, CHUNKS * PAGES);
	return 0;
}

/* What any rule must keep to. */
static void check_open(const struct ferry_group_view *view, unsigned int page,
		       const struct ferry_chunk_set *open, unsigned int size)
{
	struct ferry_chunk_set both;

	assert_int_equal(weight(open), size);
	assert_false(test_bit(page, open->page));
	assert_true(bitmap_subset(open->page, view->present.page, PAGES));
	assert_false(bitmap_and(both.page, open->page, view->writable.page,
				PAGES));
}

/* A write fault; how many pages it opened. */
static unsigned int fault(unsigned int chunk, unsigned int page,
			  struct ferry_chunk_set *open)
{
	struct ferry_group_view *view = &world.view[chunk];
	struct ferry_chunk_set opened;
	unsigned int size;

	size = ferry_group_open(&world.vm, &world.chunk[chunk], chunk, view,
				page, &opened);
	check_open(view, page, &opened, size);
	assert_true(bitmap_subset(opened.page, world.chunk[chunk].opened.page,
				  PAGES));
	bitmap_or(view->writable.page, view->writable.page, opened.page, PAGES);
	__set_bit(page, view->writable.page);
	if (open)
		*open = opened;
	return size;
}

static void write_page(unsigned int at)
{
	unsigned int chunk = at / PAGES, page = at % PAGES;

	__set_bit(page, world.written[chunk].page);
	if (test_bit(page, world.view[chunk].writable.page))
		return;
	world.exits++;
	fault(chunk, page, NULL);
}

/* Scan, take, protect, look. */
static void turn(unsigned int chunk)
{
	struct ferry_group_view *view = &world.view[chunk];
	struct ferry_chunk_set *changed = &world.written[chunk];
	struct ferry_chunk_set opened;

	ferry_group_take(&world.chunk[chunk], &view->writable, &opened);
	ferry_group_learn(&world.vm, &world.chunk[chunk], &view->present,
			  &view->writable, &opened, changed);
	world.taken += weight(&view->writable);
	world.changed += weight(changed);
	bitmap_zero(view->writable.page, PAGES);
	bitmap_zero(changed->page, PAGES);
}

/* Every chunk has its turn, and the next pass begins. */
static void all_turns(void)
{
	unsigned long before = world.taken;

	for (unsigned int i = 0; i < CHUNKS; i++)
		turn(i);
	ferry_group_begin_pass(&world.vm, world.taken - before);
}

static void count_from_here(void)
{
	world.exits = 0;
	world.taken = 0;
	world.changed = 0;
}

static void assert_little_in_vain(void)
{
	assert_true((world.taken - world.changed) * 20 <= world.taken);
}

static unsigned int count_of(unsigned int chunk, unsigned int page)
{
	unsigned int count = 0;

	for (unsigned int bit = 0; bit < FERRY_GROUP_COUNT_BITS; bit++)
		if (test_bit(page, world.chunk[chunk].count[bit].page))
			count |= 1 << bit;
	return count;
}

/* --- the policies that learn nothing */

static void test_off_opens_nothing(void **state)
{
	(void)state;
	world.vm.policy = FERRY_GROUP_OFF;
	for (unsigned int page = 0; page < PAGES; page++)
		assert_int_equal(fault(0, page, NULL), 0);
}

static void test_static_group_is_aligned(void **state)
{
	(void)state;
	world.vm.policy = FERRY_GROUP_STATIC;
	for (unsigned int order = 0; order <= FERRY_GROUP_MAX_ORDER; order++) {
		for (unsigned int page = 0; page < PAGES; page += 37) {
			struct ferry_chunk_set open, expected = { 0 };

			bitmap_set(expected.page, page >> order << order,
				   1 << order);
			__clear_bit(page, expected.page);
			world.vm.order = order;
			fault(0, page, &open);
			assert_true(bitmap_equal(open.page, expected.page, PAGES));
			bitmap_zero(world.view[0].writable.page, PAGES);
		}
	}
}

static void test_static_order_beyond_a_chunk_is_a_chunk(void **state)
{
	(void)state;
	world.vm.policy = FERRY_GROUP_STATIC;
	world.vm.order = 31;
	assert_int_equal(fault(0, 100, NULL), PAGES - 1);
}

static void test_static_leaves_out_absent_and_writable(void **state)
{
	struct ferry_chunk_set open;

	(void)state;
	world.vm.policy = FERRY_GROUP_STATIC;
	world.vm.order = 3;
	__clear_bit(9, world.view[0].present.page);
	__set_bit(10, world.view[0].writable.page);
	assert_int_equal(fault(0, 12, &open), 5);
	assert_false(test_bit(9, open.page));
	assert_false(test_bit(10, open.page));
}

static void contiguous(unsigned int first, unsigned int pages)
{
	world.vm.policy = FERRY_GROUP_CONTIGUOUS;
	bitmap_set(world.view[0].writable.page, first, pages);
}

/* Opened by a fault at @page: @pages pages from @first on, and no others. */
static void assert_opens(unsigned int page, unsigned int first,
			 unsigned int pages)
{
	struct ferry_chunk_set open, expected = { 0 };

	bitmap_set(expected.page, first, pages);
	fault(0, page, &open);
	assert_true(bitmap_equal(open.page, expected.page, PAGES));
}

static void test_contiguous_alone_opens_nothing(void **state)
{
	(void)state;
	contiguous(50, 0);
	assert_opens(50, 0, 0);
}

static void test_contiguous_run_before_opens_as_many_after(void **state)
{
	(void)state;
	contiguous(40, 10);
	assert_opens(50, 51, 10);
}

static void test_contiguous_run_after_opens_as_many_before(void **state)
{
	(void)state;
	contiguous(51, 10);
	assert_opens(50, 40, 10);
}

static void test_contiguous_gap_ends_the_run(void **state)
{
	(void)state;
	contiguous(40, 8);
	bitmap_set(world.view[0].writable.page, 49, 1);
	assert_opens(50, 51, 1);
}

static void test_contiguous_stops_at_the_end_of_the_chunk(void **state)
{
	(void)state;
	contiguous(0, 508);
	assert_opens(508, 509, 3);
}

static void test_contiguous_stops_at_the_start_of_the_chunk(void **state)
{
	(void)state;
	contiguous(4, 508);
	assert_opens(3, 0, 3);
}

static void test_contiguous_edges(void **state)
{
	(void)state;
	contiguous(1, 511);
	assert_opens(0, 0, 0);
	begin(NULL);
	contiguous(0, 511);
	assert_opens(511, 0, 0);
}

/* --- what all policies have in common */

static void test_take_removes_what_it_takes(void **state)
{
	struct ferry_chunk_set take = { 0 }, opened;

	(void)state;
	world.vm.policy = FERRY_GROUP_STATIC;
	world.vm.order = 4;
	fault(0, 0, NULL);
	bitmap_set(take.page, 0, 8);
	bitmap_set(take.page, 100, 8);

	ferry_group_take(&world.chunk[0], &take, &opened);
	assert_int_equal(weight(&opened), 7);	/* not page 0, which faulted */
	assert_false(test_bit(0, opened.page));
	assert_true(test_bit(7, opened.page));
	assert_int_equal(weight(&world.chunk[0].opened), 8);

	ferry_group_take(&world.chunk[0], &take, &opened);
	assert_int_equal(weight(&opened), 0);
	bitmap_fill(take.page, PAGES);
	ferry_group_take(&world.chunk[0], &take, &opened);
	assert_int_equal(weight(&opened), 8);
	assert_int_equal(weight(&world.chunk[0].opened), 0);
}

static void test_opened_adds_up_over_faults(void **state)
{
	(void)state;
	world.vm.policy = FERRY_GROUP_STATIC;
	world.vm.order = 3;
	fault(0, 0, NULL);
	fault(0, 64, NULL);
	assert_int_equal(weight(&world.chunk[0].opened), 14);
}

/* Whatever the chunk looks like and has been through (check_open). */
static void test_no_policy_opens_what_it_must_not(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 20000; i++) {
		unsigned int page = below(PAGES), chunk = below(CHUNKS);

		world.vm.policy = below(4);
		world.vm.order = below(12);
		if (!below(50))
			bitmap_set(world.view[chunk].present.page, 0, PAGES);
		bitmap_clear(world.view[chunk].present.page, below(PAGES - 8), 8);
		__set_bit(page, world.view[chunk].present.page);
		bitmap_and(world.view[chunk].writable.page,
			   world.view[chunk].writable.page,
			   world.view[chunk].present.page, PAGES);
		write_page(chunk * PAGES + page);
		if (!below(100))
			turn(chunk);
		if (!below(1000))
			all_turns();
	}
	assert_true(world.exits > 5000);
}

/* --- dynamic: a sweep */

/* Pages opened ahead of a run of @run pages. */
static unsigned int ahead_of(unsigned int run)
{
	bitmap_zero(world.view[1].writable.page, PAGES);
	bitmap_set(world.view[1].writable.page, 0, run);
	return fault(1, run, NULL);
}

static void test_a_lone_fault_opens_nothing(void **state)
{
	(void)state;
	for (unsigned int page = 0; page < PAGES; page += 2)
		assert_int_equal(fault(0, page, NULL), 0);
}

static void test_at_first_an_eighth_of_the_run_opens(void **state)
{
	(void)state;
	assert_int_equal(ahead_of(7), 0);
	assert_int_equal(ahead_of(8), 1);
	assert_int_equal(ahead_of(15), 1);
	assert_int_equal(ahead_of(16), 2);
	assert_int_equal(ahead_of(256), 32);
}

static void test_ahead_is_behind_the_fault(void **state)
{
	struct ferry_chunk_set open;

	(void)state;
	bitmap_set(world.view[0].writable.page, 100, 16);
	fault(0, 116, &open);
	assert_true(test_bit(117, open.page));
	assert_true(test_bit(118, open.page));
	assert_int_equal(weight(&open), 2);
}

static void test_ahead_of_a_broken_run(void **state)
{
	(void)state;
	bitmap_set(world.view[0].writable.page, 0, 92);
	bitmap_set(world.view[0].writable.page, 93, 7);
	assert_int_equal(fault(0, 100, NULL), 0);
}

static void test_trust_says_how_far_ahead(void **state)
{
	static const struct {
		int trust;
		unsigned int pages;
	} far[] = {
		{ -11264, 12 }, { -768, 12 }, { -512, 16 }, { -511, 32 }, { -256, 32 },
		{ -255, 48 }, { 0, 48 }, { 1024, 48 },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		world.vm.ahead_trust = far[i].trust;
		assert_int_equal(ahead_of(384), far[i].pages);
	}
}

static void test_without_trust_a_short_run_opens_nothing(void **state)
{
	(void)state;
	world.vm.ahead_trust = -11264;
	assert_int_equal(ahead_of(31), 0);
	assert_int_equal(ahead_of(32), 1);
}

/* Chunk 0 is written to its end; how many pages does a fault elsewhere open? */
static unsigned int after_a_sweep(unsigned int chunk, unsigned int page)
{
	begin(NULL);
	for (unsigned int i = 0; i < PAGES; i++)
		write_page(i);
	return fault(chunk, page, NULL);
}

static void test_a_sweep_goes_on_in_the_next_chunk(void **state)
{
	(void)state;
	assert_int_equal(after_a_sweep(1, 0), 64);
	assert_int_equal(after_a_sweep(1, 1), 0);
	assert_int_equal(after_a_sweep(2, 0), 0);
	assert_int_equal(after_a_sweep(0, 0), 0);
}

static void test_a_sweep_passes_over_writable_pages(void **state)
{
	(void)state;
	bitmap_set(world.view[0].writable.page, 0, 400);
	bitmap_set(world.view[0].writable.page, 420, 92);
	assert_int_equal(fault(0, 400, NULL), 19);
	assert_int_equal(fault(1, 0, NULL), 64);
}

static void test_a_sweep_is_remembered_within_the_next_chunk(void **state)
{
	(void)state;
	after_a_sweep(1, 0);
	assert_int_equal(fault(1, 65, NULL), 64);
	assert_int_equal(fault(1, 300, NULL), 0);
}

static void test_a_long_run_does_not_leave_its_chunk(void **state)
{
	(void)state;
	world.vm.ahead_trust = 1024;
	assert_int_equal(ahead_of(505), 6);
	assert_int_equal(ahead_of(511), 0);
}

static void test_a_sweep_that_ends_loses_trust(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 257; i++)
		write_page(i);
	turn(0);
	/* No more than an eighth of the run was open when it ended. */
	assert_true(world.taken > world.changed);
	assert_int_equal(world.vm.ahead_trust,
			 257 - 22 * (world.taken - world.changed));
	assert_true(world.taken - world.changed <= 257 / 8);
}

static void test_a_sweep_that_goes_on_earns_trust(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3 * PAGES; i++)
		write_page(i);
	all_turns();
	assert_int_equal(world.vm.ahead_trust, 1024);
}

/* What the counts opened in vain is no longer there for a sweep to waste. */
static void test_all_that_was_vain_weighs_on_the_sweep(void **state)
{
	struct ferry_chunk_set open;

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		for (unsigned int page = 0; page < 100; page += 5)
			write_page(page);
		turn(0);
	}
	world.vm.ahead_trust = 0;
	assert_int_equal(fault(0, 0, &open), 19);
	__set_bit(0, world.written[0].page);
	turn(0);
	assert_int_equal(world.vm.ahead_trust, 1 - 22 * 19);
}

/* --- dynamic: what repeats */

static void write_every(unsigned int step)
{
	for (unsigned int at = 0; at < CHUNKS * PAGES; at += step)
		write_page(at);
	all_turns();
}

static void test_a_set_proves_itself_before_it_is_opened(void **state)
{
	(void)state;
	write_every(16);
	count_from_here();
	write_every(16);
	assert_int_equal(world.exits, CHUNKS * PAGES / 16);
	count_from_here();
	write_every(16);
	assert_int_equal(world.exits, CHUNKS);
	assert_int_equal(world.taken, CHUNKS * PAGES / 16);
}

static void test_all_of_a_chunk_proves_itself_at_once(void **state)
{
	(void)state;
	write_every(1);
	assert_int_equal(fault(0, 100, NULL), PAGES - 1);
}

static void test_count_goes_up_to_7_and_is_halved(void **state)
{
	static const unsigned int halves[] = { 3, 1, 0, 0 };

	(void)state;
	for (unsigned int i = 1; i < 10; i++) {
		write_page(5);
		turn(0);
		assert_int_equal(count_of(0, 5), i < 7 ? i : 7);
		assert_int_equal(count_of(0, 6), 0);
	}
	for (unsigned int i = 0; i < 4; i++) {
		write_page(300 + i);
		turn(0);
		assert_int_equal(count_of(0, 5), halves[i]);
	}
}

static void test_every_count_moves_by_the_rule(void **state)
{
	(void)state;
	for (unsigned int count = 0; count < FERRY_GROUP_COUNTS; count++) {
		begin(NULL);
		for (unsigned int i = 0; i < count; i++) {
			write_page(5);
			write_page(9);
			turn(0);
		}
		write_page(5);
		turn(0);
		assert_int_equal(count_of(0, 5), count < 7 ? count + 1 : 7);
		assert_int_equal(count_of(0, 9), count / 2);
	}
}

/* A turn of chunk 0 of which group.c is told everything. */
static void teach(const struct ferry_chunk_set *take,
		  const struct ferry_chunk_set *changed)
{
	struct ferry_chunk_set opened;

	world.chunk[0].faulted = true;
	ferry_group_take(&world.chunk[0], take, &opened);
	ferry_group_learn(&world.vm, &world.chunk[0], &world.view[0].present,
			  take, &opened, changed);
}

static void teach_pages(unsigned int first, unsigned int pages)
{
	struct ferry_chunk_set changed = { 0 };

	bitmap_set(changed.page, first, pages);
	teach(&changed, &changed);
}

static void test_trust_by_the_formula(void **state)
{
	const s16 *trust = world.chunk[0].trust;

	(void)state;
	teach_pages(0, 100);
	assert_int_equal(trust[0], 100 - 22 * 412);
	assert_int_equal(trust[1], 0);

	/* 90 of 100 hit, and 10 others. */
	teach_pages(10, 100);
	assert_int_equal(trust[1], 100 - 22 * 10);
	assert_int_equal(trust[2], 0);

	/* count 2: 10 .. 99; count 1: 100 .. 109; count 0 or half of 1: the rest */
	teach_pages(20, 60);
	assert_int_equal(trust[1], 100 - 22 * 10 + 60 - 22 * 40);
	assert_int_equal(trust[2], 60 - 22 * 30);
	assert_int_equal(trust[3], 0);
}

static void test_trust_earns_22_a_hit(void **state)
{
	struct ferry_chunk_set changed = { 0 };

	(void)state;
	__set_bit(500, changed.page);
	teach(&changed, &changed);
	assert_int_equal(world.chunk[0].trust[1], 0);
	bitmap_set(changed.page, 0, 38);	/* one named, 39 changed */
	teach(&changed, &changed);
	assert_int_equal(world.chunk[0].trust[1], 22);
}

static void test_trust_earns_nothing_for_one_in_two(void **state)
{
	(void)state;
	teach_pages(400, 2);
	teach_pages(401, 100);
	assert_int_equal(world.chunk[0].trust[1], 22 - 22);
}

static void test_trust_has_bounds(void **state)
{
	const s16 *trust = world.chunk[0].trust;

	(void)state;
	for (unsigned int i = 0; i < 5; i++)
		teach_pages(0, PAGES);
	assert_int_equal(trust[0], 1024);
	assert_int_equal(trust[7], 0);
	for (unsigned int i = 0; i < 5; i++)
		teach_pages(0, 1);
	assert_int_equal(trust[0], -22 * 512);
}

/* Pages of chunk 0 with a count of @n or more. */
static unsigned int named(unsigned int n)
{
	unsigned int pages = 0;

	for (unsigned int page = 0; page < PAGES; page++)
		pages += count_of(0, page) >= n;
	return pages;
}

/* What a fault opens on page 300, which has no count itself. */
static unsigned int repeating(void)
{
	bitmap_zero(world.view[0].writable.page, PAGES);
	return fault(0, 300, NULL);
}

/* As if each set had been as large for a while. */
static void nobody_is_new(void)
{
	for (unsigned int n = 0; n < FERRY_GROUP_COUNTS; n++)
		world.chunk[0].named[n] = PAGES;
}

static void test_the_most_generous_that_is_trusted_acts(void **state)
{
	s16 *trust = world.chunk[0].trust;

	(void)state;
	for (unsigned int i = 0; i < 7; i++)
		teach_pages(0, 14 - 2 * i);
	memset(trust, 0, sizeof(world.chunk[0].trust));
	nobody_is_new();
	for (int n = FERRY_GROUP_COUNTS - 1; n >= 1; n--) {
		trust[n] = (named(n) + 1) / 2;
		assert_int_equal(repeating(), named(n));
	}
	trust[0] = PAGES / 2;
	assert_int_equal(repeating(), PAGES - 1);
	trust[0] = -1;
	trust[1] = -1;
	assert_int_equal(repeating(), named(2));
}

static void test_trust_has_to_cover_half_of_what_it_opens(void **state)
{
	(void)state;
	teach_pages(0, 8);
	nobody_is_new();
	world.chunk[0].trust[1] = 3;
	assert_int_equal(repeating(), 0);
	world.chunk[0].trust[1] = 4;
	assert_int_equal(repeating(), 8);
	/* Absent pages need not be covered. */
	world.chunk[0].trust[1] = 3;
	bitmap_clear(world.view[0].present.page, 3, 2);
	assert_int_equal(repeating(), 6);
}

static void test_a_set_that_has_grown_to_more_than_twice_is_not_opened(void **state)
{
	(void)state;
	teach_pages(0, 8);
	world.chunk[0].trust[1] = 1024;
	/* at the turn that taught them nobody had a count of 1 */
	assert_int_equal(world.chunk[0].named[1], 0);
	assert_int_equal(repeating(), 0);
	world.chunk[0].named[1] = 3;
	assert_int_equal(repeating(), 0);
	world.chunk[0].named[1] = 4;
	assert_int_equal(repeating(), 8);
}

static void test_a_sweep_over_a_hot_region_leaves_it_as_it_was(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 6; i++)
		teach_pages(100, 64);
	assert_int_equal(named(5), 64);
	teach_pages(0, PAGES);
	assert_int_equal(repeating(), 64);
}

static void test_a_pattern_that_changes_costs_one_turn(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 10; i++)
		write_every(1);
	write_every(64);
	count_from_here();
	for (unsigned int i = 0; i < 5; i++)
		write_every(64);
	assert_int_equal(world.taken, world.changed);
}

/* --- dynamic: what does not count */

static void test_a_turn_without_a_fault_teaches_nothing(void **state)
{
	struct ferry_group_chunk before;
	struct ferry_chunk_set take = { 0 }, opened;

	(void)state;
	write_every(1);
	write_every(1);
	before = world.chunk[0];
	bitmap_set(take.page, 3, 2);	/* the VMM wrote */
	for (unsigned int i = 0; i < 10; i++) {
		ferry_group_take(&world.chunk[0], &take, &opened);
		ferry_group_learn(&world.vm, &world.chunk[0],
				  &world.view[0].present, &take, &opened, &take);
	}
	assert_memory_equal(&before, &world.chunk[0], sizeof(before));
}

static void test_a_pinned_page_teaches_nothing(void **state)
{
	struct ferry_chunk_set changed = { 0 }, take;

	(void)state;
	bitmap_set(changed.page, 0, 100);
	take = changed;
	bitmap_set(take.page, 100, 10);		/* pinned: taken, as they were */
	for (unsigned int i = 0; i < 4; i++)
		teach(&take, &changed);
	assert_int_equal(count_of(0, 105), 0);

	/* One that has a count, too: as if it had not been there. */
	begin(NULL);
	teach(&take, &take);
	teach(&take, &changed);
	assert_int_equal(count_of(0, 105), 1);
	assert_int_equal(world.chunk[0].trust[1], 100);
}

static void test_an_opened_page_that_did_not_change_is_vain(void **state)
{
	struct ferry_chunk_set changed = { 0 }, take;

	(void)state;
	bitmap_set(changed.page, 0, 110);
	teach(&changed, &changed);
	take = changed;
	bitmap_set(world.chunk[0].opened.page, 100, 10);
	bitmap_clear(changed.page, 100, 10);
	teach(&take, &changed);
	assert_int_equal(count_of(0, 105), 0);
	assert_int_equal(world.chunk[0].trust[1], 100 - 22 * 10);
}

static void test_absent_pages_do_not_count(void **state)
{
	(void)state;
	bitmap_clear(world.view[0].present.page, 100, PAGES - 100);
	for (unsigned int page = 0; page < 100; page++)
		write_page(page);
	turn(0);
	assert_int_equal(world.chunk[0].trust[0], 100);
	assert_int_equal(fault(0, 50, NULL), 99);
}

static void test_a_turn_is_learnt_from_once(void **state)
{
	struct ferry_group_chunk before;
	struct ferry_chunk_set none = { 0 };

	(void)state;
	write_page(0);
	turn(0);
	before = world.chunk[0];
	ferry_group_learn(&world.vm, &world.chunk[0], &world.view[0].present,
			  &none, &none, &none);
	assert_memory_equal(&before, &world.chunk[0], sizeof(before));
}

/* A fault after the take and before its pages were looked at is the next turn's. */
static void test_a_fault_between_take_and_learn(void **state)
{
	struct ferry_chunk_set take = { 0 }, opened;

	(void)state;
	write_page(0);
	__set_bit(0, take.page);
	ferry_group_take(&world.chunk[0], &take, &opened);
	bitmap_zero(world.view[0].writable.page, PAGES);
	write_page(0);
	ferry_group_learn(&world.vm, &world.chunk[0], &world.view[0].present,
			  &take, &opened, &take);
	assert_int_equal(count_of(0, 0), 1);
	turn(0);
	assert_int_equal(count_of(0, 0), 2);
}

static void test_static_groups_do_not_teach_the_sweep(void **state)
{
	(void)state;
	world.vm.policy = FERRY_GROUP_STATIC;
	world.vm.order = 9;
	write_every(64);
	assert_int_equal(world.vm.ahead_trust, 0);
}

/* --- dynamic: the budget */

static void test_budget_follows_the_backlog(void **state)
{
	struct ferry_group_vm *vm = &world.vm;

	(void)state;
	vm->floor = 1000;
	ferry_group_begin_pass(vm, 5000);
	assert_int_equal(vm->budget, 16000);
	ferry_group_begin_pass(vm, 1001);
	assert_int_equal(vm->budget, 4);
	ferry_group_begin_pass(vm, 1000);
	assert_int_equal(vm->budget, 0);
	ferry_group_begin_pass(vm, 0);
	assert_int_equal(vm->budget, 0);
	ferry_group_begin_pass(vm, 1ull << 40);		/* 4 PiB */
	assert_true(vm->budget > 1ll << 41);
}

static void test_below_the_floor_pages_open_one_by_one(void **state)
{
	(void)state;
	write_every(1);
	world.vm.floor = 512;
	ferry_group_begin_pass(&world.vm, 512);
	for (unsigned int page = 0; page < PAGES; page++)
		assert_int_equal(fault(0, page, NULL), 0);
	ferry_group_begin_pass(&world.vm, CHUNKS * PAGES);
	assert_int_equal(fault(1, 0, NULL), PAGES - 1);
}

static void test_what_is_opened_is_charged(void **state)
{
	(void)state;
	write_every(1);
	world.vm.budget = 600;
	assert_int_equal(fault(0, 0, NULL), 511);
	assert_int_equal(world.vm.budget, 89);
	assert_int_equal(fault(1, 0, NULL), 89);
	assert_int_equal(world.vm.budget, 0);
	assert_int_equal(weight(&world.chunk[1].opened), 89);
	assert_int_equal(fault(2, 0, NULL), 0);
}

static void test_an_overdrawn_budget_opens_nothing(void **state)
{
	(void)state;
	write_every(1);
	world.vm.budget = -1;
	assert_int_equal(fault(0, 0, NULL), 0);
	assert_true(world.vm.budget <= 0);
}

static void test_other_policies_have_no_budget(void **state)
{
	(void)state;
	ferry_group_begin_pass(&world.vm, 0);
	world.vm.policy = FERRY_GROUP_STATIC;
	world.vm.order = 9;
	assert_int_equal(fault(0, 0, NULL), PAGES - 1);
	bitmap_zero(world.view[0].writable.page, PAGES);
	contiguous(0, 10);
	assert_int_equal(fault(0, 10, NULL), 10);
	assert_int_equal(world.vm.budget, 0);
}

/* --- what it comes to, in rounds of 4096 pages */

static void test_sequential(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 3; round++)
		write_every(1);
	assert_true(world.exits <= 128);
	assert_int_equal(world.taken, world.changed);
	count_from_here();
	write_every(1);
	assert_int_equal(world.exits, CHUNKS);
}

static void test_strides(void **state)
{
	(void)state;
	for (unsigned int step = 2; step <= 16; step *= 2) {
		begin(NULL);
		for (unsigned int round = 0; round < 4; round++)
			write_every(step);
		assert_int_equal(world.taken, world.changed);
		count_from_here();
		write_every(step);
		assert_int_equal(world.exits, CHUNKS);
	}
}

static void write_at_random(unsigned int writes)
{
	while (writes--)
		write_page(below(CHUNKS * PAGES));
	all_turns();
}

static void test_random_dense(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 3; round++)
		write_at_random(4 * CHUNKS * PAGES);
	count_from_here();
	for (unsigned int round = 0; round < 10; round++)
		write_at_random(4 * CHUNKS * PAGES);
	assert_int_equal(world.exits, 10 * CHUNKS);
	assert_little_in_vain();
}

static void test_sparse_in_other_places_each_round(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 40; round++)
		write_at_random(64);
	assert_little_in_vain();
	assert_true(world.taken * world.exits <=
		    world.changed * world.changed * 11 / 10);
}

static void test_medium_density_is_left_alone(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 40; round++)
		write_at_random(CHUNKS * PAGES / 4);
	assert_little_in_vain();
	assert_true(world.taken * world.exits <=
		    world.changed * world.changed * 11 / 10);
}

/* Page i of a chunk is written in all rounds but one of every 512 / (512 - i). */
static void test_odds_that_fall_from_page_to_page(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 60; round++) {
		if (round == 20)
			count_from_here();
		for (unsigned int at = 0; at < CHUNKS * PAGES; at++)
			if (below(PAGES) >= at % PAGES)
				write_page(at);
		all_turns();
	}
	assert_little_in_vain();
	assert_true(world.exits * 10 < world.changed * 9);
}

static void test_hot_regions_and_a_sweep(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 24; round++) {
		if (round == 16) {
			assert_little_in_vain();
			count_from_here();
		}
		for (unsigned int i = 0; i < PAGES; i++) {
			write_page(700 + i % 128);
			write_page(2900 + i % 128);
			write_page(round % CHUNKS * PAGES + i);
		}
		all_turns();
	}
	assert_little_in_vain();
	/* A chunk at a time, in 6 of 8 rounds it is 3 exits and 1536 pages, in 2 it is 2 and 1024. */
	assert_true(world.exits * world.taken <=
		    (6 * 3 + 2 * 2) * (6 * 1536 + 2 * 1024) * 11 / 10);
}

#define unit(test) cmocka_unit_test_setup(test, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_off_opens_nothing),
		unit(test_static_group_is_aligned),
		unit(test_static_order_beyond_a_chunk_is_a_chunk),
		unit(test_static_leaves_out_absent_and_writable),
		unit(test_contiguous_alone_opens_nothing),
		unit(test_contiguous_run_before_opens_as_many_after),
		unit(test_contiguous_run_after_opens_as_many_before),
		unit(test_contiguous_gap_ends_the_run),
		unit(test_contiguous_stops_at_the_end_of_the_chunk),
		unit(test_contiguous_stops_at_the_start_of_the_chunk),
		unit(test_contiguous_edges),
		unit(test_take_removes_what_it_takes),
		unit(test_opened_adds_up_over_faults),
		unit(test_no_policy_opens_what_it_must_not),
		unit(test_a_lone_fault_opens_nothing),
		unit(test_at_first_an_eighth_of_the_run_opens),
		unit(test_ahead_is_behind_the_fault),
		unit(test_ahead_of_a_broken_run),
		unit(test_trust_says_how_far_ahead),
		unit(test_without_trust_a_short_run_opens_nothing),
		unit(test_a_sweep_goes_on_in_the_next_chunk),
		unit(test_a_sweep_passes_over_writable_pages),
		unit(test_a_sweep_is_remembered_within_the_next_chunk),
		unit(test_a_long_run_does_not_leave_its_chunk),
		unit(test_a_sweep_that_ends_loses_trust),
		unit(test_a_sweep_that_goes_on_earns_trust),
		unit(test_all_that_was_vain_weighs_on_the_sweep),
		unit(test_a_set_proves_itself_before_it_is_opened),
		unit(test_all_of_a_chunk_proves_itself_at_once),
		unit(test_count_goes_up_to_7_and_is_halved),
		unit(test_every_count_moves_by_the_rule),
		unit(test_trust_by_the_formula),
		unit(test_trust_earns_22_a_hit),
		unit(test_trust_earns_nothing_for_one_in_two),
		unit(test_trust_has_bounds),
		unit(test_the_most_generous_that_is_trusted_acts),
		unit(test_trust_has_to_cover_half_of_what_it_opens),
		unit(test_a_set_that_has_grown_to_more_than_twice_is_not_opened),
		unit(test_a_sweep_over_a_hot_region_leaves_it_as_it_was),
		unit(test_a_pattern_that_changes_costs_one_turn),
		unit(test_a_turn_without_a_fault_teaches_nothing),
		unit(test_a_pinned_page_teaches_nothing),
		unit(test_an_opened_page_that_did_not_change_is_vain),
		unit(test_absent_pages_do_not_count),
		unit(test_a_turn_is_learnt_from_once),
		unit(test_a_fault_between_take_and_learn),
		unit(test_static_groups_do_not_teach_the_sweep),
		unit(test_budget_follows_the_backlog),
		unit(test_below_the_floor_pages_open_one_by_one),
		unit(test_what_is_opened_is_charged),
		unit(test_an_overdrawn_budget_opens_nothing),
		unit(test_other_policies_have_no_budget),
		unit(test_sequential),
		unit(test_strides),
		unit(test_random_dense),
		unit(test_sparse_in_other_places_each_round),
		unit(test_medium_density_is_left_alone),
		unit(test_odds_that_fall_from_page_to_page),
		unit(test_hot_regions_and_a_sweep),
	};

	return cmocka_run_group_tests_name("group", tests, NULL, NULL);
}
