// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Group write-unprotection: how many exits it saves, and the rules of unprotect.h.
 * To break one of them silently loses a write of the guest.
 */
#include "ktap.h"
#include "scene.h"

#include <linux/falloc.h>
#include <linux/kvm.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "die.h"

#define GPA	0x1000000ul
#define PAGES	4096ul
#define RING	(4ul << 20)

/* Exits that have other reasons, such as the end of a job. */
#define STRAY	4

static struct scene scene;
static struct ram *ram;

/* Without those for interrupts of the host, which tell how long something took. */
static uint64_t exits_now(void)
{
	return vmm_exits(&scene.vmm) - vmm_irq_exits(&scene.vmm);
}

/* The exits that a job over all pages, @stride pages apart, costs. */
static uint64_t exits_of(uint32_t op, unsigned int stride)
{
	static uint32_t value = 1;
	struct guest_job job = {
		.op = op,
		.base = GPA + 8,
		.count = PAGES / stride,
		.stride = stride * RAM_PAGE,
		.value = value += 0x10000,
	};
	uint64_t before = exits_now();

	vmm_do(&scene.vmm, 0, &job);
	return exits_now() - before;
}

static bool is_about(uint64_t exits, uint64_t wanted)
{
	return exits >= wanted && exits <= wanted + STRAY;
}

static void test_writes(void)
{
	static const unsigned int orders[] = { 0, 1, 3, 5, 7, 9 };
	unsigned int i;

	/* prefault gives up after some time, which on a slow host is too little for a chunk */
	ferry_fault("prefault-patient");
	for (i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
		uint64_t exits;

		scene_group(&scene, FERRY_GROUP_STATIC, orders[i], 0);
		scene_settle(&scene);
		exits = exits_of(GUEST_STORE, 1);
		ktap_ok(is_about(exits, PAGES >> orders[i]), "static %u: %lu exits for %lu pages",
			1 << orders[i], exits, PAGES);
	}
	ktap_ok(!scene_settle(&scene) && !scene_differences(&scene), "and nothing is lost");
	ferry_fault("");
}

static void test_reads(void)
{
	uint64_t exits;

	scene_group(&scene, FERRY_GROUP_STATIC, 5, 5);
	scene_settle(&scene);
	exits = exits_of(GUEST_READ, 1);
	ktap_ok(exits <= 129 + STRAY, "reads: %lu exits for %lu pages", exits, PAGES);
	ktap_ok(!ferry_pending_pages(&scene.ferry), "and all pages stay clean");
	exits = exits_of(GUEST_STORE, 1);
	ktap_ok(exits <= 129 + STRAY, "writes after that: %lu exits", exits);
	ktap_ok(ferry_pending_pages(&scene.ferry) == PAGES, "and all pages are written");
}

/* Opened in vain, a page is looked at, but not sent. */
static void test_unchanged(void)
{
	struct ferry_status before, after;
	struct ferry_group_stats s, t;

	scene_group(&scene, FERRY_GROUP_STATIC, 5, 0);
	scene_settle(&scene);
	must(ferry_status(&scene.ferry, 0, &before));
	s = scene_group_stats(&scene);
	exits_of(GUEST_STORE, 64);
	scene_settle(&scene);
	must(ferry_status(&scene.ferry, 0, &after));
	t = scene_group_stats(&scene);
	ktap_ok(t.opened - s.opened == 31 * PAGES / 64 && t.groups[5] - s.groups[5] == PAGES / 64,
		"1 page in 64 written: %lu groups, %lu pages opened",
		(unsigned long)(t.groups[5] - s.groups[5]), (unsigned long)(t.opened - s.opened));
	ktap_ok(after.unchanged - before.unchanged == 31 * PAGES / 64 &&
		t.opened_unchanged - s.opened_unchanged == 31 * PAGES / 64 &&
		t.opened_changed == s.opened_changed,
		"these are unchanged, and not sent: %lu", (unsigned long)(after.unchanged - before.unchanged));
	ktap_ok(after.zero + after.raw + after.encoded + after.unchanged == after.taken,
		"every page that was taken is accounted for");
	ktap_ok(!scene_differences(&scene), "shadow equals RAM");
}

static void test_resend(void)
{
	struct ferry_group resend = {
		.policy = FERRY_GROUP_STATIC, .order = 5, .flags = FERRY_GROUP_RESEND,
	};
	struct ferry_status status;

	must(ferry_group(&scene.ferry, &resend));
	shadow_forget_sent(&scene.shadow);
	exits_of(GUEST_STORE, 64);
	scene_settle(&scene);
	must(ferry_status(&scene.ferry, 0, &status));
	ktap_ok(scene.shadow.block[ram->id].sent[1] == 1, "an unchanged page is sent if that is asked for");
}

#define CHUNKS	(PAGES / 512)

/* The map tells where the groups are that the statistics count. */
static void test_map(void)
{
	struct ferry_group_cell was[CHUNKS], now[CHUNKS];
	struct guest_job job = {
		.op = GUEST_STORE, .base = GPA + 2 * 512 * RAM_PAGE, .count = 512,
		.stride = RAM_PAGE, .value = 0x3a90000,
	};
	struct ferry_group_stats stats = scene_group_stats(&scene);
	uint64_t faults = 0, opened = 0;
	unsigned int i, others = 0;

	must(ferry_group_map(&scene.ferry, ram, was));
	for (i = 0; i < CHUNKS; i++) {
		faults += was[i].write_faults;
		opened += was[i].opened;
	}
	ktap_ok(opened == stats.opened && opened, "the map has all pages that were opened: %lu of %lu",
		(unsigned long)opened, (unsigned long)stats.opened);
	ktap_ok(faults && faults <= stats.write_faults, "and the faults that opened them: %lu of %lu",
		(unsigned long)faults, (unsigned long)stats.write_faults);

	scene_group(&scene, FERRY_GROUP_STATIC, 5, 0);
	scene_settle(&scene);
	vmm_do(&scene.vmm, 0, &job);
	must(ferry_group_map(&scene.ferry, ram, now));
	for (i = 0; i < CHUNKS; i++)
		others += i != 2 && (now[i].write_faults != was[i].write_faults ||
				     now[i].opened != was[i].opened);
	ktap_ok(now[2].write_faults - was[2].write_faults == 16 &&
		now[2].opened - was[2].opened == 16 * 31 && !others,
		"a chunk is written: 16 faults, 496 pages opened there, and %u elsewhere", others);
}

/* Opening must not allocate memory that the guest gave back. */
static void test_holes_stay(void)
{
	struct stat before, after;

	scene_group(&scene, FERRY_GROUP_STATIC, 9, 9);
	must(fallocate(ram->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		       ram->offset + 8 * RAM_PAGE, 256 * RAM_PAGE));
	scene_settle(&scene);
	must(fstat(ram->fd, &before));
	exits_of(GUEST_STORE, 512);
	exits_of(GUEST_READ, 512);
	must(fstat(ram->fd, &after));
	ktap_ok(before.st_blocks == after.st_blocks, "opening a group fills no hole: %ld blocks, then %ld",
		(long)before.st_blocks, (long)after.st_blocks);
	ktap_ok(!scene_settle(&scene) && !scene_differences(&scene), "shadow equals RAM");
}

static void test_work_nomem(void)
{
	struct ferry_group_stats s, t;
	uint64_t exits;

	scene_group(&scene, FERRY_GROUP_STATIC, 9, 0);
	scene_settle(&scene);
	if (!ferry_fault("work-nomem")) {
		ktap_skip("not a test build", "work-nomem");
		return;
	}
	s = scene_group_stats(&scene);
	exits = exits_of(GUEST_STORE, 1);
	t = scene_group_stats(&scene);
	ferry_fault("");
	ktap_ok(is_about(exits, PAGES) && t.skipped - s.skipped == PAGES && !scene_settle(&scene) &&
		!scene_differences(&scene), "work-nomem: %lu exits, and nothing is lost", exits);
}

static void test_opened_blind(void)
{
	scene_group(&scene, FERRY_GROUP_STATIC, 5, 0);
	scene_settle(&scene);
	if (!ferry_fault("opened-blind")) {
		ktap_skip("not a test build", "the control");
		return;
	}
	exits_of(GUEST_STORE, 1);
	/* a pass only: to ask for what is pending is to look again, with both eyes */
	ferry_must_pass(&scene.ferry, 0);
	ferry_fault("");
	ktap_ok(scene_differences(&scene) >= PAGES / 2, "the control, opened-blind: shadow and RAM differ");
	exits_of(GUEST_STORE, 1);
	ktap_ok(!scene_settle(&scene) && !scene_differences(&scene), "and are equal again without it");
}

/* --- a live VM */

/* Passes while both vCPUs write at random, punching holes being somebody else's test. */
static void live(const char *name, bool signals, unsigned int passes)
{
	struct ferry_group_stats s = scene_group_stats(&scene), t;
	unsigned int i;

	vmm_start_random(&scene.vmm, ram, 42, 4);
	if (signals)
		vmm_storm_begin(&scene.vmm);
	for (i = 0; i < passes; i++)
		ferry_must_pass(&scene.ferry, 0);
	if (signals)
		vmm_storm_end();
	for (i = 0; i < scene.vmm.vcpus; i++)
		vmm_end(&scene.vmm, i);
	t = scene_group_stats(&scene);
	ktap_note("%s: %lu write faults, %lu opened, %lu read faults, %lu mapped, %lu skipped", name,
		  (unsigned long)(t.write_faults - s.write_faults), (unsigned long)(t.opened - s.opened),
		  (unsigned long)(t.read_faults - s.read_faults),
		  (unsigned long)(t.read_mapped - s.read_mapped), (unsigned long)(t.skipped - s.skipped));
	ktap_ok(!vmm_random_errors(&scene.vmm, ram), "%s: the guest's sums are right", name);
	/* the others may open nothing for a guest that writes at random */
	ktap_ok((t.opened > s.opened || scene.group.policy != FERRY_GROUP_STATIC) &&
		!scene_settle(&scene) && !scene_differences(&scene), "%s: shadow equals RAM", name);
}

static void test_live(void)
{
	static const struct { const char *name; uint32_t policy, order; } runs[] = {
		{ "static 32", FERRY_GROUP_STATIC, 5 },
		{ "static 512", FERRY_GROUP_STATIC, 9 },
		{ "contiguous", FERRY_GROUP_CONTIGUOUS, 0 },
		{ "dynamic", FERRY_GROUP_DYNAMIC, 0 },
	};
	unsigned int i;

	/* the counters of GUEST_RANDOM begin with empty pages */
	memset(ram->map, 0, ram->size);
	for (i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
		char name[64];

		scene_group(&scene, runs[i].policy, runs[i].order, 5);
		scene_settle(&scene);
		live(runs[i].name, false, 10);
		snprintf(name, sizeof(name), "%s, signals", runs[i].name);
		live(name, true, 10);
	}
}

/* Bytes of our address space that are private and anonymous, and are not the heap. */
static unsigned long private_bytes(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start, end, sum = 0;
	char line[256], rest[192];

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx rw-p 00000000 00:00 0 %191s", &start, &end, rest) == 2)
			sum += end - start;
	if (!maps)
		die("/proc/self/maps: %s", strerror(errno));
	fclose(maps);
	return sum;
}

/* The VMM whose faults are handled is ourselves. Last of all: detaches. */
static void test_leaves_nothing(void)
{
	unsigned long before, after;

	scene_group(&scene, FERRY_GROUP_STATIC, 5, 5);
	scene_settle(&scene);
	exits_of(GUEST_STORE, 1);
	before = private_bytes();
	must(close(scene.ferry.fd));
	after = private_bytes();
	/* for ferry_close(), which frees more than this */
	scene.ferry.fd = must(dup(0));
	scene_detach(&scene);
	ktap_ok(before - after == (scene_prefaults() ? 65536 : 0),
		"when it lets go of a VM, the module takes back what it had mapped there: %lu bytes",
		before - after);
}

static void test_hooked(void)
{
	uint32_t wanted = scene_prefaults() ? FERRY_BACKEND_PREFAULT : FERRY_BACKEND_PAGE_FAULT;

	ktap_ok(scene_group_stats(&scene).backend == wanted, "this kernel lets pages be opened");
}

int main(void)
{
	struct ram_spec spec = { .size = PAGES * RAM_PAGE, .gpa = GPA };

	ktap_plan(1 + 7 + 4 + 4 + 1 + 3 + 2 + 1 + 2 + 16 + 1 + 1);
	scene_open(&scene);
	ram = scene_add_ram(&scene, &spec);
	vmm_boot(&scene.vmm, 2);
	scene_populate(&scene);
	scene_attach(&scene, 2, RING);
	scene_settle(&scene);
	test_hooked();
	test_writes();
	test_reads();
	test_unchanged();
	test_resend();
	test_map();
	test_holes_stay();
	test_work_nomem();
	test_opened_blind();
	test_live();
	test_leaves_nothing();
	scene_close(&scene);
	ktap_ok(ferry_unload_module(), "the module unloads");
	return ktap_finish();
}
