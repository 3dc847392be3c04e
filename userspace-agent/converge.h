/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When to switch over: a pure decision after each pass.
 *
 * The blackout that a switchover now would cost is
 *
 *	overhead + pending pages * bytes per page / rate
 *
 * The overhead is what does not depend on RAM: stopping the VM, its device state,
 * the commit. Bytes per page counts only pages that were not zero: a page that
 * was written to rarely is. The rate is that of the last pass long enough to
 * measure one. Both err on the side of a longer blackout.
 */
#ifndef KVMFERRY_CONVERGE_H
#define KVMFERRY_CONVERGE_H

#include <limits.h>
#include <stdint.h>

#define CONVERGE_OVERHEAD_MS	30	/* as measured with small device states */
#define CONVERGE_PAGE_BYTES	4144	/* bytes of a page on the wire at worst */

#define CONVERGE_UNKNOWN	UINT_MAX	/* instead of milliseconds */

/* One pass, as it was measured. */
struct converge_pass {
	uint64_t pages;		/* taken for sending */
	uint64_t zero;		/* of these, zero pages */
	uint64_t bytes;		/* on the wire */
	uint64_t us;		/* from its start until the streams had taken it */
	uint64_t pending;	/* pages pending when it had ended */
};

enum converge_decision {
	CONVERGE_AGAIN,		/* another pass */
	CONVERGE_FITS,		/* switch: the blackout fits the limit */
	CONVERGE_PASSES,	/* switch: the last pass allowed */
	CONVERGE_STUCK,		/* switch: more passes would not shorten it */
};

struct converge {
	/* To be filled in. */
	unsigned int downtime_ms;	/* the limit */
	unsigned int max_passes;
	/* State. */
	unsigned int passes;
	unsigned int stuck;		/* passes in a row without progress */
	uint64_t best;			/* least pages pending after a pass */
	uint64_t bytes_per_page;
	uint64_t bytes_per_s;
};

/**
 * converge_after - decide after a pass
 * @c:		zeroed before the first pass, except the two limits
 * @blackout_ms: out: what a switchover now would cost, in milliseconds
 */
enum converge_decision converge_after(struct converge *c,
				      const struct converge_pass *pass,
				      unsigned int *blackout_ms);

/* The expected blackout in milliseconds with @pending pages left, or unknown. */
unsigned int converge_blackout(const struct converge *c, uint64_t pending);

/* Why it was decided so, for people: a part of a sentence. */
const char *converge_reason(enum converge_decision decision);

#endif /* KVMFERRY_CONVERGE_H */
