// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The inside of the decoder.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fault.h"
#include "inmate.h"
#include "sandbox.h"

#define TICK	250	/* ms between signs of life */

/* Of its own: what every process has, and what each stream may take (a window of zstd, most of it). */
#define MEMORY_BASE	((uint64_t)64 << 20)
#define MEMORY_STREAM	((uint64_t)48 << 20)

/**
 * struct inmate - all that a decoder knows
 * @parent:	our end of the pair
 * @wake:	an eventfd, for the threads
 * @told:	the last report
 * @state:	the worst that was told of the streams
 */
struct inmate {
	int parent;
	int wake;
	struct apply *apply;
	struct streams *streams;
	struct cell_report told;
	enum streams_state state;
};

/* Nobody listens any more, or nothing can be said: that is the end of it. */
static void tell(struct inmate *i, struct cell_report *r)
{
	r->bytes = i->streams ? streams_bytes(i->streams) : 0;
	r->pages = i->apply ? apply_pages(i->apply) : 0;
	if (send(i->parent, r, sizeof(*r), MSG_NOSIGNAL) != sizeof(*r))
		_exit(EXIT_FAILURE);
	i->told = *r;
}

static void tell_state(struct inmate *i, enum cell_report_type type, const struct failure *why)
{
	struct cell_report r = { .type = type, .pass = i->told.pass };

	memcpy(r.text, why->text, sizeof(r.text));
	tell(i, &r);
}

static void tell_passes(struct inmate *i)
{
	struct wire_digests digests;
	bool final;

	while (apply_take_pass(i->apply, &digests, &final)) {
		struct cell_report r = {
			.type = REPORT_PASS, .final = final, .pass = digests.pass,
		};

		memcpy(r.digest, digests.digest, sizeof(r.digest));
		tell(i, &r);
	}
}

static void tell_streams(struct inmate *i)
{
	struct failure why = { 0 };
	enum streams_state state = streams_state(i->streams, &why);

	if (state <= i->state)
		return;
	i->state = state;
	tell_state(i, state == STREAMS_FAILED ? REPORT_FAILED : REPORT_CLOSED, &why);
}

static void tell_counts(struct inmate *i)
{
	struct cell_report r = { .type = REPORT_COUNTS, .pass = i->told.pass };

	if (streams_bytes(i->streams) != i->told.bytes)
		tell(i, &r);
}

/* ------------------------------------------------------------------------
 * In the middle of a migration, in test builds
 * ------------------------------------------------------------------------ */

/* It was not stopped; that the attempt came to nothing for another reason may be seen from errno. */
static void tell_attempt(struct inmate *i, const char *what, long result)
{
	struct failure why = { 0 };

	fail(&why, "the decoder was let: %s: %s", what, result < 0 ? strerror(errno) : "done");
	tell_state(i, REPORT_FAILED, &why);
}

static void misbehave(struct inmate *i)
{
	struct sockaddr_in there = {
		.sin_family = AF_INET, .sin_port = 1, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	char *const nothing[] = { NULL };
	struct cell_report lie = { .type = REPORT_PASS, .pass = i->told.pass + 7 };

	if (fault("decoder-open"))
		tell_attempt(i, "open", open("/", O_RDONLY));
	if (fault("decoder-exec"))
		tell_attempt(i, "exec", execve("/bin/true", nothing, nothing));
	if (fault("decoder-connect"))
		tell_attempt(i, "connect", connect(i->parent, (void *)&there, sizeof(there)));
	if (fault("decoder-ptrace"))
		tell_attempt(i, "ptrace", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	if (fault("decoder-lies"))
		tell(i, &lie);
}

/* ------------------------------------------------------------------------
 * Its life
 * ------------------------------------------------------------------------ */

static int go_inside(const struct inmate *i, const struct cell_work *work,
		     struct failure *why)
{
	int keep[FERRY_MAX_RAM + FERRY_MAX_CHANNELS + 2];
	struct sandbox s = {
		.keep = keep, .memory = MEMORY_BASE + work->n * MEMORY_STREAM,
	};

	keep[s.count++] = i->parent;
	keep[s.count++] = i->wake;
	for (unsigned int n = 0; n < work->n; n++)
		keep[s.count++] = work->link[n].fd;
	for (unsigned int n = 0; n < work->rams; n++) {
		const struct apply_ram *ram = &work->ram[n];

		keep[s.count++] = ram->fd;
		if (s.file_end < ram->offset + ram->size)
			s.file_end = ram->offset + ram->size;
	}
	return sandbox_enter(&s, why);
}

static int begin(struct inmate *i, const struct cell_work *work, struct failure *why)
{
	prctl(PR_SET_NAME, "ferry-decoder", 0, 0, 0);
	work->forget(work->opaque);
	i->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (i->wake < 0)
		return fail(why, "cannot make an eventfd: %s", strerror(errno));
	if (go_inside(i, work, why))
		return -1;
	i->apply = apply_create(work->ram, work->rams, work->n, work->key, i->wake, why);
	if (!i->apply)
		return -1;
	i->streams = streams_create(i->apply, work->link, work->n, i->wake, why);
	if (!i->streams)
		return -1;
	return fault("decoder-unsealed") ? 0 : sandbox_seal(why);
}

static void step(struct inmate *i)
{
	struct pollfd p[] = {
		{ .fd = i->wake, .events = POLLIN },
		{ .fd = i->parent, .events = 0 },
	};
	uint64_t count;

	poll(p, 2, TICK);
	if (p[1].revents)
		_exit(EXIT_SUCCESS);
	if (p[0].revents && read(i->wake, &count, sizeof(count)) < 0)
		_exit(EXIT_FAILURE);
	if (i->told.bytes)
		misbehave(i);
	/* Passes first: one that has ended is not undone by how its stream ended. */
	tell_passes(i);
	tell_streams(i);
	tell_counts(i);
}

void inmate_run(const struct cell_work *work, int parent)
{
	struct inmate i = { .parent = parent, .wake = -1 };
	struct failure why = { 0 };

	if (begin(&i, work, &why)) {
		tell_state(&i, REPORT_FAILED, &why);
		_exit(EXIT_FAILURE);
	}
	streams_go(i.streams);
	for (;;)
		step(&i);
}
