/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The simulator of group policies: traces, rules, and what a rule makes of a trace.
 *
 * A trace tells which pages a guest wrote between the turns of their chunks. Who
 * opened what is left out of it, so that any rule can be asked what it would have
 * opened, and what that would have saved and cost.
 */
#ifndef KVMFERRY_PERF_SIM_H
#define KVMFERRY_PERF_SIM_H

#include <stdint.h>
#include <stdio.h>

#include "group.h"

/* --- traces */

enum sim_what { SIM_WRITE, SIM_TURN, SIM_PASS };

/**
 * struct sim_event - something that happened
 * @what:	SIM_WRITE: the first write to a page since it was protected;
 *		SIM_TURN: a chunk is scanned, taken, protected; SIM_PASS: a pass
 *		begins
 * @at:		page or chunk, counted over all blocks
 */
struct sim_event {
	uint32_t what;
	uint32_t at;
};

struct sim_trace {
	const char *name;
	struct sim_event *events;
	size_t count;
	uint32_t chunks;
};

/* A synthetic pattern: what the guest writes between two passes. */
struct sim_pattern {
	const char *name;
	const char *what;
	void (*round)(struct sim_trace *trace, unsigned int round);
};

extern const struct sim_pattern sim_patterns[];

void sim_generate(struct sim_trace *trace, const struct sim_pattern *pattern,
		  unsigned int rounds, uint64_t seed);
void sim_read(struct sim_trace *trace, const char *path);
void sim_write(const struct sim_trace *trace, FILE *to);
void sim_free(struct sim_trace *trace);
void sim_event(struct sim_trace *trace, enum sim_what what, uint32_t at);

/* --- rules */

/**
 * struct sim_rule - one of the module's policies, or a candidate that was tried
 * @name:	how the command line names it
 * @what:	what it does
 * @module:	the module's own code with @policy and @order, and nothing below
 * @policy:	FERRY_GROUP_*
 * @order:	of static groups
 * @most:	a page's count goes up when it changed, to this at most. There is a
 *		trust for each count, for opening "pages with at least this"; none
 *		is above 0 if this is 0
 * @fall:	what becomes of the count when the page did not change
 * @history:	the count is the last @most turns as bits, and a trust is for
 *		exactly the pages with this history
 * @earn:	what a trust earns; a page in vain costs it 19
 * @ahead:	what is opened behind a run of writable pages
 * @shift:	run >> @shift pages, where to begin
 * @odds:	opens by how often each page is written in the whole trace: what no
 *		rule can know, to see what no rule can reach
 */
struct sim_rule {
	const char *name;
	const char *what;
	bool module;
	uint32_t policy;
	uint32_t order;
	unsigned int most;
	enum { FALL_TO_0, FALL_BY_HALF, FALL_BY_1 } fall;
	bool history;
	enum { EARN_HITS, EARN_CHANGED, EARN_BOTH } earn;
	enum { AHEAD_NONE, AHEAD_FIXED, AHEAD_STEPS, AHEAD_TRUST } ahead;
	int shift;
	bool odds;
};

/**
 * struct sim_chunk - a chunk under a rule
 * @group:	what the module remembers of it
 * @written:	pages that were written since they were last taken
 * @writable:	pages that are open
 * @faulted:	of candidates: a fault came since then
 * @ahead:	pages opened ahead of a run
 * @count:	of each page
 * @trust:	in each count
 * @odds:	of each page to be written, in turns in which any is
 */
struct sim_chunk {
	struct ferry_group_chunk group;
	struct ferry_chunk_set written;
	struct ferry_chunk_set writable;
	bool faulted;
	struct ferry_chunk_set ahead;
	uint8_t count[FERRY_CHUNK_PAGES];
	int trust[16];
	double odds[FERRY_CHUNK_PAGES];
};

/**
 * struct sim_vm - a VM under a rule
 * @rule:	the rule
 * @group:	what the module knows of the VM
 * @chunks:	its chunks
 * @shift:	of candidates: run >> shift pages are opened ahead
 * @trust:	in opening ahead
 * @next:	the chunk that a sweep will enter
 * @next_run:	pages that it has written by then
 */
struct sim_vm {
	const struct sim_rule *rule;
	struct ferry_group_vm group;
	struct sim_chunk *chunks;
	int shift;
	int trust;
	const struct sim_chunk *next;
	unsigned int next_run;
};

extern const struct sim_rule sim_rules[];

void sim_rule_begin(struct sim_vm *vm, const struct sim_trace *trace);
void sim_rule_open(struct sim_vm *vm, struct sim_chunk *chunk,
		   unsigned int page, struct ferry_chunk_set *open);
void sim_rule_learn(struct sim_vm *vm, struct sim_chunk *chunk);

#endif /* KVMFERRY_PERF_SIM_H */
