// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where RAM lands.
 */
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "landing.h"

#define GRACE	1000	/* ms for the source to say why it closed a stream */

int landing_open(struct landing *l, const struct wire_hello *hello, int wake,
		 struct failure *why)
{
	l->rams = hello->rams;
	l->n = hello->streams;
	l->wake = wake;
	memcpy(l->key, hello->key, sizeof(l->key));

	if (landing_empty(l, why))
		return -1;
	l->apply = apply_create(l->ram, l->rams, l->n, l->key, wake, why);
	if (!l->apply)
		return -1;
	l->streams = streams_create(l->apply, l->n, wake);
	return l->streams ? 0 : fail(why, "not enough memory to receive RAM");
}

bool landing_take_pass(struct landing *l, struct wire_digests *digests)
{
	if (!apply_take_pass(l->apply, digests, &l->final))
		return false;
	if (l->final)
		l->final_at = clock_us();
	return true;
}

int landing_verify(struct landing *l, struct failure *why)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int threads = l->n;

	if (l->verify || !l->final)
		return fail(why, "the source wants RAM verified at the wrong time");
	if (cpus > 0 && threads > (unsigned int)cpus)
		threads = (unsigned int)cpus;
	l->verify = verify_start(l->ram, l->rams, threads, l->key, l->wake, why);
	return l->verify ? 0 : -1;
}

int landing_take_verify(struct landing *l, struct wire_digests *digests,
			struct failure *why)
{
	int done;

	if (!l->verify)
		return 0;
	done = verify_result(l->verify, digests, why);
	if (done > 0) {
		verify_destroy(l->verify);
		l->verify = NULL;
	}
	return done;
}

int landing_check(struct landing *l, struct failure *why)
{
	struct failure reason = { 0 };

	switch (streams_state(l->streams, &reason)) {
	case STREAMS_FLOW:
		return 0;
	case STREAMS_CLOSED:
		if (l->final)
			return 0;
		if (!l->closed_by)
			l->closed_by = clock_ms() + GRACE;
		if (clock_left(l->closed_by))
			return 0;
		break;
	case STREAMS_FAILED:
		break;
	}
	return fail(why, "%s", reason.text);
}

void landing_close(struct landing *l)
{
	verify_destroy(l->verify);
	streams_destroy(l->streams);
	apply_destroy(l->apply);
	l->verify = NULL;
	l->streams = NULL;
	l->apply = NULL;
}

int landing_empty(const struct landing *l, struct failure *why)
{
	for (unsigned int i = 0; i < l->rams; i++)
		if (apply_punch(&l->ram[i], why))
			return -1;
	return 0;
}
