// SPDX-License-Identifier: GPL-2.0-or-later
/* The benchmark's ways to follow a guest. */
#include "bench-tracker.h"

#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "die.h"

#define CHANNELS	2
#define RING		(4ul << 20)
#define READ_ORDER	FERRY_GROUP_MAX_ORDER
#define PATIENCE_MS	120000

#define GROUP(kind, n, reads) \
	{ .policy = FERRY_GROUP_##kind, .order = (n), .read_order = (reads) }

/*
 * "off" is what the module does without groups, reads included; static:1 differs from
 * it in that reads are grouped. "single" is as off, but faults are still seen, for
 * traces.
 */
const struct policy policies[] = {
	{ "dynamic", TRACK_FERRY, GROUP(DYNAMIC, 0, READ_ORDER) },
	{ "contiguous", TRACK_FERRY, GROUP(CONTIGUOUS, 0, READ_ORDER) },
	{ "static:1", TRACK_FERRY, GROUP(STATIC, 0, READ_ORDER) },
	{ "static:8", TRACK_FERRY, GROUP(STATIC, 3, READ_ORDER) },
	{ "static:32", TRACK_FERRY, GROUP(STATIC, 5, READ_ORDER) },
	{ "static:128", TRACK_FERRY, GROUP(STATIC, 7, READ_ORDER) },
	{ "static:512", TRACK_FERRY, GROUP(STATIC, 9, READ_ORDER) },
	{ "off", TRACK_FERRY, GROUP(OFF, 0, 0) },
	{ "single", TRACK_FERRY, GROUP(STATIC, 0, 0) },
	{ "kvm-dirty-log", TRACK_KVM_LOG, {} },
	{ "none", TRACK_NOTHING, {} },
	{},
};

/* Takes what is on the ring and copies it once, as somebody would who sends it. */
static uint64_t drain(struct ferry_ring_client *c)
{
	static uint8_t copy[RING];
	uint64_t tail = c->ring->tail;
	struct ferry_consume consume = {
		.bytes = __atomic_load_n(&c->ring->head, __ATOMIC_ACQUIRE) - tail,
	};

	if (!consume.bytes)
		return 0;
	memcpy(copy, (const uint8_t *)c->ring + FERRY_RING_DATA + (tail & (c->size - 1)),
	       consume.bytes);
	must(ioctl(c->fd, FERRY_CONSUME, &consume));
	return consume.bytes;
}

/*
 * A pass without looking at the records, which would take from the guest time that no
 * sender takes.
 */
static void pass_unseen(struct ferry *f)
{
	struct pollfd fds[CHANNELS + 1] = {};
	int err = ferry_begin(f, 0);
	unsigned int i;

	if (err)
		die("pass: %s", strerror(-err));
	do {
		for (i = 0; i < f->channels; i++)
			fds[i] = (struct pollfd) { .fd = f->channel[i].fd, .events = POLLIN };
		fds[i] = (struct pollfd) { .fd = f->fd, .events = POLLIN };
		if (must(poll(fds, f->channels + 1, PATIENCE_MS)) == 0)
			die("a pass does not end");
		for (i = 0; i < f->channels; i++)
			drain(&f->channel[i]);
	} while (!fds[f->channels].revents);
}

/*
 * Whoever follows the guest, with the module or with KVM's log, gets the same CPUs to do
 * it on: those of the guest. A thread of the kernel's would take another one.
 */
static void confine_workers(void)
{
	cpu_set_t cpus;
	unsigned int i;

	must(sched_getaffinity(0, sizeof(cpus), &cpus));
	for (i = 0; i < CHANNELS; i++)
		must(sched_setaffinity(ferry_worker(i), sizeof(cpus), &cpus));
}

static void attach(struct tracker *t)
{
	struct ferry_group_stats stats;
	unsigned int i;

	if (t->check) {
		shadow_init(&t->shadow, NULL);
		for (i = 0; i < t->rams; i++)
			shadow_add(&t->shadow, t->ram[i].id, ram_pages(&t->ram[i]));
	}
	ferry_open(&t->ferry, t->check ? shadow_sink : NULL, &t->shadow);
	ferry_setup(&t->ferry, t->pid, t->ram, t->rams, CHANNELS, RING);
	confine_workers();
	t->has_groups = !ferry_group_stats(&t->ferry, &stats);
}

static bool begin_ferry(struct tracker *t)
{
	attach(t);
	if (!t->has_groups && t->policy->group.policy != FERRY_GROUP_OFF) {
		tracker_end(t);
		return false;
	}
	if (t->has_groups && ferry_group(&t->ferry, &t->policy->group))
		die("the module refuses the policy %s", t->policy->name);
	tracker_round(t);
	return true;
}

bool tracker_begin(struct tracker *t, const struct policy *policy)
{
	t->policy = policy;
	t->logged = 0;
	if (policy->kind == TRACK_FERRY)
		return begin_ferry(t);
	if (policy->kind == TRACK_KVM_LOG) {
		t->log.begin(t->log.context);
		tracker_round(t);
	}
	return true;
}

void tracker_round(struct tracker *t)
{
	if (t->policy->kind == TRACK_KVM_LOG)
		t->logged += t->log.fetch(t->log.context);
	else if (t->policy->kind == TRACK_FERRY && t->check)
		ferry_must_pass(&t->ferry, 0);
	else if (t->policy->kind == TRACK_FERRY)
		pass_unseen(&t->ferry);
}

void tracker_counts(struct tracker *t, struct counts *counts)
{
	struct ferry_status status;

	memset(counts, 0, sizeof(*counts));
	counts->taken = t->logged;
	if (t->policy->kind != TRACK_FERRY)
		return;
	if (ferry_status(&t->ferry, 0, &status) || status.state == FERRY_STATE_LOST)
		die("tracking was lost");
	counts->taken = status.taken;
	counts->unchanged = status.unchanged;
	counts->bytes_wire = status.bytes_wire;
	if (t->has_groups && ferry_group_stats(&t->ferry, &counts->group))
		die("no group statistics");
}

uint64_t tracker_differences(const struct tracker *t)
{
	uint64_t differ = 0;
	unsigned int i;

	if (!t->check || t->policy->kind != TRACK_FERRY)
		return 0;
	if (t->shadow.fault)
		die("shadow: %s", t->shadow.fault);
	for (i = 0; i < t->rams; i++)
		differ += shadow_differences(&t->shadow, &t->ram[i]);
	return differ;
}

void tracker_end(struct tracker *t)
{
	if (t->policy->kind == TRACK_KVM_LOG)
		t->log.end(t->log.context);
	if (t->policy->kind != TRACK_FERRY)
		return;
	ferry_close(&t->ferry);
	if (t->check)
		shadow_free(&t->shadow);
}
