// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A peer that does not play by the rules.
 *
 *	hostile source HOST:PORT CASE RAM SIZE	bothers a `kvmferry receive`
 *	hostile target HOST:PORT CASE RAM SIZE	waits for a `kvmferry send`, to bother it
 *	hostile list source|target		names of the cases
 *
 * RAM and SIZE are the id and the bytes of the VM's one RAM block. Prints the other
 * side's ABORT ("abort: TEXT") or "closed", as that is all it can tell, and ends
 * with status 0 if the case was played to its end; 1 if the other side still sits
 * there after PATIENCE_MS; 2 if it was never there.
 */
#include "hostile.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

const char *ram_name;
uint64_t ram_size;
int listener = -1, control = -1;
int stream[FERRY_MAX_CHANNELS];
uint8_t content[FERRY_RECORD_MAX_PAGES * FERRY_PAGE_SIZE];

static const char *where;	/* HOST:PORT */
static const uint8_t id[WIRE_ID_SIZE] = "hostile peer";

void die(int status, const char *what)
{
	fprintf(stderr, "hostile: %s: %s\n", what, strerror(errno));
	exit(status);
}

static struct addrinfo *resolve(int flags)
{
	static char host[64];
	struct addrinfo hints = {
		.ai_family = AF_INET, .ai_socktype = SOCK_STREAM,
		.ai_flags = flags | AI_NUMERICHOST | AI_NUMERICSERV,
	};
	struct addrinfo *list;
	char *colon;

	snprintf(host, sizeof(host), "%s", where);
	colon = strrchr(host, ':');
	if (!colon)
		die(2, "HOST:PORT");
	*colon = '\0';
	if (getaddrinfo(host, colon + 1, &hints, &list))
		die(2, where);
	return list;
}

int dial(void)
{
	struct addrinfo *a = resolve(0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen))
		die(2, where);
	freeaddrinfo(a);
	return fd;
}

static int serve(void)
{
	struct addrinfo *a = resolve(AI_PASSIVE);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, 16))
		die(2, where);
	freeaddrinfo(a);
	return fd;
}

void put(int fd, const void *bytes, size_t len)
{
	const char *p = bytes;
	ssize_t n;

	while (len && (n = send(fd, p, len, MSG_NOSIGNAL)) > 0) {
		p += n;
		len -= (size_t)n;
	}
}

bool get(int fd, void *bytes, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char *to = bytes;
	ssize_t n;

	while (len) {
		if (poll(&p, 1, PATIENCE_MS) != 1)
			die(1, "the other side says nothing");
		n = recv(fd, to, len, 0);
		if (n <= 0)
			return false;
		to += n;
		len -= (size_t)n;
	}
	return true;
}

void put_preamble(int fd, enum wire_kind kind, unsigned int channel)
{
	struct wire_preamble p = {
		.version = WIRE_VERSION, .kind = kind, .channel = channel,
	};
	uint8_t out[WIRE_PREAMBLE_SIZE];

	memcpy(p.id, id, sizeof(id));
	put(fd, out, wire_put_preamble(out, &p));
}

void put_frame(int fd, unsigned int type, const void *payload, uint32_t len)
{
	uint8_t out[WIRE_FRAME_SIZE];

	put(fd, out, wire_put_frame(out, (enum wire_type)type, len));
	put(fd, payload, len);
}

void put_noise(int fd, size_t len)
{
	uint8_t noise[4096];

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)random();
	for (; len > sizeof(noise); len -= sizeof(noise))
		put(fd, noise, sizeof(noise));
	put(fd, noise, len);
}

unsigned int get_frame(int fd)
{
	static uint8_t payload[WIRE_MAX_PAYLOAD];
	uint8_t in[WIRE_FRAME_SIZE];
	char text[WIRE_TEXT_SIZE];
	struct wire_frame frame;
	const char *why;

	if (!get(fd, in, sizeof(in)) || wire_get_frame(&frame, in, sizeof(in), &why) ||
	    !get(fd, payload, frame.length))
		return 0;
	if (frame.type == WIRE_ABORT) {
		wire_get_text(text, payload, frame.length);
		printf("abort: %s\n", text);
	}
	return frame.type;
}

void wait_end(int fd)
{
	unsigned int type;

	do {
		type = get_frame(fd);
	} while (type && type != WIRE_ABORT);
	if (!type)
		puts("closed");
}

static int list(const struct play *play)
{
	for (; play->name; play++)
		puts(play->name);
	return 0;
}

/* The cases of a side, none if there is no such side. */
static const struct play *plays_of(const char *side)
{
	static const struct play none[] = { {} };

	if (!strcmp(side, "source"))
		return source_plays;
	return strcmp(side, "target") ? none : target_plays;
}

int main(int argc, char **argv)
{
	const struct play *play;

	if (argc == 3 && !strcmp(argv[1], "list"))
		return list(plays_of(argv[2]));
	if (argc != 6) {
		fprintf(stderr, "usage: hostile source|target HOST:PORT CASE RAM SIZE\n");
		return 2;
	}
	where = argv[2];
	ram_name = argv[4];
	ram_size = strtoull(argv[5], NULL, 10);
	srandom(1);
	play = plays_of(argv[1]);
	while (play->name && strcmp(play->name, argv[3]))
		play++;
	if (!play->name) {
		fprintf(stderr, "hostile: no such case: %s\n", argv[3]);
		return 2;
	}
	if (!strcmp(argv[1], "target"))
		listener = serve();
	play->play();
	return 0;
}
