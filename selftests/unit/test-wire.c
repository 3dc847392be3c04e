// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The wire format: what is encoded is decoded; nothing else is.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"
#include "wire.h"

#define SEED	20240229u
#define ROUNDS	20000

/* A buffer of exactly @len bytes on the heap, so that sanitizers see its end. */
static uint8_t *exact(const void *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	return copy;
}

/* ------------------------------------------------------------------------
 * Preamble
 * ------------------------------------------------------------------------ */

static const struct wire_preamble good_preamble = {
	.version = WIRE_VERSION,
	.kind = WIRE_STREAM,
	.channel = 3,
	.id = "0123456789abcde",
};

static void test_preamble(void **state)
{
	uint8_t bytes[WIRE_PREAMBLE_SIZE];
	struct wire_preamble p;
	const char *why;

	(void)state;
	assert_int_equal(wire_put_preamble(bytes, &good_preamble), sizeof(bytes));
	assert_memory_equal(bytes, "KVMFERRY\0\3\2\3\0\0\0\0" "0123456789abcde", 32);
	assert_int_equal(wire_get_preamble(&p, bytes, sizeof(bytes), &why), 0);
	assert_int_equal(p.kind, WIRE_STREAM);
	assert_int_equal(p.channel, 3);
	assert_memory_equal(p.id, good_preamble.id, WIRE_ID_SIZE);
}

static void test_preamble_truncated(void **state)
{
	uint8_t bytes[WIRE_PREAMBLE_SIZE];
	struct wire_preamble p;
	const char *why;

	(void)state;
	wire_put_preamble(bytes, &good_preamble);
	for (size_t len = 0; len < sizeof(bytes); len++) {
		uint8_t *copy = exact(bytes, len);

		assert_int_equal(wire_get_preamble(&p, copy, len, &why), -1);
		free(copy);
	}
}

/* Sets one byte of a good preamble; is it refused? */
static bool preamble_refuses(size_t at, uint8_t value)
{
	uint8_t bytes[WIRE_PREAMBLE_SIZE];
	struct wire_preamble p;
	const char *why = NULL;
	int result;

	wire_put_preamble(bytes, &good_preamble);
	bytes[at] = value;
	result = wire_get_preamble(&p, bytes, sizeof(bytes), &why);
	assert_true(!result || why);
	return result;
}

static void test_preamble_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < 8; i++)
		assert_true(preamble_refuses(i, '?'));
	assert_true(preamble_refuses(8, 1));			/* version */
	assert_true(preamble_refuses(9, WIRE_VERSION + 1));
	assert_true(preamble_refuses(9, 0));
	assert_true(preamble_refuses(10, 0));			/* kind */
	assert_true(preamble_refuses(10, 3));
	assert_true(preamble_refuses(10, WIRE_CONTROL));	/* with a channel */
	assert_false(preamble_refuses(11, FERRY_MAX_CHANNELS - 1));
	assert_true(preamble_refuses(11, FERRY_MAX_CHANNELS));
	for (size_t i = 12; i < 16; i++)
		assert_true(preamble_refuses(i, 1));		/* reserved */
	for (size_t i = 16; i < 32; i++)
		assert_false(preamble_refuses(i, 0xff));	/* any id will do */
}

/* ------------------------------------------------------------------------
 * Frames
 * ------------------------------------------------------------------------ */

static int get_frame(unsigned int type, uint32_t length)
{
	uint8_t bytes[WIRE_FRAME_SIZE];
	struct wire_frame f;
	const char *why;

	assert_int_equal(wire_put_frame(bytes, (enum wire_type)type, length), 8);
	if (wire_get_frame(&f, bytes, sizeof(bytes), &why))
		return -1;
	assert_int_equal(f.type, type);
	assert_int_equal(f.length, length);
	return 0;
}

static void test_frame_lengths(void **state)
{
	static const unsigned int empty[] = {
		WIRE_DEVICE_EOF, WIRE_VERIFY, WIRE_COMMIT, WIRE_RUNNING,
		WIRE_DOUBT_END, WIRE_GUARDED, WIRE_OPEN,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
		assert_int_equal(get_frame(empty[i], 0), 0);
		assert_int_equal(get_frame(empty[i], 1), -1);
	}
	assert_int_equal(get_frame(WIRE_READY, 8), 0);
	assert_int_equal(get_frame(WIRE_READY, 0), -1);
	assert_int_equal(get_frame(WIRE_READY, 9), -1);
	assert_int_equal(get_frame(WIRE_HELLO, 48), -1);	/* no RAM */
	assert_int_equal(get_frame(WIRE_HELLO, 48 + 72), 0);
	assert_int_equal(get_frame(WIRE_HELLO, 48 + 73), -1);
	assert_int_equal(get_frame(WIRE_HELLO, 48 + 64 * 72), 0);
	assert_int_equal(get_frame(WIRE_HELLO, 48 + 65 * 72), -1);
	assert_int_equal(get_frame(WIRE_PASS_DONE, 8), -1);
	assert_int_equal(get_frame(WIRE_PASS_DONE, 24), 0);
	assert_int_equal(get_frame(WIRE_PASS_DONE, 25), -1);
	assert_int_equal(get_frame(WIRE_VERIFIED, 8 + 64 * 16), 0);
	assert_int_equal(get_frame(WIRE_VERIFIED, 8 + 65 * 16), -1);
	assert_int_equal(get_frame(WIRE_DEVICE, 0), -1);
	assert_int_equal(get_frame(WIRE_DEVICE, 1), 0);
	assert_int_equal(get_frame(WIRE_DEVICE, WIRE_MAX_PAYLOAD), 0);
	assert_int_equal(get_frame(WIRE_DEVICE, WIRE_MAX_PAYLOAD + 1), -1);
	assert_int_equal(get_frame(WIRE_DEVICE, UINT32_MAX), -1);
	assert_int_equal(get_frame(WIRE_ABORT, 0), 0);
	assert_int_equal(get_frame(WIRE_ABORT, WIRE_TEXT_SIZE - 1), 0);
	assert_int_equal(get_frame(WIRE_ABORT, WIRE_TEXT_SIZE), -1);
	assert_int_equal(get_frame(WIRE_DISKS, 0), -1);
	assert_int_equal(get_frame(WIRE_DISKS, 64 * 136), 0);
	assert_int_equal(get_frame(WIRE_DISKS, 65 * 136), -1);
	assert_int_equal(get_frame(WIRE_DISKS_READY, 8), 0);
	assert_int_equal(get_frame(WIRE_DISKS_READY, 9), -1);
	assert_int_equal(get_frame(WIRE_DOUBT, 8), -1);		/* no range */
	assert_int_equal(get_frame(WIRE_DOUBT, 8 + 2048 * 24), 0);
	assert_int_equal(get_frame(WIRE_DOUBT, 8 + 2049 * 24), -1);
	assert_int_equal(get_frame(WIRE_ENDED, 8), -1);
	assert_int_equal(get_frame(WIRE_ENDED, 8 + 4096 * 8), 0);
	assert_int_equal(get_frame(WIRE_ENDED, 8 + 4096 * 8 + 1), -1);
}

static void test_frame_types(void **state)
{
	(void)state;
	assert_int_equal(get_frame(0, 0), -1);
	for (unsigned int type = WIRE_OPEN + 1; type < 0x10000; type += 97)
		assert_int_equal(get_frame(type, 0), -1);
}

static void test_frame_truncated_or_foreign(void **state)
{
	uint8_t bytes[WIRE_FRAME_SIZE];
	struct wire_frame f;
	const char *why;

	(void)state;
	wire_put_frame(bytes, WIRE_VERIFY, 0);
	for (size_t len = 0; len < sizeof(bytes); len++) {
		uint8_t *copy = exact(bytes, len);

		assert_int_equal(wire_get_frame(&f, copy, len, &why), -1);
		free(copy);
	}
	bytes[0] = 'k';
	assert_int_equal(wire_get_frame(&f, bytes, sizeof(bytes), &why), -1);
}

static void test_ready(void **state)
{
	uint8_t bytes[WIRE_READY_SIZE];
	uint64_t codecs;
	const char *why;

	(void)state;
	assert_int_equal(wire_put_ready(bytes, 1ull << 40 | 5), sizeof(bytes));
	assert_int_equal(wire_get_ready(&codecs, bytes, sizeof(bytes), &why), 0);
	assert_true(codecs == (1ull << 40 | 5));
	assert_int_equal(wire_get_ready(&codecs, bytes, sizeof(bytes) - 1, &why), -1);
	wire_put_ready(bytes, 2);
	assert_int_equal(wire_get_ready(&codecs, bytes, sizeof(bytes), &why), -1);
	assert_non_null(strstr(why, "raw pages"));
}

/* ------------------------------------------------------------------------
 * HELLO
 * ------------------------------------------------------------------------ */

static struct wire_hello good_hello(void)
{
	struct wire_hello h = {
		.flags = WIRE_HELLO_RUNNING,
		.streams = 4,
		.rams = 2,
		.codecs = 3,
		.key = "a key that is 32 bytes long ....",
		.ram = {
			{ .name = "/objects/ram0", .size = 1ull << 40 },
			{ .name = "ram1", .size = 4096 },
		},
	};

	return h;
}

static int get_hello(const struct wire_hello *h, struct wire_hello *out)
{
	uint8_t bytes[WIRE_HELLO_MAX];
	const char *why;

	return wire_get_hello(out, bytes, wire_put_hello(bytes, h), &why);
}

static void test_hello(void **state)
{
	struct wire_hello h = good_hello(), out;

	(void)state;
	assert_int_equal(get_hello(&h, &out), 0);
	assert_memory_equal(&h, &out, sizeof(h));

	h.rams = FERRY_MAX_RAM;
	h.streams = FERRY_MAX_CHANNELS;
	h.flags = 0;
	for (unsigned int i = 0; i < h.rams; i++) {
		snprintf(h.ram[i].name, WIRE_NAME_SIZE, "block-%u", i);
		h.ram[i].size = (i + 1) * 4096ull;
	}
	memset(h.ram[0].name, 'n', WIRE_NAME_SIZE - 1);
	assert_int_equal(get_hello(&h, &out), 0);
	assert_memory_equal(&h, &out, sizeof(h));
}

static void test_hello_truncated(void **state)
{
	struct wire_hello h = good_hello(), out;
	uint8_t bytes[WIRE_HELLO_MAX];
	size_t whole = wire_put_hello(bytes, &h);
	const char *why;

	(void)state;
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		uint8_t *copy = exact(bytes, len);

		assert_int_equal(wire_get_hello(&out, copy, len, &why),
				 len == whole ? 0 : -1);
		free(copy);
	}
}

static void test_hello_numbers(void **state)
{
	struct wire_hello h = good_hello(), out;

	(void)state;
	h.flags = WIRE_HELLO_FLAGS + 1;
	assert_int_equal(get_hello(&h, &out), -1);
	h = good_hello();
	h.streams = 0;
	assert_int_equal(get_hello(&h, &out), -1);
	h.streams = FERRY_MAX_CHANNELS + 1;
	assert_int_equal(get_hello(&h, &out), -1);
	h = good_hello();
	h.rams = 0;
	assert_int_equal(get_hello(&h, &out), -1);
	h = good_hello();
	h.ram[1].size = 0;
	assert_int_equal(get_hello(&h, &out), -1);
	h.ram[1].size = 4097;
	assert_int_equal(get_hello(&h, &out), -1);
	h.ram[1].size = 1ull << 63;
	assert_int_equal(get_hello(&h, &out), -1);
}

static void test_hello_names(void **state)
{
	struct wire_hello h = good_hello(), out;
	uint8_t bytes[WIRE_HELLO_MAX];
	const char *why;
	size_t len;

	(void)state;
	strcpy(h.ram[1].name, h.ram[0].name);
	assert_int_equal(get_hello(&h, &out), -1);
	h.ram[1].name[0] = '\0';
	assert_int_equal(get_hello(&h, &out), -1);
	strcpy(h.ram[1].name, "ram\n1");
	assert_int_equal(get_hello(&h, &out), -1);
	strcpy(h.ram[1].name, "ram 1");
	assert_int_equal(get_hello(&h, &out), -1);

	h = good_hello();
	len = wire_put_hello(bytes, &h);
	bytes[48 + WIRE_NAME_SIZE - 1] = 'x';	/* behind the name's end */
	assert_int_equal(wire_get_hello(&out, bytes, len, &why), -1);
	memset(bytes + 48, 'x', WIRE_NAME_SIZE);	/* no end at all */
	assert_int_equal(wire_get_hello(&out, bytes, len, &why), -1);
}

/* ------------------------------------------------------------------------
 * Digests and text
 * ------------------------------------------------------------------------ */

static void test_digests(void **state)
{
	struct wire_digests d = { .pass = 0x0102030405060708, .rams = 3 }, out;
	uint8_t bytes[WIRE_DIGESTS_MAX + 1];
	const char *why;
	size_t whole;

	(void)state;
	memset(bytes, 0, sizeof(bytes));
	for (unsigned int i = 0; i < d.rams; i++)
		memset(d.digest[i], (int)i + 1, FERRY_HASH_SIZE);
	whole = wire_put_digests(bytes, &d);
	assert_int_equal(whole, 8 + 3 * 16);
	assert_int_equal(wire_get_digests(&out, bytes, whole, &why), 0);
	assert_memory_equal(&d, &out, sizeof(d));

	for (size_t len = 0; len <= sizeof(bytes); len++) {
		bool fits = len > 8 && len <= WIRE_DIGESTS_MAX && (len - 8) % 16 == 0;
		uint8_t *copy = exact(bytes, len);

		assert_int_equal(wire_get_digests(&out, copy, len, &why),
				 fits ? 0 : -1);
		free(copy);
	}
}

static void test_text(void **state)
{
	uint8_t in[2 * WIRE_TEXT_SIZE];
	char out[WIRE_TEXT_SIZE];

	(void)state;
	wire_get_text(out, (const uint8_t *)"a\nb\033[1m\177\0c", 10);
	assert_string_equal(out, "a?b?[1m??c");
	wire_get_text(out, NULL, 0);
	assert_string_equal(out, "");
	memset(in, 'x', sizeof(in));
	wire_get_text(out, in, sizeof(in));
	assert_int_equal(strlen(out), WIRE_TEXT_SIZE - 1);
}

/* ------------------------------------------------------------------------
 * Records
 * ------------------------------------------------------------------------ */

static int get_record(const struct wire_record *r)
{
	uint8_t bytes[sizeof(struct ferry_record)], again[sizeof(bytes)];
	struct wire_record out;
	const char *why;

	assert_int_equal(wire_put_record(bytes, r), 32);
	if (wire_get_record(&out, bytes, &why))
		return -1;
	wire_put_record(again, &out);
	assert_memory_equal(again, bytes, sizeof(bytes));
	return 0;
}

static void test_record_bytes(void **state)
{
	static const uint8_t want[] =
		"KFR1" "\1\1" "\0\7" "\1\2\3\4" "\0\0\0\5"
		"\x11\x12\x13\x14\x15\x16\x17\x18" "\0\0\x10\1" "\xa1\xa2\xa3\xa4";
	const struct wire_record r = {
		.type = FERRY_RECORD_PAGES,
		.codec = FERRY_CODEC_LZ4,
		.block = 7,
		.sequence = 0x01020304,
		.count = 5,
		.page = 0x1112131415161718,
		.length = 0x1001,
		.crc = 0xa1a2a3a4,
	};
	uint8_t bytes[sizeof(struct ferry_record)];

	(void)state;
	wire_put_record(bytes, &r);
	assert_memory_equal(bytes, want, sizeof(bytes));
	assert_int_equal(get_record(&r), 0);
}

static void test_record_fields(void **state)
{
	/* One line for each rule; @ok says on which side of it the record is. */
	static const struct {
		bool ok;
		struct wire_record r;
	} cases[] = {
		{ true, { FERRY_RECORD_PAGES, 0, 0, 0, 1, 0, 4096, 0 } },
		{ true, { FERRY_RECORD_PAGES, 0, 0xffff, 0, 16, ~0ull, 65536, 0 } },
		{ false, { FERRY_RECORD_PAGES, 0, 0, 0, 0, 0, 0, 0 } },
		{ false, { FERRY_RECORD_PAGES, 0, 0, 0, 17, 0, 17 * 4096, 0 } },
		{ false, { FERRY_RECORD_PAGES, 0, 0, 0, 1, 0, 4095, 0 } },
		{ false, { FERRY_RECORD_PAGES, 0, 0, 0, 1, 0, 4097, 0 } },
		{ false, { FERRY_RECORD_PAGES, FERRY_NR_CODECS, 0, 0, 1, 0, 4096, 0 } },
		{ true, { FERRY_RECORD_PAGES, FERRY_NR_CODECS - 1, 0, 0, 1, 0, 4096, 0 } },
		{ true, { FERRY_RECORD_PAGES, 1, 0, 0, 1, 0, 1, 0 } },
		{ true, { FERRY_RECORD_PAGES, 1, 0, 0, 1, 0, 4096, 0 } },
		{ false, { FERRY_RECORD_PAGES, 1, 0, 0, 1, 0, 0, 0 } },
		{ false, { FERRY_RECORD_PAGES, 1, 0, 0, 1, 0, 4097, 0 } },
		{ false, { FERRY_RECORD_PAGES, 1, 0, 0, 1, 0, UINT32_MAX, 0 } },
		{ true, { FERRY_RECORD_ZERO, 0, 0, 0, 512, 0, 0, 0 } },
		{ false, { FERRY_RECORD_ZERO, 0, 0, 0, 513, 0, 0, 0 } },
		{ false, { FERRY_RECORD_ZERO, 0, 0, 0, 0, 0, 0, 0 } },
		{ false, { FERRY_RECORD_ZERO, 1, 0, 0, 1, 0, 0, 0 } },
		{ false, { FERRY_RECORD_ZERO, 0, 0, 0, 1, 0, 1, 0 } },
		{ true, { FERRY_RECORD_PASS_END, 0, 0, 0, 0, 1, 0, 0 } },
		{ true, { FERRY_RECORD_PASS_END, 0, 0, 0, 1, ~0ull, 0, 0 } },
		{ false, { FERRY_RECORD_PASS_END, 0, 0, 0, 2, 1, 0, 0 } },
		{ false, { FERRY_RECORD_PASS_END, 0, 0, 0, 0, 0, 0, 0 } },
		{ false, { FERRY_RECORD_PASS_END, 0, 1, 0, 0, 1, 0, 0 } },
		{ false, { FERRY_RECORD_PASS_END, 0, 0, 0, 0, 1, 8, 0 } },
		{ false, { 0, 0, 0, 0, 1, 0, 0, 0 } },
		{ false, { 4, 0, 0, 0, 1, 0, 0, 0 } },
		{ false, { 255, 0, 0, 0, 1, 0, 0, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(get_record(&cases[i].r), cases[i].ok ? 0 : -1);
}

static void test_record_magic(void **state)
{
	const struct wire_record r = { FERRY_RECORD_ZERO, 0, 0, 0, 1, 0, 0, 0 };
	uint8_t bytes[sizeof(struct ferry_record)];
	struct wire_record out;
	const char *why;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		wire_put_record(bytes, &r);
		bytes[i] ^= 1;
		assert_int_equal(wire_get_record(&out, bytes, &why), -1);
	}
}

/* ------------------------------------------------------------------------
 * Checksums, and anything at all
 * ------------------------------------------------------------------------ */

static void test_crc32c(void **state)
{
	uint8_t bytes[300];

	(void)state;
	/* The examples of RFC 3720, B.4. */
	assert_int_equal(wire_crc32c(0, "123456789", 9), 0xe3069283);
	memset(bytes, 0, 32);
	assert_int_equal(wire_crc32c(0, bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, 32);
	assert_int_equal(wire_crc32c(0, bytes, 32), 0x62a8ab43);

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 31 + 5);
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		uint32_t whole = wire_crc32c(0, bytes, len);

		assert_int_equal(whole, wire_crc32c_portable(0, bytes, len));
		assert_int_equal(whole, wire_crc32c(wire_crc32c(0, bytes, len / 3),
						    bytes + len / 3, len - len / 3));
	}
}

/* ------------------------------------------------------------------------
 * Disks
 * ------------------------------------------------------------------------ */

static struct wire_disks two_disks(void)
{
	return (struct wire_disks){
		.disks = 2,
		.disk = {
			{ "/machine/peripheral/disk0/virtio-backend", 1ull << 40 },
			{ "/machine/unattached/device[7]", 0 },
		},
	};
}

/* Sets one byte of a good list of disks; is it refused? */
static bool disks_refuse(size_t at, uint8_t value)
{
	struct wire_disks d = two_disks();
	uint8_t bytes[WIRE_DISKS_MAX];
	size_t len = wire_put_disks(bytes, &d);
	const char *why;

	bytes[at] = value;
	return wire_get_disks(&d, bytes, len, &why);
}

static void test_disks(void **state)
{
	struct wire_disks d = two_disks(), out;
	uint8_t bytes[WIRE_DISKS_MAX];
	size_t len = wire_put_disks(bytes, &d);
	const char *why;

	(void)state;
	assert_int_equal(len, 2 * 136);
	assert_int_equal(wire_get_disks(&out, bytes, len, &why), 0);
	assert_memory_equal(&out, &d, sizeof(d));
	assert_int_equal(wire_get_disks(&out, bytes, len - 1, &why), -1);
	assert_int_equal(wire_get_disks(&out, bytes, 0, &why), -1);
	assert_true(disks_refuse(0, 0));		/* no name */
	assert_true(disks_refuse(0, '\n'));
	assert_true(disks_refuse(127, 'x'));		/* after its end */
	assert_false(disks_refuse(135, 9));		/* any size will do */
	d.disk[1] = d.disk[0];
	assert_int_equal(wire_get_disks(&out, bytes, wire_put_disks(bytes, &d), &why), -1);

	assert_int_equal(wire_put_disks_ready(bytes, 1ull << 63 | 2), WIRE_READY_SIZE);
	assert_true(wire_get_disks_ready(bytes) == (1ull << 63 | 2));
}

static void test_doubt(void **state)
{
	static struct wire_doubt out;
	const struct wire_doubt d = {
		.disk = 63, .ranges = 2,
		.range = { { 1, 0, 8 }, { UINT32_MAX, 1ull << 50, UINT64_MAX } },
	};
	uint8_t bytes[WIRE_DOUBT_MAX];
	size_t len = wire_put_doubt(bytes, &d);
	const char *why;

	(void)state;
	assert_int_equal(len, 8 + 2 * 24);
	assert_int_equal(wire_get_doubt(&out, bytes, len, &why), 0);
	assert_memory_equal(&out, &d, sizeof(d));
	assert_int_equal(wire_get_doubt(&out, bytes, len - 1, &why), -1);
	assert_int_equal(wire_get_doubt(&out, bytes, 8, &why), -1);
	bytes[3] = 64;					/* no such disk */
	assert_int_equal(wire_get_doubt(&out, bytes, len, &why), -1);
	bytes[3] = 63;
	bytes[7] = 1;					/* reserved */
	assert_int_equal(wire_get_doubt(&out, bytes, len, &why), -1);
}

static void test_ended(void **state)
{
	static struct wire_ended out;
	const struct wire_ended e = { .disk = 1, .ids = 3, .id = { 7, 1ull << 40, 9 } };
	uint8_t bytes[WIRE_ENDED_MAX];
	size_t len = wire_put_ended(bytes, &e);
	const char *why;

	(void)state;
	assert_int_equal(len, 8 + 3 * 8);
	assert_int_equal(wire_get_ended(&out, bytes, len, &why), 0);
	assert_memory_equal(&out, &e, sizeof(e));
	assert_int_equal(wire_get_ended(&out, bytes, len - 1, &why), -1);
	bytes[0] = 1;					/* no such disk */
	assert_int_equal(wire_get_ended(&out, bytes, len, &why), -1);
}

static uint8_t random_byte(uint32_t *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return (uint8_t)(*seed >> 16);
}

/* Half of the time something good with a few bytes changed, else pure noise. */
static size_t random_bytes(uint8_t *out, size_t size, uint32_t *seed)
{
	struct wire_hello hello = good_hello();
	size_t len = (random_byte(seed) | (size_t)random_byte(seed) << 8) % size;

	for (size_t i = 0; i < len; i++)
		out[i] = random_byte(seed);
	if (random_byte(seed) & 1)
		return len;
	len = wire_put_hello(out, &hello);
	for (int n = random_byte(seed) % 4; n; n--)
		out[random_byte(seed) % len] = random_byte(seed);
	return len;
}

static void test_any_bytes(void **state)
{
	uint8_t bytes[WIRE_HELLO_MAX], again[WIRE_HELLO_MAX];
	uint32_t seed = SEED;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		size_t len = random_bytes(bytes, sizeof(bytes), &seed);
		uint8_t *copy = exact(bytes, len);
		struct wire_preamble p;
		struct wire_frame f;
		struct wire_hello h;
		struct wire_digests d;
		struct wire_record r;
		const char *why;

		/* What a decoder accepts, its encoder makes again, to the byte. */
		if (!wire_get_hello(&h, copy, len, &why)) {
			assert_int_equal(wire_put_hello(again, &h), len);
			assert_memory_equal(again, copy, len);
		}
		if (!wire_get_digests(&d, copy, len, &why)) {
			assert_int_equal(wire_put_digests(again, &d), len);
			assert_memory_equal(again, copy, len);
		}
		wire_get_preamble(&p, copy, len, &why);
		wire_get_frame(&f, copy, len, &why);
		if (len >= sizeof(struct ferry_record))
			wire_get_record(&r, copy, &why);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_preamble),
		cmocka_unit_test(test_preamble_truncated),
		cmocka_unit_test(test_preamble_fields),
		cmocka_unit_test(test_frame_lengths),
		cmocka_unit_test(test_frame_types),
		cmocka_unit_test(test_frame_truncated_or_foreign),
		cmocka_unit_test(test_ready),
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_hello_truncated),
		cmocka_unit_test(test_hello_numbers),
		cmocka_unit_test(test_hello_names),
		cmocka_unit_test(test_digests),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_record_bytes),
		cmocka_unit_test(test_record_fields),
		cmocka_unit_test(test_record_magic),
		cmocka_unit_test(test_crc32c),
		cmocka_unit_test(test_disks),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_ended),
		cmocka_unit_test(test_any_bytes),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
