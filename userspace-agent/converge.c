// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When to switch over, and when to slow the VM down.
 */
#include <stdbool.h>

#include "converge.h"

/* A pass with fewer bytes measures the scan, not the streams. */
#define RATE_BYTES	(1u << 20)

/* Passes in a row that may fail to lower the number of pending pages. */
#define STUCK_PASSES	3

static void measure(struct converge *c, const struct converge_pass *pass)
{
	uint64_t full = pass->pages > pass->zero ? pass->pages - pass->zero : 0;

	if (full) {
		c->bytes_per_page = pass->bytes / full;
		if (c->bytes_per_page > CONVERGE_PAGE_BYTES)
			c->bytes_per_page = CONVERGE_PAGE_BYTES;
	}
	if (!pass->us)
		return;
	/* The first measurement is better than none, however small the pass. */
	if (pass->bytes >= RATE_BYTES || !c->bytes_per_s)
		c->bytes_per_s = pass->bytes * 1000000 / pass->us;
}

static uint64_t page_bytes(const struct converge *c)
{
	return c->bytes_per_page ? c->bytes_per_page : CONVERGE_PAGE_BYTES;
}

static unsigned int clip(uint64_t ms)
{
	return ms < CONVERGE_UNKNOWN ? (unsigned int)ms : CONVERGE_UNKNOWN;
}

unsigned int converge_overhead(const struct converge *c)
{
	uint64_t us = CONVERGE_ROUND_TRIPS * c->round_trip_us + c->storage_us;
	uint64_t device = c->device_bytes ? c->device_bytes : CONVERGE_DEVICE_BYTES;

	if (c->stream_bytes_per_s)
		us += device * 1000000 / c->stream_bytes_per_s;
	return clip(CONVERGE_FIXED_MS + us / 1000);
}

unsigned int converge_budget(const struct converge *c)
{
	unsigned int overhead = converge_overhead(c), least = c->downtime_ms / 10;

	return c->downtime_ms > overhead + least ? c->downtime_ms - overhead : least;
}

/* The RAM's part of the blackout. */
static uint64_t ram_ms(const struct converge *c, uint64_t pending)
{
	if (!pending)
		return 0;
	if (!c->bytes_per_s)
		return CONVERGE_UNKNOWN;
	return pending * page_bytes(c) * 1000 / c->bytes_per_s;
}

unsigned int converge_blackout(const struct converge *c, uint64_t pending)
{
	return clip(converge_overhead(c) + ram_ms(c, pending));
}

uint64_t converge_floor(const struct converge *c)
{
	return c->bytes_per_s * converge_budget(c) / 1000 / page_bytes(c);
}

/* ------------------------------------------------------------------------
 * Progress, or the lack of it
 * ------------------------------------------------------------------------ */

/* Progress is a tenth less than ever before; anything else is noise. */
static bool progresses(struct converge *c, uint64_t pending)
{
	if (c->passes == 1 || pending < c->best - c->best / 10) {
		c->best = pending;
		c->stuck = 0;
		return true;
	}
	c->stuck++;
	return false;
}

static void set_limit(struct converge *c, uint64_t pages_per_s, uint64_t pending)
{
	c->limit = pages_per_s ? pages_per_s : 1;
	c->best = pending;
	c->stuck = 0;
}

/* The VM writes as fast as the streams carry: begin to slow it down? */
static bool begin_slowing(struct converge *c, const struct converge_pass *pass)
{
	uint64_t carried = c->bytes_per_s / page_bytes(c);
	uint64_t written;

	if (c->stuck < STUCK_PASSES || !c->max_slowdown || !carried || !pass->us)
		return false;
	written = pass->pending * 1000000 / pass->us;
	c->least = written * (100 - c->max_slowdown) / 100;
	set_limit(c, carried / 2, pass->pending);
	return true;
}

/* A pass with the VM slowed down has brought no progress: slow it down more? */
static bool slow_more(struct converge *c, const struct converge_pass *pass)
{
	if (c->limit <= c->least || c->limit == 1)
		return false;
	set_limit(c, c->limit / 2, pass->pending);
	return true;
}

static enum converge_decision after_no_progress(struct converge *c,
						const struct converge_pass *pass)
{
	if (c->limit ? slow_more(c, pass) : begin_slowing(c, pass))
		return CONVERGE_SLOWER;
	return c->stuck >= STUCK_PASSES ? CONVERGE_STUCK : CONVERGE_AGAIN;
}

enum converge_decision converge_after(struct converge *c,
				      const struct converge_pass *pass,
				      unsigned int *blackout_ms)
{
	bool progress;

	c->passes++;
	measure(c, pass);
	progress = progresses(c, pass->pending);
	*blackout_ms = converge_blackout(c, pass->pending);

	if (*blackout_ms <= c->downtime_ms)
		return CONVERGE_FITS;
	if (ram_ms(c, pass->pending) <= converge_budget(c))
		return CONVERGE_OVERHEAD;
	if (c->passes >= c->max_passes)
		return CONVERGE_PASSES;
	return progress ? CONVERGE_AGAIN : after_no_progress(c, pass);
}

enum converge_decision converge_unlimited(struct converge *c)
{
	c->max_slowdown = 0;
	c->limit = 0;
	return CONVERGE_STUCK;
}

const char *converge_reason(enum converge_decision decision)
{
	switch (decision) {
	case CONVERGE_AGAIN:
		return "another pass will shorten the blackout";
	case CONVERGE_SLOWER:
		return "the VM writes as fast as the streams carry and is slowed down";
	case CONVERGE_FITS:
		return "the expected blackout fits --downtime";
	case CONVERGE_OVERHEAD:
		return "little RAM is left, and the network's round trips, storage and device state alone take that long";
	case CONVERGE_PASSES:
		return "--max-passes is reached";
	case CONVERGE_STUCK:
		return "the VM writes as fast as the streams carry";
	}
	return "";
}
