// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Dirty-rate limiting: who waits, who does not, and what ends a wait. How long the
 * machine takes for anything is nobody's business here: waits are counted, and a wait
 * that is over sooner than it was to be was ended.
 */
#include "ktap.h"
#include "scene.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "die.h"

#define GPA		0x1000000ul
#define PAGES		1024ul
#define RING		(4ul << 20)

/* The longest that the module lets a vCPU wait at a time. */
#define MAX_WAIT_US	100000ul
/* What is tried, until it was seen; a signal or a command may come too late. */
#define ATTEMPTS	20

static struct scene scene;
static struct ram *ram;

static void limit(uint64_t pages_per_s, uint32_t max_slowdown)
{
	int err = ferry_limit(&scene.ferry, pages_per_s, max_slowdown);

	if (err)
		die("limit of %lu pages/s, %u %%: %s", (unsigned long)pages_per_s, max_slowdown,
		    strerror(-err));
}

static void nap_ms(unsigned int ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000l };

	nanosleep(&t, NULL);
}

/* A job over @pages pages from the first on. */
static struct guest_job job(uint32_t op, uint64_t pages)
{
	static uint32_t value = 1;

	return (struct guest_job){
		.op = op, .base = GPA + 8, .count = pages, .stride = RAM_PAGE,
		.value = value += 0x10000,
	};
}

/* How often a vCPU waited for a whole job. */
static uint64_t waits_of(uint32_t op, uint64_t pages, uint64_t *us)
{
	struct ferry_group_stats s = scene_group_stats(&scene), t;
	struct guest_job j = job(op, pages);

	vmm_do(&scene.vmm, 0, &j);
	t = scene_group_stats(&scene);
	if (us)
		*us = t.throttled_us - s.throttled_us;
	return t.throttled - s.throttled;
}

static bool all_equal(void)
{
	return !scene_settle(&scene) && !scene_differences(&scene);
}

/* --- what is refused */

static int refused(struct ferry *f, struct ferry_limit arg)
{
	return ferry_ioctl(f->fd, FERRY_LIMIT, &arg);
}

static void test_refusals(void)
{
	const uint32_t most = FERRY_LIMIT_MAX_SLOWDOWN;
	struct ferry *f = &scene.ferry;
	struct ferry other;

	ktap_ok(refused(f, (struct ferry_limit){ .pages_per_s = 1, .max_slowdown = most + 1 }) == -EINVAL,
		"to wait all the time is refused");
	ktap_ok(refused(f, (struct ferry_limit){ .pages_per_s = 1 }) == -EINVAL,
		"a limit without a slowdown is refused");
	ktap_ok(refused(f, (struct ferry_limit){ .max_slowdown = 1 }) == -EINVAL,
		"a slowdown without a limit is refused");
	ktap_ok(refused(f, (struct ferry_limit){ .pages_per_s = 1, .max_slowdown = 1, .flags = 1 }) == -EINVAL &&
		refused(f, (struct ferry_limit){ .pages_per_s = 1, .max_slowdown = 1, .reserved[1] = 1 }) == -EINVAL,
		"flags and reserved fields are refused");
	ferry_open(&other, NULL, NULL);
	ktap_ok(ferry_limit(&other, 1, 1) == -ENXIO, "a limit of no VM is refused");
	ferry_close(&other);
	ktap_ok(!ferry_limit(f, UINT64_MAX, most) && !ferry_limit(f, 1, 1) && !ferry_limit(f, 0, 0),
		"the extremes are accepted");
}

/* --- who waits */

static void test_writers_wait(void)
{
	uint64_t waits, us;

	scene_group(&scene, FERRY_GROUP_STATIC, 5, 5);
	scene_settle(&scene);
	ktap_ok(!waits_of(GUEST_STORE, PAGES, NULL) && !scene_group_stats(&scene).throttled_us,
		"without a limit nobody waits");

	scene_settle(&scene);
	limit(1000, 90);
	waits = waits_of(GUEST_STORE, PAGES, &us);
	/* 50 us are the shortest wait that there is */
	ktap_ok(waits && us >= waits * 50, "with one, who writes waits: %lu times, %lu us",
		(unsigned long)waits, (unsigned long)us);
	limit(0, 0);
	ktap_ok(all_equal(), "and nothing is lost");

	limit(UINT32_MAX, 90);
	waits = waits_of(GUEST_STORE, PAGES, NULL);
	ktap_ok(!waits, "nor does it wait with a limit that it does not reach");
	limit(0, 0);
}

static void test_single_pages(void)
{
	uint64_t waits;

	scene_group(&scene, FERRY_GROUP_OFF, 0, 0);
	scene_settle(&scene);
	limit(20, 90);
	waits = waits_of(GUEST_STORE, 64, NULL);
	limit(0, 0);
	ktap_ok(waits, "without groups writers wait as well: %lu times", (unsigned long)waits);
}

static void test_others_do_not(void)
{
	struct ferry_group_stats s, t;
	uint64_t waits;

	scene_group(&scene, FERRY_GROUP_STATIC, 5, 5);
	scene_settle(&scene);
	limit(1, 99);
	s = scene_group_stats(&scene);
	waits = waits_of(GUEST_READ, PAGES, NULL);
	t = scene_group_stats(&scene);
	ktap_ok(!waits && t.read_faults > s.read_faults, "who reads does not wait: %lu read faults",
		(unsigned long)(t.read_faults - s.read_faults));

	limit(0, 0);
	waits_of(GUEST_STORE, PAGES, NULL);
	limit(1, 99);
	ktap_ok(!waits_of(GUEST_STORE, PAGES, NULL), "nor who writes to pages that are open");
	limit(0, 0);
	ktap_ok(all_equal(), "shadow equals RAM");
}

/* The same work with the same limit: who may wait less, does. */
static void test_slowdown_bounds(void)
{
	uint64_t few, many;

	scene_group(&scene, FERRY_GROUP_STATIC, 0, 0);
	scene_settle(&scene);
	limit(1, 1);
	waits_of(GUEST_STORE, 128, &few);
	limit(0, 0);
	scene_settle(&scene);
	limit(1, 90);
	waits_of(GUEST_STORE, 128, &many);
	limit(0, 0);
	ktap_ok(few < many / 8, "max_slowdown bounds the waits: %lu us with 1 %%, %lu us with 90 %%",
		(unsigned long)few, (unsigned long)many);
}

/* --- what ends a wait */

/*
 * Lets vCPU 0 write to one page, when it has not waited for long, so that it is
 * made to wait for MAX_WAIT_US. Calls @meddle meanwhile. Returns how long it waited;
 * 0 if it did not.
 */
static uint64_t wait_of_one(void (*meddle)(void))
{
	struct guest_job j = job(GUEST_STORE, 1);
	struct ferry_group_stats s;

	scene_settle(&scene);
	limit(1, 99);
	s = scene_group_stats(&scene);
	nap_ms(10);
	vmm_start(&scene.vmm, 0, &j);
	nap_ms(20);
	meddle();
	vmm_wait(&scene.vmm, 0);
	return scene_group_stats(&scene).throttled_us - s.throttled_us;
}

static bool ends_waits(void (*meddle)(void))
{
	unsigned int i;

	for (i = 0; i < ATTEMPTS; i++) {
		uint64_t us = wait_of_one(meddle);

		limit(0, 0);
		if (us && us < MAX_WAIT_US) {
			ktap_note("ended after %lu us, attempt %u", (unsigned long)us, i + 1);
			return true;
		}
	}
	return false;
}

static void let_it(void)
{
}

static void lift(void)
{
	limit(0, 0);
}

static void change(void)
{
	limit(2, 99);
}

static void send_signal(void)
{
	pthread_kill(scene.vmm.vcpu[0].thread, SIGUSR1);
}

static void test_ends(void)
{
	scene_group(&scene, FERRY_GROUP_STATIC, 0, 0);
	ktap_ok(!ends_waits(let_it), "a wait that nobody ends takes its time");
	ktap_ok(ends_waits(send_signal), "a signal ends a wait");
	ktap_ok(ends_waits(lift), "so does lifting the limit");
	ktap_ok(ends_waits(change), "and changing it");
	ktap_ok(all_equal(), "shadow equals RAM");
}

/* A writer that would take a minute goes on at once, and does not wait again. */
static void test_lift(void)
{
	struct guest_job j = job(GUEST_STORE, PAGES);
	struct ferry_group_stats s, t;

	scene_group(&scene, FERRY_GROUP_STATIC, 0, 0);
	scene_settle(&scene);
	limit(1, 99);
	vmm_start(&scene.vmm, 0, &j);
	nap_ms(200);
	limit(0, 0);
	s = scene_group_stats(&scene);
	vmm_wait(&scene.vmm, 0);
	t = scene_group_stats(&scene);
	/* the one that was waiting counts when it is done */
	ktap_ok(s.throttled && t.throttled - s.throttled <= 1,
		"lifting the limit in mid-job: %lu waits before, %lu after", (unsigned long)s.throttled,
		(unsigned long)(t.throttled - s.throttled));
	ktap_ok(all_equal(), "shadow equals RAM");
}

/* Whoever waits holds neither the VM nor the module. */
static void test_close(void)
{
	unsigned int i, rounds = 10, good = 0;

	for (i = 0; i < rounds; i++) {
		struct guest_job j = job(GUEST_STORE, PAGES);
		bool waited;

		limit(1, 99);
		vmm_start(&scene.vmm, 0, &j);
		nap_ms(20 + 10 * i);
		waited = vmm_busy(&scene.vmm, 0);
		scene_detach(&scene);
		good += waited && ferry_unload_module();
		vmm_wait(&scene.vmm, 0);
		ferry_load_module();
		scene_attach(&scene, 2, RING);
		scene_settle(&scene);
	}
	ktap_ok(good == rounds, "closing and unloading while a vCPU waits: %u of %u times", good, rounds);
	ktap_ok(all_equal(), "shadow equals RAM");
}

/* --- a live VM */

static void live(const char *name, bool signals)
{
	struct ferry_group_stats s = scene_group_stats(&scene), t;
	unsigned int i;

	vmm_start_random(&scene.vmm, ram, 42, 4);
	if (signals)
		vmm_storm_begin(&scene.vmm);
	for (i = 0; i < 10; i++) {
		limit(i % 3 ? 50 : 0, i % 3 ? 70 : 0);
		ferry_must_pass(&scene.ferry, 0);
		nap_ms(50);
	}
	limit(0, 0);
	if (signals)
		vmm_storm_end();
	for (i = 0; i < scene.vmm.vcpus; i++)
		vmm_end(&scene.vmm, i);
	t = scene_group_stats(&scene);
	ktap_ok(t.throttled > s.throttled && !vmm_random_errors(&scene.vmm, ram),
		"%s: vCPUs waited %lu times, and the guest's sums are right", name,
		(unsigned long)(t.throttled - s.throttled));
	ktap_ok(all_equal(), "%s: shadow equals RAM", name);
}

static void test_live(void)
{
	/* the counters of GUEST_RANDOM begin with empty pages */
	memset(ram->map, 0, ram->size);
	scene_group(&scene, FERRY_GROUP_DYNAMIC, 0, 5);
	scene_settle(&scene);
	live("a live VM", false);
	live("a live VM, signals", true);
}

int main(void)
{
	struct ram_spec spec = { .size = PAGES * RAM_PAGE, .gpa = GPA };

	ktap_plan(6 + 4 + 1 + 3 + 1 + 5 + 2 + 2 + 4 + 1);
	scene_open(&scene);
	ram = scene_add_ram(&scene, &spec);
	vmm_boot(&scene.vmm, 2);
	scene_populate(&scene);
	scene_attach(&scene, 2, RING);
	scene_settle(&scene);
	test_refusals();
	test_writers_wait();
	test_single_pages();
	test_others_do_not();
	test_slowdown_bounds();
	test_ends();
	test_lift();
	test_close();
	test_live();
	scene_close(&scene);
	ktap_ok(ferry_unload_module(), "the module unloads");
	return ktap_finish();
}
