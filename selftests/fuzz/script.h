/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the other side of a conversation does, as the fuzzers of source and target read it: steps, each
 *
 *	0  1  what: SCRIPT_*
 *	1  2  bytes that follow, big-endian; as many as there are if there are fewer
 *	3     those bytes
 */
#ifndef KVMFERRY_FUZZ_SCRIPT_H
#define KVMFERRY_FUZZ_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCRIPT_FRAME	'F'	/* a frame: its type, its payload */
#define SCRIPT_RAW	'R'	/* bytes on the control connection */
#define SCRIPT_WAIT	'W'	/* for a frame of the agent */
#define SCRIPT_STREAM	'S'	/* records for a stream: its number, their bytes; or at the source:
				   the storage ends a request */
#define SCRIPT_PASS	'P'	/* waits for the source to begin a pass: its number */
#define SCRIPT_DEVICE	'D'	/* QEMU writes to its migration stream; nothing: it closes it */
#define SCRIPT_QEMU	'Q'	/* QEMU's migration: 0 completed, 1 failed, 2 QEMU has gone */
#define SCRIPT_CLOSE	'X'	/* a stream: its number; nothing: the control connection */
#define SCRIPT_STRANGER	'C'	/* one more control connection, from now on the one that is used */
#define SCRIPT_SIGNAL	'I'	/* the operator wants the agent to end */

struct script {
	const uint8_t *at;
	const uint8_t *end;
};

struct script_step {
	uint8_t what;
	const uint8_t *bytes;
	size_t length;
};

/* The next step; false at the end. */
static inline bool script_next(struct script *s, struct script_step *step)
{
	size_t left = (size_t)(s->end - s->at);

	if (left < 3)
		return false;
	step->what = s->at[0];
	step->length = (size_t)s->at[1] << 8 | s->at[2];
	step->bytes = s->at + 3;
	if (step->length > left - 3)
		step->length = left - 3;
	s->at += 3 + step->length;
	return true;
}

#endif /* KVMFERRY_FUZZ_SCRIPT_H */
