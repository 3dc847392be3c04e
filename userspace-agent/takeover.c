// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From COMMIT to the VM running here.
 */
#include <inttypes.h>

#include "clock.h"
#include "cutoff.h"
#include "fault.h"
#include "takeover.h"

/* The record already says that the VM is ours: this only makes it more exact. */
static void record_running(struct target *t)
{
	struct failure why = { 0 };

	if (journal_write(&t->journal, JOURNAL_RUNNING, &why))
		log_warn("the owner record does not say yet that the VM runs: %s",
			 why.text);
}

/* The VM is ours and its state is here: run it. */
static void finish(struct target *t)
{
	bool run = t->hello.flags & WIRE_HELLO_RUNNING;
	struct failure why = { 0 };
	int64_t ms;

	t->stage = TARGET_ENDED;
	if (run && incoming_run(&t->in, t->options->timeout_s, &t->why))
		return;
	fault_point("target", "runs");
	ms = (clock_us() - t->landing.final_at) / 1000;

	if (t->control.link.fd < 0)
		fail(&why, "the connection broke");
	else
		frames_send(&t->control, WIRE_RUNNING, NULL, 0, TARGET_GOODBYE, &why);
	fault_point("target", "told");
	record_running(t);

	progress_result(run ? "running" : "paused");
	log_info("the VM %s, %" PRId64 " ms after its last page came",
		 run ? "runs here now" : "is here now, paused", ms);
	if (why.text[0])
		log_warn("the source could not be told that the VM is here: %s", why.text);
	journal_forget(t->options->state_dir, &t->journal);
	if (t->guard.closed)
		t->stage = TARGET_SETTLING;
}

/*
 * How far is QEMU? That it does not answer yet decides nothing: only the clock does,
 * or QEMU itself.
 */
static int ask_qemu(struct target *t)
{
	struct failure why = { 0 };

	if (!incoming_query(&t->in, &why) || t->in.status != INCOMING_FAILED)
		return 0;
	t->why = why;
	return -1;
}

int takeover_begin(struct target *t)
{
	if (!t->landing.final || !t->tunnel.received || !guard_is_whole(&t->guard))
		return fail(&t->why, "the source commits before all of the VM is here");

	t->stage = TARGET_COMMITTED;
	t->commit_by = clock_ms() + target_timeout_ms(t);
	t->journal.device_bytes = t->tunnel.received;
	fault_point("target", "commit");
	/* Run without a record, the VM could run twice after a crash: then rather not at all. */
	if (journal_write(&t->journal, JOURNAL_OWNS, &t->why))
		return -1;
	fault_point("target", "owns");
	progress_stage(&t->progress, "running", "making QEMU run the VM");
	acceptor_close(&t->acceptor);
	landing_close(&t->landing);
	return ask_qemu(t);
}

int takeover_step(struct target *t)
{
	if (t->in.status == INCOMING_COMPLETED) {
		finish(t);
		return 0;
	}
	if (!clock_left(t->commit_by))
		return fail(&t->why, "the target's QEMU did not finish loading "
			    "the device state within %u s",
			    t->options->timeout_s);
	return ask_qemu(t);
}

/* Frames that came together with the last one we have read are here already. */
static int take_ended(struct target *t)
{
	struct wire_frame frame;
	const uint8_t *payload;
	int n;

	while ((n = frames_next(&t->control, &frame, &payload, &t->why)) > 0) {
		if (frame.type != WIRE_ENDED)
			return fail(&t->why, "the source broke the protocol: frame %d after "
				    "the commit", frame.type);
		if (guard_ended(&t->guard, &t->in.disks, payload, frame.length, &t->why))
			return -1;
	}
	return n;
}

static void tell_open(struct target *t)
{
	struct failure why = { 0 };

	t->stage = TARGET_ENDED;
	if (frames_send(&t->control, WIRE_OPEN, NULL, 0, TARGET_GOODBYE, &why))
		log_debug("%s", why.text);
	log_info("the source's storage has ended all it had: nothing is guarded any more");
}

int takeover_lose_source(struct target *t, const char *reason)
{
	if (cutoff_source(t, reason))
		return -1;
	t->stage = TARGET_ENDED;
	return 0;
}

int takeover_settle(struct target *t)
{
	struct failure broken = { 0 };
	int filled = frames_fill(&t->control, &broken);

	if (take_ended(t))
		return -1;
	if (!t->guard.closed) {
		tell_open(t);
		return 0;
	}
	return filled < 0 ? takeover_lose_source(t, broken.text) : 0;
}
