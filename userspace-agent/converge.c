// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When to switch over.
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

unsigned int converge_blackout(const struct converge *c, uint64_t pending)
{
	uint64_t bytes = pending * (c->bytes_per_page ? c->bytes_per_page :
							CONVERGE_PAGE_BYTES);
	uint64_t ms;

	if (!pending)
		return CONVERGE_OVERHEAD_MS;
	if (!c->bytes_per_s)
		return CONVERGE_UNKNOWN;
	ms = CONVERGE_OVERHEAD_MS + bytes * 1000 / c->bytes_per_s;
	return ms < CONVERGE_UNKNOWN ? (unsigned int)ms : CONVERGE_UNKNOWN;
}

/* Progress is a tenth less than ever before; anything else is noise. */
static bool is_stuck(struct converge *c, uint64_t pending)
{
	if (c->passes == 1 || pending < c->best - c->best / 10) {
		c->best = pending;
		c->stuck = 0;
		return false;
	}
	return ++c->stuck >= STUCK_PASSES;
}

enum converge_decision converge_after(struct converge *c,
				      const struct converge_pass *pass,
				      unsigned int *blackout_ms)
{
	bool stuck;

	c->passes++;
	measure(c, pass);
	stuck = is_stuck(c, pass->pending);
	*blackout_ms = converge_blackout(c, pass->pending);

	if (*blackout_ms <= c->downtime_ms)
		return CONVERGE_FITS;
	if (c->passes >= c->max_passes)
		return CONVERGE_PASSES;
	return stuck ? CONVERGE_STUCK : CONVERGE_AGAIN;
}

const char *converge_reason(enum converge_decision decision)
{
	switch (decision) {
	case CONVERGE_AGAIN:
		return "another pass will shorten the blackout";
	case CONVERGE_FITS:
		return "the expected blackout fits --downtime";
	case CONVERGE_PASSES:
		return "--max-passes is reached";
	case CONVERGE_STUCK:
		return "the VM writes as fast as the streams carry";
	}
	return "";
}
