// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages of guest RAM that somebody holds by reference: a write through it touches no
 * page table. Such a page is sent, stays pending for as long as it is held, and is
 * sent once more when it no longer is. A final pass, the I/O being over by then,
 * does not wait for readers.
 *
 * The writer is direct I/O from a device that takes its time (dm-delay); other
 * holders are a pipe and the registered buffers of io_uring.
 */
#include "ktap.h"
#include "scene.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "die.h"

#define GPA		0x1000000ul
#define PAGES		1024ul
#define HELD		16ul
#define SLOW		"/dev/mapper/ferry-slow"
#define QUICK		"/dev/ram0"
#define DELAY		"3000"

static struct scene scene;
static struct ram *ram, *huge;

static void devices_begin(void)
{
	if (system("modprobe -q brd rd_nr=1 rd_size=4096; modprobe -q dm-delay; "
		   "tr '\\0' 'Q' </dev/zero | dd of=" QUICK " bs=1M count=4 2>/dev/null; "
		   "echo 0 8192 delay " QUICK " 0 " DELAY " | "
		   "DM_DISABLE_UDEV=1 dmsetup create ferry-slow"))
		die("no slow device");
}

static void devices_end(void)
{
	if (system("DM_DISABLE_UDEV=1 dmsetup remove ferry-slow"))
		die("the slow device stays");
}

/* A direct read of HELD pages under way. */
struct read_job {
	uint64_t page;
	pthread_t thread;
	volatile pid_t tid;
};

static void *read_slowly(void *arg)
{
	struct read_job *job = arg;
	int fd = must(open(SLOW, O_RDONLY | O_DIRECT | O_CLOEXEC));

	job->tid = gettid();
	if (must(pread(fd, ram->map + job->page * RAM_PAGE, HELD * RAM_PAGE, 0)) !=
	    HELD * RAM_PAGE)
		die("short read");
	close(fd);
	return NULL;
}

static void nap(void)
{
	struct timespec t = { .tv_nsec = 10000000 };

	nanosleep(&t, NULL);
}

static bool is_waiting_for_io(pid_t tid)
{
	char path[64], state = 0;
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	stat = fopen(path, "re");
	if (!stat || fscanf(stat, "%*d %*s %c", &state) != 1)
		die("cannot see the thread's state");
	fclose(stat);
	return state == 'D';
}

/* Returns when the device has the request. */
static void start_read(struct read_job *job, uint64_t page)
{
	int seen = 0;

	job->page = page;
	job->tid = 0;
	if (pthread_create(&job->thread, NULL, read_slowly, job))
		die("no thread");
	while (seen < 3) {
		nap();
		seen = job->tid && is_waiting_for_io(job->tid) ? seen + 1 : 0;
	}
}

static bool is_busy(const struct read_job *job)
{
	return pthread_tryjoin_np(job->thread, NULL) == EBUSY;
}

static void check_held(const char *name, uint64_t page, uint64_t pages)
{
	struct scene_delta delta;

	scene_expect(&scene, ram, page, pages);
	delta = scene_compare(&scene);
	ktap_ok(!delta.missed && !delta.extra, "%s: %lu pending, %lu missed, %lu extra",
		name, delta.expected, delta.missed, delta.extra);
}

static void pass(uint32_t flags)
{
	scene_drain_lists();
	ferry_must_pass(&scene.ferry, flags);
}

static bool holds_new_data(uint64_t page)
{
	const uint8_t *at = ram->map + page * RAM_PAGE;

	return at[0] == 'Q' && !memcmp(at, at + 1, HELD * RAM_PAGE - 1);
}

static void test_direct_io(void)
{
	struct read_job job;
	struct ferry_status status;
	uint64_t pinned;

	must(ferry_status(&scene.ferry, 0, &status));
	pinned = status.pinned;
	start_read(&job, 100);
	pass(0);
	check_held("direct I/O under way, after a pass", 100, HELD);
	pass(0);
	check_held("direct I/O under way, after another", 100, HELD);
	must(ferry_status(&scene.ferry, 0, &status));
	ktap_ok(status.pinned >= pinned + 2 * HELD, "the status counts them: %lu",
		(unsigned long)(status.pinned - pinned));
	ktap_ok(!holds_new_data(100) && is_busy(&job), "the data had not come yet");
	pthread_join(job.thread, NULL);
	check_held("the I/O is over, the pages are pending still", 100, HELD);
	ktap_ok(!scene_settle(&scene), "and no longer after a pass");
	ktap_ok(holds_new_data(100) && !scene_differences(&scene), "shadow equals RAM");
}

/* The last pass does not wait for anybody. */
static void test_final(void)
{
	struct read_job job;

	start_read(&job, 200);
	pass(FERRY_PASS_FINAL);
	check_held("after a final pass nothing is pending", 0, 0);
	ktap_ok(is_busy(&job), "though the I/O was under way");
	pthread_join(job.thread, NULL);
	/* what came in is lost on us: that is what "final" promises not to happen */
	vmm_poke(ram, 200, 1);
	vmm_poke(ram, 200 + HELD - 1, 1);
	scene_settle(&scene);
	ktap_ok(scene_differences(&scene) == HELD - 2,
		"the promise that all I/O is over was broken, and it shows");
	memset(ram->map + 200 * RAM_PAGE, 'R', HELD * RAM_PAGE);
	scene_settle(&scene);
}

/* A plain reference, taken by vmsplice(2), held as long as the pipe is not read. */
static void test_pipe(void)
{
	struct iovec where = { ram->map + 300 * RAM_PAGE, 8 * RAM_PAGE };
	static char sink[8 * RAM_PAGE];
	int ends[2];

	must(pipe(ends));
	if (must(vmsplice(ends[1], &where, 1, 0)) != sizeof(sink))
		die("short vmsplice");
	vmm_poke(ram, 300, 1);
	pass(0);
	vmm_poke(ram, 301, 1);
	pass(0);
	pass(0);
	check_held("held by a pipe: pending if ever touched", 300, 2);
	if (must(read(ends[0], sink, sizeof(sink))) != sizeof(sink))
		die("short read");
	close(ends[0]);
	close(ends[1]);
	ktap_ok(!scene_settle(&scene) && !scene_differences(&scene), "the pipe was read: settled");
}

/* Pinned for as long as the ring lives, and huge pages whole. */
static void test_registered(void)
{
	struct iovec buffers[] = {
		{ ram->map + 400 * RAM_PAGE, 4 * RAM_PAGE },
		{ huge->map + 17 * RAM_PAGE, RAM_PAGE },
	};
	struct io_uring_params params = {};
	struct scene_delta delta;
	int ring = syscall(SYS_io_uring_setup, 1, &params);

	if (ring < 0) {
		ktap_skip("no io_uring", "registered buffers");
		ktap_skip("no io_uring", "registered buffers");
		return;
	}
	scene_settle(&scene);
	must(syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, buffers, 2));
	pass(0);
	pass(0);
	scene_expect(&scene, ram, 400, 4);
	scene_expect(&scene, huge, 17, 1);
	delta = scene_compare(&scene);
	ktap_ok(!delta.missed && delta.extra <= 511,
		"registered buffers stay pending: %lu missed, %lu extra", delta.missed, delta.extra);
	must(syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0));
	close(ring);
	ktap_ok(!scene_settle(&scene) && !scene_differences(&scene),
		"registered no longer: settled");
}

static volatile bool stop;

static void *read_at_random(void *arg)
{
	int fd = must(open(QUICK, O_RDONLY | O_DIRECT | O_CLOEXEC));
	uint64_t random = 3;

	(void)arg;
	while (!stop) {
		uint64_t page, pages;

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		pages = 1 + (random >> 60);
		page = (random >> 30) % (PAGES - pages);
		must(pread(fd, ram->map + page * RAM_PAGE, pages * RAM_PAGE, 0));
		/* or every page would be the same before long */
		vmm_poke(ram, page, random >> 8);
	}
	close(fd);
	return NULL;
}

static void test_race(void)
{
	struct timespec start, now;
	unsigned long passes = 0;
	pthread_t thread;

	if (pthread_create(&thread, NULL, read_at_random, NULL))
		die("no thread");
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		ferry_must_pass(&scene.ferry, 0);
		passes++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < 3);
	stop = true;
	pthread_join(thread, NULL);
	ferry_must_pass(&scene.ferry, FERRY_PASS_FINAL);
	ktap_ok(!scene_differences(&scene),
		"after %lu passes with direct I/O all the time: shadow equals RAM", passes);
}

/* The control: what if the module did not look at references? */
static void test_control(void)
{
	struct scene_delta delta;
	struct read_job job;

	memset(ram->map + 500 * RAM_PAGE, 'Z', HELD * RAM_PAGE);
	scene_settle(&scene);
	if (!ferry_fault("pin-blind")) {
		ktap_skip("no fault points in this build", "control");
		ktap_skip("no fault points in this build", "control");
		return;
	}
	start_read(&job, 500);
	pass(0);
	pthread_join(job.thread, NULL);
	scene_expect(&scene, ram, 500, HELD);
	delta = scene_compare(&scene);
	ktap_ok(delta.missed == HELD, "control: without counting references %lu of %lu are missed",
		delta.missed, HELD);
	scene_settle(&scene);
	ktap_ok(scene_differences(&scene) == HELD, "control: and the shadow is wrong");
	ferry_fault("");
}

int main(void)
{
	char dir[64];

	scene_open(&scene);
	ktap_plan(19);
	devices_begin();
	ram_mount(dir, "huge=always,size=64m");
	ram = scene_add_ram(&scene, &(struct ram_spec) {
		.size = PAGES * RAM_PAGE, .gpa = GPA,
	});
	huge = scene_add_ram(&scene, &(struct ram_spec) {
		.size = 2 * RAM_CHUNK, .gpa = 4 * GPA, .dir = dir,
	});
	vmm_boot(&scene.vmm, 1);
	scene_populate(&scene);
	scene_attach(&scene, 2, 1 << 20);
	ktap_ok(!scene_settle(&scene), "after a pass nothing is pending");

	test_direct_io();
	test_final();
	test_pipe();
	test_registered();
	test_race();
	test_control();

	scene_close(&scene);
	ram_unmount(dir);
	devices_end();
	ktap_ok(ferry_unload_module(), "the module unloads");
	return ktap_finish();
}
