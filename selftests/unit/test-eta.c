// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long it will still take, against a migration that is played: passes over pages that
 * go at one rate while others become pending at another.
 */
#include <stdlib.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "eta.h"

#define STEP_US		100000
#define PAGES		(1u << 20)	/* 4 GiB */
#define DOWNTIME_MS	300

/* A migration. Rates in pages a second. */
struct play {
	double carried, written;
	double noise;		/* of carried, each step, 0 .. 1 */
	double slow_from;	/* seconds: from then on it carries... */
	double slow_to;		/* ...only this part */
	/* What came of it. */
	double seconds;		/* until the end of the final pass */
	double first_told;	/* seconds, at the first time that anything was */
	double first_at;
	unsigned int late;
	double late_at;
	bool grew;		/* what was told, without being late */
	bool ended;
};

static double rate_of(const struct play *p)
{
	double noise = 1 + p->noise * (2.0 * rand() / RAND_MAX - 1);

	return p->carried * noise * (p->slow_to && p->seconds >= p->slow_from ? p->slow_to : 1);
}

static void look(struct play *p, struct eta *e, const struct eta_sample *s)
{
	uint64_t before = e->told_ms;

	if (eta_look(e, s, (int64_t)(p->seconds * 1e6) + 1) == ETA_LATE) {
		p->late++;
		p->late_at = p->seconds;
		return;
	}
	if (e->told_ms > before)
		p->grew = true;
	if (before == ETA_UNKNOWN && e->told_ms != ETA_UNKNOWN && !p->first_at) {
		p->first_at = p->seconds;
		p->first_told = (double)e->told_ms / 1000;
	}
}

/* One pass. Returns the pages for the next one. */
static double pass(struct play *p, struct eta *e, double to_send)
{
	double taken = 0, next = 0;
	uint64_t us = 0;

	while (taken < to_send && p->seconds < 3600) {
		struct eta_sample s;

		us += STEP_US;
		p->seconds += STEP_US / 1e6;
		taken += rate_of(p) * STEP_US / 1e6;
		next += p->written * STEP_US / 1e6;
		if (taken > to_send)
			taken = to_send;
		s = (struct eta_sample){
			.us = us,
			.to_send = (uint64_t)to_send,
			.taken = (uint64_t)taken,
			.pending = (uint64_t)(to_send - taken + next),
		};
		look(p, e, &s);
	}
	return next;
}

static void play(struct play *p)
{
	double pages = PAGES;
	struct eta e;

	srand(1);
	eta_begin(&e, DOWNTIME_MS);
	assert_true(e.told_ms == ETA_UNKNOWN);
	do {
		pages = pass(p, &e, pages);
	} while (pages > p->carried * DOWNTIME_MS / 1000 && p->seconds < 3600);
	p->ended = p->seconds < 3600;
	if (p->ended)
		pass(p, &e, pages);
}

/* What was told first is right within a tenth. */
static void expect_right(const struct play *p)
{
	double truth = p->seconds - p->first_at;

	assert_true(p->ended);
	assert_true(p->first_at > 0 && p->first_at <= 1.2);
	if (p->first_told < 0.9 * truth - 1 || p->first_told > 1.1 * truth + 1)
		fail_msg("told %.1f s, took %.1f s", p->first_told, truth);
}

/* Right from the beginning, and it only shrinks. */
static void expect_steady(struct play *p)
{
	play(p);
	expect_right(p);
	assert_false(p->grew);
	assert_int_equal(p->late, 0);
}

static void test_idle_vm(void **state)
{
	struct play p = { .carried = 25000 };

	(void)state;
	expect_steady(&p);
}

static void test_busy_vm(void **state)
{
	struct play p = { .carried = 25000, .written = 10000 };

	(void)state;
	expect_steady(&p);
}

static void test_noise_is_not_told(void **state)
{
	struct play p = { .carried = 25000, .written = 8000, .noise = 0.3 };

	(void)state;
	expect_steady(&p);
}

static void test_a_slower_link_is_told(void **state)
{
	struct play p = { .carried = 25000, .written = 1000, .slow_from = 20, .slow_to = 0.1 };

	(void)state;
	play(&p);
	assert_true(p.ended);
	assert_false(p.grew);
	/* the pass's average falls slowly: so it is corrected more than once */
	assert_in_range(p.late, 1, 6);
}

static void test_no_end_in_sight(void **state)
{
	struct play p = { .carried = 25000, .written = 25000 };

	(void)state;
	play(&p);
	assert_false(p.ended);
	assert_true(p.first_at == 0);
	assert_int_equal(p.late, 0);
}

static void test_end_goes_out_of_sight(void **state)
{
	struct play p = { .carried = 25000, .written = 5000, .slow_from = 5, .slow_to = 0.1 };

	(void)state;
	play(&p);
	assert_false(p.ended);
	assert_false(p.grew);
	assert_true(p.late > 0);
}

/* Whatever happens, what is told grows only by ETA_LATE, which people are told of. */
static void test_it_never_runs_backwards(void **state)
{
	unsigned int ended = 0;

	(void)state;
	for (unsigned int i = 0; i < 200; i++) {
		struct play p = {
			.carried = 10000 + 100 * i, .written = (double)(i % 20) * 1000,
			.noise = (double)(i % 10) / 10, .slow_from = i % 60,
			.slow_to = (double)(i % 7) / 4,
		};

		play(&p);
		assert_false(p.grew);
		ended += p.ended;
	}
	assert_in_range(ended, 100, 199);
}

/* The first look at a pass that has just begun says nothing new of the rates. */
static void test_rates_of_the_pass_before(void **state)
{
	struct eta_sample first = { .us = 1000000, .to_send = 2000, .taken = 1000, .pending = 1000 };
	struct eta_sample next = { .us = 1000, .to_send = 500, .taken = 500, .pending = 100 };
	struct eta e;

	(void)state;
	eta_begin(&e, DOWNTIME_MS);
	eta_look(&e, &first, 1);
	assert_int_equal(e.told_ms, 1000);
	eta_look(&e, &next, 2);
	assert_int_equal(e.told_ms, 100);
}

/*
 * No time is left for RAM in the blackout: the passes get smaller, and there is no last one but that
 * of a page. Were there none at all, alarm() would end this.
 */
static void test_no_downtime_to_spend(void **state)
{
	static const struct eta_sample sample = {
		.us = 2000000, .to_send = 10000, .taken = 10000, .pending = 8000,
	};
	struct eta e;

	(void)state;
	alarm(20);
	eta_begin(&e, 0);
	assert_int_equal(eta_look(&e, &sample, 1), ETA_STEADY);
	alarm(0);
	/* 8000 pages and 0.8 times as many each time are 40000; 5000 take a second */
	assert_in_range(e.told_ms, 7900, 8000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle_vm),
		cmocka_unit_test(test_busy_vm),
		cmocka_unit_test(test_noise_is_not_told),
		cmocka_unit_test(test_a_slower_link_is_told),
		cmocka_unit_test(test_no_end_in_sight),
		cmocka_unit_test(test_end_goes_out_of_sight),
		cmocka_unit_test(test_it_never_runs_backwards),
		cmocka_unit_test(test_rates_of_the_pass_before),
		cmocka_unit_test(test_no_downtime_to_spend),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
