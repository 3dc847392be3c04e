// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What agents publish of their migrations, and how it is shown; where groups were opened;
 * messages with fields.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "heat.h"
#include "journald.h"
#include "top.h"

static char dir[] = "/tmp/test-top.XXXXXX";

static json_t *some_state(const char *vm, double percent)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:f, s:i, s:f, s:o, s:i}", "migration", "00ff",
			 "role", "source", "vm", vm, "peer", "h:1", "stage", "passes", "percent",
			 percent, "pending_pages", 512, "rate_mb_s", 12.5, "left_ms", json_null(),
			 "elapsed_ms", 61000);
}

static void put(struct state *s, const char *vm, double percent)
{
	struct failure why = { 0 };
	json_t *object = some_state(vm, percent);

	assert_int_equal(state_put(s, object, &why), 0);
	json_decref(object);
}

static json_t *look(size_t wanted)
{
	struct failure why = { 0 };
	json_t *all = top_look(dir, &why);

	assert_non_null(all);
	assert_int_equal(json_array_size(all), wanted);
	return all;
}

static void test_alive(void **state)
{
	struct failure why = { 0 };
	struct state s;
	json_t *all;

	(void)state;
	assert_int_equal(state_open(&s, dir, "00ff", "source", &why), 0);
	json_decref(look(0));
	put(&s, "vm1", 10);
	put(&s, "vm1", 20);
	all = look(1);
	assert_true(json_is_true(json_object_get(json_array_get(all, 0), "alive")));
	assert_true(json_real_value(json_object_get(json_array_get(all, 0), "percent")) == 20);
	json_decref(all);
	state_close(&s);
	state_close(&s);
	json_decref(look(0));
}

/* An agent that is killed leaves its file, without a lock. */
static void test_dead(void **state)
{
	struct failure why = { 0 };
	char path[100];
	json_t *all;
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		struct state s;

		if (!state_open(&s, dir, "dead", "source", &why))
			put(&s, "vm1", 10);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	all = look(1);
	assert_true(json_is_false(json_object_get(json_array_get(all, 0), "alive")));
	json_decref(all);
	snprintf(path, sizeof(path), "%s/dead.source.json", dir);
	assert_int_equal(unlink(path), 0);
}

/* What is no state is passed over. */
static void test_strangers(void **state)
{
	char path[100];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/half.json", dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "{\"vm\":", 6), 6);
	close(fd);
	json_decref(look(0));
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	json_decref(look(0));
	unlink(path);
}

static char *shown(void (*show)(FILE *out, const json_t *all), json_t *all)
{
	size_t size;
	char *text;
	FILE *out = open_memstream(&text, &size);

	show(out, all);
	fclose(out);
	json_decref(all);
	return text;
}

static json_t *snapshot(const char *vm)
{
	json_t *one = some_state(vm, 50);

	json_object_set_new(one, "alive", json_true());
	return json_pack("[o]", one);
}

static void test_table(void **state)
{
	char *text = shown(top_table, snapshot("vm\033[2J1"));

	(void)state;
	assert_non_null(strstr(text, "vm?[2J1 "));	/* nothing steers the terminal */
	assert_null(strchr(text, '\033'));
	assert_non_null(strstr(text, " passes "));
	assert_non_null(strstr(text, "    1:01 "));
	assert_non_null(strstr(text, " 2.0 "));
	assert_null(strstr(text, "DIED"));
	free(text);
	text = shown(top_table, json_array());
	assert_string_equal(text, "no VM is being moved away from this host or to it\n");
	free(text);
}

static void test_metrics(void **state)
{
	static const char labels[] = "{migration=\"00ff\",role=\"source\",vm=\"a\\\"b\\\\c\\nd\",peer=\"h:1\"}";
	char *text = shown(top_metrics, snapshot("a\"b\\c\nd")), line[200];

	(void)state;
	snprintf(line, sizeof(line), "\nkvmferry_migration_pending_bytes%s 2097152\n", labels);
	assert_non_null(strstr(text, line));
	snprintf(line, sizeof(line), "\nkvmferry_migration_send_bytes_per_second%s 12500000\n", labels);
	assert_non_null(strstr(text, line));
	snprintf(line, sizeof(line), "\nkvmferry_migration_up%s 1\n", labels);
	assert_non_null(strstr(text, line));
	/* not known, so there is none */
	assert_null(strstr(text, "\nkvmferry_migration_left_seconds{"));
	assert_non_null(strstr(text, "\nkvmferry_migrations 1\n"));
	free(text);
}

/* ------------------------------------------------------------------------
 * Where groups were opened
 * ------------------------------------------------------------------------ */

static void test_heat(void **state)
{
	struct ferry_group_cell cells[4] = { { 0 } };
	char text[HEAT_COLUMNS + 1];
	struct heat h;

	(void)state;
	heat_begin(&h, 4);
	cells[1] = (struct ferry_group_cell){ .write_faults = 3, .opened = 0 };
	cells[2] = (struct ferry_group_cell){ .write_faults = 2, .opened = 62 };
	cells[3] = (struct ferry_group_cell){ .write_faults = UINT32_MAX, .opened = 5 };
	heat_add(&h, 0, cells, 4);
	heat_line(&h, text);
	assert_string_equal(text, ".050");
	/* nothing since; and counts that have wrapped */
	cells[3] = (struct ferry_group_cell){ .write_faults = 0, .opened = 516 };
	heat_add(&h, 0, cells, 2);
	heat_add(&h, 2, cells + 2, 2);
	heat_line(&h, text);
	assert_string_equal(text, "...9");
}

/* The line does not grow with RAM, and every chunk is in it. */
static void test_heat_large(void **state)
{
	const uint64_t chunks = 512 * 1000 + 77;
	struct ferry_group_cell one = { .write_faults = 1 };
	char text[HEAT_COLUMNS + 1];
	struct heat h;

	(void)state;
	heat_begin(&h, chunks);
	heat_add(&h, 0, &one, 1);
	heat_add(&h, chunks - 1, &one, 1);
	heat_add(&h, chunks, &one, 1);
	heat_line(&h, text);
	assert_int_equal(strlen(text), HEAT_COLUMNS);
	assert_true(text[0] == '0' && text[HEAT_COLUMNS - 1] == '0');
	assert_int_equal(strspn(text + 1, "."), HEAT_COLUMNS - 2);
}

/* ------------------------------------------------------------------------
 * The journal
 * ------------------------------------------------------------------------ */

static bool has_field(const struct journald_message *m, const char *wanted)
{
	for (int i = 0; i < m->count; i++)
		if (m->field[i].iov_len == strlen(wanted) &&
		    !memcmp(m->field[i].iov_base, wanted, strlen(wanted)))
			return true;
	return false;
}

static void test_fields(void **state)
{
	struct journald_message m;

	(void)state;
	journald_compose(&m, LOG_WARN, "hello");
	assert_int_equal(m.count, 3);
	assert_true(has_field(&m, "MESSAGE=hello") && has_field(&m, "PRIORITY=4"));
	journald_set(JOURNALD_VM, "vm1");
	journald_set(JOURNALD_STAGE, "passes");
	journald_set(JOURNALD_RESULT, "moved");
	journald_compose(&m, LOG_ERROR, "x");
	assert_true(has_field(&m, "VM=vm1") && has_field(&m, "STAGE=passes"));
	assert_true(has_field(&m, "RESULT=moved") && has_field(&m, "MESSAGE_ID=" JOURNALD_ENDED));
	assert_true(has_field(&m, "PRIORITY=3"));
	journald_set(JOURNALD_RESULT, NULL);
	journald_compose(&m, LOG_INFO, "x");
	assert_false(has_field(&m, "RESULT=moved") || has_field(&m, "MESSAGE_ID=" JOURNALD_ENDED));
}

/* Only if standard error is the very stream that systemd has made. */
static void test_wanted(void **state)
{
	char stream[60];
	struct stat st;

	(void)state;
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	unsetenv("JOURNAL_STREAM");
	assert_false(journald_wanted());
	snprintf(stream, sizeof(stream), "%lu:%lu", (unsigned long)st.st_dev, (unsigned long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	assert_true(journald_wanted());
	snprintf(stream, sizeof(stream), "%lu:%lu", (unsigned long)st.st_dev, (unsigned long)st.st_ino + 1);
	setenv("JOURNAL_STREAM", stream, 1);
	assert_false(journald_wanted());
	unsetenv("JOURNAL_STREAM");
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alive),
		cmocka_unit_test(test_dead),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_metrics),
		cmocka_unit_test(test_heat),
		cmocka_unit_test(test_heat_large),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_wanted),
	};

	return cmocka_run_group_tests_name("top", tests, setup, teardown);
}
