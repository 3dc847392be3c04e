// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guest RAM that goes to swap and comes back. Reclaim takes the page table entry, and
 * with it the only witness of a write: the page must be pending all the same, and
 * what is sent must be what the guest would find.
 */
#include "ktap.h"
#include "scene.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "die.h"

#define GPA	0x1000000ul
#define PAGES	4096ul
#define GROUP	"/sys/fs/cgroup/ferry"

static struct scene scene;
static struct ram *ram;

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("%s: %s", path, strerror(errno));
	close(fd);
}

static void swap_begin(void)
{
	if (system("modprobe -q zram num_devices=1; "
		   "echo 192M >/sys/block/zram0/disksize && mkswap /dev/zram0 >/dev/null && "
		   "swapon /dev/zram0"))
		die("no swap");
	put("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	must(mkdir(GROUP, 0755));
	put(GROUP "/cgroup.procs", "0");
}

static void swap_end(void)
{
	put("/sys/fs/cgroup/cgroup.procs", "0");
	must(rmdir(GROUP));
	if (system("swapoff /dev/zram0 && echo 1 >/sys/block/zram0/reset"))
		die("swapoff");
}

/* Pages of our RAM that are neither in memory nor holes. */
static uint64_t swapped(void)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	unsigned long start, end, kib, sum = 0;
	bool ours = false;
	char line[512];

	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx", &start, &end) == 2)
			ours = start >= (uintptr_t)ram->map &&
			       start < (uintptr_t)ram->map + ram->size;
		else if (ours && sscanf(line, "Swap: %lu", &kib) == 1)
			sum += kib;
	}
	fclose(smaps);
	return sum / 4;
}

static void guest_store(uint64_t page, uint32_t count, uint32_t value)
{
	struct guest_job job = {
		.op = GUEST_STORE, .base = GPA + page * RAM_PAGE + 256, .count = count,
		.stride = RAM_PAGE, .value = value,
	};

	vmm_do(&scene.vmm, 0, &job);
}

/*
 * Reclaim spares what was used lately, and asks KVM, too. So the first time it only
 * clears the marks of use.
 */
static void page_out(uint64_t page, uint64_t pages)
{
	int times;

	for (times = 0; times < 3; times++) {
		scene_drain_lists();
		must(madvise(ram->map + page * RAM_PAGE, pages * RAM_PAGE, MADV_PAGEOUT));
	}
}

/* Written, and swapped out before anybody looked. */
static void test_written_then_swapped(void)
{
	struct scene_delta delta;
	uint64_t before = swapped();

	guest_store(1000, 200, 0xd1d1);
	page_out(1000, 200);
	ktap_ok(swapped() - before >= 150, "%lu of 200 pages went to swap", swapped() - before);
	scene_expect(&scene, ram, 1000, 200);
	delta = scene_compare(&scene);
	ktap_ok(!delta.missed && !delta.extra, "written, then swapped out: %lu missed, %lu extra",
		delta.missed, delta.extra);
	scene_settle(&scene);
	ktap_ok(!scene_differences(&scene), "written, then swapped out: shadow equals RAM");
}

/* Nothing was written: to send the page again would be a waste, to lose it a disaster. */
static void test_clean_then_swapped(void)
{
	uint64_t i, wrong = 0;

	page_out(3000, 300);
	scene_settle(&scene);
	guest_store(3000, 150, 0xe0e0);
	page_out(3000, 300);
	scene_settle(&scene);
	for (i = 3000; i < 3150; i++)
		wrong += *(uint32_t *)(scene.shadow.block[0].map + i * RAM_PAGE + 256) !=
			 0xe0e0 + i - 3000;
	ktap_ok(!wrong && !scene_differences(&scene), "swapped out, in and out: shadow equals RAM");
}

/*
 * The most that was on swap at a time. Looked at all the while: a pass reads everything
 * back that was swapped out since the one before.
 */
static volatile uint64_t most;
static volatile bool looking;

static void *look(void *unused)
{
	while (looking) {
		uint64_t one = swapped();

		if (one > most)
			most = one;
		usleep(5000);
	}
	return unused;
}

/* More RAM in use than the VM may have: reclaim works all the time. */
static void test_pressure(void)
{
	struct timespec start, now;
	unsigned long passes = 0;
	pthread_t looker;

	put(GROUP "/memory.max", "26M");
	vmm_start_random(&scene.vmm, ram, 3, 1);
	looking = true;
	if (pthread_create(&looker, NULL, look, NULL))
		die("no thread");
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		ferry_must_pass(&scene.ferry, 0);
		passes++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < (most ? 4 : 60));
	looking = false;
	pthread_join(looker, NULL);
	vmm_end(&scene.vmm, 0);
	ferry_must_pass(&scene.ferry, FERRY_PASS_FINAL);
	ktap_ok(most, "under pressure %lu pages were on swap at a time", most);
	ktap_ok(!scene_differences(&scene), "after %lu passes under pressure: shadow equals RAM",
		passes);
	ktap_ok(!vmm_random_errors(&scene.vmm, ram), "the guest computed correctly");
	put(GROUP "/memory.max", "max");
}

static void test_control(void)
{
	struct scene_delta delta;

	scene_settle(&scene);
	if (!ferry_fault("foreign-blind")) {
		ktap_skip("no fault points in this build", "control");
		return;
	}
	guest_store(1000, 200, 0xc0c0);
	page_out(1000, 200);
	scene_expect(&scene, ram, 1000, 200);
	delta = scene_compare(&scene);
	ktap_ok(delta.missed, "control: without the notifier %lu of 200 are missed", delta.missed);
	ferry_fault("");
}

int main(void)
{
	scene_open(&scene);
	ktap_plan(10);
	swap_begin();
	ram = scene_add_ram(&scene, &(struct ram_spec) {
		.size = PAGES * RAM_PAGE, .gpa = GPA,
	});
	vmm_boot(&scene.vmm, 1);
	scene_attach(&scene, 2, 1 << 20);
	/* the guest's counters begin at zero, so only a part is filled */
	guest_store(0, PAGES, 1);
	ktap_ok(!scene_settle(&scene), "after a pass nothing is pending");

	test_written_then_swapped();
	test_clean_then_swapped();
	test_pressure();
	test_control();

	scene_close(&scene);
	swap_end();
	ktap_ok(ferry_unload_module(), "the module unloads");
	return ktap_finish();
}
