// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How the peers of the fuzzers talk.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "peer.h"
#include "wire.h"

void peer_say(int fd, const void *bytes, size_t length)
{
	if (fd >= 0 && send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

void peer_say_frame(int fd, const struct script_step *step)
{
	uint8_t header[WIRE_FRAME_SIZE];

	if (!step->length)
		return;
	wire_put_frame(header, step->bytes[0], (uint32_t)step->length - 1);
	peer_say(fd, header, sizeof(header));
	peer_say(fd, step->bytes + 1, step->length - 1);
}

/* Exactly so many bytes, or false. */
static bool hear(int fd, uint8_t *bytes, size_t length, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (length) {
		ssize_t n;

		if (poll(&p, 1, timeout_ms) <= 0)
			return false;
		n = recv(fd, bytes, length, MSG_DONTWAIT);
		if (n <= 0)
			return false;
		bytes += n;
		length -= (size_t)n;
	}
	return true;
}

void peer_hear_frame(int fd, int *patience)
{
	uint8_t header[WIRE_FRAME_SIZE], payload[WIRE_MAX_PAYLOAD];
	int64_t deadline = clock_ms() + *patience;
	struct wire_frame frame;
	const char *why;

	if (fd >= 0 && hear(fd, header, sizeof(header), *patience)) {
		/* What an agent says is a frame. */
		if (wire_get_frame(&frame, header, sizeof(header), &why))
			abort();
		hear(fd, payload, frame.length, *patience);
	}
	*patience = clock_left(deadline);
}

void peer_drain(int fd)
{
	char bytes[4096];

	while (fd >= 0 && recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

void peer_shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void peer_ring(int fd)
{
	if (write(fd, &(uint64_t){ 1 }, 8) != 8)
		abort();
}

static sigset_t term(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	return set;
}

void peer_signals_begin(void)
{
	sigset_t set = term();

	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void peer_signals_end(void)
{
	const struct timespec now = { 0 };
	sigset_t set = term();

	while (sigtimedwait(&set, NULL, &now) > 0)
		;
}
