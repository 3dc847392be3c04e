// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What comes out of the rings. The stream parser (../lib/stream.c) insists on
 * well-formed records, right checksums and a sequence without gaps; here are the
 * rules beyond: kinds chosen sensibly, chunks on their channels, small rings that wrap
 * many times, a consumer that bites off odd amounts, the counters, the digests.
 */
#include "ktap.h"
#include "scene.h"

#include <lz4.h>
#include <poll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "codec.h"
#include "die.h"

#define GPA		0x1000000ul
#define PAGES_A		1536ul
#define PAGES_B		700ul	/* its last chunk is not whole */
#define CHUNK_PAGES	512ul
#define CHANNELS	3
/* A page that LZ4 makes smaller than this must not be sent as it is. */
#define WORTH_IT	3900

static struct vmm vmm;
static struct ram *a, *b;
static struct shadow shadow;
static struct ferry ferry;

/* What was seen to be wrong, or counted, in the records. */
static struct {
	uint64_t wrong_channel;
	uint64_t lazy;		/* raw, though it shrinks */
	uint64_t futile;	/* encoded, and no smaller */
	uint64_t zeroes;	/* pages of zero bytes in a PAGES record */
	uint64_t zero_records;
	uint64_t payload;	/* bytes in encoded records */
} seen;

/* Chunks are counted over all blocks. */
static unsigned int channel_of(uint32_t block, uint64_t page)
{
	uint64_t chunk = page / CHUNK_PAGES;

	if (block == b->id)
		chunk += (PAGES_A + CHUNK_PAGES - 1) / CHUNK_PAGES;
	return chunk % CHANNELS;
}

static bool shrinks(const uint8_t *page)
{
	char out[LZ4_COMPRESSBOUND(FERRY_PAGE_SIZE)];

	return LZ4_compress_default((const char *)page, out, FERRY_PAGE_SIZE, sizeof(out)) <
	       WORTH_IT;
}

static void check_kind(const struct wire_record *r, const uint8_t *payload)
{
	uint32_t i;

	if (r->type == FERRY_RECORD_ZERO) {
		seen.zero_records++;
		return;
	}
	if (r->codec != FERRY_CODEC_NONE) {
		/* what has become a part of a frame must be sent */
		seen.futile += r->length >= r->count * FERRY_PAGE_SIZE +
			       (r->codec == FERRY_CODEC_ZSTD_STREAM ? FERRY_RECORD_EXTRA + 1 : 0);
		seen.payload += r->length;
	}
	for (i = 0; i < r->count; i++) {
		const uint8_t *page = shadow.block[r->block].map + (r->page + i) * RAM_PAGE;

		seen.zeroes += hash_is_zero(page);
		if (r->codec == FERRY_CODEC_NONE && ferry.codecs != FERRY_BIT(NONE))
			seen.lazy += shrinks(payload + i * RAM_PAGE);
	}
}

static void sink(void *context, unsigned int channel, const struct wire_record *r,
		 const uint8_t *payload)
{
	shadow_sink(context, channel, r, payload);
	if (r->type == FERRY_RECORD_PASS_END || shadow.fault)
		return;
	seen.wrong_channel += channel_of(r->block, r->page) != channel;
	check_kind(r, payload);
}

static void attach(uint64_t codecs)
{
	ferry_open(&ferry, sink, &shadow);
	ferry.codecs = codecs;
	shadow_init(&shadow, ferry.key);
	shadow_add(&shadow, a->id, PAGES_A);
	shadow_add(&shadow, b->id, PAGES_B);
	ferry_setup(&ferry, getpid(), vmm.ram, vmm.rams, CHANNELS, FERRY_RING_MIN);
	memset(&seen, 0, sizeof(seen));
}

static void detach(void)
{
	ferry_close(&ferry);
	shadow_free(&shadow);
}

static void guest(uint32_t op, const struct ram *ram, uint64_t page, uint64_t pages, uint32_t value)
{
	struct guest_job job = {
		.op = op, .base = ram->gpa + page * RAM_PAGE, .count = pages * RAM_PAGE / 4,
		.value = value,
	};

	vmm_do(&vmm, 0, &job);
}

/* Text-like, noise, one byte that is not zero, and nothing at all. */
static void fill(void)
{
	uint64_t page;

	for (page = 0; page < 200; page++)
		snprintf((char *)a->map + page * RAM_PAGE, RAM_PAGE, "page %lu of some text", page);
	guest(GUEST_STOS, a, 200, 100, 0x64636261);
	guest(GUEST_NOISE, a, 300, 150, 1);
	a->map[460 * RAM_PAGE - 1] = 1;
	/* the second chunk is a hole, the third was written with zeroes */
	guest(GUEST_STOS, a, 1024, 512, 0);
	guest(GUEST_NOISE, b, 500, 150, 2);
}

static const char *fault_of_streams(void)
{
	return ferry_fault_of_streams(&ferry) ?: shadow.fault ?: "none";
}

static uint64_t differences(void)
{
	return shadow_differences(&shadow, a) + shadow_differences(&shadow, b);
}

static void settle(void)
{
	int times;

	for (times = 0; times < 5 && (!times || ferry_pending_pages(&ferry)); times++) {
		scene_drain_lists();
		ferry_must_pass(&ferry, 0);
	}
}

static void test_kinds(void)
{
	ktap_ok(!ferry_pass(&ferry, 0), "a pass over %lu pages, fault: %s", PAGES_A + PAGES_B,
		fault_of_streams());
	ktap_ok(!differences(), "shadow equals RAM");
	ktap_ok(!seen.wrong_channel, "every chunk is on its channel (%lu records were not)",
		seen.wrong_channel);
	ktap_ok(shadow.raw >= 300 && shadow.raw <= 310, "%lu pages of noise were sent as they are",
		shadow.raw);
	ktap_ok(shadow.encoded >= 300 && shadow.encoded <= 310, "%lu pages were encoded",
		shadow.encoded);
	/* page 459 comes behind noise in its chunk: it is not tried */
	ktap_ok(seen.lazy <= 1 && !seen.futile, "%lu were raw that shrink, %lu encoded that do not",
		seen.lazy, seen.futile);
	ktap_ok(!seen.zeroes, "no page of zero bytes is a payload (%lu were)", seen.zeroes);
	/* a run ends with its chunk at the latest, and at most two begin between others */
	ktap_ok(seen.zero_records <= 10, "zero pages travel in runs: %lu records for %lu pages",
		seen.zero_records, shadow.zero);
}

static uint64_t stream_bytes(void)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < ferry.channels; i++)
		sum += ferry.channel[i].stream.bytes;
	return sum;
}

/* The module's counters say what was really on the rings. */
static void test_counters(const char *when)
{
	struct ferry_status s;

	must(ferry_status(&ferry, 0, &s));
	ktap_ok(s.zero == shadow.zero && s.raw == shadow.raw && s.encoded == shadow.encoded,
		"%s: pages zero %lu, raw %lu, encoded %lu", when,
		(unsigned long)s.zero, (unsigned long)s.raw, (unsigned long)s.encoded);
	ktap_ok(s.taken == s.zero + s.raw + s.encoded + s.unchanged,
		"%s: %lu taken, all of them sent or unchanged", when,
		(unsigned long)s.taken);
	ktap_ok(s.bytes_wire == stream_bytes() && s.bytes_encoded == seen.payload,
		"%s: %lu bytes on the wire, %lu of them encoded pages", when,
		(unsigned long)s.bytes_wire, (unsigned long)s.bytes_encoded);
	ktap_ok(s.state == FERRY_STATE_IDLE && s.pass == ferry.pass &&
		s.ram_pages == PAGES_A + PAGES_B, "%s: idle after pass %u", when, s.pass);
}

static void test_digests(const char *when)
{
	uint8_t theirs[FERRY_HASH_SIZE], ours[FERRY_HASH_SIZE];
	bool sent = true, full = true;
	unsigned int i;

	for (i = 0; i < vmm.rams; i++) {
		must(ferry_digest(&ferry, i, 0, theirs));
		sent &= !memcmp(theirs, shadow.block[i].digest, sizeof(theirs));
		must(ferry_digest(&ferry, i, FERRY_DIGEST_FULL, theirs));
		shadow_digest_ram(&shadow, &vmm.ram[i], ours);
		full &= !memcmp(theirs, ours, sizeof(theirs));
	}
	ktap_ok(sent, "%s: the digests are those of what was sent", when);
	ktap_ok(full, "%s: the full digests are those of the RAM", when);
}

/* One byte makes a difference, and a page in another's place does. */
static void test_digests_differ(void)
{
	uint8_t sent[FERRY_HASH_SIZE], full[FERRY_HASH_SIZE];
	static uint8_t page[RAM_PAGE];

	a->map[123 * RAM_PAGE + 45]++;
	must(ferry_digest(&ferry, a->id, 0, sent));
	must(ferry_digest(&ferry, a->id, FERRY_DIGEST_FULL, full));
	ktap_ok(memcmp(sent, full, sizeof(sent)), "a byte that was not sent shows in the full digest");
	a->map[123 * RAM_PAGE + 45]--;
	memcpy(page, a->map, RAM_PAGE);
	memcpy(a->map, a->map + RAM_PAGE, RAM_PAGE);
	memcpy(a->map + RAM_PAGE, page, RAM_PAGE);
	must(ferry_digest(&ferry, a->id, FERRY_DIGEST_FULL, full));
	ktap_ok(memcmp(sent, full, sizeof(sent)), "two pages that change places show, too");
	settle();
}

/* The rings are small: whatever was sent so far went round them many times. */
static void test_wrap(void)
{
	uint64_t least = UINT64_MAX;
	struct ferry_status s;
	unsigned int i, pass;

	for (pass = 0; pass < 10; pass++) {
		guest(GUEST_NOISE, a, (pass * 530) % 1300, 200, pass + 10);
		guest(GUEST_NOISE, b, (pass * 31) % 500, 200, pass + 20);
		ferry_must_pass(&ferry, 0);
	}
	settle();
	for (i = 0; i < CHANNELS; i++)
		if (ferry.channel[i].ring->head < least)
			least = ferry.channel[i].ring->head;
	must(ferry_status(&ferry, 0, &s));
	ktap_ok(least > 8 * FERRY_RING_MIN, "each ring wrapped at least %lu times",
		least / FERRY_RING_MIN);
	ktap_ok(s.waits, "channels waited for room %lu times", (unsigned long)s.waits);
	ktap_ok(!differences(), "shadow equals RAM");
}

/* Bites of a size that fits nothing: records come in pieces. */
static void test_slow_consumer(void)
{
	ferry.bite = 1021;
	guest(GUEST_NOISE, a, 0, 300, 77);
	guest(GUEST_STOS, b, 100, 300, 0x12345678);
	ktap_ok(!ferry_pass(&ferry, 0), "a consumer of 1021 bytes at a time, fault: %s",
		fault_of_streams());
	ferry.bite = 0;
	settle();
	ktap_ok(!differences(), "shadow equals RAM");
}

static void test_pass_end(void)
{
	bool all = true;
	unsigned int i;

	ferry_must_pass(&ferry, 0);
	for (i = 0; i < CHANNELS; i++)
		all &= ferry.channel[i].stream.pass == ferry.pass &&
		       !ferry.channel[i].stream.pass_flags;
	ktap_ok(all, "every channel ends pass %lu", ferry.pass);
	ferry_must_pass(&ferry, FERRY_PASS_FINAL);
	for (all = true, i = 0; i < CHANNELS; i++)
		all &= ferry.channel[i].stream.pass == ferry.pass &&
		       ferry.channel[i].stream.pass_flags == FERRY_PASS_FINAL;
	ktap_ok(all, "and the final one, flagged so");
}

/* Pages that change while they are copied: old or new or a mixture, but never a bad CRC. */
static void test_changing(void)
{
	struct timespec start, now;
	unsigned long passes = 0;

	memset(b->map, 0, PAGES_B * RAM_PAGE);
	vmm_start_random(&vmm, b, 17, 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		ferry_must_pass(&ferry, 0);
		passes++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < 3);
	vmm_end(&vmm, 0);
	vmm_end(&vmm, 1);
	ferry_must_pass(&ferry, FERRY_PASS_FINAL);
	ktap_ok(!differences(), "after %lu passes under fire: shadow equals RAM, fault: %s",
		passes, fault_of_streams());
	ktap_ok(!vmm_random_errors(&vmm, b), "the guest computed correctly");
}

static void test_no_codec(void)
{
	detach();
	attach(FERRY_BIT(NONE));
	ferry_must_pass(&ferry, 0);
	ktap_ok(!shadow.encoded && shadow.raw && !differences(),
		"without a codec %lu pages are raw, shadow equals RAM", shadow.raw);
	test_digests("without a codec");
}

/* Whatever the kernel encodes, the target's libraries decode. */
static void test_codec(unsigned int codec)
{
	detach();
	attach(1ull << codec);
	ferry_must_pass(&ferry, 0);
	ktap_ok(shadow.encoded && !differences(), "%s: %lu pages are encoded, in %lu bytes; shadow equals RAM",
		codec_name(codec), shadow.encoded, (unsigned long)seen.payload);
	ktap_ok(!seen.futile, "%s: no record is longer than it may be", codec_name(codec));
}

/* What is on the ring when the device is closed can still be read, then it hangs up. */
static void test_hang_up(void)
{
	struct ferry_ring_client *c = &ferry.channel[0];
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	uint64_t records;

	guest(GUEST_NOISE, a, 0, 512, 5);
	must(ferry_begin(&ferry, 0));
	must(poll(&p, 1, 60000));
	ktap_ok(p.revents == POLLIN, "bytes make a channel readable");
	must(close(ferry.fd));
	must(poll(&p, 1, 60000));
	ktap_ok(p.revents == (POLLIN | POLLHUP), "the device is closed: readable still, and hung up");
	records = c->stream.records;
	while (ferry_take(&ferry, 0))
		;
	ktap_ok(c->stream.records > records && !c->stream.fault && stream_is_between_records(&c->stream),
		"%lu whole records came after the end", c->stream.records - records);
	must(poll(&p, 1, 60000));
	ktap_ok(p.revents == POLLHUP, "then there is nothing but the hang-up");
	/* for ferry_close() */
	ferry.fd = must(dup(0));
}

int main(void)
{
	unsigned int codec;

	if (!vmm_available())
		ktap_skip_all("no /dev/kvm");
	ktap_plan(8 + 4 + 2 + 2 + 3 + 2 + 2 + 2 + 4 + 2 + 1 + 2 + 2 * (FERRY_NR_CODECS - 2) + 4 + 1);
	ferry_load_module();
	vmm_open(&vmm);
	a = vmm_add_ram(&vmm, &(struct ram_spec) { .size = PAGES_A * RAM_PAGE, .gpa = GPA, .id = 0 });
	b = vmm_add_ram(&vmm, &(struct ram_spec) { .size = PAGES_B * RAM_PAGE, .gpa = 4 * GPA, .id = 1 });
	vmm_boot(&vmm, 2);
	fill();
	attach(FERRY_BIT(LZ4));

	test_kinds();
	test_counters("first pass");
	test_digests("first pass");
	test_digests_differ();
	test_wrap();
	test_slow_consumer();
	test_pass_end();
	test_changing();
	test_counters("at the end");
	test_digests("at the end");
	test_no_codec();
	for (codec = FERRY_CODEC_LZ4HC; codec < FERRY_NR_CODECS; codec++)
		test_codec(codec);
	test_hang_up();

	detach();
	vmm_close(&vmm);
	ktap_ok(ferry_unload_module(), "the module unloads");
	return ktap_finish();
}
