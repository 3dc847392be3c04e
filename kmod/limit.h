/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dirty-rate limiting: a vCPU that opens pages faster than the VM may waits.
 *
 * Theory of operation
 *
 * Pages are due one after the other, 1/rate apart. A fault that opens n pages takes
 * the next n places in that schedule; when they lie in the future, the vCPU
 * waits until then. Whoever comes late loses what he did not use, but for a burst
 * of some milliseconds, so that short bursts cost nothing.
 *
 *	wait = min(due - now, ran * slowdown / (100 - slowdown), 100 ms)
 *
 * where "ran" is the time since the same vCPU last waited: so it waits at most
 * "slowdown" percent of its time, whatever the rate.
 *
 * Only vCPUs that write to protected pages come here, so only writers pay. A signal
 * ends the wait: the VMM wants its vCPU back.
 */
#ifndef FERRY_LIMIT_H
#define FERRY_LIMIT_H

#include <linux/atomic.h>
#include <linux/types.h>
#include <linux/wait.h>

/* vCPUs with the same number modulo this share a place; it only shortens waits. */
#define FERRY_LIMITER_VCPUS	64

/**
 * struct ferry_limiter - slows the writers of a VM down
 * @page_ns:	nanoseconds a page, 0 when there is no limit
 * @slowdown:	percent of its time that a vCPU may wait
 * @due:	when the next page is due, ktime
 * @woke:	when each vCPU last stopped waiting, ktime
 * @wake:	woken when the limit changes
 * @changes:	how often it has changed
 * @waits:	how often a vCPU waited
 * @waited_ns:	and for how long
 */
struct ferry_limiter {
	u64 page_ns;
	u32 slowdown;
	atomic64_t due;
	u64 woke[FERRY_LIMITER_VCPUS];
	wait_queue_head_t wake;
	u32 changes;
	atomic64_t waits;
	atomic64_t waited_ns;
};

void ferry_limiter_init(struct ferry_limiter *limiter);
void ferry_limiter_set(struct ferry_limiter *limiter, u64 pages_per_s,
		       u32 slowdown);
void ferry_limiter_wait(struct ferry_limiter *limiter, unsigned int vcpu,
			unsigned int pages);

static inline bool ferry_limiter_is_on(const struct ferry_limiter *limiter)
{
	return READ_ONCE(limiter->page_ns);
}

#endif /* FERRY_LIMIT_H */
