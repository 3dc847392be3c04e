/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When to switch over, and when to slow the VM down: a pure decision after each
 * pass.
 *
 * The blackout that a switchover now would cost is
 *
 *	overhead + pending pages * bytes per page / rate
 *
 * Bytes per page counts only pages that were not zero: a page that was written to
 * rarely is. The rate is that of the last pass long enough to measure one. Both err on
 * the side of a longer blackout. The overhead is what does not depend on RAM:
 *
 *	overhead = 30 ms + 8 * round trip + storage + device state / stream
 *
 *	30 ms		stopping the VM, saving and loading its devices, the records
 *	round trip	the least that TCP has measured. Somebody waits for the other side
 *			four times (the last pass, QEMU's device state, the pass after it,
 *			RUNNING), and about four more times TCP waits for leave to send
 *			more of the device state at once
 *	storage		what `stop` waits for on disks that are drained: see blockstats.h
 *	device state	as large as when the VM came here; if it did not come by a migration of
 *			ours, 1 MiB: 0.3 MB are usual, 0.8 with a VGA. QEMU does not tell
 *			its size before the VM is stopped, and there is no rehearsal: whatever
 *			saves device state stops the VM
 *	stream		what the streams take in a second while bytes wait. Streams that
 *			never let bytes wait are too fast to be measured
 *
 * Solved for the pages this is the *floor*, with which the switchover begins:
 *
 *	floor = budget * c,	c = rate / bytes per page
 *	budget = max(downtime - overhead, downtime / 10)
 *
 * c is what the streams carry, in pages a second. The second term is for an overhead that
 * takes up the downtime alone: more passes would not help against that, nor would a
 * slower VM, so that it is switched over once RAM is no more than a tenth of the downtime.
 *
 * Slowing down
 *
 * A VM that writes to new pages faster than c never gets to the floor. It is
 * left alone until that shows: three passes in a row whose rest is not a tenth less
 * than the least rest before. Then the kernel is told to let it begin to write to
 * no more than
 *
 *	r = c / 2
 *
 * pages a second, and r is halved again after each pass that still brings no
 * such progress, now compared to the pass before. A pass over P pages takes P / c
 * seconds, in which at most r * P / c pages are written to, so that while the
 * limit holds
 *
 *	each pass has at most r / c of the pages of the one before,
 *	passes needed <= log(pending / floor) / log(c / r)
 *
 * with r = c / 2 the binary logarithm of pending / floor, rounded up, and one more for
 * each halving. What others than vCPUs write (disk reads into guest RAM, the
 * VMM's own writes) is not limited and not in this bound; nor is the fixed cost of
 * a pass, during which a VM at r may write to r pages a second as well.
 *
 * The limit does not hold at any price: no vCPU waits more than max_slowdown percent of
 * its time, so the VM's writing slows down at most to the (100 - max_slowdown) %
 * of what it was without a limit, w. As w counts the pages that were pending after a
 * pass, divided by its time: a page written to twice counts once, so w is too low
 * rather than too high. Once
 *
 *	r <= w * (100 - max_slowdown) / 100
 *
 * a lower r would change nothing: then three more passes without progress, and it is
 * switched over as if there were no way to slow the VM down.
 */
#ifndef KVMFERRY_CONVERGE_H
#define KVMFERRY_CONVERGE_H

#include <limits.h>
#include <stdint.h>

#define CONVERGE_FIXED_MS	30	/* as measured with small device states */
#define CONVERGE_ROUND_TRIPS	8
#define CONVERGE_DEVICE_BYTES	(1u << 20)	/* if nobody knows */
#define CONVERGE_PAGE_BYTES	4144	/* bytes of a page on the wire at worst */

#define CONVERGE_UNKNOWN	UINT_MAX	/* instead of milliseconds */

/* One pass, as it was measured. */
struct converge_pass {
	uint64_t pages;		/* sent */
	uint64_t zero;		/* of these, zero pages */
	uint64_t bytes;		/* on the wire */
	uint64_t us;		/* from its start until the streams had taken it */
	uint64_t pending;	/* pages pending when it had ended */
};

enum converge_decision {
	CONVERGE_AGAIN,		/* another pass */
	CONVERGE_SLOWER,	/* another pass, with the VM limited to @limit */
	CONVERGE_FITS,		/* switch: the blackout fits the limit */
	CONVERGE_OVERHEAD,	/* switch: it does not, but not because of RAM */
	CONVERGE_PASSES,	/* switch: the last pass allowed */
	CONVERGE_STUCK,		/* switch: more passes would not shorten it */
};

struct converge {
	/* To be filled in. */
	unsigned int downtime_ms;	/* the limit */
	unsigned int max_passes;
	unsigned int max_slowdown;	/* percent; 0: never slow the VM down */
	uint64_t device_bytes;		/* 0: not known */
	/* To be filled in before each decision, as last measured; 0: not measured. */
	uint64_t round_trip_us;
	uint64_t storage_us;
	uint64_t stream_bytes_per_s;
	/* State. */
	unsigned int passes;
	unsigned int stuck;		/* passes in a row without progress */
	uint64_t best;			/* pages pending that progress is measured from */
	uint64_t bytes_per_page;
	uint64_t bytes_per_s;
	uint64_t limit;			/* pages a second; 0: the VM is not limited */
	uint64_t least;			/* limits below this would change nothing */
};

/**
 * converge_after - decide after a pass
 * @c:		zeroed before the first pass, except what is to be filled in
 * @blackout_ms: out: what a switchover now would cost, in milliseconds
 */
enum converge_decision converge_after(struct converge *c,
				      const struct converge_pass *pass,
				      unsigned int *blackout_ms);

/**
 * converge_unlimited - CONVERGE_SLOWER could not be done
 *
 * Returns what is decided instead; it will not be asked for again.
 */
enum converge_decision converge_unlimited(struct converge *c);

/* What of the expected blackout does not depend on RAM, in milliseconds. */
unsigned int converge_overhead(const struct converge *c);

/* What the RAM's part of the blackout may take, in milliseconds. */
unsigned int converge_budget(const struct converge *c);

/* The expected blackout in milliseconds with @pending pages left, or unknown. */
unsigned int converge_blackout(const struct converge *c, uint64_t pending);

/* Pages with which the switchover would begin; 0 while no rate is known. */
uint64_t converge_floor(const struct converge *c);

/* Why it was decided so, for people: a part of a sentence. */
const char *converge_reason(enum converge_decision decision);

#endif /* KVMFERRY_CONVERGE_H */
