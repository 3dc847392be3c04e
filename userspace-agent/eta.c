// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long a migration will still take.
 */
#include "eta.h"

#define MEASURED_US	1000000		/* of a pass: then its rates count */
#define NO_END		0.9		/* w / c from which no end is in sight */
#define LATE_US		5000000		/* the model says more for so long: it was wrong */

/* Much more than was told, so that it matters; or no end at all. */
static bool is_late(uint64_t told_ms, uint64_t model_ms)
{
	return model_ms > told_ms + told_ms / 2 + 2000;
}

void eta_begin(struct eta *e, unsigned int downtime_ms)
{
	*e = (struct eta){ .downtime_ms = downtime_ms, .told_ms = ETA_UNKNOWN };
}

static uint64_t left_of(const struct eta_sample *s)
{
	return s->to_send > s->taken ? s->to_send - s->taken : 0;
}

/* Pending already, and not for this pass. */
static uint64_t for_the_next(const struct eta_sample *s)
{
	uint64_t left = left_of(s);

	return s->pending > left ? s->pending - left : 0;
}

static void measure(struct eta *e, const struct eta_sample *s)
{
	if (s->us < MEASURED_US || !s->taken)
		return;
	e->carried = (double)s->taken * 1e6 / (double)s->us;
	e->written = (double)for_the_next(s) * 1e6 / (double)s->us;
}

/*
 * The switchover waits for no less than a page. Without that, the passes of a VM for which no time is
 * left would get smaller for ever, and this would have no end.
 */
static double floor_of(const struct eta *e)
{
	double pages = e->carried * e->downtime_ms / 1000;

	return pages > 1 ? pages : 1;
}

static uint64_t model_ms(const struct eta *e, const struct eta_sample *s)
{
	double floor = floor_of(e);
	double growth, pages, sum = (double)left_of(s);

	if (e->carried <= 0)
		return ETA_UNKNOWN;
	growth = e->written / e->carried;
	pages = (double)for_the_next(s) + sum * growth;
	while (pages > floor) {
		if (growth > NO_END)
			return ETA_UNKNOWN;
		sum += pages;
		pages *= growth;
	}
	return (uint64_t)((sum + pages) / e->carried * 1000);
}

/* Not at once: it may be a slow moment. */
static enum eta_change be_late(struct eta *e, uint64_t ms, int64_t now_us)
{
	if (!e->late_since)
		e->late_since = now_us;
	if (now_us - e->late_since < LATE_US)
		return ETA_STEADY;
	e->told_ms = ms;
	e->late_since = 0;
	return ETA_LATE;
}

enum eta_change eta_look(struct eta *e, const struct eta_sample *s, int64_t now_us)
{
	uint64_t ms;

	measure(e, s);
	ms = model_ms(e, s);
	if (ms <= e->told_ms)
		e->told_ms = ms;
	else if (is_late(e->told_ms, ms))
		return be_late(e, ms, now_us);
	e->late_since = 0;
	return ETA_STEADY;
}
