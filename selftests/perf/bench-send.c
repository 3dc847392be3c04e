// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the agent's sender costs: CPU time of its thread for each GiB, next to a thread that does
 * nothing but send the same bytes from the same ring, and one that does so without the kernel copying
 * them (MSG_ZEROCOPY). In turn, to a thread that throws away what it gets. A JSON object.
 *
 *	bench-send [NETNS ADDRESS]	where that thread listens: a file of a network namespace, an
 *					address there; on this host's loopback if not given
 */
#include "ram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ferry.h"
#include "sender.h"

#include "die.h"

#define PAGES	16384ul		/* 64 MiB */
#define RING	(16u << 20)
#define ROUNDS	4
#define AT_ONCE	(1u << 20)
#define ON_THE_WAY 4096u		/* calls whose bytes the kernel may still need */

enum way {
	SEND_ONLY,
	ZEROCOPY,
	AGENT,
	WAYS,
};

static struct ram ram;
static struct failure why;
static const char *netns, *address = "127.0.0.1";
static uint64_t notices, copied;	/* of zero copy: answers, and those that it was none */

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

static void enter(int fd)
{
	if (fd >= 0)
		must(setns(fd, CLONE_NEWNET));
}

/* A socket belongs to the namespace in which it was made. */
static int listen_there(struct sockaddr_in *at)
{
	int here = netns ? must(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) : -1;
	int there = netns ? must(open(netns, O_RDONLY | O_CLOEXEC)) : -1;
	socklen_t size = sizeof(*at);
	int listener;

	enter(there);
	listener = must(socket(AF_INET, SOCK_STREAM, 0));
	enter(here);
	*at = (struct sockaddr_in){ .sin_family = AF_INET };
	if (!inet_aton(address, &at->sin_addr))
		die("%s is no address", address);
	must(bind(listener, (struct sockaddr *)at, size));
	must(listen(listener, 1));
	must(getsockname(listener, (struct sockaddr *)at, &size));
	if (netns) {
		close(here);
		close(there);
	}
	return listener;
}

/* A socket whose other end a thread reads until it ends. */
static int sink(pthread_t *reader)
{
	struct sockaddr_in at;
	int listener = listen_there(&at), fd = must(socket(AF_INET, SOCK_STREAM, 0));

	must(connect(fd, (struct sockaddr *)&at, sizeof(at)));
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

/*
 * The ring's tail follows what the kernel does not need any more: all that the other side has.
 * @size of each call that may still be needed, in order; @first is the oldest of them.
 */
struct flight {
	size_t size[ON_THE_WAY];
	uint32_t first, next;
	size_t bytes;
};

/* Takes one answer of the kernel's. Returns the bytes it is about, 0 if there is none. */
static size_t landed(struct flight *f, int fd)
{
	char control[CMSG_SPACE(sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in))];
	struct msghdr m = { .msg_control = control, .msg_controllen = sizeof(control) };
	const struct sock_extended_err *e;
	size_t bytes = 0;

	if (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return 0;
	e = (const struct sock_extended_err *)CMSG_DATA(CMSG_FIRSTHDR(&m));
	if (e->ee_origin != SO_EE_ORIGIN_ZEROCOPY || e->ee_info != f->first)
		die("zero copy: not the answer that was due");
	notices++;
	copied += !!(e->ee_code & SO_EE_CODE_ZEROCOPY_COPIED);
	while (f->first != e->ee_data + 1)
		bytes += f->size[f->first++ % ON_THE_WAY];
	f->bytes -= bytes;
	return bytes;
}

/* The same without a copy. */
static void *send_zerocopy(void *opaque)
{
	struct sender *s = opaque;
	struct flight f = { .bytes = 0 };
	size_t length, done;

	must(setsockopt(s->link.fd, SOL_SOCKET, SO_ZEROCOPY, &(int){ 1 }, sizeof(int)));
	while (!atomic_load(&s->stop)) {
		const char *bytes = channel_bytes(&s->channel, &length);
		size_t left = length - f.bytes;
		struct pollfd p = { .fd = f.bytes ? s->link.fd : s->channel.fd,
				    .events = f.bytes ? 0 : POLLIN };
		ssize_t n = 0;

		if (left && f.next - f.first < ON_THE_WAY) {
			n = send(s->link.fd, bytes + f.bytes, left < AT_ONCE ? left : AT_ONCE,
				 MSG_ZEROCOPY | MSG_DONTWAIT);
			if (n > 0) {
				f.size[f.next++ % ON_THE_WAY] = n;
				f.bytes += n;
			} else if (errno == EAGAIN) {
				p.events |= POLLOUT;
			} else if (errno != ENOBUFS) {
				die("send: %s", strerror(errno));
			}
		}
		for (done = 0; (length = landed(&f, s->link.fd)); done += length)
			;
		if (done)
			channel_consume(&s->channel, done, 0, &s->why);
		atomic_fetch_add(&s->sent, done);
		if (n <= 0 && !done)
			poll(&p, 1, 100);
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
static uint64_t one_pass(enum way way, uint64_t *bytes)
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
	if (way == AGENT)
		agent_must(sender_start(&s, &why));
	else if (pthread_create(&s.thread, NULL, way == ZEROCOPY ? send_zerocopy : send_only, &s))
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

int main(int argc, char **argv)
{
	uint64_t ns[WAYS] = { 0 }, bytes[WAYS] = { 0 }, n, page;
	double per_gib[WAYS];
	unsigned int i;

	if (argc == 3) {
		netns = argv[1];
		address = argv[2];
	}
	ferry_load_module();
	ram_create(&ram, &(struct ram_spec){ .size = PAGES * RAM_PAGE });
	for (page = 0; page < PAGES; page++)
		*(uint64_t *)(ram.map + page * RAM_PAGE) = page + 1;
	for (i = 0; i < WAYS * ROUNDS; i++) {
		ns[i % WAYS] += one_pass(i % WAYS, &n);
		bytes[i % WAYS] += n;
	}
	for (i = 0; i < WAYS; i++)
		per_gib[i] = (double)ns[i] / 1e6 * (1 << 30) / (double)bytes[i];
	printf("{\"agent_ms_per_gib\": %.0f, \"send_only_ms_per_gib\": %.0f, \"ratio\": %.2f, "
	       "\"zerocopy_ms_per_gib\": %.0f, \"zerocopy_ratio\": %.2f, \"copied_all_the_same\": %.2f}\n",
	       per_gib[AGENT], per_gib[SEND_ONLY], per_gib[AGENT] / per_gib[SEND_ONLY],
	       per_gib[ZEROCOPY], per_gib[ZEROCOPY] / per_gib[SEND_ONLY],
	       notices ? (double)copied / (double)notices : 0);
	ram_destroy(&ram);
	return 0;
}
