/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How much CPU the workers of a VM may use.
 *
 * Theory of operation
 *
 * All workers together may use a number of percents of one CPU, each an equal part
 * of it. After each chunk a worker compares the CPU time that it has used with the time
 * that has passed, and sleeps for as long as it is ahead; what it has not used is kept for
 * a tenth of a second, no longer. In the final pass it does not sleep: the VM is
 * stopped, so nobody needs the CPU more, and every sleep would be blackout.
 */
#ifndef FERRY_BUDGET_H
#define FERRY_BUDGET_H

#include <linux/types.h>

struct ferry_channel;

/**
 * struct ferry_budget - the CPU time of one worker; begins as zeroes
 * @used:	CPU time of the thread at the last look, nanoseconds; read by anyone
 * @looked:	when that was, ktime
 * @ahead:	CPU time used beyond what was due by then, nanoseconds; negative
 *		if it has used less
 * @slept:	for how long it has slept for this in all, nanoseconds
 */
struct ferry_budget {
	u64 used;
	u64 looked;
	s64 ahead;
	u64 slept;
};

void ferry_budget_keep(struct ferry_channel *channel);

#endif /* FERRY_BUDGET_H */
