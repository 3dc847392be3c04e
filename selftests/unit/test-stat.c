// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What `kvmferry stat` makes of what the kernel tells.
 */
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"
#include "stat.h"

static const struct ferry_vm_stats vm = {
	.pid = 1234,
	.status = {
		.state = FERRY_STATE_PASS, .pass = 3, .ram_pages = 65536,
		.pending = 17, .taken = 100, .unchanged = 40, .memory = 4096,
	},
	.compression.codec[FERRY_CODEC_ZSTD] = { .pages = 12, .bytes = 3456, .ns = 78999 },
	.group = {
		.backend = FERRY_BACKEND_PAGE_FAULT, .write_faults = 9,
		.read_faults = 8, .opened = 62, .opened_changed = 31,
		.opened_unchanged = 30, .budget = 5, .throttled = 2,
		.throttled_us = 1500, .groups = { 7, 0, 0, 0, 0, 2 },
	},
};

static json_int_t get(json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

static void test_object(void **state)
{
	json_t *object = stat_object(&vm);
	json_t *groups = json_object_get(object, "groups"), *zstd;

	(void)state;
	assert_string_equal(json_string_value(json_object_get(object, "event")), "vm");
	assert_string_equal(json_string_value(json_object_get(object, "state")), "pass");
	assert_string_equal(json_string_value(json_object_get(object, "backend")),
			    "page-fault");
	assert_int_equal(get(object, "pid"), 1234);
	assert_int_equal(get(object, "pass"), 3);
	assert_int_equal(get(object, "pending_pages"), 17);
	assert_int_equal(get(object, "ram_pages"), 65536);
	assert_int_equal(get(object, "taken"), 100);
	assert_int_equal(get(object, "pages_unchanged"), 40);
	assert_int_equal(get(object, "opened_unchanged"), 30);
	assert_int_equal(get(object, "throttled_us"), 1500);
	zstd = json_object_get(json_object_get(object, "codecs"), "zstd");
	assert_int_equal(get(zstd, "pages"), 12);
	assert_int_equal(get(zstd, "bytes"), 3456);
	assert_int_equal(get(zstd, "us"), 78);
	assert_null(json_object_get(json_object_get(object, "codecs"), "lz4"));
	assert_int_equal(json_array_size(groups), FERRY_GROUP_MAX_ORDER + 1);
	assert_int_equal(json_integer_value(json_array_get(groups, 5)), 2);
	json_decref(object);
}

static void test_table(void **state)
{
	size_t size;
	char *text;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	stat_table(out, &vm);
	fclose(out);
	assert_non_null(strstr(text, "process 1234: pass, pass 3, pages are opened by: page-fault\n"));
	assert_non_null(strstr(text, "  pages pending                                17\n"));
	assert_non_null(strstr(text, " 1:7 32:2\n"));
	assert_non_null(strstr(text, "  zstd             12 pages became         3456 bytes in         78 us\n"));
	free(text);
}

/* From a kernel that is newer than this agent. */
static void test_unknown(void **state)
{
	struct ferry_vm_stats odd = { .status.state = 99, .group.backend = 99 };
	json_t *object = stat_object(&odd);

	(void)state;
	assert_string_equal(json_string_value(json_object_get(object, "state")), "unknown");
	assert_string_equal(json_string_value(json_object_get(object, "backend")), "unknown");
	json_decref(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_object),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests_name("stat", tests, NULL, NULL);
}
