// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long disks will have `stop` wait, from what QEMU counts.
 */
#include "cmocka-all.h"
#include "blockstats.h"

#define MS	1000000ll

static uint64_t look(struct blockstats *b, unsigned int disk, json_int_t reads, json_int_t read_ns,
		     json_int_t writes, json_int_t write_ns, json_int_t flushes, json_int_t flush_ns)
{
	json_t *stats = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "rd_operations", reads,
				  "rd_total_time_ns", read_ns, "wr_operations", writes,
				  "wr_total_time_ns", write_ns, "flush_operations", flushes,
				  "flush_total_time_ns", flush_ns);
	uint64_t us = blockstats_look(b, disk, stats);

	json_decref(stats);
	return us;
}

static void test_the_slower_kind_and_two_flushes(void **state)
{
	struct blockstats b = { 0 };

	(void)state;
	assert_int_equal(look(&b, 0, 10, 10 * MS, 10, 50 * MS, 5, 10 * MS), 5000 + 2 * 2000);
	assert_int_equal(look(&b, 1, 10, 80 * MS, 10, 50 * MS, 0, 0), 8000);
}

static void test_a_disk_that_did_nothing(void **state)
{
	struct blockstats b = { 0 };
	json_t *empty = json_object();

	(void)state;
	assert_int_equal(look(&b, 0, 0, 0, 0, 0, 0, 0), 0);
	assert_int_equal(blockstats_look(&b, 1, empty), 0);
	assert_int_equal(blockstats_look(&b, 2, NULL), 0);
	json_decref(empty);
}

/* What came since the last look counts, and stands until something else does. */
static void test_lately_counts(void **state)
{
	struct blockstats b = { 0 };

	(void)state;
	assert_int_equal(look(&b, 0, 0, 0, 1000, 1000 * MS, 0, 0), 1000);
	assert_int_equal(look(&b, 0, 0, 0, 1001, 9000 * MS, 0, 0), 8000000);
	assert_int_equal(look(&b, 0, 0, 0, 1001, 9000 * MS, 0, 0), 8000000);
	assert_int_equal(look(&b, 0, 0, 0, 1011, 9020 * MS, 0, 0), 2000);
	/* another disk has its own */
	assert_int_equal(look(&b, 1, 0, 0, 1001, 1001 * MS, 0, 0), 1000);
}

static void test_counts_that_make_no_sense(void **state)
{
	struct blockstats b = { 0 };

	(void)state;
	assert_int_equal(look(&b, 0, 100, 100 * MS, 0, 0, 0, 0), 1000);
	assert_int_equal(look(&b, 0, 10, 20 * MS, 0, 0, 0, 0), 1000);
	assert_int_equal(look(&b, 0, 20, 10 * MS, 0, 0, 0, 0), 1000);
	assert_int_equal(look(&b, 0, -1, -1, 0, 0, 0, 0), 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_slower_kind_and_two_flushes),
		cmocka_unit_test(test_a_disk_that_did_nothing),
		cmocka_unit_test(test_lately_counts),
		cmocka_unit_test(test_counts_that_make_no_sense),
	};

	return cmocka_run_group_tests_name("blockstats", tests, NULL, NULL);
}
