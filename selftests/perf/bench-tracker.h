/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a benchmark's guest is followed by: kvmferry with one of its policies, or KVM's
 * own dirty log, or nothing at all.
 */
#ifndef PERF_BENCH_TRACKER_H
#define PERF_BENCH_TRACKER_H

#include "ferry.h"
#include "shadow.h"

enum tracker_kind { TRACK_FERRY, TRACK_KVM_LOG, TRACK_NOTHING };

struct policy {
	const char *name;
	enum tracker_kind kind;
	struct ferry_group group;
};

/* The last one has no name. */
extern const struct policy policies[];

/* How to get at KVM's dirty log of this VM. fetch() returns the pages written. */
struct kvm_log {
	void (*begin)(void *context);
	uint64_t (*fetch)(void *context);
	void (*end)(void *context);
	void *context;
};

/* Since tracker_begin(). What there is no number for is 0. */
struct counts {
	uint64_t taken;
	uint64_t unchanged;
	uint64_t bytes_wire;
	struct ferry_group_stats group;
};

struct tracker {
	/* to be filled in before tracker_begin() */
	pid_t pid;
	const struct ram *ram;
	unsigned int rams;
	struct kvm_log log;
	bool check;		/* put every record into a shadow */

	const struct policy *policy;
	bool has_groups;	/* the module knows FERRY_GROUP */
	struct ferry ferry;
	struct shadow shadow;
	uint64_t logged;
};

/*
 * Begins, and gets over the first pass, which takes every page. False: this module
 * cannot do it; nothing was begun.
 */
bool tracker_begin(struct tracker *t, const struct policy *policy);
/* A pass, from its beginning to its end; or fetches the log. */
void tracker_round(struct tracker *t);
void tracker_counts(struct tracker *t, struct counts *counts);
/* With @check: pages in which shadow and RAM differ. Otherwise 0. */
uint64_t tracker_differences(const struct tracker *t);
void tracker_end(struct tracker *t);

#endif /* PERF_BENCH_TRACKER_H */
