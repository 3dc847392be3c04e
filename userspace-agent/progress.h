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
 *			rate_mb_s, dirty_mb_s, expected_blackout_ms and left_ms,
 *			the time to the end (null: not known), ended, and the
 *			counts below
 *	decision	pass, decision, reason, expected_blackout_ms,
 *			overhead_ms (what of that does not depend on RAM),
 *			pending_pages, floor_pages
 *	slowdown	pass, pages_per_s, max_slowdown: the VM is limited to this
 *			from now on
 *	disks		cancelled, reads_in_doubt, writes_in_doubt: requests, when the
 *			VM was stopped
 *	done		status ("moved"), passes, pages_sent, pages_zero, bytes_raw,
 *			bytes_wire, ratio, blackout_ms, total_ms, downtime
 *			(an object of milliseconds), device_bytes, worker_cpu_ms
 *			(CPU time of the kernel's threads), kernel_memory_bytes
 *			(all that the module took), cpu_ms and memory_bytes (what the agent
 *			took, at most), requests_cancelled, writes_in_doubt, held (the
 *			operator may have to open some of its disk), tls (who encrypted the
 *			data streams: "kernel", "openssl", or null), qemu, kernel, backend, and the counts below
 *	failed		status, stage, reason; the status is "runs-on" (here, as before),
 *			"paused-here" (QEMU did not continue it), "gone" (its QEMU
 *			has ended) or "in-doubt"
 *
 * with these counts, in a pass or in all
 *
 *	pages_unchanged	looked at, and not sent as the target has them so
 *			(or sent all the same, with --resend-unchanged)
 *	write_faults, read_faults	of the guest
 *	opened, opened_changed, opened_unchanged	pages opened besides the
 *			ones that faulted, and what became of them
 *	throttled_us	microseconds that vCPUs waited, all together
 *	codecs		an object: pages sent with each codec, by its name
 *
 * and when a VM is received
 *
 *	listening	address
 *	receiving	vm, source, ram_bytes
 *	applied		pass, final, pages, bytes_wire: a pass is in RAM
 *	done		running (or else it was paused, and is), held, cpu_ms and
 *			memory_bytes as above
 *	failed		status, reason; the status is "nothing-runs" or "in-doubt"
 */
#ifndef KVMFERRY_PROGRESS_H
#define KVMFERRY_PROGRESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "eta.h"
#include "kernel.h"

struct progress {
	bool json;
	bool tty;
	bool line;		/* the cursor is on a progress line */
	int64_t began_us;	/* the migration */
	/* The pass under way. */
	int64_t pass_us;	/* when it began */
	struct kernel_counts at_start;
	uint64_t to_send;	/* pages pending when it began */
	int64_t shown_us;	/* when it was last shown */
	/* How long all of it will still take. */
	struct eta eta;
};

/* Begins. Messages of log.h go through here from now on, until progress_end(). */
void progress_begin(struct progress *p, bool json);

void progress_end(struct progress *p);

/* A stage of the switchover begins. */
void progress_stage(struct progress *p, const char *name, const char *doing);

/* A pass begins; @counts as they were right before. */
void progress_pass_begin(struct progress *p, const struct kernel_counts *counts);

/**
 * progress_pass - a pass comes along, or has ended
 * @blackout_ms: expected if it were switched over now
 *
 * May be called as often as one likes; it shows what is due.
 */
void progress_pass(struct progress *p, const struct kernel_counts *counts,
		   unsigned int blackout_ms, bool ended);

/**
 * progress_counts - the counts that "pass" and "done" share
 * @object:	where to
 * @since:	what to subtract; NULL: nothing
 */
void progress_counts(json_t *object, const struct kernel_counts *counts,
		     const struct kernel_counts *since);

/* The pre-copy begins; @downtime_ms is what its final pass may take. */
void progress_passes_begin(struct progress *p, unsigned int downtime_ms);

/* An expected blackout as JSON: milliseconds, or null while it is not known. */
json_t *progress_blackout(unsigned int ms);

/* The event "done", with what this process has taken. Takes the reference. */
void progress_done(struct progress *p, json_t *members);

/**
 * progress_event - one object with --json, nothing otherwise
 * @members:	more members, of which the reference is taken; may be NULL
 */
void progress_event(struct progress *p, const char *event, json_t *members);

#endif /* KVMFERRY_PROGRESS_H */
