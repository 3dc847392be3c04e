/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control connection: frames in both directions on a non-blocking socket.
 *
 * For a poll loop:
 *
 *	poll frames->link.fd for frames_events()
 *	on POLLIN, POLLHUP or POLLERR:
 *		frames_fill(), then frames_next() until it returns 0
 *	frames_queue() whenever there is something to say
 *	frames_flush() before polling again
 *
 * frames_fill() reads once. So all frames that arrived before the connection
 * broke are seen before the failure is.
 */
#ifndef KVMFERRY_FRAMES_H
#define KVMFERRY_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include "connection.h"
#include "log.h"
#include "wire.h"

/* Bytes that may wait to be sent; frames_queue() refuses more. */
#define FRAMES_OUT_SIZE		((size_t)4 * (WIRE_FRAME_SIZE + WIRE_MAX_PAYLOAD))
/* Of these, bytes that bulk data leaves to short frames. */
#define FRAMES_OUT_RESERVE	(16u << 10)
/* Bytes that are read ahead. */
#define FRAMES_IN_SIZE		((size_t)2 * (WIRE_FRAME_SIZE + WIRE_MAX_PAYLOAD))

/**
 * struct frames - a control connection
 * @link:	what it runs over, owned by this structure
 * @in:		bytes that were read: FRAMES_IN_SIZE
 * @in_begin:	where the first frame that was not handed out begins
 * @in_end:	where they end
 * @out:	bytes to be sent: FRAMES_OUT_SIZE
 * @out_begin:	where they begin
 * @out_end:	where they end
 */
struct frames {
	struct connection link;
	uint8_t *in;
	size_t in_begin;
	size_t in_end;
	uint8_t *out;
	size_t out_begin;
	size_t out_end;
};

/* Takes over @link, also on failure. Returns 0, or -1 when there is no memory. */
int frames_open(struct frames *c, struct connection *link, struct failure *why);

/* Closes the connection, frees the buffers; what was queued and not sent is lost. */
void frames_close(struct frames *c);

/* What to poll for: POLLIN, and POLLOUT while something waits to be sent. */
short frames_events(const struct frames *c);

/**
 * frames_fill - read once from the socket
 * @c:		the connection
 * @why:	the reason of a failure; the peer's closing it is one
 *
 * Returns 1 if bytes came, 0 if there were none, -1 on failure.
 */
int frames_fill(struct frames *c, struct failure *why);

/**
 * frames_next - the next complete frame
 * @c:		the connection
 * @frame:	out: type and length
 * @payload:	out: its bytes, valid until the next frames_fill()
 * @why:	what is wrong with it
 *
 * Returns 1 with a frame, 0 if none is complete, -1 if the peer speaks nonsense.
 */
int frames_next(struct frames *c, struct wire_frame *frame,
		const uint8_t **payload, struct failure *why);

/*
 * Bytes of payload that bulk data may queue now, in one frame. Some room is kept
 * back for short frames, so that the tunnel never blocks the protocol.
 */
size_t frames_room(const struct frames *c);

/* Queues one frame. Returns 0, or -1 if it does not fit. */
int frames_queue(struct frames *c, enum wire_type type, const void *payload,
		 size_t len, struct failure *why);

/* Sends what can be sent now. Returns 1 if all is out, 0 if not, -1 on failure. */
int frames_flush(struct frames *c, struct failure *why);

/**
 * frames_wait - block until there is a frame
 * @c:		the connection
 * @frame:	out: type and length
 * @payload:	out: its bytes, valid until the next call
 * @timeout_ms:	for the whole frame
 * @why:	the reason of a failure; a time-out is one
 *
 * Sends what is queued meanwhile. Returns 0, or -1.
 */
int frames_wait(struct frames *c, struct wire_frame *frame,
		const uint8_t **payload, int timeout_ms, struct failure *why);

/* Queues one frame and blocks until all is sent. Returns 0, or -1. */
int frames_send(struct frames *c, enum wire_type type, const void *payload,
		size_t len, int timeout_ms, struct failure *why);

#endif /* KVMFERRY_FRAMES_H */
