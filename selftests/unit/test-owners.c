// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which of several records decides, and what one host tells another.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "owners.h"

#define VM	"0d6c3f6e-0c9b-4a0c-8d7c-111111111111"

static char top[] = "/tmp/test-owners.XXXXXX";
static char dirs[2][64];	/* of two hosts, A and B */
enum { A, B };

static int make_dirs(void **state)
{
	(void)state;
	strcpy(strrchr(top, '.'), ".XXXXXX");
	if (!mkdtemp(top))
		return -1;
	snprintf(dirs[A], sizeof(dirs[A]), "%s/a", top);
	snprintf(dirs[B], sizeof(dirs[B]), "%s/b", top);
	return mkdir(dirs[A], 0700) || mkdir(dirs[B], 0700);
}

static int remove_dirs(void **state)
{
	char command[80];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command);
}

static struct journal put(int host, uint8_t migration, enum journal_side side,
			  enum journal_state state)
{
	uint8_t id[WIRE_ID_SIZE] = { migration, 0xab };
	struct failure why = { 0 };
	struct journal j;

	if (journal_init(&j, dirs[host], side, VM, id, "peer:1", getpid(), &why) ||
	    journal_write(&j, state, &why))
		fail_msg("%s", why.text);
	return j;
}

static struct owners on(int host)
{
	struct failure why = { 0 };
	struct owners o;

	if (owners_read(&o, dirs[host], VM, &why))
		fail_msg("%s", why.text);
	return o;
}

static struct ruling judge(int host, bool with_peer)
{
	static struct owners here, there;	/* the ruling points there */

	here = on(host);
	there = with_peer ? on(1 - host) : (struct owners){ 0 };
	return owners_judge(&here, &there);
}

#define assert_ruled(host, with_peer, who, id_)			\
	do {							\
		struct ruling r_ = judge(host, with_peer);	\
		assert_true(r_.known);				\
		assert_string_equal(verdict_name(r_.verdict), who);	\
		assert_int_equal(r_.id[0], id_);		\
	} while (0)

static void test_nothing_recorded_is_no_ruling(void **state)
{
	(void)state;
	assert_false(judge(A, false).known);
	assert_false(judge(A, true).known);
}

static void test_both_hosts_agree(void **state)
{
	(void)state;
	put(A, 1, JOURNAL_SOURCE, JOURNAL_COMMITTED);
	assert_ruled(A, false, "nobody", 1);
	assert_ruled(A, true, "either", 1);
	assert_ruled(B, true, "either", 1);
	put(B, 1, JOURNAL_TARGET, JOURNAL_INCOMING);
	assert_ruled(A, true, "either", 1);
	assert_ruled(B, true, "either", 1);
	assert_ruled(B, false, "nobody", 1);
	put(B, 1, JOURNAL_TARGET, JOURNAL_OWNS);
	assert_ruled(A, true, "target", 1);
	assert_ruled(B, false, "target", 1);
}

/* A host without a record of its own is told its side by the other. */
static void test_sides(void **state)
{
	(void)state;
	put(B, 1, JOURNAL_TARGET, JOURNAL_INCOMING);
	assert_ruled(A, true, "source", 1);
	assert_int_equal(judge(A, true).side, JOURNAL_SOURCE);
	assert_int_equal(judge(B, true).side, JOURNAL_TARGET);
}

/* It left by 1 and came back by 2, whose target has not deleted the old record yet. */
static void test_what_came_back_is_later(void **state)
{
	(void)state;
	put(A, 1, JOURNAL_SOURCE, JOURNAL_COMMITTED);
	put(A, 2, JOURNAL_TARGET, JOURNAL_OWNS);
	put(B, 2, JOURNAL_SOURCE, JOURNAL_COMMITTED);
	assert_ruled(A, false, "target", 2);
	assert_ruled(B, true, "target", 2);
	assert_int_equal(judge(A, false).side, JOURNAL_TARGET);
}

/* Attempts that failed say nothing, but of the migration that the other host speaks of. */
static void test_attempts_give_way(void **state)
{
	(void)state;
	put(B, 1, JOURNAL_TARGET, JOURNAL_INCOMING);
	put(B, 2, JOURNAL_TARGET, JOURNAL_INCOMING);
	put(B, 3, JOURNAL_TARGET, JOURNAL_INCOMING);
	put(A, 2, JOURNAL_SOURCE, JOURNAL_COMMITTED);
	assert_ruled(B, true, "either", 2);
	assert_ruled(A, true, "either", 2);
	put(A, 5, JOURNAL_SOURCE, JOURNAL_COMMITTED);	/* of which nothing is left on B */
	assert_int_equal(judge(B, false).verdict, VERDICT_NOBODY);
	assert_ruled(B, true, "either", 5);
	assert_int_equal(judge(B, true).here, JOURNAL_NONE);
	put(B, 4, JOURNAL_SOURCE, JOURNAL_OWNS);
	assert_ruled(B, false, "source", 4);
}

/*
 * The COMMIT of 1 arrived, the VM ran on B and moved on from there by 2: that nothing of 1 is left
 * on B does not make A free to run what it has kept.
 */
static void test_moved_on_is_not_lost(void **state)
{
	(void)state;
	put(A, 1, JOURNAL_SOURCE, JOURNAL_COMMITTED);
	put(B, 2, JOURNAL_SOURCE, JOURNAL_GONE);
	assert_ruled(A, true, "nobody", 1);
	assert_true(judge(A, true).apart);
}

/*
 * From B to A by 1, back by 2, and that COMMIT was lost: what B has of 1 is no sign that it ran
 * there by 2. Nor is it if 2 was tried before, and rolled back when the record of 1 was gone.
 */
static void test_how_it_came_is_no_sign(void **state)
{
	struct journal came = put(A, 1, JOURNAL_TARGET, JOURNAL_RUNNING);

	(void)state;
	put(B, 1, JOURNAL_SOURCE, JOURNAL_GONE);
	put(A, 2, JOURNAL_SOURCE, JOURNAL_OWNS);
	assert_int_equal(journal_remove(&came, NULL), 0);
	put(A, 3, JOURNAL_SOURCE, JOURNAL_COMMITTED);
	assert_ruled(A, true, "either", 3);
	put(B, 3, JOURNAL_TARGET, JOURNAL_INCOMING);
	assert_ruled(A, true, "either", 3);
	assert_ruled(B, true, "either", 3);
	put(B, 3, JOURNAL_TARGET, JOURNAL_OWNS);
	assert_ruled(A, true, "target", 3);
	assert_ruled(B, false, "target", 3);
}

/*
 * From A to B by 1, whose source was killed before it knew; then back by 2. That B got it by 1, B's
 * record of 2 tells.
 */
static void test_one_in_doubt_gives_way_to_the_way_back(void **state)
{
	struct journal came = put(B, 1, JOURNAL_TARGET, JOURNAL_RUNNING);

	(void)state;
	put(A, 1, JOURNAL_SOURCE, JOURNAL_COMMITTED);
	put(B, 2, JOURNAL_SOURCE, JOURNAL_OWNS);
	assert_int_equal(journal_remove(&came, NULL), 0);
	put(A, 2, JOURNAL_TARGET, JOURNAL_INCOMING);
	assert_ruled(A, true, "source", 2);
	assert_ruled(B, true, "source", 2);
	put(B, 2, JOURNAL_SOURCE, JOURNAL_COMMITTED);
	assert_ruled(A, true, "either", 2);
	assert_ruled(B, true, "either", 2);
	/* of another migration from B, to wherever that was, A knows nothing */
	put(B, 2, JOURNAL_SOURCE, JOURNAL_OWNS);
	put(B, 3, JOURNAL_SOURCE, JOURNAL_COMMITTED);
	assert_int_equal(judge(A, true).verdict, VERDICT_NOBODY);
}

static void test_a_damaged_record_is_no_answer(void **state)
{
	struct journal j = put(A, 1, JOURNAL_SOURCE, JOURNAL_OWNS);
	struct failure why = { 0 };
	struct owners o;

	(void)state;
	assert_int_equal(truncate(j.path, 20), 0);
	assert_int_equal(owners_read(&o, dirs[A], VM, &why), -1);
	assert_non_null(strstr(why.text, "damaged"));
}

/* One line as the command prints it, from @o. */
static FILE *told(const struct owners *o)
{
	json_t *line = json_pack("{s:s, s:s, s:o}", "vm", o->vm, "host", o->host,
				 "records", owners_json(o));
	FILE *file = tmpfile();

	fprintf(file, "{\"vm\": \"another\", \"host\": \"x\", \"records\": []}\n");
	json_dumpf(line, file, JSON_COMPACT);
	json_decref(line);
	rewind(file);
	return file;
}

static void test_what_is_told_is_understood(void **state)
{
	struct failure why = { 0 };
	struct owners o, again;
	FILE *file;

	(void)state;
	put(A, 1, JOURNAL_SOURCE, JOURNAL_GONE);
	put(A, 2, JOURNAL_TARGET, JOURNAL_RUNNING);
	o = on(A);
	file = told(&o);
	assert_int_equal(owners_parse(&again, file, VM, &why), 0);
	assert_true(again.known);
	assert_int_equal(again.count, 2);
	for (unsigned int i = 0; i < 2; i++) {
		const struct journal *was = &o.owner[i].record, *is = &again.owner[i].record;

		assert_memory_equal(is->id, was->id, sizeof(is->id));
		assert_int_equal(is->side, was->side);
		assert_int_equal(is->state, was->state);
		assert_string_equal(is->path, was->path);
		assert_true(again.owner[i].qemu && again.owner[i].agent);	/* this process */
	}
	rewind(file);
	assert_int_equal(owners_parse(&again, file, "nobody's", &why), -1);
	assert_int_equal(again.count, 0);
	fclose(file);
}

/* Whatever else is in the file is no answer, and above all not "no record". */
static void test_rubbish_is_no_answer(void **state)
{
	static const char *const lines[] = {
		"", "\n", "[]", "{}", "rubbish", "{\"vm\": \"" VM "\"}",
		"{\"vm\": \"" VM "\", \"host\": \"b\", \"records\": 7}",
		"{\"vm\": \"" VM "\", \"host\": \"b\", \"records\": [{}]}",
		"{\"vm\": \"" VM "\", \"host\": \"b\", \"records\": [{\"migration\": \"01\", \"side\": \"source\", "
		"\"state\": \"none\", \"peer\": \"\", \"pid\": 1, \"qemu\": false, \"agent\": false, \"file\": \"\"}]}",
	};
	struct failure why;
	struct owners o;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		FILE *file = tmpfile();

		why.text[0] = '\0';
		fputs(lines[i], file);
		rewind(file);
		assert_int_equal(owners_parse(&o, file, VM, &why), -1);
		assert_non_null(strstr(why.text, "kvmferry recover"));
		fclose(file);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dirs, remove_dirs)
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_recorded_is_no_ruling),
		TEST(test_both_hosts_agree),
		TEST(test_sides),
		TEST(test_what_came_back_is_later),
		TEST(test_attempts_give_way),
		TEST(test_moved_on_is_not_lost),
		TEST(test_how_it_came_is_no_sign),
		TEST(test_one_in_doubt_gives_way_to_the_way_back),
		TEST(test_a_damaged_record_is_no_answer),
		TEST(test_what_is_told_is_understood),
		TEST(test_rubbish_is_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
