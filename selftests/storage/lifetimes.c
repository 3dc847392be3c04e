// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What may end while requests are in doubt: the agent, the table, the device, the
 * storage's good will. Nothing is lost, nothing comes late, nothing hangs.
 */
#include "storage.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ferry.h"
#include "ktap.h"

#define SLOW_MS		storage_ms(1200)
#define SOON_MS		storage_ms(600)
#define A_WHILE_MS	300u
#define LONG_MS		20000u

static struct storage storage;
static struct disk disk;

/* One write of old data is in doubt. */
static void leave_in_doubt(int file, uint64_t block)
{
	struct io io;

	io_start(&io, disk.block, IO_WRITE, block * IO_BLOCK, IO_BLOCK, 0x11);
	if (!within(SLOW_MS / 2, disk_status(file).in_flight == 1))
		die("the write is not in flight in time");
	sure(disk_cancel(file, FERRY_DISK_ALL_KINDS, 0, NULL));
	if (io_end(&io) != EIO || disk_status(file).in_doubt != 1)
		die("the write is not in doubt");
}

/* The disk finds back by itself: newer data wait, and are what remains. */
static void expect_settles(uint64_t block, const char *what)
{
	struct ferry_disk_status status = disk_status(disk.file);
	struct io io;

	ktap_ok(status.state == FERRY_DISK_SETTLING && status.in_doubt == 1, "%s: settles", what);
	io_start(&io, disk.block, IO_WRITE, block * IO_BLOCK, IO_BLOCK, 0x22);
	ktap_ok(within(SOON_MS, disk_status(disk.file).held == 1) &&
		disk_status(disk.file).in_doubt, "%s: what comes waits", what);
	ktap_ok(!io_end(&io) && io_count(storage.file, block, 1, 0x22) == 1,
		"%s: and is what the storage holds in the end", what);
	status = disk_status(disk.file);
	ktap_ok(status.state == FERRY_DISK_PASS && !status.ended && !status.held,
		"%s: passes, and has forgotten it", what);
}

static void test_closed(void)
{
	int file = disk_bind(disk.block);

	leave_in_doubt(file, 10);
	close(file);
	expect_settles(10, "file closed in CANCEL");

	file = disk_bind(disk.block);
	leave_in_doubt(file, 20);
	sure(disk_hold(file));
	close(file);
	expect_settles(20, "file closed in HOLD");
}

static void test_killed(void)
{
	int ready[2];
	pid_t pid;
	char c;

	must(pipe(ready));
	fflush(stdout);
	pid = must(fork());
	if (!pid) {
		int file = disk_bind(disk.block);

		leave_in_doubt(file, 30);
		must(write(ready[1], "", 1));
		pause();
	}
	must(read(ready[0], &c, 1));
	kill(pid, SIGKILL);
	must(waitpid(pid, NULL, 0));
	expect_settles(30, "process killed");
	close(ready[0]);
	close(ready[1]);
}

static void test_owner(void)
{
	int owner = disk_bind(disk.block), other = disk_bind(disk.block);
	struct io io;

	sure(disk_hold(owner));
	ktap_ok(disk_hold(other) == -EBUSY && disk_resume(other, 0) == -EBUSY &&
		disk_cancel(other, FERRY_DISK_ALL_KINDS, 0, NULL) == -EBUSY,
		"the state belongs to the file that has set it: EBUSY");
	ktap_ok(disk_status(other).state == FERRY_DISK_HOLDING, "but others may look");
	close(other);
	ktap_ok(disk_status(owner).state == FERRY_DISK_HOLDING, "and their end changes nothing");
	io_start(&io, disk.block, IO_READ, 0, IO_BLOCK, 0);
	within(SOON_MS, disk_status(owner).held == 1);
	close(owner);
	ktap_ok(disk_status(disk.file).state == FERRY_DISK_PASS && !io_end(&io),
		"the owner's end lets everything go, as nothing is in doubt");
	ktap_ok(!disk_hold(disk.file) && !disk_resume(disk.file, 0), "then it is anybody's");
}

struct call {
	pthread_t thread;
	volatile bool done;
	int (*run)(const char *name);
	int ret;
};

static void *run_call(void *arg)
{
	struct call *call = arg;

	call->ret = call->run(disk.name);
	__atomic_store_n(&call->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void start_call(struct call *call, int (*run)(const char *name))
{
	*call = (struct call) { .run = run };
	if (pthread_create(&call->thread, NULL, run_call, call))
		die("no thread");
}

static int suspend_flush(const char *name)
{
	return dm_suspend(name, false);
}

static int suspend_noflush(const char *name)
{
	return dm_suspend(name, true);
}

/* A new table cannot pass new requests beside one in doubt: the old one waits for it. */
static void test_reload(int (*suspend)(const char *name), const char *what)
{
	struct call call;
	char arguments[64];

	leave_in_doubt(disk.file, 40);
	snprintf(arguments, sizeof(arguments), "%s 0", storage.loop[1]);
	sure(dm_load(disk.name, STORAGE_SECTORS, "linear", arguments));
	start_call(&call, suspend);
	sleep_ms(A_WHILE_MS);
	ktap_ok(!call.done && disk_status(disk.file).in_doubt == 1,
		"%s: waits while a request is in doubt", what);
	pthread_join(call.thread, NULL);
	ktap_ok(!call.ret && !disk_status(disk.file).in_doubt &&
		io_count(storage.file, 40, 1, 0x11) == 1, "%s: until it has ended", what);
	sure(dm_clear(disk.name));
	sure(dm_resume(disk.name));
	ktap_ok(disk_status(disk.file).state == FERRY_DISK_CANCELLING &&
		disk_status(disk.file).ended == 1 &&
		io_do(disk.block, IO_READ, 0, IO_BLOCK, 0) == EIO, "%s: the state is kept", what);
	ktap_ok(!disk_resume(disk.file, 0) && !io_do(disk.block, IO_READ, 0, IO_BLOCK, 0),
		"%s: resumed", what);
}

/* A table for the same device, of the other kind: only then is the disk gone. */
static void test_replaced(void)
{
	char arguments[64];

	snprintf(arguments, sizeof(arguments), "%s 0", storage.loop[1]);
	sure(dm_load(disk.name, STORAGE_SECTORS, "linear", arguments));
	sure(dm_suspend(disk.name, false));
	sure(dm_resume(disk.name));
	ktap_ok(disk_hold(disk.file) == -ENODEV && disk_poll(disk.file) & POLLHUP,
		"a table without ferry: ENODEV, hang-up");
	ktap_ok(disk_bind(disk.block) == -ENXIO, "and no new file");
}

static void test_remove(void)
{
	struct call call;

	leave_in_doubt(disk.file, 50);
	close(disk.block);
	start_call(&call, dm_remove);
	sleep_ms(A_WHILE_MS);
	ktap_ok(!call.done, "remove: waits while a request is in doubt");
	pthread_join(call.thread, NULL);
	ktap_ok(!call.ret && io_count(storage.file, 50, 1, 0x11) == 1,
		"remove: until it has ended");
	ktap_ok(disk_hold(disk.file) == -ENODEV && disk_poll(disk.file) & POLLHUP,
		"remove: the file says so");
	ktap_ok(syscall(__NR_delete_module, "kvmferry", O_NONBLOCK) < 0,
		"the file alone keeps the module");
	close(disk.file);
	disk_forget(&disk);
}

/* The storage ends what is in doubt with an error. */
static void test_errors(void)
{
	struct ferry_disk_request ended[2];
	struct pollfd poll_fd = { .events = POLLIN };
	struct io io[2];

	close(dm_make("broken", STORAGE_SECTORS, "error", ""));
	char path[32];
	snprintf(path, sizeof(path), "/dev/dm-%d", dm_minor("broken"));
	disk_open(&disk, "disk", delay_open("late", path, SLOW_MS, SLOW_MS));
	poll_fd.fd = disk.file;
	io_start(&io[0], disk.block, IO_WRITE, 0, IO_BLOCK, 0x11);
	io_start(&io[1], disk.block, IO_READ, IO_BLOCK, IO_BLOCK, 0);
	within(SLOW_MS / 2, disk_status(disk.file).in_flight == 2);
	sure(disk_cancel(disk.file, FERRY_DISK_ALL_KINDS, 0, NULL));
	ktap_ok(io_end(&io[0]) == EIO && io_end(&io[1]) == EIO &&
		disk_status(disk.file).in_doubt == 2, "errors: two requests in doubt");
	ktap_ok(poll(&poll_fd, 1, LONG_MS) == 1 &&
		within(LONG_MS, disk_status(disk.file).ended == 2), "errors: they end");
	disk_list(disk.file, STATE(ENDED), ended, 2);
	ktap_ok(ended[0].error == EIO && ended[1].error == EIO, "errors: with what the storage said");
	ktap_ok(!disk_resume(disk.file, 0), "errors: resume");
	ktap_ok(io_do(disk.block, IO_READ, 0, IO_BLOCK, 0) == EIO,
		"errors: in normal life they are passed on");
	ktap_ok(disk_close(&disk), "errors: the device can be removed");
	delay_close("late");
	sure(dm_remove("broken"));
}

/* Any moment of many: cancel and resume under load. What was written last is there. */
#define LOAD_THREADS	4
#define LOAD_BLOCKS	32

static volatile bool loaded;

static void *load(void *number)
{
	unsigned int thread = (uintptr_t)number, seed = thread;
	uint8_t last[LOAD_BLOCKS] = {};
	unsigned long i, wrong = 0;

	while (loaded) {
		uint64_t n = rand_r(&seed) % LOAD_BLOCKS, block = 1024 + thread * LOAD_BLOCKS + n;
		uint8_t fill = rand_r(&seed) % 255 + 1;

		/* as a VMM does with werror=stop: again, until it has succeeded */
		while (io_do(disk.block, IO_WRITE, block * IO_BLOCK, IO_BLOCK, fill))
			sleep_ms(1);
		last[n] = fill;
	}
	for (i = 0; i < LOAD_BLOCKS; i++)
		wrong += last[i] && io_count(storage.file, 1024 + thread * LOAD_BLOCKS + i, 1,
					     last[i]) != 1;
	return (void *)wrong;
}

static void test_load(void)
{
	struct ferry_disk_status status;
	pthread_t thread[LOAD_THREADS];
	unsigned long i, wrong = 0;

	loaded = true;
	for (i = 0; i < LOAD_THREADS; i++)
		pthread_create(&thread[i], NULL, load, (void *)i);
	for (i = 0; i < 100; i++) {
		sure(i % 3 ? disk_cancel(disk.file, FERRY_DISK_ALL_KINDS, 0, NULL) :
			     disk_hold(disk.file));
		sleep_ms(i % 7);
		if (i % 5 == 0)
			sure(dm_suspend(disk.name, true) ?: dm_resume(disk.name));
		sure(disk_resume(disk.file, FERRY_DISK_WHEN_SETTLED));
		sleep_ms(i % 11);
	}
	loaded = false;
	for (i = 0; i < LOAD_THREADS; i++) {
		void *result;

		pthread_join(thread[i], &result);
		wrong += (uintptr_t)result;
	}
	status = disk_status(disk.file);
	ktap_ok(!wrong && status.cancelled, "100 cancels and holds under load: %lu of %llu stale",
		wrong, (unsigned long long)status.cancelled);
	ktap_ok(!status.in_doubt && !status.held && !status.in_flight && !status.ended,
		"and nothing is left over");
}

int main(void)
{
	const char *slow;

	storage_open(&storage);
	ktap_plan(40);
	slow = delay_open("lower", storage.loop[0], 0, SLOW_MS);
	disk_open(&disk, "disk", slow);

	test_closed();
	test_killed();
	test_owner();
	test_reload(suspend_flush, "suspend");
	test_reload(suspend_noflush, "suspend without flush");
	test_remove();
	delay_close("lower");

	test_errors();

	disk_open(&disk, "disk", delay_open("lower", storage.loop[0], 0, 10));
	test_load();
	test_replaced();
	close(disk.file);
	close(disk.block);
	sure(dm_remove("disk"));
	disk_forget(&disk);
	delay_close("lower");

	ktap_ok(storage_close(&storage), "the module unloads");
	return ktap_finish();
}
