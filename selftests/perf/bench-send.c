// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the agent's sender costs: CPU time of its thread for each GiB, next to a thread that does
 * nothing but send the same bytes from the same ring. In turn, to a thread that throws away what
 * it gets. A JSON object.
 */
#include "ram.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ferry.h"
#include "sender.h"

#include "die.h"

#define PAGES	32768ul		/* 128 MiB */
#define RING	(16u << 20)
#define ROUNDS	4
#define AT_ONCE	(1u << 20)

static struct ram ram;
static struct failure why;

#define agent_must(call) do { if (call) die("%s", why.text); } while (0)

static void *read_on(void *opaque)
{
	static char buffer[1 << 20];
	int fd = (intptr_t)opaque;

	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
	close(fd);
	return NULL;
}

/* A socket whose other end a thread reads until it ends. */
static int sink(pthread_t *reader)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int listener = must(socket(AF_INET, SOCK_STREAM, 0)), fd = must(socket(AF_INET, SOCK_STREAM, 0));

	must(bind(listener, (struct sockaddr *)&address, size));
	must(listen(listener, 1));
	must(getsockname(listener, (struct sockaddr *)&address, &size));
	must(connect(fd, (struct sockaddr *)&address, sizeof(address)));
	if (pthread_create(reader, NULL, read_on, (void *)(intptr_t)must(accept(listener, NULL, NULL))))
		die("no thread");
	close(listener);
	return fd;
}

/* Nothing but what has to be done. */
static void *send_only(void *opaque)
{
	struct sender *s = opaque;
	struct pollfd p = { .fd = s->channel.fd, .events = POLLIN };
	const void *bytes;
	size_t length;
	ssize_t n;

	while (!atomic_load(&s->stop)) {
		bytes = channel_bytes(&s->channel, &length);
		if (!length) {
			poll(&p, 1, 100);
			continue;
		}
		n = must(send(s->link.fd, bytes, length < AT_ONCE ? length : AT_ONCE, 0));
		channel_consume(&s->channel, n, 0, &s->why);
		atomic_fetch_add(&s->sent, n);
	}
	return NULL;
}

static uint64_t cpu_ns(pthread_t thread)
{
	struct timespec t;
	clockid_t clock;

	if (pthread_getcpuclockid(thread, &clock) || clock_gettime(clock, &t))
		die("no CPU clock");
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* All of RAM once. Returns nanoseconds of CPU time, and the bytes. */
static uint64_t one_pass(bool agent, uint64_t *bytes)
{
	struct ramblock block = { .address = (uintptr_t)ram.map, .size = ram.size, .fd = ram.fd };
	uint8_t key[FERRY_KEY_SIZE] = { 1 };
	struct kernel_counts counts;
	pthread_t reader;
	struct sender s = { .link.fd = sink(&reader) };
	struct kernel kernel;
	uint64_t pass, ns;

	snprintf(block.path, sizeof(block.path), "%s", ram.path);
	agent_must(kernel_open(&kernel, &why));
	agent_must(kernel_attach(&kernel, getpid(), 1 << FERRY_CODEC_NONE, key, &why));
	agent_must(kernel_add_ram(&kernel, 0, &block, &why));
	agent_must(kernel_add_channel(&kernel, RING, &s.channel, &why));
	s.wake = must(eventfd(0, 0));
	if (agent)
		agent_must(sender_start(&s, &why));
	else if (pthread_create(&s.thread, NULL, send_only, &s))
		die("no thread");
	agent_must(kernel_pass(&kernel, false, &pass, &why));
	do {
		usleep(20000);
		agent_must(kernel_counts(&kernel, false, &counts, &why));
	} while (counts.status.state == FERRY_STATE_PASS || counts.compression.waiting);
	ns = cpu_ns(s.thread);
	*bytes = atomic_load(&s.sent);
	s.started = true;
	sender_stop(&s);
	kernel_close(&kernel);
	close(s.wake);
	pthread_join(reader, NULL);
	return ns;
}

int main(void)
{
	uint64_t ns[2] = { 0 }, bytes[2] = { 0 }, n, page;
	double per_gib[2];
	unsigned int i;

	ferry_load_module();
	ram_create(&ram, &(struct ram_spec){ .size = PAGES * RAM_PAGE });
	for (page = 0; page < PAGES; page++)
		*(uint64_t *)(ram.map + page * RAM_PAGE) = page + 1;
	for (i = 0; i < 2 * ROUNDS; i++) {
		ns[i % 2] += one_pass(i % 2, &n);
		bytes[i % 2] += n;
	}
	for (i = 0; i < 2; i++)
		per_gib[i] = (double)ns[i] / 1e6 * (1 << 30) / (double)bytes[i];
	printf("{\"agent_ms_per_gib\": %.0f, \"send_only_ms_per_gib\": %.0f, \"ratio\": %.2f}\n",
	       per_gib[1], per_gib[0], per_gib[1] / per_gib[0]);
	ram_destroy(&ram);
	return 0;
}
