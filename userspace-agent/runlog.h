/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading what `kvmferry send --json` has written: the run of one migration.
 *
 * docs/run-log.md describes the format. A log may be of any length and from anybody, so
 * what is kept of it is bounded: samples that are too many are thinned out, and lists that
 * are too long are cut, which is counted in @left_out. What a log does not say is NAN, or
 * NULL, or missing from the lists; nothing is made up.
 */
#ifndef KVMFERRY_RUNLOG_H
#define KVMFERRY_RUNLOG_H

#include <jansson.h>
#include <linux/kvmferry.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "heat.h"
#include "log.h"

#define RUNLOG_LINE	(64u << 10)	/* bytes of a line; more is no log */
#define RUNLOG_LINES	2000000u
#define RUNLOG_SAMPLES	480u		/* kept, and drawn; an even number */
#define RUNLOG_PASSES	1000u
#define RUNLOG_HEAT	256u
#define RUNLOG_STAGES	64u
#define RUNLOG_MESSAGES	200u
#define RUNLOG_GROUPS	(FERRY_GROUP_MAX_ORDER + 1)

/**
 * struct run_sample - what went on between two looks at a pass
 * @from, @to:	seconds since the migration began
 * @pass:	its number
 * @pending:	pages, at the end
 * @bytes:	on the wire, in between
 * @written:	pages found written, in between; NAN: not told
 * @zero:	pages sent as zero, in between
 * @codec:	pages sent with each codec, in between
 */
struct run_sample {
	double from;
	double to;
	double pass;
	double pending;
	double bytes;
	double written;
	double zero;
	double codec[FERRY_NR_CODECS];
};

/**
 * struct run_pass - one pass that has ended
 * @object:	the event, with all it tells
 * @from, @to:	seconds since the migration began
 * @decision:	what was decided after it: "again", "switch", or ""
 * @reason:	why
 */
struct run_pass {
	json_t *object;
	double from;
	double to;
	char decision[16];
	char reason[200];
};

/* Where groups were opened in a pass, see heat.h. */
struct run_heat {
	double pass;
	unsigned int columns;
	char orders[HEAT_COLUMNS + 1];
};

struct run_stage {
	char name[32];
	double from;
};

struct run_message {
	char level[16];
	char text[600];
	double at;
};

/**
 * struct runlog - a run
 * @begin:	events of these names, or NULL
 * @result:	the event "done" or "failed", or NULL: the log ends before
 * @moved:	it is "done"
 * @slowdown:	seconds since the beginning of the first "slowdown"; NAN: none
 * @end:	seconds since the beginning, of the last event
 * @cut:	the last line is not whole
 * @left_out:	entries that were too many for their list
 */
struct runlog {
	json_t *begin;
	json_t *sending;
	json_t *result;
	bool moved;
	double slowdown;
	double end;
	bool cut;
	unsigned int left_out;

	struct run_sample sample[RUNLOG_SAMPLES];
	unsigned int samples;
	struct run_pass pass[RUNLOG_PASSES];
	unsigned int passes;
	struct run_heat heat[RUNLOG_HEAT];
	unsigned int heats;
	struct run_stage stage[RUNLOG_STAGES];
	unsigned int stages;
	struct run_message message[RUNLOG_MESSAGES];
	unsigned int messages;
};

/**
 * runlog_read - read all of a log
 *
 * Returns a run, to be given to runlog_free(); or NULL with @why, which names the line.
 */
struct runlog *runlog_read(FILE *in, struct failure *why);

void runlog_free(struct runlog *run);

/* What is not told counts as nothing where it is only part of a sum. */
static inline double or_zero(double number)
{
	return isnan(number) ? 0 : number;
}

/* A member that is a number, or NAN. */
double run_number(const json_t *object, const char *name);

/* A member that is a string, or NULL. */
const char *run_text(const json_t *object, const char *name);

/* Pages sent with a codec, as a "codecs" of @object tells; those that are not there: 0. */
double run_codec(const json_t *object, unsigned int codec);

/* Write faults that opened 1 << @order pages, as a "groups" of @object tells, or NAN. */
double run_groups(const json_t *object, unsigned int order);

#endif /* KVMFERRY_RUNLOG_H */
