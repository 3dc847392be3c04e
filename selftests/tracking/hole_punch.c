// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Holes punched into guest RAM, as a balloon and free page reporting do it: the page
 * table entry that would have told about the write is gone. Punched pages are
 * pending, what is sent for them is zero, and a race of punching with passes and
 * guest writes leaves shadow and RAM equal.
 */
#include "ktap.h"
#include "scene.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "die.h"

#define GPA	0x1000000ul
#define PAGES	4096ul

static struct scene scene;
static struct ram *ram;
static volatile bool stop;

static void punch_file(uint64_t page, uint64_t pages)
{
	must(fallocate(ram->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		       ram->offset + page * RAM_PAGE, pages * RAM_PAGE));
}

/* What QEMU's balloon does. */
static void punch_mapping(uint64_t page, uint64_t pages)
{
	must(madvise(ram->map + page * RAM_PAGE, pages * RAM_PAGE, MADV_REMOVE));
}

static bool shadow_is_zero(uint64_t page, uint64_t pages)
{
	const uint8_t *at = scene.shadow.block[ram->id].map + page * RAM_PAGE;

	return !at[0] && !memcmp(at, at + 1, pages * RAM_PAGE - 1);
}

static void test_punch(const char *name, void (*punch)(uint64_t, uint64_t),
		       uint64_t page, uint64_t pages)
{
	uint64_t zero = scene.shadow.zero;
	struct scene_delta delta;

	punch(page, pages);
	scene_expect(&scene, ram, page, pages);
	delta = scene_compare(&scene);
	ktap_ok(!delta.missed && !delta.extra, "%s: %lu pages pending, %lu missed, %lu extra",
		name, delta.expected, delta.missed, delta.extra);
	scene_settle(&scene);
	ktap_ok(shadow_is_zero(page, pages) && scene.shadow.zero - zero >= pages,
		"%s: the pages are sent as zero", name);
	ktap_ok(!scene_differences(&scene), "%s: shadow equals RAM", name);
}

/* A hole that is filled again before anybody looked. */
static void test_punch_and_write(void)
{
	struct guest_job job = {
		.op = GUEST_STORE, .base = GPA + 300 * RAM_PAGE, .count = 16,
		.stride = RAM_PAGE, .value = 0xb0b,
	};
	struct scene_delta delta;

	punch_file(300, 32);
	vmm_do(&scene.vmm, 0, &job);
	scene_expect(&scene, ram, 300, 32);
	delta = scene_compare(&scene);
	ktap_ok(!delta.missed && !delta.extra, "punched, half of it written again: %lu missed, %lu extra",
		delta.missed, delta.extra);
	scene_settle(&scene);
	ktap_ok(!scene_differences(&scene), "punched, half of it written again: shadow equals RAM");
}

/* Without a mapping there is no page table entry to lose, and still there is a hole. */
static void test_punch_unmapped(void)
{
	struct scene_delta delta;

	must(madvise(ram->map + 600 * RAM_PAGE, 64 * RAM_PAGE, MADV_DONTNEED));
	scene_settle(&scene);
	punch_file(600, 64);
	scene_expect(&scene, ram, 600, 64);
	delta = scene_compare(&scene);
	ktap_ok(!delta.missed, "punched while not in the page tables: %lu missed", delta.missed);
	scene_settle(&scene);
	ktap_ok(!scene_differences(&scene), "punched while not in the page tables: shadow equals RAM");
}

static void *punch_at_random(void *arg)
{
	uint64_t random = *(uint64_t *)arg;

	while (!stop) {
		uint64_t page, pages;

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		page = (random >> 33) % (PAGES - 64);
		pages = 1 + (random >> 20) % 64;
		if (random >> 63)
			punch_file(page, pages);
		else
			punch_mapping(page, pages);
	}
	return NULL;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

/* Passes as fast as they go while a vCPU writes and a thread punches. */
static uint64_t race(unsigned int ms, bool guest_too)
{
	uint64_t end = now_ms() + ms, passes = 0, seed = 7;
	struct guest_job job = {
		.op = GUEST_RANDOM, .base = GPA, .count = PAGES, .reads = 1,
	};
	pthread_t thread;

	stop = false;
	if (guest_too)
		vmm_start(&scene.vmm, 0, &job);
	if (pthread_create(&thread, NULL, punch_at_random, &seed))
		die("no thread");
	for (; now_ms() < end; passes++)
		ferry_must_pass(&scene.ferry, 0);
	stop = true;
	pthread_join(thread, NULL);
	if (guest_too)
		vmm_end(&scene.vmm, 0);
	return passes;
}

static void test_race(void)
{
	uint64_t passes;

	scene.vmm.vcpu[0].box->seed = 99;
	passes = race(2500, true);
	ferry_must_pass(&scene.ferry, FERRY_PASS_FINAL);
	ktap_ok(!scene_differences(&scene),
		"after %lu passes with punching and writing: shadow equals RAM", passes);
	passes = race(1500, false);
	ferry_must_pass(&scene.ferry, FERRY_PASS_FINAL);
	ktap_ok(!scene_differences(&scene), "after %lu passes with punching alone: shadow equals RAM",
		passes);
}

/* The control: what if the module did not listen to the MMU notifier? */
static void test_control(void)
{
	struct scene_delta delta;

	if (!ferry_fault("foreign-blind")) {
		ktap_skip("no fault points in this build", "control");
		ktap_skip("no fault points in this build", "control");
		return;
	}
	scene_populate(&scene);
	scene_settle(&scene);
	punch_file(10, 20);
	scene_expect(&scene, ram, 10, 20);
	delta = scene_compare(&scene);
	ktap_ok(delta.missed == 20, "control: without the notifier %lu of 20 are missed", delta.missed);
	scene_settle(&scene);
	ktap_ok(scene_differences(&scene), "control: and the shadow is wrong");
	ferry_fault("");
}

int main(void)
{
	scene_open(&scene);
	ktap_plan(19);
	ram = scene_add_ram(&scene, &(struct ram_spec) {
		.size = PAGES * RAM_PAGE, .gpa = GPA,
	});
	vmm_boot(&scene.vmm, 1);
	scene_populate(&scene);
	scene_attach(&scene, 2, 1 << 20);
	ktap_ok(!scene_settle(&scene), "after a pass nothing is pending");

	test_punch("fallocate, one page", punch_file, 17, 1);
	test_punch("fallocate, across chunks", punch_file, 500, 600);
	test_punch("MADV_REMOVE", punch_mapping, 2000, 77);
	test_punch_and_write();
	test_punch_unmapped();
	test_race();
	test_control();

	scene_close(&scene);
	ktap_ok(ferry_unload_module(), "the module unloads");
	return ktap_finish();
}
