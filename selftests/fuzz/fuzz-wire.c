// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzing the decoders of the wire: what they accept, the encoders make again.
 */
#include <stdlib.h>
#include <string.h>

#include "wire.h"

static void must_equal(const uint8_t *a, size_t alen, const uint8_t *b, size_t blen)
{
	if (alen != blen || memcmp(a, b, blen))
		abort();
}

static void try_hello(const uint8_t *in, size_t len)
{
	uint8_t again[WIRE_HELLO_MAX];
	struct wire_hello h;
	const char *why;

	if (!wire_get_hello(&h, in, len, &why))
		must_equal(again, wire_put_hello(again, &h), in, len);
}

static void try_digests(const uint8_t *in, size_t len)
{
	uint8_t again[WIRE_DIGESTS_MAX];
	struct wire_digests d;
	const char *why;

	if (!wire_get_digests(&d, in, len, &why))
		must_equal(again, wire_put_digests(again, &d), in, len);
}

static void try_disks(const uint8_t *in, size_t len)
{
	uint8_t again[WIRE_DISKS_MAX];
	struct wire_disks d;
	const char *why;

	if (!wire_get_disks(&d, in, len, &why))
		must_equal(again, wire_put_disks(again, &d), in, len);
}

static void try_ranges(const uint8_t *in, size_t len)
{
	static uint8_t again[WIRE_DOUBT_MAX];
	static struct wire_doubt d;
	static struct wire_ended e;
	const char *why;

	if (!wire_get_doubt(&d, in, len, &why))
		must_equal(again, wire_put_doubt(again, &d), in, len);
	if (!wire_get_ended(&e, in, len, &why))
		must_equal(again, wire_put_ended(again, &e), in, len);
}

static void try_preamble(const uint8_t *in, size_t len)
{
	uint8_t again[WIRE_PREAMBLE_SIZE];
	struct wire_preamble p;
	const char *why;

	if (!wire_get_preamble(&p, in, len, &why))
		must_equal(again, wire_put_preamble(again, &p), in, len);
}

static void try_frame(const uint8_t *in, size_t len)
{
	uint8_t again[WIRE_FRAME_SIZE];
	struct wire_frame f;
	const char *why;

	if (!wire_get_frame(&f, in, len, &why))
		must_equal(again, wire_put_frame(again, f.type, f.length), in, len);
}

static void try_record(const uint8_t *in, size_t len)
{
	uint8_t again[sizeof(struct ferry_record)];
	struct wire_record r;
	const char *why;

	if (len >= sizeof(again) && !wire_get_record(&r, in, &why))
		must_equal(again, wire_put_record(again, &r), in, sizeof(again));
}

static void try_text(const uint8_t *in, size_t len)
{
	char text[WIRE_TEXT_SIZE];

	wire_get_text(text, in, len);
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < ' ')
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_hello(data, size);
	try_digests(data, size);
	try_disks(data, size);
	try_ranges(data, size);
	try_preamble(data, size);
	try_frame(data, size);
	try_record(data, size);
	try_text(data, size);
	return 0;
}
