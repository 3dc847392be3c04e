// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * QEMU's migration stream on one side, frames on the other.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tunnel.h"

/* Less is not worth a frame: wait for more room. */
#define ROOM_WORTH_IT	4096u

int tunnel_open(struct tunnel *t, int *qemu, struct failure *why)
{
	int pair[2];

	t->fd = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return fail(why, "cannot make a channel for QEMU: %s", strerror(errno));

	/* Only our end is non-blocking: every read and write here says so. */
	t->fd = pair[0];
	t->begin = 0;
	t->end = 0;
	t->told_eof = false;
	t->saw_eof = false;
	t->sent = 0;
	t->received = 0;
	*qemu = pair[1];
	return 0;
}

void tunnel_close(struct tunnel *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

bool tunnel_is_full(const struct tunnel *t)
{
	return t->end > t->begin;
}

short tunnel_events(const struct tunnel *t, const struct frames *c)
{
	short events = 0;

	if (!t->saw_eof && frames_room(c) >= ROOM_WORTH_IT)
		events |= POLLIN;
	if (tunnel_is_full(t))
		events |= POLLOUT;
	return events;
}

/* To QEMU. Returns 0 also when it took nothing; it has closed when it cannot. */
static int push(struct tunnel *t, struct failure *why)
{
	while (tunnel_is_full(t)) {
		ssize_t n = send(t->fd, t->bytes + t->begin, t->end - t->begin,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0)
			t->begin += (size_t)n;
		else if (errno == EAGAIN)
			return 0;
		else if (errno == EPIPE || errno == ECONNRESET)
			t->begin = t->end;
		else if (errno != EINTR)
			return fail(why, "cannot write QEMU's migration stream: %s",
				    strerror(errno));
	}
	if (t->told_eof)
		shutdown(t->fd, SHUT_WR);
	return 0;
}

/* From QEMU, one frame. Returns 1 if there may be more, 0 if not, -1 on failure. */
static int pull(struct tunnel *t, struct frames *c, struct failure *why)
{
	uint8_t payload[WIRE_MAX_PAYLOAD];
	size_t room = frames_room(c);
	ssize_t n;

	if (t->saw_eof || room < ROOM_WORTH_IT)
		return 0;
	n = recv(t->fd, payload, room, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		/* A reset is an end too: QEMU has left bytes of ours unread. */
		t->saw_eof = true;
		return frames_queue(c, WIRE_DEVICE_EOF, NULL, 0, why);
	}
	t->sent += (uint64_t)n;
	return frames_queue(c, WIRE_DEVICE, payload, (size_t)n, why) ? -1 : 1;
}

int tunnel_move(struct tunnel *t, struct frames *c, struct failure *why)
{
	int more;

	if (push(t, why))
		return -1;
	do {
		more = pull(t, c, why);
	} while (more > 0);
	return more;
}

int tunnel_deliver(struct tunnel *t, const uint8_t *payload, size_t len,
		   struct failure *why)
{
	if (t->told_eof)
		return fail(why, "the other side broke the protocol: DEVICE after "
			    "DEVICE_EOF");
	memcpy(t->bytes, payload, len);
	t->begin = 0;
	t->end = len;
	t->received += len;
	return push(t, why);
}

int tunnel_deliver_eof(struct tunnel *t, struct failure *why)
{
	if (t->told_eof)
		return fail(why, "the other side broke the protocol: DEVICE_EOF twice");
	t->told_eof = true;
	return push(t, why);
}
