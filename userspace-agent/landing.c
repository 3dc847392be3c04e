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

	for (unsigned int i = 0; i < FERRY_MAX_CHANNELS; i++)
		l->link[i] = CONNECTION_CLOSED;
	return landing_empty(l, why);
}

int landing_add_stream(struct landing *l, unsigned int number, struct connection *link,
		       struct failure *why)
{
	if (number >= l->n || l->connected & 1u << number) {
		connection_close(link);
		return fail(why, "stream %u is not expected", number);
	}
	l->connected |= 1u << number;
	l->link[number] = *link;
	*link = CONNECTION_CLOSED;
	return 0;
}

bool landing_is_ready(const struct landing *l)
{
	return l->connected == (1u << l->n) - 1;
}

static void close_streams(struct landing *l)
{
	for (unsigned int i = 0; i < l->n; i++)
		connection_close(&l->link[i]);
}

int landing_start(struct landing *l, void (*forget)(void *opaque), void *opaque,
		  struct failure *why)
{
	const struct cell_work work = {
		.ram = l->ram, .rams = l->rams, .link = l->link, .n = l->n, .key = l->key,
		.forget = forget, .opaque = opaque,
	};

	return cell_start(&l->cell, &work, why);
}

uint64_t landing_bytes(const struct landing *l)
{
	return l->cell.last.bytes;
}

bool landing_take_pass(struct landing *l, struct wire_digests *digests)
{
	const struct cell_report *r = &l->cell.last;

	if (!cell_take_pass(&l->cell))
		return false;
	*digests = (struct wire_digests){ .pass = r->pass, .rams = l->rams };
	memcpy(digests->digest, r->digest, l->rams * sizeof(r->digest[0]));
	l->final = r->final;
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
	switch (l->cell.state) {
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
	return fail(why, "%s", l->cell.why.text);
}

void landing_close(struct landing *l)
{
	verify_destroy(l->verify);
	l->verify = NULL;
	close_streams(l);
	cell_stop(&l->cell);
}

int landing_empty(const struct landing *l, struct failure *why)
{
	for (unsigned int i = 0; i < l->rams; i++)
		if (apply_punch(&l->ram[i], why))
			return -1;
	return 0;
}
