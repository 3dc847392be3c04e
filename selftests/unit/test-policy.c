// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Groups of pages as the command line has them.
 */
#include <stdio.h>

#include "cmocka-all.h"
#include "policy.h"

static void test_orders(void **state)
{
	char text[8];
	uint32_t order, n;

	(void)state;
	for (n = 0; n <= FERRY_GROUP_MAX_ORDER; n++) {
		snprintf(text, sizeof(text), "%u", 1u << n);
		assert_true(policy_order(text, &order));
		assert_int_equal(order, n);
	}
}

static void test_no_orders(void **state)
{
	static const char *const bad[] = {
		"", "0", "3", "1024", "-1", "+4", " 4", "4 ", "4k", "0x10",
		"18446744073709551617", "static", "511.5",
	};
	uint32_t order = 77;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(policy_order(bad[i], &order));
	assert_int_equal(order, 77);
}

static void test_policies(void **state)
{
	struct ferry_group g = { .order = 3, .read_order = 5, .floor = 9 };

	(void)state;
	assert_true(policy_parse("off", &g));
	assert_int_equal(g.policy, FERRY_GROUP_OFF);
	assert_int_equal(g.order, 0);
	assert_true(policy_parse("static:32", &g));
	assert_int_equal(g.policy, FERRY_GROUP_STATIC);
	assert_int_equal(g.order, 5);
	/* The kernel wants no order of a policy that has none. */
	assert_true(policy_parse("contiguous", &g));
	assert_int_equal(g.policy, FERRY_GROUP_CONTIGUOUS);
	assert_int_equal(g.order, 0);
	assert_true(policy_parse("dynamic", &g));
	assert_int_equal(g.policy, FERRY_GROUP_DYNAMIC);
	assert_int_equal(g.read_order, 5);
	assert_int_equal(g.floor, 9);
}

static void test_no_policies(void **state)
{
	static const char *const bad[] = {
		"", "static", "static:", "static:0", "static:48", "static:1024",
		"static:-1", "Dynamic", "dynamic:4", "on",
	};
	struct ferry_group g;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(policy_parse(bad[i], &g));
}

static void test_backends(void **state)
{
	(void)state;
	assert_string_equal(policy_backend(FERRY_BACKEND_NONE), "none");
	assert_string_equal(policy_backend(FERRY_BACKEND_PAGE_FAULT), "page-fault");
	assert_string_equal(policy_backend(FERRY_BACKEND_PREFAULT), "prefault");
	assert_string_equal(policy_backend(77), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_no_orders),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_no_policies),
		cmocka_unit_test(test_backends),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
