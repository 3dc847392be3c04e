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
 *	rung = min(waiting / step, highest, 1 + raised)
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
 * What waits is smoothed over 32 ms, but no less than a quarter of what waits right now:
 * bytes are taken in bursts, whenever the scheduler lets the sender run, and a rung
 * that followed these would go up and down the whole ladder. Between two records no
 * more than 8 ms count, so that a pass begins with the effort with which the one before
 * has ended.
 *
 * It does not swing: what is decided is one record, and what is looked at is all that
 * was decided before. The ring would need many records' time to get from one
 * rung to another. 8 ms of the stream are more than a reader that was woken needs
 * to run, so it does not find the ring empty; and little enough for a slow
 * stream not to begin with many bytes that nobody has tried to make smaller.
 *
 * Bytes also wait where the network could take more: whoever sends them waits for a CPU,
 * or the target does and its window is full. More effort would take from the
 * one what it waits for, and give the other more to do. So FERRY_CONSUME tells how long
 * the network was idle since it last told. Of that no more counts than bytes have waited
 * since then: between two passes the network is idle, too. Each sixteenth of a second
 * with bytes waiting decides:
 *
 *	idle for less than an eighth of it	raised += 1
 *	idle for more than a quarter		raised -= 1, not below 0
 *
 * What was raised and is taken back was a mistake that cost something. The next time the
 * network has to look busy for twice as many decisions in a row, up to two seconds; four
 * seconds without such a mistake, and all is forgotten.
 *
 * It begins with 0. To find out that bytes wait for the network costs what lz4 makes
 * meanwhile, at most a ring of it. To find out that they do not, with the codecs of most
 * effort, would cost CPU time where there is none, and the memory of zstd-stream.
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
#define STEP_NS		(SECOND_NS / 125)
#define SMOOTH_NS	(4 * STEP_NS)
#define AT_LEAST(now)	((now) / 4)
#define STEP_SIZE(size)	((size) / 8)
#define FIRST_STEP(size) ((size) / 32)

/* Long enough for the scheduler to matter little. */
#define MEASURE_NS	(SECOND_NS / 64)

/* Some ticks: TCP keeps its times in them. */
#define WATCH_NS	(SECOND_NS / 16)
#define MANY(ns)	((ns) / 4)
#define FEW(ns)		((ns) / 8)
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
 * ferry_ladder_choose() - Which codec for the next record?
 * @ladder: what there is
 * @backlog: how the ring looks
 *
 * Context: Any.
 * Return: a rung, an index into @ladder->codec.
 */
unsigned int ferry_ladder_choose(const struct ferry_ladder *ladder,
				 const struct ferry_backlog *backlog)
{
	unsigned int highest = min(ladder->rungs - 1, 1 + backlog->raised);
	u64 step = FIRST_STEP(backlog->size);

	if (backlog->rate)
		step = min(STEP_SIZE(backlog->size), STEP_S(backlog->rate) + 1);
	return min_t(u64, backlog->waiting / step, highest);
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

/**
 * ferry_meter_smooth() - What waits, without the bursts in which it is taken
 * @meter: of the stream
 * @now: nanoseconds of the same clock; a record is about to be made
 * @waiting: bytes right now
 *
 * Before the stream's first measurement nothing is known of bursts.
 *
 * Context: Any.
 * Return: bytes.
 */
u64 ferry_meter_smooth(struct ferry_meter *meter, u64 now, u64 waiting)
{
	u64 elapsed = min_t(u64, now - meter->smoothed_at, STEP_NS);
	s64 more = waiting - meter->smooth;

	if (meter->rate)
		meter->smooth += more * (s64)elapsed / (s64)SMOOTH_NS;
	else
		meter->smooth = waiting;
	meter->smoothed_at = now;
	return max_t(u64, meter->smooth, AT_LEAST(waiting));
}

static void decide(struct ferry_meter *meter)
{
	if (meter->idle > MANY(meter->watched)) {
		if (meter->raised && meter->calm)
			meter->patience = min(2 * meter->patience + 1, PATIENCE_MAX);
		if (meter->raised)
			meter->raised--;
		meter->calm = 0;
		return;
	}
	meter->calm = min(meter->calm + 1, FORGOTTEN);
	if (meter->calm == FORGOTTEN)
		meter->patience = 0;
	if (meter->idle < FEW(meter->watched) && meter->calm > meter->patience)
		meter->raised = min(meter->raised + 1, FERRY_NR_CODECS - 2U);
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
	meter->rate = meter->rate ? (3 * meter->rate + rate) / 4 : rate;
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
