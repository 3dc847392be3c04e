// SPDX-License-Identifier: GPL-2.0-only
/* How much CPU the workers of a VM may use. See budget.h. */

#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/wait.h>

#include "budget.h"
#include "channel.h"
#include "vm.h"

/* The longest sleep, and the most that is kept. */
#define SAVED_NS	(100 * NSEC_PER_MSEC)
/* Less is not worth a sleep. */
#define SLEEP_NS	(5 * NSEC_PER_MSEC)

/* CPU time that is due to one worker in @ns of time, and the other way round. */
static u64 cpu_of_time(const struct ferry_vm *vm, u64 ns, u32 limit)
{
	return ns * limit / (100 * vm->nr_channels);
}

static u64 time_of_cpu(const struct ferry_vm *vm, u64 ns, u32 limit)
{
	return ns * (100 * vm->nr_channels) / limit;
}

/* Brings everything up to date; without a limit, whatever was used was due. */
static void look(struct ferry_budget *budget, const struct ferry_vm *vm,
		 u32 limit)
{
	u64 now = ktime_get_ns();
	u64 used = READ_ONCE(current->se.sum_exec_runtime);

	budget->ahead += used - budget->used;
	budget->ahead -= cpu_of_time(vm, now - budget->looked, limit);
	budget->ahead = limit ? max_t(s64, budget->ahead, -SAVED_NS) : 0;
	WRITE_ONCE(budget->used, used);
	budget->looked = now;
}

/* For how long the worker has to sleep, nanoseconds; 0 if it may go on. */
static u64 to_sleep(struct ferry_channel *channel)
{
	struct ferry_budget *budget = &channel->budget;
	struct ferry_vm *vm = channel->vm;
	u32 limit = vm->pass_flags & FERRY_PASS_FINAL ? 0 :
		    READ_ONCE(vm->cpu_limit);
	u64 sleep;

	look(budget, vm, limit);
	if (budget->ahead <= 0)
		return 0;
	sleep = time_of_cpu(vm, budget->ahead, limit);
	return sleep < SLEEP_NS ? 0 : sleep;
}

/**
 * ferry_budget_keep() - Sleep if the worker has used too much CPU
 * @channel: the worker's
 *
 * Context: Process context, the worker. May sleep.
 */
void ferry_budget_keep(struct ferry_channel *channel)
{
	struct ferry_budget *budget = &channel->budget;
	u64 sleep;

	/* A little at a time: the limit may be lifted meanwhile. */
	while ((sleep = to_sleep(channel)) && !ferry_channel_must_end(channel)) {
		sleep = min_t(u64, sleep, SAVED_NS);
		wait_event_idle_timeout(channel->ring.writable,
					ferry_channel_must_end(channel),
					nsecs_to_jiffies(sleep));
		ferry_count(&budget->slept, ktime_get_ns() - budget->looked);
	}
}
