// SPDX-License-Identifier: GPL-2.0-only
/* Makes writers wait. See limit.h. */

#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/time64.h>

#include "limit.h"

#define BURST_NS	(5 * NSEC_PER_MSEC)
#define MAX_WAIT_NS	(100 * NSEC_PER_MSEC)
/* Not worth the trip through the scheduler. */
#define MIN_WAIT_NS	(50 * NSEC_PER_USEC)

/**
 * ferry_limiter_init() - Begin without a limit
 * @limiter: the limiter
 *
 * Context: Any.
 */
void ferry_limiter_init(struct ferry_limiter *limiter)
{
	init_waitqueue_head(&limiter->wake);
}

/**
 * ferry_limiter_set() - Set, change or lift the limit
 * @limiter: the limiter
 * @pages_per_s: pages a second, 0 for no limit
 * @slowdown: percent of its time that a vCPU may wait, below 100
 *
 * Whoever is waiting goes on.
 *
 * Context: Process context; the caller sees to it that there is one at a time.
 */
void ferry_limiter_set(struct ferry_limiter *limiter, u64 pages_per_s,
		       u32 slowdown)
{
	u64 page_ns = pages_per_s ? div64_u64(NSEC_PER_SEC, pages_per_s) : 0;

	/* More than a page in a nanosecond is a limit, too. */
	if (pages_per_s && !page_ns)
		page_ns = 1;

	WRITE_ONCE(limiter->slowdown, slowdown);
	atomic64_set(&limiter->due, ktime_get_ns());
	WRITE_ONCE(limiter->page_ns, page_ns);
	/* pairs with ferry_limiter_wait(): the limit before its number */
	smp_store_release(&limiter->changes, limiter->changes + 1);
	wake_up_all(&limiter->wake);
}

/* Takes places in the schedule; returns when they are due, ktime. */
static u64 take_places(struct ferry_limiter *limiter, u64 now, u64 ns)
{
	u64 earliest = now - min_t(u64, now, BURST_NS);
	s64 old = atomic64_read(&limiter->due);
	u64 due;

	do {
		due = max_t(u64, old, earliest) + ns;
	} while (!atomic64_try_cmpxchg(&limiter->due, &old, due));
	return due;
}

static u64 bounded_wait(const struct ferry_limiter *limiter, u64 wait, u64 ran)
{
	u32 slowdown = READ_ONCE(limiter->slowdown);
	u64 most = div_u64(min_t(u64, ran, NSEC_PER_SEC) * slowdown,
			   100 - slowdown);

	return min3(wait, most, (u64)MAX_WAIT_NS);
}

/* Ends early when the limit is no longer the one that was number @changes. */
static void wait_ns(struct ferry_limiter *limiter, u64 ns, u32 changes)
{
	wait_event_interruptible_hrtimeout(limiter->wake,
					   READ_ONCE(limiter->changes) != changes,
					   ns_to_ktime(ns));
}

/**
 * ferry_limiter_wait() - Wait for a group of pages to be due
 * @limiter: the limiter
 * @vcpu: number of the vCPU that opened them
 * @pages: how many
 *
 * Context: Process context, the vCPU's thread. Sleeps up to 100 ms.
 */
void ferry_limiter_wait(struct ferry_limiter *limiter, unsigned int vcpu,
			unsigned int pages)
{
	u64 *woke = &limiter->woke[vcpu % FERRY_LIMITER_VCPUS];
	/* pairs with ferry_limiter_set() */
	u32 changes = smp_load_acquire(&limiter->changes);
	u64 page_ns = READ_ONCE(limiter->page_ns);
	u64 now, due, wait;

	if (!page_ns)
		return;
	now = ktime_get_ns();
	due = take_places(limiter, now, pages * page_ns);
	if (due <= now)
		return;
	wait = bounded_wait(limiter, due - now, now - READ_ONCE(*woke));
	if (wait < MIN_WAIT_NS)
		return;

	wait_ns(limiter, wait, changes);
	WRITE_ONCE(*woke, ktime_get_ns());
	atomic64_inc(&limiter->waits);
	atomic64_add(ktime_get_ns() - now, &limiter->waited_ns);
}
