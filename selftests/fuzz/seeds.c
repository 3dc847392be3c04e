// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Seeds for the fuzzers: what honest agents and QEMUs say, made by the agent's own encoders. Writes
 * NAME.seeds/ for each fuzzer into the current folder.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../unit/recorded.h"
#include "codec.h"
#include "fuzz-qmp.h"
#include "hash.h"
#include "journal.h"
#include "repair.h"
#include "scratch.h"
#include "script.h"
#include "vm.h"

/* ------------------------------------------------------------------------
 * A seed under way
 * ------------------------------------------------------------------------ */

static struct {
	uint8_t bytes[1 << 17];
	size_t length;
} seed;

static void add(const void *bytes, size_t length)
{
	if (length > sizeof(seed.bytes) - seed.length)
		abort();
	if (length)
		memcpy(seed.bytes + seed.length, bytes, length);
	seed.length += length;
}

static void add_text(const char *text)
{
	add(text, strlen(text));
}

static void save(const char *fuzzer, const char *name)
{
	char path[200];
	FILE *file;

	snprintf(path, sizeof(path), "%s.seeds", fuzzer);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s.seeds/%s", fuzzer, name);
	file = fopen(path, "we");
	if (!file || fwrite(seed.bytes, 1, seed.length, file) != seed.length || fclose(file)) {
		perror(path);
		exit(1);
	}
	seed.length = 0;
}

/* ------------------------------------------------------------------------
 * Payloads of frames
 * ------------------------------------------------------------------------ */

#define PAYLOAD_MAX	(WIRE_DOUBT_MAX > WIRE_ENDED_MAX ? WIRE_DOUBT_MAX : WIRE_ENDED_MAX)

static uint8_t payload[PAYLOAD_MAX];

static size_t hello(uint32_t flags)
{
	struct wire_hello h = {
		.flags = flags, .streams = 1, .rams = 2, .codecs = CODEC_ALL,
		.ram = { { FUZZ_RAM0, FUZZ_RAM0_SIZE }, { FUZZ_RAM1, FUZZ_RAM1_SIZE } },
	};

	return wire_put_hello(payload, &h);
}

static size_t digests(uint64_t pass)
{
	const struct wire_digests d = { .pass = pass, .rams = 2 };

	return wire_put_digests(payload, &d);
}

static size_t disks(void)
{
	static const struct wire_disks d = { .disks = 1, .disk = { { FUZZ_DISK, FUZZ_DISK_SECTORS } } };

	return wire_put_disks(payload, &d);
}

static size_t doubt(void)
{
	static const struct wire_doubt d = { .ranges = 2, .range = { { 1, 0, 8 }, { 2, 64, 16 } } };

	return wire_put_doubt(payload, &d);
}

static size_t ended(void)
{
	static const struct wire_ended e = { .ids = 2, .id = { 1, 2 } };

	return wire_put_ended(payload, &e);
}

static void seed_wire(void)
{
	const struct wire_preamble p = { .version = WIRE_VERSION, .kind = WIRE_STREAM, .channel = 1 };
	uint8_t preamble[WIRE_PREAMBLE_SIZE], frame[WIRE_FRAME_SIZE];

	add(preamble, wire_put_preamble(preamble, &p));
	save("fuzz-wire", "preamble");
	add(frame, wire_put_frame(frame, WIRE_HELLO, 192));
	save("fuzz-wire", "frame");
	add(payload, hello(WIRE_HELLO_RUNNING));
	save("fuzz-wire", "hello");
	add(payload, digests(7));
	save("fuzz-wire", "digests");
	add(payload, disks());
	save("fuzz-wire", "disks");
	add(payload, doubt());
	save("fuzz-wire", "doubt");
	add(payload, ended());
	save("fuzz-wire", "ended");
}

/* ------------------------------------------------------------------------
 * Records
 * ------------------------------------------------------------------------ */

static void add_record(unsigned int type, unsigned int block, uint32_t count, uint64_t page,
		       const uint8_t *bytes, uint32_t length)
{
	const struct wire_record r = {
		.type = type, .block = block, .count = count, .page = page, .length = length,
	};
	uint8_t header[sizeof(struct ferry_record)];
	static const uint8_t zero[FERRY_RECORD_ALIGN];

	add(header, wire_put_record(header, &r));
	add(bytes, length);
	add(zero, wire_padded(length) - length);
}

static void add_pass(uint64_t pass, bool final)
{
	static uint8_t page[FERRY_PAGE_SIZE];

	memset(page, (int)pass, sizeof(page));
	add_record(FERRY_RECORD_PAGES, 0, 1, pass, page, sizeof(page));
	add_record(FERRY_RECORD_ZERO, 0, 4, 8, NULL, 0);
	add_record(FERRY_RECORD_PASS_END, 0, final ? FERRY_PASS_FINAL : 0, pass, NULL, 0);
}

static void seed_apply(void)
{
	add_text(" ");
	add_pass(1, false);
	add_pass(2, true);
	repair_records(seed.bytes + 1, seed.length - 1, 0);
	save("fuzz-apply", "two-passes");
}

/* ------------------------------------------------------------------------
 * Conversations
 * ------------------------------------------------------------------------ */

/* The bytes of a step are added after this; @length is theirs. */
static void begin_step(char what, size_t length)
{
	const uint8_t head[3] = { (uint8_t)what, (uint8_t)(length >> 8), (uint8_t)length };

	add(head, sizeof(head));
}

static void step(char what)
{
	begin_step(what, 0);
}

static void step_byte(char what, uint8_t byte)
{
	begin_step(what, 1);
	add(&byte, 1);
}

static void say(enum wire_type type, size_t length)
{
	const uint8_t byte = (uint8_t)type;

	begin_step(SCRIPT_FRAME, 1 + length);
	add(&byte, 1);
	add(payload, length);
}

static void say_text(enum wire_type type, const char *text)
{
	memcpy(payload, text, strlen(text));
	say(type, strlen(text));
}

/* A pass on stream 0, and its answer. */
static void say_pass(uint64_t pass, bool final)
{
	size_t at = seed.length, length;

	step_byte(SCRIPT_STREAM, 0);
	add_pass(pass, final);
	length = seed.length - at - 3;
	seed.bytes[at + 1] = (uint8_t)(length >> 8);
	seed.bytes[at + 2] = (uint8_t)length;
	step(SCRIPT_WAIT);
}

static void say_beginning(bool running, bool with_disks)
{
	say(WIRE_HELLO, hello(running ? WIRE_HELLO_RUNNING : 0));
	step(SCRIPT_WAIT);
	if (with_disks) {
		say(WIRE_DISKS, disks());
		step(SCRIPT_WAIT);
	}
	say_pass(1, false);
}

static void say_switchover(bool with_doubt, bool verify)
{
	if (with_doubt)
		say(WIRE_DOUBT, doubt());
	say_pass(2, true);
	if (with_doubt) {
		say(WIRE_DOUBT_END, 0);
		step(SCRIPT_WAIT);
	}
	if (verify) {
		say(WIRE_VERIFY, 0);
		step(SCRIPT_WAIT);
	}
	say_text(WIRE_DEVICE, "QEVM");
	begin_step(SCRIPT_DEVICE, 2);
	add_text("rp");
	say(WIRE_DEVICE_EOF, 0);
	step_byte(SCRIPT_QEMU, 0);
	say(WIRE_COMMIT, 0);
	step(SCRIPT_WAIT);
}

static void seed_target(void)
{
	say_beginning(true, false);
	say_switchover(false, false);
	save("fuzz-target", "plain");
	say_beginning(false, false);
	say_switchover(false, true);
	save("fuzz-target", "paused-verified");
	say_beginning(true, true);
	say_switchover(true, false);
	say(WIRE_ENDED, ended());
	step(SCRIPT_WAIT);
	save("fuzz-target", "disks");
	say_beginning(true, true);
	say_text(WIRE_ABORT, "enough");
	save("fuzz-target", "abort");
	step(SCRIPT_STRANGER);
	say_beginning(true, false);
	step_byte(SCRIPT_CLOSE, 0);
	step(SCRIPT_SIGNAL);
	save("fuzz-target", "strangers");
}

/* What a target says, for fuzz-source. */
static void answer_beginning(bool with_disks)
{
	step(SCRIPT_WAIT);
	say(WIRE_READY, wire_put_ready(payload, CODEC_ALL));
	step(SCRIPT_WAIT);
	say(WIRE_DISKS_READY, wire_put_disks_ready(payload, with_disks));
	step_byte(SCRIPT_PASS, 1);
	say(WIRE_PASS_DONE, digests(1));
}

static void answer_switchover(bool with_disks, bool verify)
{
	if (with_disks) {
		step(SCRIPT_WAIT);
		step(SCRIPT_WAIT);
	}
	step_byte(SCRIPT_PASS, 2);
	say(WIRE_PASS_DONE, digests(2));
	if (verify) {
		step(SCRIPT_WAIT);
		say(WIRE_VERIFIED, digests(0));
	}
	step(SCRIPT_WAIT);
	say_text(WIRE_DEVICE, "rp");
	say(WIRE_DEVICE_EOF, 0);
	step_byte(SCRIPT_QEMU, 0);
	if (with_disks)
		say(WIRE_GUARDED, 0);
	step(SCRIPT_WAIT);
	say(WIRE_RUNNING, 0);
}

static void seed_source(void)
{
	say(WIRE_READY, wire_put_ready(payload, CODEC_ALL));
	say(WIRE_ABORT, 0);
	save("fuzz-source", "abort");
	answer_beginning(false);
	answer_switchover(false, true);
	save("fuzz-source", "verified");
	answer_beginning(true);
	answer_switchover(true, true);
	step_byte(SCRIPT_STREAM, 0);
	step_byte(SCRIPT_STREAM, 1);
	step(SCRIPT_WAIT);
	say(WIRE_OPEN, 0);
	step(SCRIPT_WAIT);
	save("fuzz-source", "disks");
}

/* ------------------------------------------------------------------------
 * QEMU
 * ------------------------------------------------------------------------ */

static void add_line(const char *text)
{
	add_text(text);
	add_text("\n");
}

/* As a JSON string: what the human monitor says. */
static void add_hmp(const char *text)
{
	json_t *string = json_string(text);
	char *line = json_dumps(string, JSON_ENCODE_ANY);

	add_line(line);
	free(line);
	json_decref(string);
}

#define GREETING "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, \"package\": \"\"}, \"capabilities\": [\"oob\"]}}"
#define CAPABILITIES "[{\"state\": false, \"capability\": \"x-ignore-shared\"}, {\"state\": false, \"capability\": \"return-path\"}, {\"state\": true, \"capability\": \"pause-before-switchover\"}, {\"state\": false, \"capability\": \"events\"}, {\"state\": true, \"capability\": \"multifd\"}]"
#define RAMBLOCK \
"              Block Name    PSize              Offset               Used              Total\r\n" \
"                    ram0    4 KiB  0x0000000000000000 0x0000000000200000 0x0000000000200000\r\n" \
"                 pc.bios    4 KiB  0x0000000008000000 0x0000000000040000 0x0000000000040000\r\n"
#define DISK "{\"device\": \"\", \"qdev\": \"/machine/peripheral/d0/virtio-backend\", \"inserted\": {\"ro\": false, \"drv\": \"raw\", \"cache\": {\"no-flush\": false, \"direct\": true, \"writeback\": true}, \"file\": \"/dev/mapper/vm1\"}}"
#define IDENTITY "{\"UUID\": \"6b766d66-6572-7279-0000-000000000001\"}\n{\"name\": \"ferried\"}\n"

/* The checks of check.c, in their order. */
static void add_checks(const char *status, const char *ramblock, const char *mtree)
{
	char address[80];

	add_line(status);
	add_line("{}");
	add_line(CAPABILITIES);
	add_line("\"\"");
	add_line("[{\"thread-id\": 0, \"cpu-index\": 0}]");
	add_line("[{\"id\": \"ram0\", \"share\": true, \"size\": 2097152}]");
	add_hmp(ramblock);
	add_hmp(mtree);
	snprintf(address, sizeof(address), "Host virtual address for 0x0 (ram0) is 0x%lx\r\n",
		 FUZZ_QMP_RAM);
	add_hmp(address);
	add_line("[" DISK "]");
	add_line("\"virtio-blk-device\"\n\"stop\"\n\"stop\"");
	add_text(IDENTITY IDENTITY IDENTITY);
}

static void seed_qmp(void)
{
	add_text("s" GREETING "\n{}\n");
	add_checks("{\"status\": \"running\", \"running\": true}", RAMBLOCK, KVM_MTREE);
	add_text("{\"status\": \"running\", \"running\": true}\n{\"status\": \"running\", \"running\": true}\n"
		 "!{\"event\": \"STOP\", \"timestamp\": {}}\n{}\n" CAPABILITIES "\n{}\n{}\n"
		 "!{\"event\": \"MIGRATION\", \"data\": {\"status\": \"setup\"}}\n"
		 "!{\"event\": \"MIGRATION\", \"data\": {\"status\": \"pre-switchover\"}}\n{}\n"
		 "!{\"event\": \"MIGRATION\", \"data\": {\"status\": \"completed\"}}\n{}\n{}\n{}\n{}\n");
	save("fuzz-qmp", "source");
	add_text("t" GREETING "\n{}\n");
	add_checks("{\"status\": \"inmigrate\", \"running\": false}", RAMBLOCK, KVM_MTREE);
	add_text("{}\n{}\n!{\"event\": \"MIGRATION\", \"data\": {\"status\": \"completed\"}}\n{}\n"
		 "{\"status\": \"completed\"}\n{}\n{\"status\": \"running\"}\n{}\n");
	save("fuzz-qmp", "target");
	add_text("s" GREETING "\n{}\n");
	add_checks("{\"status\": \"paused\"}", NUMA_RAMBLOCK, NUMA_MTREE);
	save("fuzz-qmp", "numa");
	add_text("s" GREETING "\n{}\n");
	add_checks("{\"status\": \"running\"}", OLD_RAMBLOCK, KVM_MTREE);
	add_text("{\"status\": \"running\", \"running\": true}\n{\"status\": \"running\", \"running\": true}\n{}\n" CAPABILITIES
		 "\n{}\n{}\n-{\"class\": \"GenericError\", \"desc\": \"no\"}\n"
		 "{\"status\": \"failed\", \"error-desc\": \"broken\", \"blocked-reasons\": [\"vfio\"]}\n{}\n{}\n");
	save("fuzz-qmp", "fails");
}

/* ------------------------------------------------------------------------
 * Owner records
 * ------------------------------------------------------------------------ */

static void seed_journal(enum journal_side side, enum journal_state state)
{
	const uint8_t id[WIRE_ID_SIZE] = FUZZ_ID;
	char text[4096];
	struct journal j;
	FILE *file;

	if (journal_init(&j, scratch_dir(), side, "vm-1", id, "192.0.2.1:7070", getpid(), NULL) ||
	    journal_write(&j, state, NULL))
		abort();
	file = fopen(j.path, "re");
	if (!file)
		abort();
	add_text(side == JOURNAL_SOURCE ? " " : "!");
	add(text, fread(text, 1, sizeof(text), file));
	fclose(file);
	save("fuzz-journal", journal_state_name(state));
}

int main(void)
{
	seed_wire();
	seed_apply();
	seed_target();
	seed_source();
	seed_qmp();
	for (unsigned int state = JOURNAL_OWNS; state <= JOURNAL_RUNNING; state++)
		seed_journal(state < JOURNAL_INCOMING ? JOURNAL_SOURCE : JOURNAL_TARGET, state);
	return 0;
}
