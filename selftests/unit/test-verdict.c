// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who may run a VM after a crash: every pair of records, and what must hold of all of them.
 * That the rule suffices is shown by selftests/model.
 */
#include "cmocka-all.h"
#include "verdict.h"

#define NONE		JOURNAL_NONE
#define UNKNOWN		JOURNAL_UNKNOWN
#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static const enum journal_state sources[] = { UNKNOWN, NONE, JOURNAL_OWNS, JOURNAL_COMMITTED,
					      JOURNAL_GONE };
static const enum journal_state targets[] = { UNKNOWN, NONE, JOURNAL_INCOMING, JOURNAL_OWNS,
					      JOURNAL_RUNNING };

/* S source, T target, E either, - nobody, ! contradiction; rows and columns as above. */
static const char *const expected[] = {
	"---TT",
	"-SSTT",
	"SSS!!",
	"-EETT",
	"T-!TT",
};

static void test_every_pair(void **state)
{
	static const char letters[VERDICT_COUNT] = "!-STE";

	(void)state;
	for (size_t s = 0; s < COUNT(sources); s++)
		for (size_t t = 0; t < COUNT(targets); t++)
			if (letters[verdict(sources[s], targets[t])] != expected[s][t])
				fail_msg("source %s, target %s: %s, not %c",
					 journal_state_name(sources[s]),
					 journal_state_name(targets[t]),
					 verdict_name(verdict(sources[s], targets[t])),
					 expected[s][t]);
}

/* Two operators, each with one record, must never run it on both hosts. */
static void test_nobody_alone_says_otherwise(void **state)
{
	(void)state;
	for (size_t s = 0; s < COUNT(sources); s++)
		for (size_t t = 0; t < COUNT(targets); t++) {
			enum verdict both = verdict(sources[s], targets[t]);
			enum verdict source = verdict(sources[s], UNKNOWN);
			enum verdict target = verdict(UNKNOWN, targets[t]);

			if (both == VERDICT_CONTRADICTION)
				continue;
			assert_false(source == VERDICT_SOURCE && target == VERDICT_TARGET);
			if (both == VERDICT_SOURCE || both == VERDICT_EITHER)
				assert_int_not_equal(target, VERDICT_TARGET);
			if (both == VERDICT_TARGET || both == VERDICT_EITHER)
				assert_int_not_equal(source, VERDICT_SOURCE);
		}
}

/* After COMMIT the source decides nothing alone. */
static void test_committed_is_never_the_source(void **state)
{
	(void)state;
	for (size_t t = 0; t < COUNT(targets); t++) {
		assert_int_not_equal(verdict(JOURNAL_COMMITTED, targets[t]), VERDICT_SOURCE);
		assert_int_not_equal(verdict(JOURNAL_GONE, targets[t]), VERDICT_SOURCE);
		assert_int_not_equal(verdict(JOURNAL_GONE, targets[t]), VERDICT_EITHER);
	}
}

static void test_what_a_side_never_writes_is_a_contradiction(void **state)
{
	(void)state;
	for (size_t s = 0; s < COUNT(sources); s++) {
		assert_int_equal(verdict(sources[s], JOURNAL_COMMITTED), VERDICT_CONTRADICTION);
		assert_int_equal(verdict(sources[s], JOURNAL_GONE), VERDICT_CONTRADICTION);
	}
	for (size_t t = 0; t < COUNT(targets); t++) {
		assert_int_equal(verdict(JOURNAL_INCOMING, targets[t]), VERDICT_CONTRADICTION);
		assert_int_equal(verdict(JOURNAL_RUNNING, targets[t]), VERDICT_CONTRADICTION);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_pair),
		cmocka_unit_test(test_nobody_alone_says_otherwise),
		cmocka_unit_test(test_committed_is_never_the_source),
		cmocka_unit_test(test_what_a_side_never_writes_is_a_contradiction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
