/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the migration comes along, for people and for programs.
 *
 * Without --json: one line on standard error, rewritten in place on a terminal
 * and printed once for each pass elsewhere. With --json: one object per line on
 * standard output. Each has "event", "time" (seconds since 1970) and "at_ms" (milliseconds
 * since the migration began; docs/run-log.md), and then
 *
 *	begin		log (PROGRESS_LOG), version, options (what was asked for): the first
 *	sending		migration, vm, target, ram_bytes
 *	message		level, text
 *	stage		name, doing
 *	pass		pass, pass_ms (since it began), percent (of what it has to send),
 *			pending_pages, sent_pages, written_pages (found written), bytes_wire,
 *			rate_mb_s, dirty_mb_s, expected_blackout_ms and left_ms,
 *			the time to the end (null: not known), ended, and the
 *			counts below
 *	groups		pass, orders: where groups were opened in it, see heat.h
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
 *	groups		an array: write faults by the binary logarithm of the pages opened
 *
 * and when a VM is received
 *
 *	listening	address
 *	receiving	migration, vm, source, ram_bytes
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
#include "state.h"
#include "wire.h"

/* Version of what --json writes; it grows when something that was there means another thing. */
#define PROGRESS_LOG	1

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
	/* What others on this host may see of it. */
	struct state state;
	json_t *published;	/* NULL: not known yet which migration it is */
	int64_t published_us;	/* when */
};

/**
 * progress_begin - begin
 * @options:	what was asked for, an object, of which the reference is taken; may be NULL
 *
 * Messages of log.h go through here from now on, until progress_end().
 */
void progress_begin(struct progress *p, bool json, json_t *options);

void progress_end(struct progress *p);

/**
 * struct progress_identity - which migration it is
 * @event:	that tells of it
 * @dir:	where to publish it, see state.h
 * @role:	"source" or "target"
 * @id:		WIRE_ID_SIZE bytes
 * @vm:		UUID or name
 * @peer:	the other side
 * @ram_bytes:	of all RAM blocks
 */
struct progress_identity {
	const char *event;
	const char *dir;
	const char *role;
	const uint8_t *id;
	const char *vm;
	const char *peer;
	uint64_t ram_bytes;
};

/* Now it is known which migration it is: tells it to programs, the journal and this host. */
void progress_identify(struct progress *p, const struct progress_identity *who);

/* progress_event() that also becomes part of what is published. */
void progress_tell(struct progress *p, const char *event, json_t *members);

/* How it ends, for the journal: goes with the messages that follow. */
void progress_result(const char *status);

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
