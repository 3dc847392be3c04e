/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long a migration will still take: a model, without I/O or clock.
 *
 * The pass under way takes c pages a second, while w others a second become pending for
 * the next one. That one takes them at c again, and so on until what is left can be
 * sent within the downtime. With n pages left for this pass and m for the next, the time
 * left is
 *
 *	(n + p + p w/c + p (w/c)^2 + ...) / c,		p = m + w n/c
 *
 * where the last term of the series is the final pass. If w comes near c the series has no
 * end, and none is told. Both rates are those of the pass under way once it is long
 * enough to measure them, and until then those of the one before.
 *
 * What is told never grows by itself: a pass that turns out slower for a moment lets it
 * stand still. Only when the model has said much more for a while was it wrong, and it is
 * told anew, with ETA_LATE.
 */
#ifndef KVMFERRY_ETA_H
#define KVMFERRY_ETA_H

#include <stdbool.h>
#include <stdint.h>

#define ETA_UNKNOWN	UINT64_MAX	/* instead of milliseconds */

/**
 * struct eta_sample - a look at a pass under way
 * @us:		since it began, microseconds
 * @to_send:	pages that were pending when it began
 * @taken:	of these, pages that have been sent
 * @pending:	pages not sent yet, of this pass and for the next
 */
struct eta_sample {
	uint64_t us;
	uint64_t to_send;
	uint64_t taken;
	uint64_t pending;
};

/**
 * struct eta - what is remembered between looks
 * @downtime_ms: to be filled in: what the final pass may take
 * @carried:	pages a second, c above; 0: not known yet
 * @written:	pages a second, w above
 * @told_ms:	what was told last
 * @late_since:	when the model began to say much more, or 0; as @now_us below
 */
struct eta {
	unsigned int downtime_ms;
	double carried;
	double written;
	uint64_t told_ms;
	int64_t late_since;
};

enum eta_change {
	ETA_STEADY,	/* as was told before, or less */
	ETA_LATE,	/* more than was told before, or no end in sight any more */
};

/* Begins anew, with nothing told. */
void eta_begin(struct eta *e, unsigned int downtime_ms);

/**
 * eta_look - look at the pass under way
 * @now_us:	of a clock that only goes on, microseconds
 *
 * Afterwards @e->told_ms is what to tell, or ETA_UNKNOWN.
 */
enum eta_change eta_look(struct eta *e, const struct eta_sample *sample, int64_t now_us);

#endif /* KVMFERRY_ETA_H */
