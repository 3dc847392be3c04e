// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guest RAM in huge pages of tmpfs. Tracking is exact at 2 MiB, no write is missed,
 * the kernel's own helper is never let loose on a huge mapping (it would warn, which
 * ends this machine), and splitting and collapsing meanwhile do no harm.
 */
#include "ktap.h"
#include "scene.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "die.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define GPA		0x1000000ul
#define CHUNKS		8ul
#define CHUNK_PAGES	512ul
#define PAGES		(CHUNKS * CHUNK_PAGES)
#define ANEW		6ul	/* a chunk that is mapped a second time */

static struct scene scene;
static struct ram *ram;
static volatile bool stop;

/* How much of our RAM is mapped by huge pages, in chunks. */
static unsigned long huge_chunks(void)
{
	unsigned long start, end, kib, sum = 0;
	FILE *smaps = fopen("/proc/self/smaps", "re");
	bool ours = false;
	char line[512];

	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx", &start, &end) == 2)
			ours = start >= (uintptr_t)ram->map &&
			       start < (uintptr_t)ram->map + ram->size;
		else if (ours && sscanf(line, "ShmemPmdMapped: %lu", &kib) == 1)
			sum += kib;
	}
	fclose(smaps);
	return sum >> 11;
}

static void guest_store(uint64_t page, uint32_t count)
{
	struct guest_job job = {
		.op = GUEST_STORE, .base = GPA + page * RAM_PAGE + 64, .count = count,
		.stride = RAM_PAGE, .value = 0xace0,
	};

	vmm_do(&scene.vmm, 0, &job);
}

static void check_exact(const char *name)
{
	struct scene_delta delta = scene_compare(&scene);

	ktap_ok(!delta.missed && !delta.extra, "%s: %lu pending, %lu missed, %lu extra",
		name, delta.expected, delta.missed, delta.extra);
}

static void check_settles(const char *name)
{
	uint64_t left = scene_settle(&scene);

	ktap_ok(!left && !scene_differences(&scene), "%s: sent, shadow equals RAM", name);
}

static void test_whole(void)
{
	struct ferry_status status;

	ktap_ok(huge_chunks() == CHUNKS, "%lu of %lu chunks are huge", huge_chunks(), CHUNKS);
	check_settles("first pass");
	must(ferry_status(&scene.ferry, 0, &status));
	ktap_ok(status.protected_huge >= CHUNKS, "%lu huge pages were protected",
		(unsigned long)status.protected_huge);

	guest_store(3 * CHUNK_PAGES + 100, 1);
	scene_expect(&scene, ram, 3 * CHUNK_PAGES, CHUNK_PAGES);
	check_exact("one store makes its 2 MiB pending");
	check_settles("one store");
}

static void test_reads(void)
{
	struct guest_job job = {
		.op = GUEST_READ, .base = GPA, .count = PAGES, .stride = RAM_PAGE,
	};

	vmm_do(&scene.vmm, 0, &job);
	check_exact("the guest reads everything");
}

/*
 * A huge page that was protected splits at the first write, and the notifier tells of
 * that. When it is mapped anew by a write, only the scan can know.
 */
static void map_anew_and_store(uint64_t page)
{
	must(madvise(ram->map + ANEW * RAM_CHUNK, RAM_CHUNK, MADV_DONTNEED));
	scene_settle(&scene);
	guest_store(ANEW * CHUNK_PAGES + page, 1);
	scene_expect(&scene, ram, ANEW * CHUNK_PAGES, CHUNK_PAGES);
}

static void test_mapped_anew(void)
{
	unsigned long before = huge_chunks();

	map_anew_and_store(5);
	check_exact("one store to 2 MiB that were unmapped");
	ktap_ok(huge_chunks() == before, "they are mapped huge again");
	check_settles("one store to 2 MiB that were unmapped");
}

/* The control: what if the scan took huge pages for clean? */
static void test_control(void)
{
	struct scene_delta delta;
	uint64_t differ;

	if (!ferry_fault("huge-blind")) {
		ktap_skip("no fault points in this build", "control");
		ktap_skip("no fault points in this build", "control");
		return;
	}
	map_anew_and_store(6);
	delta = scene_compare(&scene);
	ktap_ok(delta.missed == CHUNK_PAGES,
		"control: without looking at huge pages %lu of %lu are missed", delta.missed,
		delta.expected);
	scene_settle(&scene);
	differ = scene_differences(&scene);
	ktap_ok(differ == 1, "control: and %lu page of the shadow is wrong", differ);
	ferry_fault("");
	scene_settle(&scene);
}

/* The first write has split what was huge: now tracking is by the page, or by 2 MiB. */
static void test_after_split(void)
{
	struct scene_delta delta;

	guest_store(3 * CHUNK_PAGES + 7, 3);
	scene_expect(&scene, ram, 3 * CHUNK_PAGES + 7, 3);
	delta = scene_compare(&scene);
	ktap_ok(!delta.missed && delta.extra <= CHUNK_PAGES,
		"a store after the split: %lu missed, %lu extra", delta.missed, delta.extra);
	check_settles("a store after the split");

	guest_store(0, PAGES);
	scene_expect(&scene, ram, 0, PAGES);
	check_exact("the guest stores to every page");
	check_settles("a store to every page");
}

/* To punch into the middle splits the page itself, not only its mapping. */
static void test_punch(void)
{
	struct scene_delta delta;

	must(fallocate(ram->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		       5 * RAM_CHUNK + 40 * RAM_PAGE, 16 * RAM_PAGE));
	scene_expect(&scene, ram, 5 * CHUNK_PAGES + 40, 16);
	delta = scene_compare(&scene);
	ktap_ok(!delta.missed, "a hole in a huge page: %lu missed, %lu extra",
		delta.missed, delta.extra);
	check_settles("a hole in a huge page");
	guest_store(5 * CHUNK_PAGES + 40, 8);
	scene_expect(&scene, ram, 5 * CHUNK_PAGES + 40, 8);
	delta = scene_compare(&scene);
	ktap_ok(!delta.missed, "the hole filled again: %lu missed", delta.missed);
	check_settles("the hole filled again");
}

static void collapse(uint64_t chunk)
{
	/* may fail for many good reasons, for instance a page on its way elsewhere */
	madvise(ram->map + chunk * RAM_CHUNK, RAM_CHUNK, MADV_COLLAPSE);
}

/* Small pages become a huge one behind our back. */
static void test_collapse(void)
{
	unsigned long before;
	uint64_t chunk;

	for (chunk = 0; chunk < CHUNKS; chunk++)
		must(madvise(ram->map + chunk * RAM_CHUNK, RAM_CHUNK, MADV_PAGEOUT));
	guest_store(CHUNK_PAGES + 9, 1);
	before = huge_chunks();
	for (chunk = 0; chunk < CHUNKS; chunk++)
		collapse(chunk);
	/* mapped anew, and only then huge */
	guest_store(CHUNK_PAGES + 10, 1);
	ktap_note("collapse: %lu huge chunks before, %lu after", before, huge_chunks());
	check_settles("collapsed");
	guest_store(0, PAGES);
	scene_expect(&scene, ram, 0, PAGES);
	check_exact("stores after the collapse");
	check_settles("stores after the collapse");
}

/* Splits by punching, and collapses, wherever it likes. */
static void *disturb(void *arg)
{
	uint64_t random = 11;

	(void)arg;
	while (!stop) {
		uint64_t chunk;

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		chunk = (random >> 40) % CHUNKS;
		if (random >> 63)
			must(fallocate(ram->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				       chunk * RAM_CHUNK + (random >> 50) % 500 * RAM_PAGE,
				       RAM_PAGE));
		else
			collapse(chunk);
	}
	return NULL;
}

static void test_race(void)
{
	struct guest_job job = {
		.op = GUEST_RANDOM, .base = GPA, .count = PAGES, .reads = 1,
	};
	struct timespec start, now;
	pthread_t thread;
	unsigned long passes = 0;

	scene.vmm.vcpu[0].box->seed = 5;
	stop = false;
	vmm_start(&scene.vmm, 0, &job);
	if (pthread_create(&thread, NULL, disturb, NULL))
		die("no thread");
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		ferry_must_pass(&scene.ferry, 0);
		passes++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < 4);
	stop = true;
	pthread_join(thread, NULL);
	vmm_end(&scene.vmm, 0);
	ferry_must_pass(&scene.ferry, FERRY_PASS_FINAL);
	ktap_ok(!scene_differences(&scene),
		"after %lu passes with splitting and collapsing: shadow equals RAM", passes);
}

int main(void)
{
	char dir[64];

	scene_open(&scene);
	ktap_plan(24);
	ram_mount(dir, "huge=always,size=256m");
	ram = scene_add_ram(&scene, &(struct ram_spec) {
		.size = PAGES * RAM_PAGE, .gpa = GPA, .dir = dir,
	});
	vmm_boot(&scene.vmm, 1);
	scene_populate(&scene);
	scene_attach(&scene, 2, 1 << 20);

	test_whole();
	test_reads();
	test_mapped_anew();
	test_control();
	test_after_split();
	test_punch();
	test_collapse();
	test_race();

	scene_close(&scene);
	ram_unmount(dir);
	ktap_ok(ferry_unload_module(), "the module unloads");
	return ktap_finish();
}
