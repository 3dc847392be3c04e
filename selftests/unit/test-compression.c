// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How much effort a record is worth: the module's own code, and what comes of it when
 * worker, ring and stream have speeds.
 */
#include <string.h>

#include "cmocka-all.h"
#include "compression.h"

#define MS		1000000ull
#define SECOND		(1000 * MS)
#define BIT_OF(name)	(1ull << FERRY_CODEC_##name)
#define RECORD		65536ull	/* bytes of its pages */
#define RAISED_MAX	(FERRY_NR_CODECS - 2u)	/* the whole ladder */

/* For one record, of a stream that has been measured. */
static u32 choose_raised(u64 codecs, u64 waiting, u64 size, u64 rate, unsigned int raised)
{
	struct ferry_meter meter = { .rate = rate, .smooth = waiting, .begun = true, .raised = raised };
	struct ferry_ladder ladder;

	ferry_ladder_make(&ladder, codecs);
	return ladder.codec[ferry_ladder_choose(&ladder, &meter, SECOND, waiting, size)];
}

static u32 choose(u64 codecs, u64 waiting, u64 size, u64 rate)
{
	return choose_raised(codecs, waiting, size, rate, RAISED_MAX);
}

static void test_a_ladder_is_in_order_of_effort(void **state)
{
	static const u8 order[] = { FERRY_CODEC_NONE, FERRY_CODEC_LZ4, FERRY_CODEC_ZSTD,
				    FERRY_CODEC_ZSTD_STREAM, FERRY_CODEC_DEFLATE,
				    FERRY_CODEC_LZ4HC };
	struct ferry_ladder ladder;

	(void)state;
	ferry_ladder_make(&ladder, (1u << FERRY_NR_CODECS) - 1);
	assert_int_equal(ladder.rungs, FERRY_NR_CODECS);
	assert_memory_equal(ladder.codec, order, sizeof(order));
	ferry_ladder_make(&ladder, BIT_OF(ZSTD) | BIT_OF(NONE));
	assert_int_equal(ladder.rungs, 2);
	assert_int_equal(ladder.codec[0], FERRY_CODEC_NONE);
	assert_int_equal(ladder.codec[1], FERRY_CODEC_ZSTD);
}

static void test_one_codec_is_used_whatever_waits(void **state)
{
	(void)state;
	for (u64 waiting = 0; waiting <= 1 << 20; waiting += 1 << 14)
		assert_int_equal(choose(BIT_OF(DEFLATE), waiting, 1 << 20, 1000000),
				 FERRY_CODEC_DEFLATE);
}

/* A step is 8 ms of the stream, or an eighth of the ring if that is less; a 32nd before that is known. */
static void test_what_waits_chooses_the_rung(void **state)
{
	u64 codecs = BIT_OF(NONE) | BIT_OF(LZ4) | BIT_OF(ZSTD);

	(void)state;
	/* 8 ms of 12.5 MB/s are 100 kB */
	assert_int_equal(choose_raised(codecs, 0, 16 << 20, 12500000, 0), FERRY_CODEC_NONE);
	assert_int_equal(choose_raised(codecs, 99999, 16 << 20, 12500000, 0), FERRY_CODEC_NONE);
	assert_int_equal(choose_raised(codecs, 100001, 16 << 20, 12500000, 0), FERRY_CODEC_LZ4);
	assert_int_equal(choose(codecs, 100001, 16 << 20, 12500000), FERRY_CODEC_LZ4);
	assert_int_equal(choose(codecs, 200002, 16 << 20, 12500000), FERRY_CODEC_ZSTD);
	assert_int_equal(choose(codecs, 16 << 20, 16 << 20, 12500000), FERRY_CODEC_ZSTD);
	assert_int_equal(choose_raised(codecs, 8191, 65536, 1ull << 40, 0), FERRY_CODEC_NONE);
	assert_int_equal(choose_raised(codecs, 8192, 65536, 1ull << 40, 0), FERRY_CODEC_LZ4);
	assert_int_equal(choose_raised(codecs, 2047, 65536, 0, 0), FERRY_CODEC_NONE);
	assert_int_equal(choose_raised(codecs, 2048, 65536, 0, 0), FERRY_CODEC_LZ4);
	assert_int_equal(choose(codecs, 4095, 65536, 0), FERRY_CODEC_LZ4);
	assert_int_equal(choose(codecs, 4096, 65536, 0), FERRY_CODEC_ZSTD);
	/* a stream that does not move at all */
	assert_int_equal(choose(codecs, 1000, 65536, 1), FERRY_CODEC_ZSTD);
}

static void test_a_meter_measures_while_bytes_wait(void **state)
{
	struct ferry_meter meter = { 0 };
	u64 now = SECOND;

	(void)state;
	/* 1 MB/s in pieces of 1 kB, with long pauses in between */
	for (unsigned int i = 0; i < 100; i++) {
		ferry_meter_put(&meter, now);
		now += MS;
		ferry_meter_take(&meter, now, 1000, 0, 0);
		now += 50 * MS;
	}
	assert_in_range(meter.rate, 999000, 1001000);
	/* the same without a pause */
	ferry_meter_put(&meter, now);
	for (unsigned int i = 0; i < 1000; i++) {
		now += MS;
		ferry_meter_put(&meter, now);
		ferry_meter_take(&meter, now, 2000, 5000, 0);
	}
	assert_in_range(meter.rate, 1990000, 2010000);
	/* nothing moves for a minute: that counts as well */
	now += 60 * SECOND;
	ferry_meter_take(&meter, now, 2000, 5000, 0);
	assert_in_range(meter.rate, 990000, 1010000);
}

static void test_a_meter_without_bytes_says_nothing(void **state)
{
	struct ferry_meter meter = { 0 };

	(void)state;
	ferry_meter_take(&meter, SECOND, 0, 0, 0);
	ferry_meter_take(&meter, 100 * SECOND, 0, 0, 0);
	assert_int_equal(meter.rate, 0);
	assert_int_equal(meter.since, 0);
}

static u64 least(u64 a, u64 b)
{
	return a < b ? a : b;
}

#define DECISION	(63 * MS)	/* no whole number of them is longer than 62.5 ms */

#define RATE		1000000ull	/* of the stream below, bytes a second */
#define STEP		(RATE / 125)
#define ENOUGH		(20 * STEP)	/* for any ladder */
#define SIZE		(1ull << 20)

/*
 * Bytes wait for @duration, @waiting whenever a record is made, and the network is idle for so many
 * percent of it.
 */
static void wait_for(struct ferry_meter *meter, u64 *now, u64 duration, u64 waiting, unsigned int percent)
{
	struct ferry_ladder ladder;

	ferry_ladder_make(&ladder, (1u << FERRY_NR_CODECS) - 1);
	for (u64 end = *now + duration; *now < end;) {
		*now += MS;
		/* smoothed over more than a millisecond */
		meter->smooth = waiting;
		ferry_ladder_choose(&ladder, meter, *now, waiting, SIZE);
		ferry_meter_put(meter, *now);
		ferry_meter_take(meter, *now, RATE / 1000, ENOUGH, MS * percent / 100);
	}
}

static void idle_for(struct ferry_meter *meter, u64 *now, u64 duration, unsigned int percent)
{
	wait_for(meter, now, duration, ENOUGH, percent);
}

static void test_an_idle_network_lowers_the_effort(void **state)
{
	struct ferry_meter meter = { 0 };
	u64 now = SECOND;

	(void)state;
	ferry_meter_put(&meter, now);
	idle_for(&meter, &now, 130 * MS, 10);
	assert_int_equal(meter.raised, 2);
	/* in between it stays as it is, however long that lasts */
	idle_for(&meter, &now, 10 * SECOND, 20);
	assert_int_equal(meter.raised, 2);
	idle_for(&meter, &now, 10 * SECOND, 10);
	assert_int_equal(meter.raised, RAISED_MAX);
	idle_for(&meter, &now, SECOND, 30);
	assert_int_equal(meter.raised, 0);
	/* 10 s with 20 %, 11 s with 10 %, 1 s with 30 %, and the beginning */
	assert_in_range(meter.all_idle, 3300 * MS, 3350 * MS);
}

/* Decisions with a busy network until one raises. */
static unsigned int until_raised(struct ferry_meter *meter, u64 *now)
{
	unsigned int before = meter->raised, decisions = 0;

	while (meter->raised == before) {
		idle_for(meter, now, DECISION, 10);
		assert_in_range(++decisions, 1, 100);
	}
	return decisions;
}

/* Who was raised in vain is raised again later each time. */
static void test_a_mistake_is_not_made_again_soon(void **state)
{
	struct ferry_meter meter = { 0 };
	u64 now = SECOND;

	(void)state;
	ferry_meter_put(&meter, now);
	for (unsigned int wait = 1; wait < 128; wait *= 2) {
		assert_int_equal(until_raised(&meter, &now), least(wait, 32));
		idle_for(&meter, &now, DECISION, 30);
		assert_int_equal(meter.raised, 0);
	}
	/* one mistake, however far it had gone */
	meter = (struct ferry_meter){ 0 };
	ferry_meter_put(&meter, now);
	idle_for(&meter, &now, SECOND, 10);
	idle_for(&meter, &now, SECOND, 30);
	assert_int_equal(until_raised(&meter, &now), 2);
	/* and long ago */
	idle_for(&meter, &now, DECISION, 30);
	idle_for(&meter, &now, 5 * SECOND, 20);
	assert_int_equal(until_raised(&meter, &now), 1);
}

/* What is told for a long time counts for no more than bytes have waited since it last was. */
static void test_idle_time_is_bounded(void **state)
{
	struct ferry_meter meter = { 0 };

	(void)state;
	ferry_meter_put(&meter, SECOND);
	ferry_meter_take(&meter, SECOND + 100 * MS, 1000, 5000, UINT64_MAX);
	assert_int_equal(meter.all_idle, 100 * MS);
	ferry_meter_take(&meter, SECOND + 200 * MS, 1000, 5000, 1);
	/* the ring is empty for a second, then bytes wait for 70 ms: the network was idle for 1 */
	ferry_meter_take(&meter, SECOND + 201 * MS, 1000, 0, 1);
	ferry_meter_put(&meter, 2 * SECOND);
	ferry_meter_take(&meter, 2 * SECOND + MS, 1000, 5000, SECOND);
	ferry_meter_take(&meter, 2 * SECOND + 70 * MS, 1000, 5000, 0);
	assert_int_equal(meter.all_idle, 101 * MS + 2);
}

static void test_the_ladder_is_as_high_as_it_was_raised(void **state)
{
	u64 codecs = BIT_OF(NONE) | BIT_OF(LZ4) | BIT_OF(ZSTD);

	(void)state;
	assert_int_equal(choose_raised(codecs, ENOUGH, SIZE, RATE, 0), FERRY_CODEC_LZ4);
	assert_int_equal(choose_raised(codecs, ENOUGH, SIZE, RATE, 1), FERRY_CODEC_ZSTD);
	assert_int_equal(choose_raised(codecs, ENOUGH, SIZE, RATE, RAISED_MAX), FERRY_CODEC_ZSTD);
	/* and its lowest rung is there until it was */
	assert_int_equal(choose_raised(codecs, 0, SIZE, RATE, 0), FERRY_CODEC_NONE);
	assert_int_equal(choose_raised(codecs, 0, SIZE, RATE, 1), FERRY_CODEC_LZ4);
	/* the only one is used all the same */
	assert_int_equal(choose_raised(BIT_OF(DEFLATE), ENOUGH, SIZE, RATE, 0), FERRY_CODEC_DEFLATE);
}

/* As long as more waits than the highest rung asks for, and no longer. */
static void test_it_is_raised_when_more_waits(void **state)
{
	struct ferry_meter meter = { 0 };
	u64 now = SECOND;

	(void)state;
	ferry_meter_put(&meter, now);
	wait_for(&meter, &now, SECOND, 2 * STEP - 1, 0);
	assert_int_equal(meter.raised, 0);
	for (unsigned int raised = 1; raised < RAISED_MAX; raised++) {
		wait_for(&meter, &now, SECOND, (raised + 2) * STEP - 1, 0);
		assert_int_equal(meter.raised, raised);
	}
}

/* Where three rungs take turns: the highest is too much, and not tried again soon. */
static void test_what_the_ring_runs_low_for_is_taken_back(void **state)
{
	struct ferry_meter meter = { 0 };
	u64 now = SECOND;

	(void)state;
	ferry_meter_put(&meter, now);
	idle_for(&meter, &now, 2 * DECISION, 0);
	assert_int_equal(meter.raised, 2);
	/* rungs 2 and 3 */
	wait_for(&meter, &now, SECOND, 2 * STEP + 10, 0);
	assert_int_equal(meter.raised, 2);
	/* rung 1 as well, for one record in five and then in three */
	for (unsigned int i = 0; i < 500; i++)
		wait_for(&meter, &now, MS, i % 5 ? ENOUGH : STEP + 10, 20);
	assert_int_equal(meter.raised, 2);
	for (unsigned int i = 0; i < 80; i++)
		wait_for(&meter, &now, MS, i % 3 ? ENOUGH : STEP + 10, 20);
	assert_int_equal(meter.raised, 1);
	assert_int_equal(until_raised(&meter, &now), 2);
}

/* Rung 1 alone until the stream has decided something, or takes all at once. */
static void test_it_begins_with_little_effort(void **state)
{
	struct ferry_meter meter = { 0 };
	struct ferry_ladder ladder;

	(void)state;
	ferry_ladder_make(&ladder, (1u << FERRY_NR_CODECS) - 1);
	for (unsigned int i = 0; i < 64; i++)
		assert_int_equal(ferry_ladder_choose(&ladder, &meter, i, i % 2 * SIZE, SIZE), 1);
	assert_int_equal(ferry_ladder_choose(&ladder, &meter, 64, 0, SIZE), 0);

	meter = (struct ferry_meter){ 0 };
	ferry_meter_put(&meter, SECOND);
	ferry_meter_take(&meter, SECOND + DECISION, RATE / 16, 5000, DECISION);
	assert_int_equal(ferry_ladder_choose(&ladder, &meter, SECOND + DECISION, 0, SIZE), 0);
}

/* 16 steps, or four records; all that there is room for before the stream was measured. */
static void test_no_more_waits_than_is_good(void **state)
{
	struct ferry_meter meter = { 0 };

	(void)state;
	assert_int_equal(ferry_meter_most(&meter, SIZE, 1000), SIZE);
	meter.rate = RATE;
	assert_in_range(ferry_meter_most(&meter, SIZE, 1000), 16 * STEP, 16 * STEP + 16);
	assert_int_equal(ferry_meter_most(&meter, SIZE, 65536), 4 * 65536);
	assert_int_equal(ferry_meter_most(&meter, 65536, 65536), 65536);
	meter.rate = 1ull << 40;
	assert_int_equal(ferry_meter_most(&meter, SIZE, 1000), SIZE);
}

/* Of 10000 records, how many are tried, if none of them gets smaller? */
static unsigned int tries(struct ferry_futility *futility, bool smaller)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < 10000; i++) {
		if (ferry_futility_skip(futility))
			continue;
		n++;
		ferry_futility_learn(futility, smaller);
	}
	return n;
}

static void test_what_does_not_shrink_is_rarely_tried(void **state)
{
	struct ferry_futility futility = { 0 };

	(void)state;
	assert_in_range(tries(&futility, false), 10000 / 32, 10000 / 32 + 6);
	/* and when it does shrink again, that is found out within 32 records */
	assert_in_range(tries(&futility, true), 10000 - 31, 10000);
	assert_int_equal(futility.misses, 0);
}

/* ------------------------------------------------------------------------
 * A worker, a ring and a stream
 * ------------------------------------------------------------------------ */

/* What a codec makes of 64 KiB, and how long all of the work on them takes. */
struct cost {
	u64 bytes, ns;
};

struct world {
	struct cost cost[FERRY_NR_CODECS];
	u64 size;	/* of the ring */
	u64 rate;	/* of the stream, bytes a second */
	u64 idle;	/* of each millisecond, how long the network could take more, ns */
	u64 burst;	/* milliseconds from one turn of the sender to the next */
	u64 socket;	/* bytes that it has put there, and the network has not taken */
	u64 now, sent_until;
	u64 waiting;
	u64 records, used[FERRY_NR_CODECS];
	u64 lowest, highest;
	struct ferry_meter meter;
};

/* As measured on programs and text with the kernel's codecs, hash and CRC included. */
static const struct cost typical[FERRY_NR_CODECS] = {
	[FERRY_CODEC_NONE] = { 65536, 130000 },
	[FERRY_CODEC_LZ4] = { 27000, 200000 },
	[FERRY_CODEC_ZSTD] = { 18500, 330000 },
	[FERRY_CODEC_ZSTD_STREAM] = { 15900, 680000 },
};

#define SOCKET	2000000ull	/* bytes that fit in */

/* The stream takes what it can up to now, in pieces of a millisecond. */
static void drain(struct world *w)
{
	for (; w->sent_until + MS <= w->now; w->sent_until += MS) {
		u64 part = least(w->rate / 1000, w->waiting);

		if (w->burst) {
			w->socket -= least(w->rate / 1000, w->socket);
			part = w->sent_until / MS % w->burst ? 0 : least(SOCKET - w->socket, w->waiting);
			w->socket += part;
		}
		w->waiting -= part;
		if (part)
			ferry_meter_take(&w->meter, w->sent_until + MS, part, w->waiting, w->idle);
	}
}

static void one_record(struct world *w, const struct ferry_ladder *ladder)
{
	u32 codec;

	while (w->waiting + RECORD > ferry_meter_most(&w->meter, w->size, RECORD)) {
		w->now += MS;
		drain(w);
	}
	codec = ladder->codec[ferry_ladder_choose(ladder, &w->meter, w->now, w->waiting, w->size)];
	w->now += w->cost[codec].ns;
	drain(w);
	ferry_meter_put(&w->meter, w->now);
	w->waiting += w->cost[codec].bytes;
	w->records++;
	w->used[codec]++;
	if (w->waiting < w->lowest)
		w->lowest = w->waiting;
	if (w->waiting > w->highest)
		w->highest = w->waiting;
}

/* Pages a second over @seconds, after @w has run already or not. */
static double run(struct world *w, u64 codecs, double seconds)
{
	struct ferry_ladder ladder;
	u64 began = w->now, records = w->records;

	ferry_ladder_make(&ladder, codecs);
	memset(w->used, 0, sizeof(w->used));
	w->lowest = UINT64_MAX;
	w->highest = 0;
	while (w->now < began + (u64)(seconds * SECOND))
		one_record(w, &ladder);
	return (double)(w->records - records) * 16 * SECOND / (double)(w->now - began);
}

static struct world world(const struct cost *cost, u64 mbit)
{
	struct world w = { .size = 16 << 20, .rate = mbit * 125000 };

	memcpy(w.cost, cost, sizeof(w.cost));
	return w;
}

static double best_fixed(const struct cost *cost, u64 mbit)
{
	double best = 0;

	for (u32 codec = 0; codec < FERRY_NR_CODECS; codec++) {
		struct world w = world(cost, mbit);
		double pages;

		if (!cost[codec].ns)
			continue;
		/* until the ring is full, if it ever is: what only fills it was not sent */
		run(&w, 1ull << codec, 30);
		pages = run(&w, 1ull << codec, 4);
		if (pages > best)
			best = pages;
	}
	return best;
}

#define AUTO (BIT_OF(NONE) | BIT_OF(LZ4) | BIT_OF(ZSTD) | BIT_OF(ZSTD_STREAM))

/* At every rate at least as good as the best codec alone, and in between better. */
static void test_no_codec_alone_is_better(void **state)
{
	double most = 0;

	(void)state;
	for (u64 mbit = 20; mbit <= 40000; mbit += mbit / 7) {
		struct world w = world(typical, mbit);
		double best = best_fixed(typical, mbit), ours;

		run(&w, AUTO, 4);
		ours = run(&w, AUTO, 4);
		if (ours < 0.98 * best)
			fail_msg("%llu Mbit/s: %.0f pages a second, the best alone %.0f",
				 (unsigned long long)mbit, ours, best);
		if (ours > most * best)
			most = ours / best;
	}
	assert_true(most > 1.1);
}

/* The extremes use one codec only; what waits stays where it is. */
static void test_it_settles(void **state)
{
	struct world slow = world(typical, 50), fast = world(typical, 40000), w;

	(void)state;
	run(&slow, AUTO, 10);
	run(&slow, AUTO, 4);
	assert_int_equal(slow.used[FERRY_CODEC_NONE] + slow.used[FERRY_CODEC_LZ4] +
			 slow.used[FERRY_CODEC_ZSTD], 0);
	run(&fast, AUTO, 1);
	run(&fast, AUTO, 4);
	assert_int_equal(fast.used[FERRY_CODEC_ZSTD_STREAM] + fast.used[FERRY_CODEC_ZSTD] +
			 fast.used[FERRY_CODEC_LZ4], 0);

	/* between lz4, which makes 1080 Mbit/s, and zstd with 448 */
	w = world(typical, 700);
	run(&w, AUTO, 2);
	run(&w, AUTO, 4);
	assert_true(w.used[FERRY_CODEC_ZSTD] && w.used[FERRY_CODEC_LZ4]);
	assert_int_equal(w.used[FERRY_CODEC_NONE], 0);
	/* within a few records of the border at 16 ms of the stream */
	assert_in_range(w.lowest, 1400000 - 4 * RECORD, 1400000);
	assert_in_range(w.highest, 1400000, 1400000 + 4 * RECORD);
}

/* A link that changes its speed: a second later all is as if it had always been so. */
static void test_it_follows(void **state)
{
	struct world w = world(typical, 10000);
	static const u64 mbit[] = { 100, 2000, 50, 40000, 700 };

	(void)state;
	run(&w, AUTO, 4);
	for (size_t i = 0; i < sizeof(mbit) / sizeof(mbit[0]); i++) {
		w.rate = mbit[i] * 125000;
		/* what waits was chosen for the rate before, and has to leave first */
		run(&w, AUTO, 4);
		assert_true(run(&w, AUTO, 4) >= 0.97 * best_fixed(typical, mbit[i]));
	}
}

/* A pass that begins with an empty ring: few bytes leave before effort is made. */
static void test_a_short_pass_is_compressed(void **state)
{
	struct world w = world(typical, 50);
	struct ferry_ladder ladder;
	u64 pages = 0;

	(void)state;
	run(&w, AUTO, 4);
	w.now += w.waiting * SECOND / w.rate + SECOND;
	drain(&w);
	assert_int_equal(w.waiting, 0);

	memset(w.used, 0, sizeof(w.used));
	ferry_ladder_make(&ladder, AUTO);
	/* 4 MiB: what a switchover within 300 ms may have at this rate, compressed */
	for (pages = 0; pages < 1024; pages += 16)
		one_record(&w, &ladder);
	assert_true(w.used[FERRY_CODEC_ZSTD] + w.used[FERRY_CODEC_ZSTD_STREAM] >= 60);
}

/* CPUs that are five times as slow. */
static void slow_down(struct cost *slow)
{
	memcpy(slow, typical, sizeof(typical));
	for (u32 codec = 0; codec < FERRY_NR_CODECS; codec++)
		slow[codec].ns *= 5;
}

/*
 * A sender that has its turn every 20 ms only, on CPUs that are five times as slow: the ring is
 * empty and full by turns, and the rung stays where it is all the same.
 */
static void test_bursts_do_not_swing(void **state)
{
	struct cost slow[FERRY_NR_CODECS];

	(void)state;
	slow_down(slow);
	for (u64 mbit = 40; mbit <= 500; mbit += mbit / 7) {
		struct world w = world(slow, mbit);
		double best = best_fixed(slow, mbit), ours;

		w.burst = 20;
		run(&w, AUTO, 4);
		ours = run(&w, AUTO, 4);
		if (ours < 0.98 * best)
			fail_msg("%llu Mbit/s: %.0f pages a second, the best alone %.0f",
				 (unsigned long long)mbit, ours, best);
	}
}

/* Seconds until 2250 records have arrived, of memory that is half, and a half more, as compressible by turns. */
static double until_arrived(const struct cost *cost, u64 mbit, u64 codecs)
{
	static const u64 share[] = { 60, 140, 110, 50, 130, 90, 120 };
	static const u64 burst[] = { 10, 50, 5, 30, 60 };
	struct world w = world(cost, mbit);
	struct ferry_ladder ladder;

	ferry_ladder_make(&ladder, codecs);
	for (unsigned int i = 0; i < 2250; i++) {
		for (u32 codec = FERRY_CODEC_NONE + 1; codec < FERRY_NR_CODECS; codec++)
			w.cost[codec].bytes = cost[codec].bytes * share[i / 40 % 7] / 100;
		w.burst = burst[i / 40 % 5];
		one_record(&w, &ladder);
	}
	for (; w.waiting; drain(&w))
		w.now += MS;
	return (double)w.now / SECOND + (double)w.socket / (double)w.rate;
}

/* What is learned on the way costs little, where the best is not at an end of the ladder. */
static void test_it_is_good_from_the_first_record_on(void **state)
{
	static const u32 alone[] = { FERRY_CODEC_LZ4, FERRY_CODEC_ZSTD, FERRY_CODEC_ZSTD_STREAM };
	struct cost slow[FERRY_NR_CODECS];

	(void)state;
	slow_down(slow);
	for (u64 mbit = 30; mbit <= 250; mbit += mbit / 5) {
		double ours = until_arrived(slow, mbit, AUTO), best = 1e9;

		for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++) {
			double seconds = until_arrived(slow, mbit, 1ull << alone[i]);

			if (seconds < best)
				best = seconds;
		}
		if (ours > 1.08 * best)
			fail_msg("%llu Mbit/s: %.2f s, the best alone %.2f", (unsigned long long)mbit, ours, best);
	}
}

/*
 * A stream that is slow because its sender waits for a CPU, or the target does: nothing is
 * wasted on more effort, from the first record on.
 */
static void test_little_effort_for_an_idle_network(void **state)
{
	struct world w = world(typical, 50);

	(void)state;
	w.idle = MS / 2;
	run(&w, AUTO, 14);
	assert_true(w.used[FERRY_CODEC_LZ4] > 0);
	assert_int_equal(w.used[FERRY_CODEC_ZSTD] + w.used[FERRY_CODEC_ZSTD_STREAM], 0);
	w.idle = 0;
	run(&w, AUTO, 4);
	run(&w, AUTO, 10);
	assert_int_equal(w.used[FERRY_CODEC_NONE] + w.used[FERRY_CODEC_LZ4] +
			 w.used[FERRY_CODEC_ZSTD], 0);
	w.idle = MS / 2;
	run(&w, AUTO, 14);
	run(&w, AUTO, 4);
	assert_int_equal(w.used[FERRY_CODEC_ZSTD] + w.used[FERRY_CODEC_ZSTD_STREAM], 0);
}

/* What it costs a slow stream that the ladder begins low: less than a ring of lz4. */
static void test_a_slow_stream_begins_with_little_effort(void **state)
{
	struct world w = world(typical, 50);

	(void)state;
	run(&w, AUTO, 4);
	/* what lz4 makes in a sixteenth of a second */
	assert_int_equal(w.used[FERRY_CODEC_NONE], 0);
	assert_in_range(w.used[FERRY_CODEC_LZ4], 1, 65 * MS / typical[FERRY_CODEC_LZ4].ns);
	assert_in_range(w.used[FERRY_CODEC_ZSTD], 1, 65 * MS / typical[FERRY_CODEC_ZSTD].ns);
	assert_true(w.used[FERRY_CODEC_ZSTD_STREAM] > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_ladder_is_in_order_of_effort),
		cmocka_unit_test(test_one_codec_is_used_whatever_waits),
		cmocka_unit_test(test_what_waits_chooses_the_rung),
		cmocka_unit_test(test_a_meter_measures_while_bytes_wait),
		cmocka_unit_test(test_a_meter_without_bytes_says_nothing),
		cmocka_unit_test(test_an_idle_network_lowers_the_effort),
		cmocka_unit_test(test_a_mistake_is_not_made_again_soon),
		cmocka_unit_test(test_idle_time_is_bounded),
		cmocka_unit_test(test_the_ladder_is_as_high_as_it_was_raised),
		cmocka_unit_test(test_it_is_raised_when_more_waits),
		cmocka_unit_test(test_what_the_ring_runs_low_for_is_taken_back),
		cmocka_unit_test(test_it_begins_with_little_effort),
		cmocka_unit_test(test_no_more_waits_than_is_good),
		cmocka_unit_test(test_what_does_not_shrink_is_rarely_tried),
		cmocka_unit_test(test_no_codec_alone_is_better),
		cmocka_unit_test(test_it_settles),
		cmocka_unit_test(test_it_follows),
		cmocka_unit_test(test_a_short_pass_is_compressed),
		cmocka_unit_test(test_bursts_do_not_swing),
		cmocka_unit_test(test_it_is_good_from_the_first_record_on),
		cmocka_unit_test(test_little_effort_for_an_idle_network),
		cmocka_unit_test(test_a_slow_stream_begins_with_little_effort),
	};

	return cmocka_run_group_tests_name("compression", tests, NULL, NULL);
}
