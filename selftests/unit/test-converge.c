// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When to switch over.
 */
#include "cmocka-all.h"
#include "converge.h"

#define MIB	(1ull << 20)

/* A pass at 100 MiB/s of pages that did not compress. */
static struct converge_pass pass_of(uint64_t pages, uint64_t pending)
{
	return (struct converge_pass){
		.pages = pages,
		.bytes = pages * 4096,
		.us = pages * 4096 * 1000000 / (100 * MIB),
		.pending = pending,
	};
}

static struct converge fresh(unsigned int downtime, unsigned int passes)
{
	return (struct converge){ .downtime_ms = downtime, .max_passes = passes };
}

static void test_idle_vm_switches_after_one_pass(void **state)
{
	struct converge c = fresh(300, 30);
	struct converge_pass p = pass_of(262144, 0);
	unsigned int ms;

	(void)state;
	assert_int_equal(converge_after(&c, &p, &ms), CONVERGE_FITS);
	assert_int_equal(ms, CONVERGE_FIXED_MS);
}

static void test_blackout_is_overhead_and_pending_bytes(void **state)
{
	struct converge c = fresh(300, 30);
	struct converge_pass p = pass_of(262144, 25600);
	unsigned int ms;

	(void)state;
	/* 25600 pages are 100 MiB: one second. */
	assert_int_equal(converge_after(&c, &p, &ms), CONVERGE_AGAIN);
	assert_in_range(ms, 1000 + CONVERGE_FIXED_MS - 1,
			1001 + CONVERGE_FIXED_MS);
}

static void test_shrinking_rest_ends_when_it_fits(void **state)
{
	struct converge c = fresh(300, 30);
	uint64_t pages = 262144;
	unsigned int ms, passes = 0;
	enum converge_decision d;

	(void)state;
	do {
		struct converge_pass p = pass_of(pages, pages / 4);

		d = converge_after(&c, &p, &ms);
		pages /= 4;
		passes++;
	} while (d == CONVERGE_AGAIN);
	assert_int_equal(d, CONVERGE_FITS);
	assert_true(ms <= 300);
	assert_int_equal(passes, 3);
}

static void test_zero_pages_do_not_flatter(void **state)
{
	struct converge c = fresh(300, 30);
	struct converge_pass p = {
		.pages = 262144, .zero = 262144 - 2560, .bytes = 10 * MIB,
		.us = 1000000, .pending = 25600,
	};
	unsigned int ms;

	(void)state;
	/* 25600 pages of 4 KiB at 10 MiB/s, not of the 40 bytes on average. */
	converge_after(&c, &p, &ms);
	assert_true(ms > 9000);
}

static void test_all_zero_first_pass_is_not_optimistic(void **state)
{
	struct converge c = fresh(300, 30);
	struct converge_pass p = {
		.pages = 262144, .zero = 262144, .bytes = 16384, .us = 1000000,
		.pending = 25600,
	};
	unsigned int ms;

	(void)state;
	assert_int_equal(converge_after(&c, &p, &ms), CONVERGE_AGAIN);
	assert_true(ms > 1000000);
}

static void test_short_pass_does_not_spoil_the_rate(void **state)
{
	struct converge c = fresh(300, 30);
	struct converge_pass big = pass_of(262144, 25600);
	struct converge_pass tiny = {
		.pages = 10, .bytes = 40960, .us = 500000, .pending = 2560,
	};
	unsigned int ms;

	(void)state;
	converge_after(&c, &big, &ms);
	/* 10 MiB at 100 MiB/s, although the last pass looked like 80 KiB/s. */
	assert_int_equal(converge_after(&c, &tiny, &ms), CONVERGE_FITS);
	assert_in_range(ms, 100, 140);
}

static void test_last_pass_allowed(void **state)
{
	struct converge c = fresh(1, 3);
	unsigned int ms;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct converge_pass p = pass_of(100000, 50000 >> i);

		assert_int_equal(converge_after(&c, &p, &ms), CONVERGE_AGAIN);
	}
	struct converge_pass p = pass_of(100000, 10000);

	assert_int_equal(converge_after(&c, &p, &ms), CONVERGE_PASSES);
}

static void test_no_progress_is_noticed(void **state)
{
	struct converge c = fresh(300, 30);
	enum converge_decision d = CONVERGE_AGAIN;
	unsigned int ms, passes = 0;

	(void)state;
	while (d == CONVERGE_AGAIN) {
		struct converge_pass p = pass_of(100000, 100000 - passes % 2);

		d = converge_after(&c, &p, &ms);
		passes++;
	}
	assert_int_equal(d, CONVERGE_STUCK);
	assert_int_equal(passes, 4);
}

static void test_slow_progress_is_progress(void **state)
{
	struct converge c = fresh(300, 100);
	uint64_t pending = 1000000;
	unsigned int ms;

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct converge_pass p = pass_of(1000000, pending);

		assert_int_equal(converge_after(&c, &p, &ms), CONVERGE_AGAIN);
		pending = pending * 85 / 100;
	}
}

static void test_no_measurement_is_unknown(void **state)
{
	struct converge c = fresh(300, 30);
	struct converge_pass p = { .pending = 1 };
	unsigned int ms;

	(void)state;
	assert_int_equal(converge_after(&c, &p, &ms), CONVERGE_AGAIN);
	assert_int_equal(ms, CONVERGE_UNKNOWN);
}

static void test_huge_vm_does_not_overflow(void **state)
{
	struct converge c = fresh(300, 30);
	struct converge_pass p = pass_of(1ull << 32, 1ull << 32);	/* 16 TiB */
	unsigned int ms;

	(void)state;
	assert_int_equal(converge_after(&c, &p, &ms), CONVERGE_AGAIN);
	assert_in_range(ms, 167000000, 168000000);	/* 46 hours and a half */
}

/* --- slowing the VM down */

static struct converge slowable(unsigned int percent)
{
	struct converge c = fresh(300, 30);

	c.max_slowdown = percent;
	return c;
}

/* Passes over the same rest until something else than another pass is decided. */
static enum converge_decision repeat(struct converge *c, uint64_t pages,
				     unsigned int *passes)
{
	enum converge_decision d = CONVERGE_AGAIN;
	unsigned int ms;

	for (*passes = 0; d == CONVERGE_AGAIN; ++*passes) {
		struct converge_pass p = pass_of(pages, pages);

		d = converge_after(c, &p, &ms);
	}
	return d;
}

static void test_slows_down_instead_of_giving_up(void **state)
{
	struct converge c = slowable(70);
	unsigned int passes;

	(void)state;
	assert_int_equal(repeat(&c, 100000, &passes), CONVERGE_SLOWER);
	assert_int_equal(passes, 4);
	/* Half of 100 MiB/s. */
	assert_int_equal(c.limit, 25600 / 2);
}

static void test_is_not_slowed_while_it_converges(void **state)
{
	struct converge c = slowable(70);
	uint64_t pending = 1000000;
	unsigned int ms;

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct converge_pass p = pass_of(1000000, pending);

		assert_int_equal(converge_after(&c, &p, &ms), CONVERGE_AGAIN);
		pending = pending * 85 / 100;
	}
	assert_int_equal(c.limit, 0);
}

static void test_never_is_never(void **state)
{
	struct converge c = slowable(0);
	unsigned int passes;

	(void)state;
	assert_int_equal(repeat(&c, 100000, &passes), CONVERGE_STUCK);
	assert_int_equal(c.limit, 0);
}

static void test_a_kernel_that_cannot(void **state)
{
	struct converge c = slowable(70);
	unsigned int passes;

	(void)state;
	assert_int_equal(repeat(&c, 100000, &passes), CONVERGE_SLOWER);
	assert_int_equal(converge_unlimited(&c), CONVERGE_STUCK);
	assert_int_equal(c.limit, 0);
}

/* A VM that writes at the limit: the bound of converge.h, rounded up. */
static void test_bound_on_passes(void **state)
{
	struct converge c = slowable(99);
	uint64_t pending = 1000000, floor;
	enum converge_decision d;
	unsigned int passes, ms, bound = 0;

	(void)state;
	assert_int_equal(repeat(&c, pending, &passes), CONVERGE_SLOWER);
	floor = converge_floor(&c);
	while (floor << bound < pending)
		bound++;
	passes = 0;
	do {
		struct converge_pass p = pass_of(pending, 0);

		pending = p.us * c.limit / 1000000;
		p.pending = pending;
		d = converge_after(&c, &p, &ms);
		passes++;
	} while (d == CONVERGE_AGAIN);
	assert_int_equal(d, CONVERGE_FITS);
	assert_int_equal(bound, 8);
	assert_true(passes <= bound);
}

/* One whose limit does not hold, as other things than its vCPUs write. */
static void test_halves_down_to_the_bound(void **state)
{
	struct converge c = slowable(70);
	uint64_t limit = 12800;
	struct converge_pass p = pass_of(100000, 100000);
	unsigned int passes, ms;

	(void)state;
	assert_int_equal(repeat(&c, 100000, &passes), CONVERGE_SLOWER);
	/* 30 % of the 25600 pages/s that it wrote. */
	assert_int_equal(c.least, 7680);
	while (limit > 7680) {
		limit /= 2;
		assert_int_equal(converge_after(&c, &p, &ms), CONVERGE_SLOWER);
		assert_int_equal(c.limit, limit);
	}
	assert_int_equal(repeat(&c, 100000, &passes), CONVERGE_STUCK);
	assert_int_equal(passes, 3);
}

/* Ten times what the streams carry: no permitted slowdown brings it below. */
static void test_hopeless_is_not_halved(void **state)
{
	struct converge c = slowable(70);
	struct converge_pass p = pass_of(10000, 100000);
	unsigned int passes, ms;
	int i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_int_equal(converge_after(&c, &p, &ms), CONVERGE_AGAIN);
	assert_int_equal(converge_after(&c, &p, &ms), CONVERGE_SLOWER);
	assert_true(c.limit < c.least);
	assert_int_equal(repeat(&c, 100000, &passes), CONVERGE_STUCK);
	assert_int_equal(passes, 3);
}

static void test_limit_is_never_none(void **state)
{
	struct converge c = slowable(99);
	struct converge_pass p = {
		.pages = 4, .bytes = 4 * 4096, .us = 3000000, .pending = 400,
	};
	unsigned int ms;
	int i;

	(void)state;
	for (i = 0; i < 25; i++) {
		if (converge_after(&c, &p, &ms) == CONVERGE_SLOWER)
			assert_int_not_equal(c.limit, 0);
		p.pending++;
	}
	assert_int_equal(c.limit, 1);
}

static void test_last_pass_allowed_although_slowed(void **state)
{
	struct converge c = slowable(70);
	struct converge_pass p = pass_of(100000, 50000);
	unsigned int passes, ms;

	(void)state;
	c.max_passes = 5;
	assert_int_equal(repeat(&c, 100000, &passes), CONVERGE_SLOWER);
	assert_int_equal(converge_after(&c, &p, &ms), CONVERGE_PASSES);
}

/* The floor is the most that still fits, and no more. */
static void test_floor(void **state)
{
	struct converge c = fresh(300, 30);
	struct converge_pass p = pass_of(100000, 100000);
	unsigned int ms;
	uint64_t floor;

	(void)state;
	assert_int_equal(converge_floor(&c), 0);
	converge_after(&c, &p, &ms);
	floor = converge_floor(&c);
	assert_int_equal(floor, 25600 * 270 / 1000);
	assert_in_range(converge_blackout(&c, floor), 299, 300);
	assert_true(converge_blackout(&c, floor + 26) > 300);
}

/* ------------------------------------------------------------------------
 * What does not depend on RAM
 * ------------------------------------------------------------------------ */

static void test_overhead_is_what_was_measured(void **state)
{
	struct converge c = fresh(300, 30);

	(void)state;
	assert_int_equal(converge_overhead(&c), 30);
	c.round_trip_us = 5000;
	assert_int_equal(converge_overhead(&c), 30 + 40);
	c.storage_us = 20000;
	assert_int_equal(converge_overhead(&c), 30 + 40 + 20);
	c.stream_bytes_per_s = 10 * MIB;
	assert_int_equal(converge_overhead(&c), 30 + 40 + 20 + 100);
	c.device_bytes = MIB / 4;
	assert_int_equal(converge_overhead(&c), 30 + 40 + 20 + 25);
	c.device_bytes = 0;
	assert_int_equal(converge_budget(&c), 300 - 190);
	assert_int_equal(converge_blackout(&c, 0), 190);
	c.storage_us = UINT64_MAX / 2;
	assert_int_equal(converge_overhead(&c), CONVERGE_UNKNOWN);
	assert_int_equal(converge_blackout(&c, 1), CONVERGE_UNKNOWN);
}

/* A rest that would fit without the overhead does not, and the floor is lower. */
static void test_overhead_counts(void **state)
{
	struct converge c = fresh(300, 30), slow = fresh(300, 30);
	struct converge_pass p = pass_of(100000, 25600 / 5);
	unsigned int ms;

	(void)state;
	assert_int_equal(converge_after(&c, &p, &ms), CONVERGE_FITS);
	slow.storage_us = 100000;
	assert_int_equal(converge_after(&slow, &p, &ms), CONVERGE_AGAIN);
	assert_in_range(ms, 329, 331);
	assert_int_equal(converge_floor(&slow), 25600 * 170 / 1000);
}

/* Storage that takes seconds: no pass helps against that, nor does a slower VM. */
static void test_overhead_alone_is_too_much(void **state)
{
	struct converge c = slowable(70);
	struct converge_pass much = pass_of(100000, 25600), little = pass_of(25600, 25600 * 3 / 100);
	unsigned int ms;

	(void)state;
	c.storage_us = 8000000;
	assert_int_equal(converge_budget(&c), 30);
	assert_int_equal(converge_after(&c, &much, &ms), CONVERGE_AGAIN);
	assert_int_equal(converge_after(&c, &little, &ms), CONVERGE_OVERHEAD);
	assert_in_range(ms, 8059, 8060);
	assert_int_equal(c.limit, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle_vm_switches_after_one_pass),
		cmocka_unit_test(test_blackout_is_overhead_and_pending_bytes),
		cmocka_unit_test(test_shrinking_rest_ends_when_it_fits),
		cmocka_unit_test(test_zero_pages_do_not_flatter),
		cmocka_unit_test(test_all_zero_first_pass_is_not_optimistic),
		cmocka_unit_test(test_short_pass_does_not_spoil_the_rate),
		cmocka_unit_test(test_last_pass_allowed),
		cmocka_unit_test(test_no_progress_is_noticed),
		cmocka_unit_test(test_slow_progress_is_progress),
		cmocka_unit_test(test_no_measurement_is_unknown),
		cmocka_unit_test(test_huge_vm_does_not_overflow),
		cmocka_unit_test(test_slows_down_instead_of_giving_up),
		cmocka_unit_test(test_is_not_slowed_while_it_converges),
		cmocka_unit_test(test_never_is_never),
		cmocka_unit_test(test_a_kernel_that_cannot),
		cmocka_unit_test(test_bound_on_passes),
		cmocka_unit_test(test_halves_down_to_the_bound),
		cmocka_unit_test(test_hopeless_is_not_halved),
		cmocka_unit_test(test_limit_is_never_none),
		cmocka_unit_test(test_last_pass_allowed_although_slowed),
		cmocka_unit_test(test_floor),
		cmocka_unit_test(test_overhead_is_what_was_measured),
		cmocka_unit_test(test_overhead_counts),
		cmocka_unit_test(test_overhead_alone_is_too_much),
	};

	return cmocka_run_group_tests_name("converge", tests, NULL, NULL);
}
