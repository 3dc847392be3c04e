// SPDX-License-Identifier: GPL-2.0-or-later
/* The cases of a hostile target: what a `kvmferry send` may have to deal with. */
#include "hostile.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int take_one(void)
{
	uint8_t preamble[WIRE_PREAMBLE_SIZE];
	struct pollfd p = { .fd = listener, .events = POLLIN };
	int fd;

	if (poll(&p, 1, PATIENCE_MS) != 1)
		die(2, "nobody comes");
	fd = accept(listener, NULL, NULL);
	if (fd < 0 || !get(fd, preamble, sizeof(preamble)))
		die(2, "accept");
	return fd;
}

/* The source's HELLO has come. */
static void meet(void)
{
	control = take_one();
	if (get_frame(control) != WIRE_HELLO)
		die(2, "no HELLO");
}

static void put_ready(void)
{
	uint8_t ready[WIRE_READY_SIZE];

	put_frame(control, WIRE_READY, ready, wire_put_ready(ready, 1u << FERRY_CODEC_NONE));
}

static void get_ready(void)
{
	meet();
	put_ready();
	for (unsigned int i = 0; i < STREAMS; i++)
		stream[i] = take_one();
}

/* Takes records of all streams until the control connection has something to say. */
static void swallow(void)
{
	static char bin[1 << 16];
	struct pollfd p[STREAMS + 1];

	for (;;) {
		for (int i = 0; i < STREAMS; i++)
			p[i] = (struct pollfd){ stream[i], POLLIN, 0 };
		p[STREAMS] = (struct pollfd){ control, POLLIN, 0 };
		if (poll(p, STREAMS + 1, PATIENCE_MS) < 1)
			die(1, "the other side says nothing");
		if (p[STREAMS].revents)
			return;
		for (int i = 0; i < STREAMS; i++)
			if (p[i].revents && recv(stream[i], bin, sizeof(bin), 0) <= 0)
				stream[i] = -1;
	}
}

static void t_close(void)
{
	close(take_one());
	puts("closed");
}

static void t_noise(void)
{
	control = take_one();
	put_noise(control, 50000);
	wait_end(control);
}

static void t_silent(void)
{
	meet();
	wait_end(control);
}

static void t_abort(void)
{
	meet();
	put_frame(control, WIRE_ABORT, "go\033[2J\naway", 11);
	wait_end(control);
}

static void t_frame_type(void)
{
	meet();
	put_frame(control, 99, "", 0);
	wait_end(control);
}

static void t_frame_huge(void)
{
	uint8_t out[8];

	meet();
	put(control, out, wire_put_frame(out, WIRE_READY, 1 << 30));
	wait_end(control);
}

static void t_running(void)
{
	meet();
	put_frame(control, WIRE_RUNNING, "", 0);
	wait_end(control);
}

static void t_ready_twice(void)
{
	get_ready();
	put_ready();
	swallow();
	wait_end(control);
}

/* Takes records up to the end of a pass. False: the stream has ended. */
static bool take_pass(int fd, struct wire_record *r)
{
	uint8_t bytes[sizeof(struct ferry_record)];
	const char *why;

	do {
		if (!get(fd, bytes, sizeof(bytes)) ||
		    wire_get_record(r, bytes, &why) ||
		    !get(fd, content, wire_padded(r->length)))
			return false;
	} while (r->type != FERRY_RECORD_PASS_END);
	return true;
}

/* Digests of each pass that are not those of the VM's RAM. */
static void t_digest(void)
{
	struct wire_digests d = { .rams = 1 };
	uint8_t out[WIRE_DIGESTS_MAX];
	struct wire_record r;

	get_ready();
	memset(d.digest[0], 0x55, FERRY_HASH_SIZE);
	while (take_pass(stream[0], &r) && take_pass(stream[1], &r)) {
		d.pass = r.page;
		put_frame(control, WIRE_PASS_DONE, out,
			  (uint32_t)wire_put_digests(out, &d));
	}
	wait_end(control);
}

/* Digests of a pass that nobody has asked for. */
static void t_digest_early(void)
{
	struct wire_digests d = { .rams = 1, .pass = 30 };
	uint8_t out[WIRE_DIGESTS_MAX];

	get_ready();
	put_frame(control, WIRE_PASS_DONE, out, (uint32_t)wire_put_digests(out, &d));
	swallow();
	wait_end(control);
}

/* Digests of RAM read anew, which nobody has asked for. */
static void t_verified_early(void)
{
	struct wire_digests d = { .rams = 1 };
	uint8_t out[WIRE_DIGESTS_MAX];

	get_ready();
	put_frame(control, WIRE_VERIFIED, out, (uint32_t)wire_put_digests(out, &d));
	swallow();
	wait_end(control);
}

/* It guards what is in doubt, before it was told of anything. */
static void t_guarded_early(void)
{
	get_ready();
	put_frame(control, WIRE_GUARDED, "", 0);
	swallow();
	wait_end(control);
}

static void t_digest_rams(void)
{
	struct wire_digests d = { .rams = 3, .pass = 1 };
	uint8_t out[WIRE_DIGESTS_MAX];

	get_ready();
	put_frame(control, WIRE_PASS_DONE, out, (uint32_t)wire_put_digests(out, &d));
	swallow();
	wait_end(control);
}

/* Takes the streams and never reads them: the rings fill up. */
static void t_stall(void)
{
	get_ready();
	wait_end(control);
}

static void t_stream_close(void)
{
	get_ready();
	close(stream[1]);
	stream[1] = -1;
	swallow();
	wait_end(control);
}

static void t_hang_up(void)
{
	get_ready();
	for (int i = 0; i < STREAMS; i++)
		close(stream[i]);
	close(control);
	puts("closed");
}

#define T(name) { #name, t_##name }

const struct play target_plays[] = {
	T(close), T(noise), T(silent), T(abort), T(frame_type), T(frame_huge),
	T(running), T(ready_twice), T(digest), T(digest_early), T(digest_rams), T(verified_early),
	T(guarded_early), T(stall), T(stream_close), T(hang_up),
	{},
};
