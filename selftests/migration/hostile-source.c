// SPDX-License-Identifier: GPL-2.0-or-later
/* The cases of a hostile source: what a `kvmferry receive` may have to deal with. */
#include "hostile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

	/* raw pages are not among them */
	h.codecs = 1u << FERRY_CODEC_LZ4;
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

/* Of disks that nobody has named. */
static void s_doubt_early(void)
{
	const struct wire_doubt d = { .ranges = 1, .range = { { 1, 0, 8 } } };
	uint8_t out[WIRE_DOUBT_MAX];

	begin();
	put_frame(control, WIRE_DOUBT, out, (uint32_t)wire_put_doubt(out, &d));
	wait_end(control);
}

static void put_disks(unsigned int count)
{
	struct wire_disks d = { .disks = count };
	uint8_t out[WIRE_DISKS_MAX];

	for (unsigned int i = 0; i < count; i++)
		snprintf(d.disk[i].name, sizeof(d.disk[i].name), "/machine/disk%u", i);
	put_frame(control, WIRE_DISKS, out, (uint32_t)wire_put_disks(out, &d));
}

static void s_disks_twice(void)
{
	begin();
	put_disks(WIRE_MAX_DISKS);
	put_disks(1);
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

#define S(name) { #name, s_##name }

const struct play source_plays[] = {
	S(nothing), S(noise), S(http), S(half_preamble), S(slow), S(version), S(kind),
	S(reserved), S(stream_first), S(frame_magic), S(frame_type), S(frame_huge),
	S(hello_cut), S(hello_short), S(hello_never), S(hello_many), S(commit_first),
	S(device_first),
	S(ram_size), S(ram_name), S(codec),
	S(stream_noise), S(record_crc), S(record_block), S(record_page), S(record_wrap),
	S(record_stream), S(record_sequence), S(record_huge), S(record_lz4),
	S(record_cut), S(middle), S(commit_early), S(verify_early), S(device_noise),
	S(doubt_early), S(disks_twice),
	S(target_frame), S(stream_99), S(stream_twice), S(hang_up), S(silent), S(abort),
	{},
};
