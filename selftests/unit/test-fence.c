// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The keys of persistent reservations: both sides work them out from the migration's id. What is
 * done with them needs a SCSI disk: ../storage/fence.sh.
 */
#include <stdio.h>

#include "cmocka-all.h"
#include "fence.h"

static void test_keys(void **state)
{
	const uint8_t id[WIRE_ID_SIZE] = { 0x12, 0x34, 0xab, 0xcd, 0x99 };

	(void)state;
	assert_true(fence_key(FENCE_SOURCE, id) == 0x4b5646531234abcdull);
	assert_true(fence_key(FENCE_TARGET, id) == 0x4b5646541234abcdull);
}

/* None of these can be fenced, and none is touched. */
static void test_no_disks(void **state)
{
	static const char *const paths[] = { "/dev/null", "/nowhere", "/" };

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct disk d = { .fd = -1 };
		struct failure why = { 0 };

		snprintf(d.path, sizeof(d.path), "%s", paths[i]);
		assert_int_equal(fence_probe(&d, &why), -1);
		assert_true(why.text[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_no_disks),
	};

	return cmocka_run_group_tests_name("fence", tests, NULL, NULL);
}
