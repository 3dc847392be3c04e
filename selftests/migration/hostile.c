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
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

#define PATIENCE_MS	120000
#define STREAMS		2

static const char *where;	/* HOST:PORT */
static const char *ram_name;
static uint64_t ram_size;
static const uint8_t id[WIRE_ID_SIZE] = "hostile peer";
static int control = -1;
static int stream[FERRY_MAX_CHANNELS];

static void die(int status, const char *what)
{
	fprintf(stderr, "hostile: %s: %s\n", what, strerror(errno));
	exit(status);
}

/* ------------------------------------------------------------------------
 * Connections
 * ------------------------------------------------------------------------ */

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

static int dial(void)
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

/* Bytes to the peer, who may have hung up already: that is its right. */
static void put(int fd, const void *bytes, size_t len)
{
	const char *p = bytes;
	ssize_t n;

	while (len && (n = send(fd, p, len, MSG_NOSIGNAL)) > 0) {
		p += n;
		len -= (size_t)n;
	}
}

static bool get(int fd, void *bytes, size_t len)
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

static void put_preamble(int fd, enum wire_kind kind, unsigned int channel)
{
	struct wire_preamble p = {
		.version = WIRE_VERSION, .kind = kind, .channel = channel,
	};
	uint8_t out[WIRE_PREAMBLE_SIZE];

	memcpy(p.id, id, sizeof(id));
	put(fd, out, wire_put_preamble(out, &p));
}

static void put_frame(int fd, unsigned int type, const void *payload, uint32_t len)
{
	uint8_t out[WIRE_FRAME_SIZE];

	put(fd, out, wire_put_frame(out, (enum wire_type)type, len));
	put(fd, payload, len);
}

static void put_noise(int fd, size_t len)
{
	uint8_t noise[4096];

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)random();
	for (; len > sizeof(noise); len -= sizeof(noise))
		put(fd, noise, sizeof(noise));
	put(fd, noise, len);
}

/* The next frame's type, 0 when the peer hung up. ABORT is printed. */
static unsigned int get_frame(int fd)
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

static void wait_end(int fd)
{
	unsigned int type;

	do {
		type = get_frame(fd);
	} while (type && type != WIRE_ABORT);
	if (!type)
		puts("closed");
}

/* ------------------------------------------------------------------------
 * As the source
 * ------------------------------------------------------------------------ */

static struct wire_hello hello(void)
{
	struct wire_hello h = {
		.flags = WIRE_HELLO_RUNNING, .streams = STREAMS, .rams = 1,
		.codecs = 1u << FERRY_CODEC_NONE | 1u << FERRY_CODEC_LZ4,
	};

	memset(h.key, 7, sizeof(h.key));
	snprintf(h.ram[0].name, sizeof(h.ram[0].name), "%s", ram_name);
	h.ram[0].size = ram_size;
	return h;
}

static void put_hello(const struct wire_hello *h)
{
	uint8_t out[WIRE_HELLO_MAX];
	size_t len = wire_put_hello(out, h);

	put_frame(control, WIRE_HELLO, out, (uint32_t)len);
}

static void open_control(void)
{
	control = dial();
	put_preamble(control, WIRE_CONTROL, 0);
}

/* Up to READY, and the streams: from here on, only records are wrong. */
static void begin(void)
{
	struct wire_hello h = hello();
	unsigned int i, type;

	open_control();
	put_hello(&h);
	type = get_frame(control);
	if (type != WIRE_READY) {
		errno = EPROTO;
		die(2, "no READY");
	}
	for (i = 0; i < STREAMS; i++) {
		stream[i] = dial();
		put_preamble(stream[i], WIRE_STREAM, i);
	}
}

/* A record on stream 0. Its CRC is right whatever else is wrong, unless @crc. */
static void put_record(struct wire_record r, const void *payload, uint32_t crc)
{
	static const uint8_t padding[FERRY_RECORD_ALIGN];
	uint8_t out[sizeof(struct ferry_record)];

	r.crc = 0;
	wire_put_record(out, &r);
	r.crc = wire_crc32c(wire_crc32c(0, out, sizeof(out)), payload, r.length) ^ crc;
	wire_put_record(out, &r);
	put(stream[0], out, sizeof(out));
	put(stream[0], payload, r.length);
	put(stream[0], padding, wire_padded(r.length) - r.length);
}

static uint8_t content[FERRY_RECORD_MAX_PAGES * FERRY_PAGE_SIZE];

static struct wire_record one_page(void)
{
	return (struct wire_record){
		.type = FERRY_RECORD_PAGES, .codec = FERRY_CODEC_NONE, .count = 1,
		.length = FERRY_PAGE_SIZE,
	};
}

/* Strangers: none of these gets as far as a HELLO that makes sense. */
static void s_nothing(void)
{
	close(dial());
}

static void s_noise(void)
{
	put_noise(control = dial(), 100000);
	wait_end(control);
}

static void s_http(void)
{
	static const char get_[] = "GET / HTTP/1.0\r\nHost: there\r\n\r\n";

	control = dial();
	put(control, get_, sizeof(get_) - 1);
	wait_end(control);
}

static void s_half_preamble(void)
{
	put(control = dial(), WIRE_MAGIC, 8);
	close(control);
}

static void s_slow(void)
{
	put(control = dial(), WIRE_MAGIC, 8);
	wait_end(control);
}

/* A good preamble but for the bytes at @at. */
static void bend_preamble(size_t at, uint8_t high, uint8_t low)
{
	struct wire_preamble p = { .version = WIRE_VERSION, .kind = WIRE_CONTROL };
	uint8_t out[WIRE_PREAMBLE_SIZE];

	wire_put_preamble(out, &p);
	out[at] = high;
	out[at + 1] = low;
	control = dial();
	put(control, out, sizeof(out));
	wait_end(control);
}

static void s_version(void)
{
	bend_preamble(8, 0, WIRE_VERSION + 1);
}

static void s_kind(void)
{
	bend_preamble(10, 7, 0);
}

static void s_reserved(void)
{
	bend_preamble(12, 1, 1);
}

static void s_stream_first(void)
{
	put_preamble(control = dial(), WIRE_STREAM, 0);
	wait_end(control);
}

static void s_frame_magic(void)
{
	open_control();
	put(control, "\0\0\0\1\0\0\0\0", 8);
	wait_end(control);
}

static void s_frame_type(void)
{
	open_control();
	put_frame(control, 99, "", 0);
	wait_end(control);
}

static void s_frame_huge(void)
{
	uint8_t out[WIRE_FRAME_SIZE];

	open_control();
	put(control, out, wire_put_frame(out, WIRE_HELLO, 0xffffffff));
	wait_end(control);
}

static void s_hello_cut(void)
{
	uint8_t out[WIRE_FRAME_SIZE];

	open_control();
	put(control, out, wire_put_frame(out, WIRE_HELLO, 120));
	put(control, content, 60);
	shutdown(control, SHUT_WR);
	wait_end(control);
}

static void s_hello_short(void)
{
	open_control();
	put_frame(control, WIRE_HELLO, content, 48);
	wait_end(control);
}

static void s_hello_never(void)
{
	open_control();
	wait_end(control);
}

static void s_commit_first(void)
{
	open_control();
	put_frame(control, WIRE_COMMIT, "", 0);
	wait_end(control);
}

static void s_device_first(void)
{
	open_control();
	put_frame(control, WIRE_DEVICE, content, 512);
	wait_end(control);
}

/* HELLO and the count of RAM blocks that it promises do not agree. */
static void s_hello_many(void)
{
	struct wire_hello h = hello();
	uint8_t out[WIRE_HELLO_MAX];
	size_t len = wire_put_hello(out, &h);

	out[6] = 0xff;
	open_control();
	put_frame(control, WIRE_HELLO, out, (uint32_t)len);
	wait_end(control);
}

/* HELLOs that are well-formed, and of another VM. */
static void s_ram_size(void)
{
	struct wire_hello h = hello();

	h.ram[0].size *= 2;
	open_control();
	put_hello(&h);
	wait_end(control);
}

static void s_ram_name(void)
{
	struct wire_hello h = hello();

	strcpy(h.ram[0].name, "else");
	open_control();
	put_hello(&h);
	wait_end(control);
}

static void s_codec(void)
{
	struct wire_hello h = hello();

	h.codecs |= 1ull << 40;
	open_control();
	put_hello(&h);
	wait_end(control);
}

/* Wrong from the first record on. */
static void s_stream_noise(void)
{
	begin();
	put_noise(stream[0], 100000);
	wait_end(control);
}

static void s_record_crc(void)
{
	begin();
	put_record(one_page(), content, 1);
	wait_end(control);
}

static void s_record_block(void)
{
	struct wire_record r = one_page();

	r.block = 9;
	begin();
	put_record(r, content, 0);
	wait_end(control);
}

static void s_record_page(void)
{
	struct wire_record r = one_page();

	r.page = ram_size / FERRY_PAGE_SIZE;
	begin();
	put_record(r, content, 0);
	wait_end(control);
}

static void s_record_wrap(void)
{
	struct wire_record r = one_page();

	r.page = ~0ull;
	begin();
	put_record(r, content, 0);
	wait_end(control);
}

static void s_record_stream(void)
{
	struct wire_record r = one_page();

	r.page = 512;
	begin();
	put_record(r, content, 0);
	wait_end(control);
}

static void s_record_sequence(void)
{
	struct wire_record r = one_page();

	r.sequence = 5;
	begin();
	put_record(r, content, 0);
	wait_end(control);
}

static void s_record_huge(void)
{
	struct wire_record r = one_page();
	uint8_t out[32];

	r.length = 0x7fffffff;
	begin();
	wire_put_record(out, &r);
	put(stream[0], out, 32);
	wait_end(control);
}

static void s_record_lz4(void)
{
	struct wire_record r = one_page();

	r.codec = FERRY_CODEC_LZ4;
	r.length = 100;
	memset(content, 0xff, 100);
	begin();
	put_record(r, content, 0);
	wait_end(control);
}

static void s_record_cut(void)
{
	struct wire_record r = one_page();
	uint8_t out[32];

	begin();
	wire_put_record(out, &r);
	put(stream[0], out, sizeof(out));
	put(stream[0], content, 1000);
	shutdown(stream[0], SHUT_RDWR);
	close(stream[0]);
	wait_end(control);
}

/* A good start, then garbage. */
static void s_middle(void)
{
	struct wire_record r = one_page();

	begin();
	for (r.page = 0; r.page < 100; r.page++, r.sequence++)
		put_record(r, content, 0);
	put_noise(stream[0], 5000);
	wait_end(control);
}

static void s_commit_early(void)
{
	begin();
	put_frame(control, WIRE_COMMIT, "", 0);
	wait_end(control);
}

static void s_verify_early(void)
{
	begin();
	put_frame(control, WIRE_VERIFY, "", 0);
	wait_end(control);
}

static void s_device_noise(void)
{
	begin();
	for (int i = 0; i < 100; i++) {
		content[0] = (uint8_t)i;
		put_frame(control, WIRE_DEVICE, content, 60000);
	}
	wait_end(control);
}

static void s_target_frame(void)
{
	begin();
	put_frame(control, WIRE_RUNNING, "", 0);
	wait_end(control);
}

static void s_stream_99(void)
{
	begin();
	put_preamble(stream[5] = dial(), WIRE_STREAM, 9);
	wait_end(control);
}

static void s_stream_twice(void)
{
	begin();
	put_preamble(stream[5] = dial(), WIRE_STREAM, 0);
	wait_end(control);
}

static void s_hang_up(void)
{
	begin();
	close(control);
	get(stream[0], content, 1);
	puts("closed");
}

static void s_silent(void)
{
	begin();
	wait_end(control);
}

static void s_abort(void)
{
	begin();
	put_frame(control, WIRE_ABORT, "no\033[31m\nway", 11);
	wait_end(control);
}

/* ------------------------------------------------------------------------
 * As the target
 * ------------------------------------------------------------------------ */

static int listener = -1;

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

static void get_ready(void)
{
	meet();
	put_frame(control, WIRE_READY, "", 0);
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
	put_frame(control, WIRE_READY, "", 0);
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

/* ------------------------------------------------------------------------ */

struct play {
	const char *side;
	const char *name;
	void (*play)(void);
};

#define S(name) { "source", #name, s_##name }
#define T(name) { "target", #name, t_##name }

static const struct play plays[] = {
	S(nothing), S(noise), S(http), S(half_preamble), S(slow), S(version), S(kind),
	S(reserved), S(stream_first), S(frame_magic), S(frame_type), S(frame_huge),
	S(hello_cut), S(hello_short), S(hello_never), S(hello_many), S(commit_first),
	S(device_first),
	S(ram_size), S(ram_name), S(codec),
	S(stream_noise), S(record_crc), S(record_block), S(record_page), S(record_wrap),
	S(record_stream), S(record_sequence), S(record_huge), S(record_lz4),
	S(record_cut), S(middle), S(commit_early), S(verify_early), S(device_noise),
	S(target_frame), S(stream_99), S(stream_twice), S(hang_up), S(silent), S(abort),
	T(close), T(noise), T(silent), T(abort), T(frame_type), T(frame_huge),
	T(running), T(ready_twice), T(digest), T(digest_early), T(digest_rams), T(stall),
	T(stream_close), T(hang_up),
};

#define COUNT (sizeof(plays) / sizeof(plays[0]))

static int list(const char *side)
{
	for (size_t i = 0; i < COUNT; i++)
		if (!strcmp(plays[i].side, side))
			puts(plays[i].name);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "list"))
		return list(argv[2]);
	if (argc != 6) {
		fprintf(stderr, "usage: hostile source|target HOST:PORT CASE RAM SIZE\n");
		return 2;
	}
	where = argv[2];
	ram_name = argv[4];
	ram_size = strtoull(argv[5], NULL, 10);
	srandom(1);
	for (size_t i = 0; i < COUNT; i++) {
		if (strcmp(plays[i].side, argv[1]) || strcmp(plays[i].name, argv[3]))
			continue;
		if (!strcmp(argv[1], "target"))
			listener = serve();
		plays[i].play();
		return 0;
	}
	fprintf(stderr, "hostile: no such case: %s\n", argv[3]);
	return 2;
}
