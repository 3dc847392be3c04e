/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the migration comes along, for people and for programs.
 *
 * Without --json: one line on standard error, rewritten in place on a terminal
 * and printed once for each pass elsewhere. With --json: one object per line on
 * standard output. Each has "event" and "time" (seconds since 1970), and then
 *
 *	message		level, text
 *	stage		name, doing
 *	pass		pass, pending_pages, sent_pages, bytes_wire,
 *			rate_mb_s, dirty_mb_s, expected_blackout_ms (null: not
 *			known yet), ended
 *	decision	pass, decision, reason, expected_blackout_ms
 *	done		status ("moved"), passes, pages_sent, pages_zero, bytes_raw,
 *			bytes_wire, ratio, blackout_ms, total_ms, downtime
 *			(an object of milliseconds), device_bytes, qemu, kernel
 *	failed		status, stage, reason; the status is "runs-on" (here, as before),
 *			"paused-here" (QEMU did not continue it), "gone" (its QEMU
 *			has ended) or "in-doubt"
 *
 * and when a VM is received
 *
 *	listening	address
 *	receiving	vm, source, ram_bytes
 *	applied		pass, final, pages, bytes_wire: a pass is in RAM
 *	done		running (or else it was paused, and is)
 *	failed		status, reason; the status is "nothing-runs" or "in-doubt"
 */
#ifndef KVMFERRY_PROGRESS_H
#define KVMFERRY_PROGRESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <linux/kvmferry.h>

struct progress {
	bool json;
	bool tty;
	bool line;		/* the cursor is on a progress line */
	int64_t began_us;	/* the migration */
	/* The pass under way. */
	int64_t pass_us;	/* when it began */
	struct ferry_status at_start;
	uint64_t to_send;	/* pages pending when it began */
	int64_t shown_us;	/* when it was last shown */
};

/* Begins. Messages of log.h go through here from now on, until progress_end(). */
void progress_begin(struct progress *p, bool json);

void progress_end(struct progress *p);

/* A stage of the switchover begins. */
void progress_stage(struct progress *p, const char *name, const char *doing);

/* A pass begins; @status as it was right before. */
void progress_pass_begin(struct progress *p, const struct ferry_status *status);

/**
 * progress_pass - a pass comes along, or has ended
 * @blackout_ms: expected if it were switched over now
 *
 * May be called as often as one likes; it shows what is due.
 */
void progress_pass(struct progress *p, const struct ferry_status *status,
		   unsigned int blackout_ms, bool ended);

/* An expected blackout as JSON: milliseconds, or null while it is not known. */
json_t *progress_blackout(unsigned int ms);

/**
 * progress_event - one object with --json, nothing otherwise
 * @members:	more members, of which the reference is taken; may be NULL
 */
void progress_event(struct progress *p, const char *event, json_t *members);

#endif /* KVMFERRY_PROGRESS_H */
