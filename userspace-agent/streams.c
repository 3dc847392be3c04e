// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One thread for each data stream.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "streams.h"

/* Room for the beginning of a record and a big read behind it. */
#define BUFFER_SIZE	(256u << 10)
#define STACK_SIZE	(256u << 10)

_Static_assert(BUFFER_SIZE >= 2 * APPLY_RECORD_MAX, "a record fits, and another");

/*
 * One stream. The thread alone uses @buffer; @state and @why are guarded by the
 * lock of struct streams, @bytes is atomic.
 */
struct stream {
	struct streams *all;
	unsigned int number;
	struct connection link;
	pthread_t thread;
	uint64_t bytes;
	enum streams_state state;
	struct failure why;
	uint8_t buffer[BUFFER_SIZE];
};

/* All threads and their maker meet at @gate twice: when all are there, and to begin. */
struct streams {
	struct apply *apply;
	unsigned int n;
	int wake;
	pthread_barrier_t gate;
	pthread_mutex_t lock;
	struct stream *stream[FERRY_MAX_CHANNELS];
};

/* Waits for bytes. Returns how many came, 0 at the end, -1 with @why. */
static ssize_t receive(struct stream *s, size_t used, struct failure *why)
{
	struct pollfd p = { .fd = s->link.fd, .events = POLLIN };
	ssize_t n;

	for (;;) {
		n = connection_read(&s->link, s->buffer + used, BUFFER_SIZE - used);
		if (n >= 0)
			return n;
		if (errno == EAGAIN)
			poll(&p, 1, -1);
		else if (errno != EINTR)
			return fail(why, "stream %u: the connection broke: %s",
				    s->number, connection_fault(&s->link));
	}
}

/* From the first byte to the last. Returns how the stream ended. */
static enum streams_state pump(struct stream *s, struct failure *why)
{
	struct apply_stream *apply = apply_stream(s->all->apply, s->number);
	size_t used = 0;
	ssize_t n;

	while ((n = receive(s, used, why)) > 0) {
		__atomic_fetch_add(&s->bytes, (uint64_t)n, __ATOMIC_RELAXED);
		used += (size_t)n;
		n = apply_stream_feed(apply, s->buffer, used, why);
		if (n < 0)
			return STREAMS_FAILED;
		used -= (size_t)n;
		memmove(s->buffer, s->buffer + n, used);
	}
	if (!n)
		fail(why, "stream %u: the other side closed it%s", s->number,
		     used ? " in the middle of a record" : "");
	return STREAMS_CLOSED;
}

static void *stream_thread(void *arg)
{
	struct stream *s = arg;
	struct failure why = { 0 };
	enum streams_state state;
	ssize_t n;

	pthread_barrier_wait(&s->all->gate);
	pthread_barrier_wait(&s->all->gate);
	state = pump(s, &why);
	pthread_mutex_lock(&s->all->lock);
	s->state = state;
	s->why = why;
	pthread_mutex_unlock(&s->all->lock);

	n = write(s->all->wake, &(uint64_t){ 1 }, 8);
	(void)n;	/* it cannot fail short of 2^64 wake-ups */
	return NULL;
}

static int start_thread(struct stream *s)
{
	pthread_attr_t attr;
	int error;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	error = pthread_create(&s->thread, &attr, stream_thread, s);
	pthread_attr_destroy(&attr);
	return error;
}

static int add_stream(struct streams *all, unsigned int number,
		      const struct connection *link, struct failure *why)
{
	struct stream *s = calloc(1, sizeof(*s));
	int error;

	if (!s)
		return fail(why, "not enough memory for stream %u", number);
	s->all = all;
	s->number = number;
	s->link = *link;
	all->stream[number] = s;
	error = start_thread(s);
	return !error ? 0 : fail(why, "cannot start a thread for stream %u: %s", number,
				 strerror(error));
}

struct streams *streams_create(struct apply *apply, const struct connection *link,
			       unsigned int n, int wake, struct failure *why)
{
	struct streams *s = calloc(1, sizeof(*s));

	if (!s) {
		fail(why, "not enough memory to receive RAM");
		return NULL;
	}
	s->apply = apply;
	s->n = n;
	s->wake = wake;
	pthread_mutex_init(&s->lock, NULL);
	pthread_barrier_init(&s->gate, NULL, n + 1);
	for (unsigned int i = 0; i < n; i++)
		if (add_stream(s, i, &link[i], why))
			return NULL;
	pthread_barrier_wait(&s->gate);
	return s;
}

void streams_go(struct streams *s)
{
	pthread_barrier_wait(&s->gate);
}

enum streams_state streams_state(struct streams *all, struct failure *why)
{
	enum streams_state worst = STREAMS_FLOW;

	pthread_mutex_lock(&all->lock);
	for (unsigned int i = 0; i < all->n; i++) {
		const struct stream *s = all->stream[i];

		if (s->state <= worst)
			continue;
		worst = s->state;
		*why = s->why;
	}
	pthread_mutex_unlock(&all->lock);
	return worst;
}

uint64_t streams_bytes(const struct streams *all)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < all->n; i++)
		bytes += __atomic_load_n(&all->stream[i]->bytes, __ATOMIC_RELAXED);
	return bytes;
}
