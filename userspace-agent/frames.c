// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Frames on the control connection.
 *
 * Both buffers are flat and have a fixed size. Input is moved to the front before
 * it is read into, output when it is all sent or the end is reached. Lengths are
 * checked before anything is waited for, so a frame always fits.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "frames.h"

int frames_open(struct frames *c, struct connection *link, struct failure *why)
{
	*c = (struct frames){
		.link = *link,
		.in = malloc(FRAMES_IN_SIZE),
		.out = malloc(FRAMES_OUT_SIZE),
	};
	*link = CONNECTION_CLOSED;
	if (!c->in || !c->out) {
		frames_close(c);
		return fail(why, "not enough memory for a connection");
	}
	return 0;
}

void frames_close(struct frames *c)
{
	connection_close(&c->link);
	free(c->in);
	free(c->out);
	*c = (struct frames){ .link = CONNECTION_CLOSED };
}

short frames_events(const struct frames *c)
{
	return POLLIN | (c->out_end > c->out_begin ? POLLOUT : 0);
}

static size_t compact(uint8_t *buffer, size_t *begin, size_t *end)
{
	memmove(buffer, buffer + *begin, *end - *begin);
	*end -= *begin;
	*begin = 0;
	return *end;
}

int frames_fill(struct frames *c, struct failure *why)
{
	size_t used = compact(c->in, &c->in_begin, &c->in_end);
	ssize_t n;

	if (FRAMES_IN_SIZE - used < CONNECTION_RECORD)
		return 1;	/* there are frames to be taken first */

	n = connection_read(&c->link, c->in + used, FRAMES_IN_SIZE - used);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return fail(why, "the connection to the other side broke: %s",
			    connection_fault(&c->link));
	if (!n)
		return fail(why, "the other side closed the connection");
	c->in_end += (size_t)n;
	return 1;
}

int frames_next(struct frames *c, struct wire_frame *frame,
		const uint8_t **payload, struct failure *why)
{
	const uint8_t *p = c->in + c->in_begin;
	size_t have = c->in_end - c->in_begin;
	const char *fault;

	if (have < WIRE_FRAME_SIZE)
		return 0;
	if (wire_get_frame(frame, p, WIRE_FRAME_SIZE, &fault))
		return fail(why, "the other side broke the protocol: %s", fault);
	if (have < WIRE_FRAME_SIZE + (size_t)frame->length)
		return 0;

	*payload = p + WIRE_FRAME_SIZE;
	c->in_begin += WIRE_FRAME_SIZE + (size_t)frame->length;
	return 1;
}

size_t frames_room(const struct frames *c)
{
	size_t room = FRAMES_OUT_SIZE - (c->out_end - c->out_begin);

	if (c->link.fd < 0 || room <= WIRE_FRAME_SIZE + FRAMES_OUT_RESERVE)
		return 0;
	room -= WIRE_FRAME_SIZE + FRAMES_OUT_RESERVE;
	return room < WIRE_MAX_PAYLOAD ? room : WIRE_MAX_PAYLOAD;
}

int frames_queue(struct frames *c, enum wire_type type, const void *payload,
		 size_t len, struct failure *why)
{
	uint8_t *p;

	if (c->link.fd < 0)
		return fail(why, "there is no connection to the other side");
	if (FRAMES_OUT_SIZE - (c->out_end - c->out_begin) < WIRE_FRAME_SIZE + len ||
	    len > WIRE_MAX_PAYLOAD)
		return fail(why, "the other side does not take our messages");
	if (FRAMES_OUT_SIZE - c->out_end < WIRE_FRAME_SIZE + len)
		compact(c->out, &c->out_begin, &c->out_end);

	p = c->out + c->out_end;
	p += wire_put_frame(p, type, (uint32_t)len);
	if (len)
		memcpy(p, payload, len);
	c->out_end += WIRE_FRAME_SIZE + len;
	return 0;
}

int frames_flush(struct frames *c, struct failure *why)
{
	while (c->out_begin < c->out_end) {
		ssize_t n = connection_write(&c->link, c->out + c->out_begin,
					     c->out_end - c->out_begin);

		if (n >= 0)
			c->out_begin += (size_t)n;
		else if (errno == EAGAIN)
			return 0;
		else if (errno != EINTR)
			return fail(why, "cannot send to the other side: %s",
				    connection_fault(&c->link));
	}
	c->out_begin = 0;
	c->out_end = 0;
	return 1;
}

/* Sleeps until the socket can go on or @deadline passes. Returns 0, or -1. */
static int sleep_on(const struct frames *c, short events, int64_t deadline,
		    struct failure *why)
{
	struct pollfd p = { .fd = c->link.fd, .events = events };
	int left = clock_left(deadline);
	int n = poll(&p, 1, left);

	if (n < 0 && errno != EINTR)
		return fail(why, "cannot wait for the other side: %s",
			    strerror(errno));
	if (!n && !left)
		return fail(why, "the other side did not answer in time");
	return 0;
}

int frames_wait(struct frames *c, struct wire_frame *frame,
		const uint8_t **payload, int timeout_ms, struct failure *why)
{
	int64_t deadline = clock_ms() + timeout_ms;
	int n;

	while (!(n = frames_next(c, frame, payload, why))) {
		if (frames_flush(c, why) < 0 ||
		    sleep_on(c, frames_events(c), deadline, why) ||
		    frames_fill(c, why) < 0)
			return -1;
	}
	return n < 0 ? -1 : 0;
}

int frames_send(struct frames *c, enum wire_type type, const void *payload,
		size_t len, int timeout_ms, struct failure *why)
{
	int64_t deadline = clock_ms() + timeout_ms;
	int n;

	if (frames_queue(c, type, payload, len, why))
		return -1;
	while (!(n = frames_flush(c, why)))
		if (sleep_on(c, POLLOUT, deadline, why))
			return -1;
	return n < 0 ? -1 : 0;
}
