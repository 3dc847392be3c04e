/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sender: the thread that moves the bytes of one channel from the kernel's ring
 * to one stream, without looking at them.
 */
#ifndef KVMFERRY_SENDER_H
#define KVMFERRY_SENDER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "connection.h"
#include "kernel.h"

struct sender {
	struct channel channel;
	struct connection link;	/* owned */
	int wake;		/* an eventfd, written to when the thread fails */
	bool started;
	pthread_t thread;
	atomic_bool stop;
	atomic_bool failed;	/* @why may be read once this is set */
	atomic_ullong sent;	/* bytes that the stream has taken */
	int64_t looked_us;	/* when idle_ns() last looked, see clock_us() */
	int64_t held_us;	/* what connection_held_us() was then */
	struct failure why;
};

/**
 * sender_start - start the thread
 * @s:		with @channel, @link and @wake filled in
 *
 * Returns 0, or -1 with @why. sender_stop() is right after either.
 */
int sender_start(struct sender *s, struct failure *why);

/**
 * sender_stop - end the thread and close channel and stream
 *
 * Also when the thread is stuck in a stream that nobody reads. What was on the
 * ring and not sent is lost.
 */
void sender_stop(struct sender *s);

#endif /* KVMFERRY_SENDER_H */
