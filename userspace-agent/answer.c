// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the source says, and what it is answered.
 */
#include <inttypes.h>
#include <unistd.h>

#include "answer.h"
#include "codec.h"
#include "cutoff.h"
#include "fault.h"
#include "room.h"
#include "takeover.h"

/* Everything that can refuse a migration without having changed anything. */
static int examine(struct target *t)
{
	if (cutoff_agree(t) || incoming_pair(&t->in, &t->hello, t->landing.ram, &t->why) ||
	    room_check(&t->in.rams, &t->why) ||
	    journal_admits(t->options->state_dir, JOURNAL_TARGET, t->in.vm,
			   t->in.rams.pid, &t->why))
		return -1;
	return 0;
}

static int record_incoming(struct target *t)
{
	if (journal_init(&t->journal, t->options->state_dir, JOURNAL_TARGET, t->in.vm,
			 t->id, t->peer, t->in.rams.pid, &t->why))
		return -1;
	t->recorded = true;
	return journal_write(&t->journal, JOURNAL_INCOMING, &t->why);
}

static int start_qemu(struct target *t)
{
	int qemu, error;

	if (tunnel_open(&t->tunnel, &qemu, &t->why))
		return -1;
	error = incoming_start(&t->in, qemu, &t->why);
	close(qemu);
	return error;
}

static void identify(struct target *t)
{
	const struct progress_identity who = {
		.event = "receiving", .dir = t->options->run_dir, .role = "target", .id = t->id,
		.vm = t->in.vm, .peer = t->peer, .ram_bytes = t->in.rams.total,
	};

	progress_identify(&t->progress, &who);
	progress_stage(&t->progress, "receiving", "putting what comes into RAM");
}

static int on_hello(struct target *t, const uint8_t *payload, size_t len)
{
	uint8_t ready[WIRE_READY_SIZE];
	const char *fault;

	if (wire_get_hello(&t->hello, payload, len, &fault))
		return fail(&t->why, "the source's HELLO is wrong: %s", fault);
	t->begun = true;
	if (examine(t) ||
	    guard_forget(&t->in.disks, t->options->state_dir, t->in.vm, &t->why) ||
	    record_incoming(t) ||
	    landing_open(&t->landing, &t->hello, t->wake, &t->why) || start_qemu(t))
		return -1;

	fault_point("target", "incoming");
	t->stage = TARGET_RECEIVING;
	log_info("receiving VM %s from %s: %" PRIu64 " MiB in %u RAM blocks over %u "
		 "streams", t->in.vm, t->peer, t->in.rams.total >> 20, t->hello.rams,
		 t->hello.streams);
	identify(t);
	return frames_queue(&t->control, WIRE_READY, ready,
			    wire_put_ready(ready, t->hello.codecs & CODEC_ALL), &t->why);
}

static int on_abort(struct target *t, const uint8_t *payload, size_t len)
{
	char text[WIRE_TEXT_SIZE];

	wire_get_text(text, payload, len);
	return fail(&t->why, "the source gave up: %s", text);
}

static int on_disks(struct target *t, const uint8_t *payload, size_t len)
{
	uint8_t ready[WIRE_READY_SIZE];

	if (guard_offer(&t->guard, &t->in.disks, t->id, payload, len, &t->why) ||
	    cutoff_ready(t))
		return -1;
	return frames_queue(&t->control, WIRE_DISKS_READY, ready,
			    wire_put_disks_ready(ready, t->guard.usable), &t->why);
}

static int on_doubt_end(struct target *t)
{
	if (guard_complete(&t->guard, &t->why))
		return -1;
	return frames_queue(&t->control, WIRE_GUARDED, NULL, 0, &t->why);
}

/* One frame of the source, in WAITING or RECEIVING. */
static int on_frame(struct target *t, const struct wire_frame *frame,
		    const uint8_t *payload)
{
	bool hello = frame->type == WIRE_HELLO;

	if (frame->type == WIRE_ABORT)
		return on_abort(t, payload, frame->length);
	if (hello != (t->stage == TARGET_WAITING))
		return fail(&t->why, "the source broke the protocol: frame %d is out of "
			    "place", frame->type);

	switch (frame->type) {
	case WIRE_HELLO:
		return on_hello(t, payload, frame->length);
	case WIRE_DEVICE:
		return tunnel_deliver(&t->tunnel, payload, frame->length, &t->why);
	case WIRE_DEVICE_EOF:
		return tunnel_deliver_eof(&t->tunnel, &t->why);
	case WIRE_VERIFY:
		return landing_verify(&t->landing, &t->why);
	case WIRE_DISKS:
		return on_disks(t, payload, frame->length);
	case WIRE_DOUBT:
		return guard_doubt(&t->guard, &t->in.disks, payload, frame->length, &t->why);
	case WIRE_DOUBT_END:
		return on_doubt_end(t);
	case WIRE_COMMIT:
		return takeover_begin(t);
	default:
		return fail(&t->why, "the source broke the protocol: frame %d is the "
			    "target's", frame->type);
	}
}

int answer_frames(struct target *t)
{
	struct wire_frame frame;
	const uint8_t *payload;
	int n = 0;

	while (t->stage < TARGET_COMMITTED && !tunnel_is_full(&t->tunnel)) {
		n = frames_next(&t->control, &frame, &payload, &t->why);
		if (n <= 0)
			break;
		if (on_frame(t, &frame, payload))
			return -1;
	}
	return n < 0 ? -1 : 0;
}

static int send_digests(struct target *t, enum wire_type type,
			const struct wire_digests *digests)
{
	uint8_t payload[WIRE_DIGESTS_MAX];
	size_t len = wire_put_digests(payload, digests);

	return frames_queue(&t->control, type, payload, len, &t->why);
}

static int finish_passes(struct target *t)
{
	struct wire_digests digests;

	while (landing_take_pass(&t->landing, &digests)) {
		progress_tell(&t->progress, "applied",
			       json_pack("{s:I, s:b, s:I, s:I}",
					 "pass", (json_int_t)digests.pass,
					 "final", t->landing.final,
					 "pages",
					 (json_int_t)t->landing.cell.last.pages,
					 "bytes_wire",
					 (json_int_t)landing_bytes(&t->landing)));
		if (send_digests(t, WIRE_PASS_DONE, &digests))
			return -1;
	}
	return 0;
}

static int finish_verify(struct target *t)
{
	struct wire_digests digests;
	int done = landing_take_verify(&t->landing, &digests, &t->why);

	return done > 0 ? send_digests(t, WIRE_VERIFIED, &digests) : done;
}

int answer_landed(struct target *t)
{
	return finish_passes(t) || finish_verify(t) ? -1 : 0;
}
