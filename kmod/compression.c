// SPDX-License-Identifier: GPL-2.0-only
/*
 * How much effort the next record is worth.
 *
 * The rule
 *
 * The codecs that may be used stand in order of effort, on a *ladder*:
 *
 *	none, lz4, zstd, zstd-stream, deflate, lz4hc	(those of them that may)
 *
 * Each record is encoded with the codec of one rung, which the bytes choose that
 * wait on the ring:
 *
 *	rung = min(waiting / step, highest, 1 + raised), at least 1 if raised
 *	step = min(8 ms * rate, size / 8), and size / 32 before there is a rate
 *
 * where rate is what the stream has been taking in a second while bytes waited. A
 * stream that is slower than the worker lets the ring fill up, and what has to wait
 * anyway is made as small as can be. A stream that is faster keeps the ring empty,
 * and no time is spent on what could have left already. Where the stream is
 * faster than the worker on one rung and slower than the worker on the rung below, what
 * waits stays where the two meet: records of both kinds take turns, so that worker
 * and stream are busy all the time. That is the best there is, and nobody has to
 * measure what a codec costs or brings on this data.
 *
 * What waits is smoothed over 8 ms: bytes are taken in bursts, whenever the scheduler
 * lets the sender run, and a rung that followed these would go up and down the whole
 * ladder; one that comes late does so, too. Between two records no more than 4 ms count,
 * so that a pass begins with the effort with which the one before has ended.
 *
 * It does not swing: what is decided is one record, and what is looked at is all that
 * was decided before. The ring would need many records' time to get from one
 * rung to another. 8 ms of the stream are more than a reader that was woken needs
 * to run, so it does not find the ring empty; and little enough for a slow
 * stream not to begin with many bytes that nobody has tried to make smaller.
 *
 * No more than 16 steps wait, or four records if that is more: what waits longer was made with
 * the effort of long ago, from pages of long ago.
 *
 * How far the ladder goes, each sixteenth of a second with bytes waiting decides:
 *
 *	the network was idle for more than a quarter of it, or more than a quarter
 *	of 8 records or more found less than raised steps waiting:
 *								raised -= 1, not below 0
 *	idle for less than an eighth, and most records
 *	found more than 1 + raised steps:			raised += 1
 *
 * The network, because bytes also wait where it could take more: whoever sends them waits
 * for a CPU, or the target does and its window is full. More effort would take from the
 * one what it waits for, and give the other more to do. So FERRY_CONSUME tells how long
 * the network was idle since it last told. Of that no more counts than bytes have waited
 * since then: between two passes the network is idle, too.
 *
 * The records, because only two rungs next to each other make the best of worker and stream.
 * Where three take turns, the highest takes so long that others have to fill up with what
 * is too long for the stream.
 *
 * What was raised and is taken back was a mistake that cost something. The next time
 * there have to be twice as many decisions in a row without one, up to two seconds of them; four
 * seconds, and all is forgotten.
 *
 * It begins with 0, and with rung 1 alone until there was a decision or 64 records. To find
 * out that bytes wait for the network costs what lz4 makes meanwhile. To find out that
 * they do not, with the codecs of most effort, would cost CPU time where there is none,
 * and the memory of zstd-stream.
 *
 * The first rung above the lowest is always there, lz4 as a rule: what both sides
 * have to do for each byte (send, receive, copy, check) is more than it takes to
 * decode the fewer bytes, and the worker has the time, or nothing would wait.
 *
 * A worker that may not use the CPU as it likes (budget.h) makes records more slowly,
 * so the ring is emptier and the rung lower: no rule of its own is needed.
 *
 * What does not get smaller: a record must save at least a 64th. After n records of a chunk
 * in a row that did not, the next 2^n - 1 (n at most 5) of that chunk are sent as they
 * are, without a try, in this pass or a later one.
 */

#include <linux/bits.h>
#include <linux/minmax.h>

#include "compression.h"

#define SECOND_NS	1000000000ULL

#define STEP_S(rate)	((rate) / 125)	/* 8 ms of it */
#define SMOOTH_NS	(SECOND_NS / 125)
#define ELAPSED_MAX	(SMOOTH_NS / 2)
#define STEP_SIZE(size)	((size) / 8)
#define FIRST_STEP(size) ((size) / 32)

#define STEPS_MAX	16
#define RECORDS_MIN	4

/* Enough to know without the stream's help that it takes what comes. */
#define FIRST_RECORDS	64

/* Long enough for the scheduler to matter little. */
#define MEASURE_NS	(SECOND_NS / 64)

/* Some ticks: TCP keeps its times in them. */
#define WATCH_NS	(SECOND_NS / 16)
#define MANY(all)	((all) / 4)
#define FEW(all)	((all) / 8)
#define MOST(all)	((all) / 2)
#define RECORDS_TELL	8
#define PATIENCE_MAX	31U
#define FORGOTTEN	64U

/* By the time that the kernel's own implementations take for a page. */
static const u8 by_effort[FERRY_NR_CODECS] = {
	FERRY_CODEC_NONE, FERRY_CODEC_LZ4, FERRY_CODEC_ZSTD,
	FERRY_CODEC_ZSTD_STREAM, FERRY_CODEC_DEFLATE, FERRY_CODEC_LZ4HC,
};

/**
 * ferry_ladder_make() - Put codecs in order
 * @ladder: uninitialised
 * @codecs: bit (1 << FERRY_CODEC_x) for each that may be used, at least one
 *
 * Context: Any.
 */
void ferry_ladder_make(struct ferry_ladder *ladder, u64 codecs)
{
	unsigned int i;

	ladder->rungs = 0;
	for (i = 0; i < FERRY_NR_CODECS; i++)
		if (codecs & BIT_ULL(by_effort[i]))
			ladder->codec[ladder->rungs++] = by_effort[i];
}

/**
 * ferry_meter_put() - There are bytes waiting
 * @meter: of the stream
 * @now: nanoseconds of a monotonic clock
 *
 * Context: Any.
 */
void ferry_meter_put(struct ferry_meter *meter, u64 now)
{
	if (!meter->since)
		meter->since = now;
}

static u64 step_of(const struct ferry_meter *meter, u64 size)
{
	if (!meter->rate)
		return FIRST_STEP(size);
	return min(STEP_SIZE(size), STEP_S(meter->rate) + 1);
}

/*
 * What waits, without the bursts in which it is taken. Before there is a rate nothing is
 * known of them.
 */
static u64 smooth(struct ferry_meter *meter, u64 now, u64 waiting)
{
	u64 elapsed = min_t(u64, now - meter->smoothed_at, ELAPSED_MAX);
	s64 more = waiting - meter->smooth;

	if (meter->rate)
		meter->smooth += more * (s64)elapsed / (s64)SMOOTH_NS;
	else
		meter->smooth = waiting;
	meter->smoothed_at = now;
	return meter->smooth;
}

/**
 * ferry_ladder_choose() - Which codec for the next record?
 * @ladder: what there is
 * @meter: of the stream
 * @now: nanoseconds of a monotonic clock
 * @waiting: bytes that the stream has not taken yet
 * @size: bytes of the ring
 *
 * Context: Any.
 * Return: a rung, an index into @ladder->codec.
 */
unsigned int ferry_ladder_choose(const struct ferry_ladder *ladder,
				 struct ferry_meter *meter, u64 now,
				 u64 waiting, u64 size)
{
	u64 steps = smooth(meter, now, waiting) / step_of(meter, size);
	unsigned int lowest;

	if (ladder->rungs == 1)
		return 0;
	meter->raised = min(meter->raised, ladder->rungs - 2);
	meter->records++;
	if (steps < meter->raised)
		meter->low++;
	if (steps > 1 + meter->raised)
		meter->high++;

	lowest = meter->raised || !meter->begun;
	if (meter->records == FIRST_RECORDS)
		meter->begun = true;
	return clamp_t(u64, steps, lowest, 1 + meter->raised);
}

/**
 * ferry_meter_most() - How much may wait
 * @meter: of the stream
 * @size: bytes of the ring
 * @record: bytes that the next record may have
 *
 * Context: Any.
 * Return: bytes, @record included.
 */
u64 ferry_meter_most(const struct ferry_meter *meter, u64 size, u64 record)
{
	u64 most = max(STEPS_MAX * step_of(meter, size), RECORDS_MIN * record);

	return meter->rate ? min(most, size) : size;
}

/* Few records are those of a short pass, which leaves little waiting. */
static bool runs_low(const struct ferry_meter *meter)
{
	return meter->records >= RECORDS_TELL &&
	       meter->low > MANY(meter->records);
}

static void take_back(struct ferry_meter *meter)
{
	if (meter->raised && meter->calm)
		meter->patience = min(2 * meter->patience + 1, PATIENCE_MAX);
	if (meter->raised)
		meter->raised--;
	meter->calm = 0;
}

static void decide(struct ferry_meter *meter)
{
	meter->begun = true;
	if (meter->idle > MANY(meter->watched) || runs_low(meter)) {
		take_back(meter);
		return;
	}
	meter->calm = min(meter->calm + 1, FORGOTTEN);
	if (meter->calm == FORGOTTEN)
		meter->patience = 0;
	if (meter->idle < FEW(meter->watched) &&
	    meter->high > MOST(meter->records) &&
	    meter->calm > meter->patience)
		meter->raised++;
}

/* Is it the network that bytes wait for? */
static void watch(struct ferry_meter *meter, u64 elapsed, u64 idle)
{
	meter->watched += elapsed;
	meter->untold += elapsed;
	if (idle) {
		meter->idle += min(idle, meter->untold);
		meter->untold = 0;
	}
	if (meter->watched < WATCH_NS)
		return;
	decide(meter);
	meter->all_idle += meter->idle;
	meter->watched = 0;
	meter->idle = 0;
	meter->records = 0;
	meter->low = 0;
	meter->high = 0;
}

/**
 * ferry_meter_take() - The stream has taken bytes
 * @meter: of the stream
 * @now: nanoseconds of the same clock
 * @bytes: how many
 * @waiting: how many are left
 * @idle: nanoseconds for which the network could have taken more, since this was
 *	last told; 0: not told now
 *
 * Context: Any.
 */
void ferry_meter_take(struct ferry_meter *meter, u64 now, u64 bytes,
		      u64 waiting, u64 idle)
{
	u64 rate;

	if (!meter->since)
		return;
	watch(meter, now - meter->since, idle);
	meter->busy += now - meter->since;
	meter->bytes += bytes;
	meter->since = waiting ? now : 0;
	if (meter->busy < MEASURE_NS)
		return;

	rate = meter->bytes * SECOND_NS / meter->busy;
	meter->rate = meter->rate ? (meter->rate + rate) / 2 : rate;
	meter->busy = 0;
	meter->bytes = 0;
}

/**
 * ferry_futility_skip() - Is it not worth a try?
 * @futility: of the chunk
 *
 * Context: Any.
 * Return: true if the next record is to be sent as it is.
 */
bool ferry_futility_skip(struct ferry_futility *futility)
{
	if (!futility->skip)
		return false;
	futility->skip--;
	return true;
}

/**
 * ferry_futility_learn() - A record was tried
 * @futility: of the chunk
 * @smaller: it became small enough
 *
 * Context: Any.
 */
void ferry_futility_learn(struct ferry_futility *futility, bool smaller)
{
	if (smaller)
		futility->misses = 0;
	else if (futility->misses < FERRY_FUTILITY_MAX)
		futility->misses++;
	futility->skip = smaller ? 0 : BIT(futility->misses) - 1;
}
