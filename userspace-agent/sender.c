// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From the kernel's ring to a stream.
 *
 * The thread sleeps in two places: in poll() on the channel while there is nothing
 * to send, and in poll() on the stream while the network is the bottleneck.
 * Shutting the stream down ends both, as the stream is polled in both.
 */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "sender.h"

#define SEND_MAX	(1u << 20)	/* bytes at a time, so that room is given back early */
#define LOOK_US		8000		/* TCP's times are in ticks of 1 to 10 ms */

static void give_up(struct sender *s)
{
	if (atomic_load(&s->stop))
		return;
	atomic_store(&s->failed, true);
	eventfd_write(s->wake, 1);
}

/* Sends what it can. Returns bytes, 0 if the stream is full, or -1. */
static ssize_t send_some(struct sender *s, const void *bytes, size_t length)
{
	ssize_t n = connection_write(&s->link, bytes,
				     length < SEND_MAX ? length : SEND_MAX);

	if (n >= 0)
		return n;
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		return 0;
	return fail(&s->why, "a data stream broke: %s; see the target's messages",
		    connection_fault(&s->link));
}

/* For how long the network could have taken more, since the last answer but 0: "not told". */
static uint64_t idle_ns(struct sender *s)
{
	int64_t now = clock_us(), held, idle;

	if (now < s->looked_us + LOOK_US)
		return 0;
	held = connection_held_us(&s->link);
	idle = held < 0 ? 0 : now - s->looked_us - (held - s->held_us);
	s->looked_us = now;
	s->held_us = held;
	return idle > 0 ? (uint64_t)idle * 1000 : 1;
}

/* Returns 1 after sending something, 0 if it must wait, -1 on failure. */
static int move(struct sender *s, size_t *waiting)
{
	const void *bytes = channel_bytes(&s->channel, waiting);
	ssize_t n;

	if (!*waiting)
		return 0;
	n = send_some(s, bytes, *waiting);
	if (n <= 0)
		return (int)n;
	if (channel_consume(&s->channel, (size_t)n, idle_ns(s), &s->why))
		return -1;
	atomic_fetch_add(&s->sent, (unsigned long long)n);
	return 1;
}

/* Returns 0 to go on, -1 when the channel has ended or the stream has broken. */
static int wait_for(struct sender *s, bool full)
{
	struct pollfd p[2] = {
		{ .fd = s->link.fd, .events = full ? POLLOUT : 0 },
		{ .fd = full ? -1 : s->channel.fd, .events = POLLIN },
	};

	if (poll(p, 2, -1) < 0 && errno != EINTR)
		return fail(&s->why, "poll: %m");
	if (atomic_load(&s->stop))
		return -1;
	/* A hang-up with bytes left on the ring is not the end yet. */
	if ((p[1].revents & POLLHUP) && !(p[1].revents & POLLIN))
		return -1;
	if (!full && (p[0].revents & (POLLERR | POLLHUP)))
		return fail(&s->why, "the target closed a data stream; see its messages");
	return 0;
}

static void *run(void *opaque)
{
	struct sender *s = opaque;
	size_t waiting;
	int moved;

	do {
		moved = move(s, &waiting);
	} while (moved > 0 || (!moved && !wait_for(s, waiting > 0)));

	if (s->why.text[0])
		give_up(s);
	return NULL;
}

int sender_start(struct sender *s, struct failure *why)
{
	int error = pthread_create(&s->thread, NULL, run, s);

	if (error) {
		errno = error;
		return fail(why, "cannot start a thread: %m");
	}
	s->started = true;
	return 0;
}

void sender_stop(struct sender *s)
{
	atomic_store(&s->stop, true);
	if (s->link.fd >= 0)
		shutdown(s->link.fd, SHUT_RDWR);
	if (s->started)
		pthread_join(s->thread, NULL);
	s->started = false;
	channel_close(&s->channel);
	connection_close(&s->link);
}
