// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Owner records: what is written is read back, what is damaged is refused, and who
 * may own a VM follows from them.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal.h"
#include "cmocka-all.h"

#define VM	"0d6c3f6e-0c9b-4a0c-8d7c-111111111111"

static char dir[] = "/tmp/test-journal.XXXXXX";
static char missing[64];

static int make_dir(void **state)
{
	(void)state;
	strcpy(strrchr(dir, '.'), ".XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(missing, sizeof(missing), "%s/not-there", dir);
	return 0;
}

static int remove_dir(void **state)
{
	char command[80];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static struct journal record(enum journal_side side, uint8_t number, pid_t pid)
{
	uint8_t id[WIRE_ID_SIZE] = { number, 0xab };
	struct failure why = { 0 };
	struct journal j;

	if (journal_init(&j, dir, side, VM, id, "host-b:4444", pid, &why))
		fail_msg("%s", why.text);
	return j;
}

static struct journal written(enum journal_side side, uint8_t number, pid_t pid,
			      enum journal_state state)
{
	struct journal j = record(side, number, pid);

	assert_int_equal(journal_write(&j, state, NULL), 0);
	return j;
}

static bool source_may(pid_t pid, struct failure *why)
{
	*why = (struct failure){ 0 };
	return !journal_admits(dir, JOURNAL_SOURCE, VM, pid, why);
}

static bool target_may(pid_t pid, struct failure *why)
{
	*why = (struct failure){ 0 };
	return !journal_admits(dir, JOURNAL_TARGET, VM, pid, why);
}

static void test_read_gives_what_was_written(void **state)
{
	struct journal j = written(JOURNAL_SOURCE, 7, getpid(), JOURNAL_COMMITTED);
	struct failure why = { 0 };
	struct journal r;

	(void)state;
	assert_int_equal(journal_read(&r, j.path, &why), 0);
	assert_string_equal(r.vm, VM);
	assert_string_equal(r.peer, "host-b:4444");
	assert_string_equal(r.path, j.path);
	assert_memory_equal(r.id, j.id, sizeof(r.id));
	assert_int_equal(r.side, JOURNAL_SOURCE);
	assert_int_equal(r.state, JOURNAL_COMMITTED);
	assert_int_equal(r.pid, getpid());
	assert_int_equal(r.started, j.started);
	assert_true(r.started > 0);
}

static void test_one_file_is_left(void **state)
{
	struct journal j = written(JOURNAL_SOURCE, 1, 1, JOURNAL_OWNS);
	struct dirent *entry;
	int files = 0;
	DIR *d;

	(void)state;
	assert_int_equal(journal_write(&j, JOURNAL_COMMITTED, NULL), 0);
	assert_int_equal(journal_write(&j, JOURNAL_GONE, NULL), 0);
	d = opendir(dir);
	while ((entry = readdir(d)))
		files += entry->d_name[0] != '.';
	closedir(d);
	assert_int_equal(files, 1);
	assert_int_equal(journal_remove(&j, NULL), 0);
	assert_int_equal(journal_remove(&j, NULL), 0);
	assert_int_equal(access(j.path, F_OK), -1);
}

/* Every byte of the file, changed or cut off, must be noticed. */
static void test_any_damage_is_noticed(void **state)
{
	struct journal j = written(JOURNAL_SOURCE, 1, 1, JOURNAL_OWNS);
	struct failure why;
	struct journal r;
	char text[2048];
	ssize_t size;
	int fd;

	(void)state;
	fd = open(j.path, O_RDWR);
	size = read(fd, text, sizeof(text));
	assert_in_range(size, 100, 1000);
	for (ssize_t i = 0; i < size; i++) {
		char bad = (char)(text[i] ^ 1);

		assert_int_equal(pwrite(fd, &bad, 1, i), 1);
		why.text[0] = '\0';
		assert_int_equal(journal_read(&r, j.path, &why), -1);
		assert_non_null(strstr(why.text, "damaged"));
		assert_int_equal(pwrite(fd, &text[i], 1, i), 1);
	}
	assert_int_equal(journal_read(&r, j.path, NULL), 0);
	while (size--) {
		assert_int_equal(ftruncate(fd, size), 0);
		assert_int_equal(journal_read(&r, j.path, NULL), -1);
	}
	close(fd);
	assert_false(source_may(1, &why));
	assert_non_null(strstr(why.text, j.path));
}

static void test_binary_rubbish_is_refused(void **state)
{
	struct journal j = record(JOURNAL_SOURCE, 1, 1);
	char text[5000];
	struct journal r;
	int fd;

	(void)state;
	memset(text, 0, sizeof(text));
	fd = open(j.path, O_WRONLY | O_CREAT, 0600);
	for (int i = 0; i < 50; i++) {
		for (size_t k = 0; k < sizeof(text); k++)
			text[k] = (char)rand();
		assert_int_equal(pwrite(fd, text, sizeof(text), 0), sizeof(text));
		assert_int_equal(journal_read(&r, j.path, NULL), -1);
	}
	close(fd);
}

static void test_nothing_recorded_admits_everything(void **state)
{
	struct failure why;

	(void)state;
	assert_true(source_may(getpid(), &why));
	assert_true(target_may(getpid(), &why));
	assert_int_equal(journal_admits(missing, JOURNAL_SOURCE, VM, 1, &why), 0);
}

static void test_committed_away_is_refused(void **state)
{
	struct journal j = written(JOURNAL_SOURCE, 1, 12345, JOURNAL_COMMITTED);
	struct failure why;

	(void)state;
	assert_false(source_may(12345, &why));
	assert_false(source_may(getpid(), &why));	/* also a new QEMU */
	assert_non_null(strstr(why.text, j.path));
	assert_non_null(strstr(why.text, "host-b:4444"));
	assert_true(target_may(getpid(), &why));	/* it may come back */
}

static void test_gone_fences_only_the_old_qemu(void **state)
{
	struct failure why;

	(void)state;
	written(JOURNAL_SOURCE, 1, getpid(), JOURNAL_GONE);
	assert_false(source_may(getpid(), &why));
	assert_true(source_may(getppid(), &why));
}

static void test_owning_source_may_try_again(void **state)
{
	struct failure why;

	(void)state;
	written(JOURNAL_SOURCE, 1, getpid(), JOURNAL_OWNS);
	assert_true(source_may(getpid(), &why));
}

static void test_other_live_owner_refuses_a_target(void **state)
{
	struct failure why;

	(void)state;
	written(JOURNAL_TARGET, 1, getppid(), JOURNAL_RUNNING);
	assert_false(target_may(getpid(), &why));
	assert_true(target_may(getppid(), &why));
	assert_true(source_may(getppid(), &why));
}

static void test_dead_owner_does_not(void **state)
{
	struct journal j = record(JOURNAL_TARGET, 1, getppid());
	struct failure why;

	(void)state;
	j.started++;		/* another process with the same number */
	assert_int_equal(journal_write(&j, JOURNAL_RUNNING, NULL), 0);
	assert_true(target_may(getpid(), &why));
}

static void test_other_vms_do_not_matter(void **state)
{
	struct failure why = { 0 };

	(void)state;
	written(JOURNAL_SOURCE, 1, 1, JOURNAL_COMMITTED);
	assert_int_equal(journal_admits(dir, JOURNAL_SOURCE, "0d6c3f6e", 1, &why), 0);
	assert_int_equal(journal_admits(dir, JOURNAL_SOURCE, VM ".x", 1, &why), 0);
}

static void test_forget_keeps_one(void **state)
{
	struct journal old = written(JOURNAL_SOURCE, 1, 1, JOURNAL_COMMITTED);
	struct journal new = written(JOURNAL_TARGET, 2, 1, JOURNAL_RUNNING);
	struct failure why;

	(void)state;
	assert_true(journal_forget(dir, &new));
	assert_false(journal_forget(dir, &new));
	assert_int_equal(access(old.path, F_OK), -1);
	assert_int_equal(access(new.path, F_OK), 0);
	assert_true(source_may(1, &why));	/* it came back */
}

/* One directory for both sides, as on a host that migrates to itself. */
static void test_forget_spares_the_other_side(void **state)
{
	struct journal source = written(JOURNAL_SOURCE, 2, 1, JOURNAL_COMMITTED);
	struct journal target = written(JOURNAL_TARGET, 2, 2, JOURNAL_RUNNING);

	(void)state;
	assert_false(journal_forget(dir, &target));
	assert_int_equal(access(source.path, F_OK), 0);
	assert_int_equal(access(target.path, F_OK), 0);
}

/* Only a target that never got the COMMIT was an attempt. */
static void test_attempts(void **state)
{
	const uint8_t first[2] = { 1, 0xab }, other[2] = { 9, 0xab };

	(void)state;
	assert_false(journal_was_attempt(dir, VM, first, 2));
	written(JOURNAL_SOURCE, 1, 1, JOURNAL_OWNS);
	assert_false(journal_was_attempt(dir, VM, first, 2));
	written(JOURNAL_TARGET, 1, 1, JOURNAL_INCOMING);
	assert_true(journal_was_attempt(dir, VM, first, 2));
	assert_false(journal_was_attempt(dir, VM, other, 2));
	assert_false(journal_was_attempt(dir, "another", first, 2));
	written(JOURNAL_TARGET, 1, 1, JOURNAL_OWNS);
	assert_false(journal_was_attempt(dir, VM, first, 2));
}

static void test_unwritable_directory_says_so(void **state)
{
	uint8_t id[WIRE_ID_SIZE] = { 0 };
	struct failure why = { 0 };
	struct journal j;

	(void)state;
	assert_int_equal(journal_init(&j, "/proc/nowhere", JOURNAL_SOURCE, VM, id,
				      "x", 1, &why), -1);
	assert_non_null(strstr(why.text, "--state-dir"));

	j = record(JOURNAL_SOURCE, 1, 1);
	snprintf(j.path, sizeof(j.path), "%s/x", missing);
	why.text[0] = '\0';
	assert_int_equal(journal_write(&j, JOURNAL_OWNS, &why), -1);
	assert_non_null(strstr(why.text, "owner record"));
}

/* A source that could not write "committed" may run on only if the file does not say so. */
static void test_failed_write_leaves_the_state(void **state)
{
	struct journal r, j = written(JOURNAL_SOURCE, 1, 1, JOURNAL_OWNS);
	char temporary[sizeof(j.path) + 4];

	(void)state;
	snprintf(temporary, sizeof(temporary), "%s.new", j.path);
	assert_int_equal(mkdir(temporary, 0700), 0);
	assert_int_equal(journal_write(&j, JOURNAL_COMMITTED, NULL), -1);
	assert_int_equal(j.state, JOURNAL_OWNS);
	assert_int_equal(journal_read(&r, j.path, NULL), 0);
	assert_int_equal(r.state, JOURNAL_OWNS);
	rmdir(temporary);
}

/* What the next migration can expect of the VM's device state. */
static void test_size_of_device_state(void **state)
{
	struct journal j;

	(void)state;
	assert_int_equal(journal_device_bytes(missing, VM), 0);
	written(JOURNAL_SOURCE, 1, getpid(), JOURNAL_OWNS);
	assert_int_equal(journal_device_bytes(dir, VM), 0);
	j = record(JOURNAL_TARGET, 2, getpid());
	j.device_bytes = 288332;
	assert_int_equal(journal_write(&j, JOURNAL_RUNNING, NULL), 0);
	assert_int_equal(journal_device_bytes(dir, VM), 288332);
	assert_int_equal(journal_device_bytes(dir, "another"), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		TEST(test_read_gives_what_was_written),
		TEST(test_size_of_device_state),
		TEST(test_one_file_is_left),
		TEST(test_any_damage_is_noticed),
		TEST(test_binary_rubbish_is_refused),
		TEST(test_nothing_recorded_admits_everything),
		TEST(test_committed_away_is_refused),
		TEST(test_gone_fences_only_the_old_qemu),
		TEST(test_owning_source_may_try_again),
		TEST(test_other_live_owner_refuses_a_target),
		TEST(test_dead_owner_does_not),
		TEST(test_other_vms_do_not_matter),
		TEST(test_forget_keeps_one),
		TEST(test_forget_spares_the_other_side),
		TEST(test_attempts),
		TEST(test_unwritable_directory_says_so),
		TEST(test_failed_write_leaves_the_state),
	};

	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
