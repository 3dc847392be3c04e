// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guard at the target: what waits, what does not, in which order it is released,
 * and what neither a closed file nor a suspend may open.
 */
#include "storage.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"

#define LONG_MS		20000u
#define A_WHILE_MS	300u
#define FIRST		64ul	/* the guarded blocks */
#define BLOCKS		8ul

static struct storage storage;
static struct disk disk;

static unsigned int held(void)
{
	return disk_status(disk.file).held;
}

static void guard_blocks(uint64_t id, uint64_t block, uint64_t blocks)
{
	sure(disk_guard(disk.file, id, SECTORS(block), SECTORS(blocks)));
}

static void test_what_waits(void)
{
	static const struct {
		enum io_op op;
		unsigned long block, blocks;
	} waits[] = {
		{ IO_WRITE, FIRST, 1 },
		{ IO_WRITE, FIRST - 1, 2 },
		{ IO_WRITE, FIRST + BLOCKS - 1, 2 },
		{ IO_WRITE, FIRST - 4, BLOCKS + 8 },
		{ IO_READ, FIRST + 2, 1 },
		{ IO_DISCARD, FIRST + 4, 1 },
	};
	enum { N = sizeof(waits) / sizeof(*waits) };
	struct io io[N];
	unsigned int i, done = 0, errors = 0;

	guard_blocks(1, FIRST, BLOCKS);
	for (i = 0; i < N; i++)
		io_start(&io[i], disk.block, waits[i].op, waits[i].block * IO_BLOCK,
			 waits[i].blocks * IO_BLOCK, 0x11);
	within(LONG_MS, held() == N);
	ktap_ok(held() == N, "%u of %u requests that overlap wait", held(), N);
	ktap_ok(!io_do(disk.block, IO_WRITE, (FIRST - 8) * IO_BLOCK, 4 * IO_BLOCK, 0x22) &&
		!io_do(disk.block, IO_WRITE, (FIRST + BLOCKS + 8) * IO_BLOCK, IO_BLOCK, 0x22) &&
		!io_do(disk.block, IO_READ, 0, IO_BLOCK, 0), "what does not overlap passes");
	ktap_ok(!io_do(disk.block, IO_FLUSH, 0, 0, 0), "a flush passes");
	sleep_ms(A_WHILE_MS);
	for (i = 0; i < N; i++)
		done += io[i].done;
	ktap_ok(!done && disk_status(disk.file).state == FERRY_DISK_PASS,
		"they wait as long as it takes, in state PASS");
	ktap_ok(!disk_unguard(disk.file, 1), "the range is opened");
	for (i = 0; i < N; i++)
		errors += !!io_end(&io[i]);
	ktap_ok(!errors && !held(), "then all are done");
}

/* Until it waits, so that the order of arrival is known. */
static void start_held(struct io *io, unsigned long block, unsigned long blocks, uint8_t fill)
{
	unsigned int before = held();

	io_start(io, disk.block, IO_WRITE, block * IO_BLOCK, blocks * IO_BLOCK, fill);
	if (!within(LONG_MS, held() == before + 1))
		die("block %lu is not held", block);
}

/*
 * One that waits holds up what comes after it to the same sectors, and that others in
 * turn, guarded or not: the last one to come is what the sectors hold in the end.
 */
static void test_order(void)
{
	unsigned int round, right = 0;
	struct io io[4];

	for (round = 0; round < 20; round++) {
		guard_blocks(1, FIRST, 1);
		start_held(&io[0], FIRST, 4, 0x31);
		start_held(&io[1], FIRST + 2, 4, 0x32);	/* overlaps the first one only */
		start_held(&io[2], FIRST + 5, 2, 0x33);	/* overlaps the second one only */
		start_held(&io[3], FIRST, 1, 0x34);
		sure(disk_unguard(disk.file, 1));
		right += !(io_end(&io[0]) | io_end(&io[1]) | io_end(&io[2]) | io_end(&io[3])) &&
			 io_count(storage.file, FIRST, 1, 0x34) == 1 &&
			 io_count(storage.file, FIRST + 1, 1, 0x31) == 1 &&
			 io_count(storage.file, FIRST + 2, 3, 0x32) == 3 &&
			 io_count(storage.file, FIRST + 5, 2, 0x33) == 2;
	}
	ktap_ok(right == 20, "released in the order of arrival: %u of 20", right);
}

static void test_ranges(void)
{
	struct ferry_disk_range list[4] = {};
	struct ferry_disk_ranges arg = { .ranges = (uintptr_t)list, .room = 4 };
	struct io io[2];

	guard_blocks(7, FIRST + 4, 4);
	guard_blocks(8, FIRST, 8);	/* overlaps it */
	guard_blocks(9, 0, 1);
	start_held(&io[0], FIRST + 6, 1, 0x41);
	start_held(&io[1], 0, 1, 0x42);
	ktap_ok(!disk_unguard(disk.file, 8) && held() == 2 && !io[0].done,
		"two ranges over one block: the second one keeps it closed");
	sure(ioctl(disk.file, FERRY_DISK_RANGES, &arg));
	ktap_ok(arg.total == 2 && arg.count == 2 && list[0].id == 9 && !list[0].sector &&
		list[1].id == 7 && list[1].sector == SECTORS(FIRST + 4) &&
		list[1].sectors == SECTORS(4ul), "FERRY_DISK_RANGES lists them");
	ktap_ok(!disk_unguard(disk.file, 7) && !io_end(&io[0]) && !io[1].done,
		"the last one opens it, and nothing else");
	ktap_ok(disk_unguard(disk.file, 7) == -ENOENT, "no such range: ENOENT");
	ktap_ok(!disk_unguard_all(disk.file) && !io_end(&io[1]) &&
		!disk_status(disk.file).ranges, "all at once");
}

/* The agent's end opens nothing. */
static void test_outlives(void)
{
	struct io io;

	guard_blocks(1, FIRST, BLOCKS);
	start_held(&io, FIRST, 1, 0x51);
	close(disk.file);
	sleep_ms(A_WHILE_MS);
	disk.file = disk_bind(disk.block);
	ktap_ok(!io.done && held() == 1 && disk_status(disk.file).ranges == 1,
		"the file is closed: still guarded");
	ktap_ok(!disk_unguard(disk.file, 1) && !io_end(&io), "another file opens it");
}

/* HOLD, and resume, of a disk with a guard: the guard stays. */
static void test_states(void)
{
	struct ferry_disk_cancel result;
	struct io io[2];

	guard_blocks(1, FIRST, BLOCKS);
	sure(disk_hold(disk.file));
	start_held(&io[0], FIRST, 1, 0x61);
	start_held(&io[1], 0, 1, 0x62);
	sure(disk_resume(disk.file, 0));
	ktap_ok(!io_end(&io[1]) && held() == 1, "resume: the guard stays");
	sure(disk_cancel(disk.file, FERRY_DISK_ALL_KINDS, 0, &result));
	ktap_ok(io_end(&io[0]) == EIO && result.failed == 1 && !result.cancelled,
		"cancel: what waits fails, and is not in doubt");
	ktap_ok(!disk_resume(disk.file, 0) && disk_status(disk.file).ranges == 1,
		"cancel, resume: the guard stays");
	sure(disk_unguard(disk.file, 1));
}

static void test_suspend_noflush(void)
{
	struct io io[2];

	guard_blocks(1, FIRST, BLOCKS);
	start_held(&io[0], FIRST, 1, 0x71);
	ktap_ok(!dm_suspend(disk.name, true) && !held(), "suspend without flush: nothing is held");
	io_start(&io[1], disk.block, IO_WRITE, (FIRST + 1) * IO_BLOCK, IO_BLOCK, 0x71);
	sure(dm_load(disk.name, STORAGE_SECTORS, "ferry", storage.loop[1]));
	sure(dm_resume(disk.name));
	ktap_ok(within(LONG_MS, held() == 2) && !io[0].done && !io[1].done &&
		io_count(storage.file, FIRST, 2, 0x71) == 0,
		"resumed with another table: held again, the guard stays");
	ktap_ok(!disk_unguard(disk.file, 1) && !io_end(&io[0]) && !io_end(&io[1]) &&
		io_count(storage.file, FIRST, 2, 0x71) == 2, "and nothing is lost");
}

/* A suspend that waits for what is held can be given up, or ends with the guard. */
static void test_suspend(void)
{
	struct io io;
	int status;
	pid_t pid;

	guard_blocks(1, FIRST, BLOCKS);
	start_held(&io, FIRST, 1, 0x72);
	fflush(stdout);
	pid = must(fork());
	if (!pid)
		_exit(dm_suspend(disk.name, false) == -EINTR ? 1 : 2);
	sleep_ms(2 * A_WHILE_MS);
	ktap_ok(!waitpid(pid, &status, WNOHANG) && !io.done,
		"a suspend with flush waits for what is held");
	kill(pid, SIGTERM);
	must(waitpid(pid, &status, 0));
	sleep_ms(A_WHILE_MS);
	ktap_ok(WIFSIGNALED(status) && !io.done && held() == 1,
		"a signal ends it, and opens nothing");
	ktap_ok(!io_do(disk.block, IO_WRITE, 0, IO_BLOCK, 0x73), "the disk works on");
	pid = must(fork());
	if (!pid)
		_exit(dm_suspend(disk.name, false) ? 1 : 0);
	sleep_ms(A_WHILE_MS);
	sure(disk_unguard(disk.file, 1));
	must(waitpid(pid, &status, 0));
	ktap_ok(WIFEXITED(status) && !WEXITSTATUS(status) && !io_end(&io) &&
		io_count(storage.file, FIRST, 1, 0x72) == 1, "it ends when the guard opens");
	sure(dm_resume(disk.name));
}

static int guard_many(unsigned int count, uint64_t first_id)
{
	struct ferry_disk_range *ranges = calloc(count, sizeof(*ranges));
	struct ferry_disk_guard arg = { .ranges = (uintptr_t)ranges, .count = count };
	unsigned int i;
	int ret;

	for (i = 0; i < count; i++)
		ranges[i] = (struct ferry_disk_range) {
			.id = first_id + i, .sector = i % STORAGE_SECTORS, .sectors = 1,
		};
	ret = ioctl(disk.file, FERRY_DISK_GUARD, &arg) ? -errno : 0;
	free(ranges);
	return ret;
}

static void test_limits(void)
{
	struct ferry_disk_range twice[2] = {
		{ .id = 5, .sector = 0, .sectors = 1 }, { .id = 5, .sector = 1, .sectors = 1 },
	};
	struct ferry_disk_guard arg = { .ranges = (uintptr_t)twice, .count = 2 };
	int file = disk.file;

	ktap_ok(disk_guard(file, 1, 0, 0) == -EINVAL, "an empty range: EINVAL");
	ktap_ok(disk_guard(file, 1, STORAGE_SECTORS, 1) == -EINVAL &&
		disk_guard(file, 1, STORAGE_SECTORS - 1, 2) == -EINVAL &&
		disk_guard(file, 1, 8, UINT64_MAX) == -EINVAL, "beyond the end: EINVAL");
	ktap_ok(ioctl(file, FERRY_DISK_GUARD, &arg) < 0 && errno == EEXIST &&
		!disk_status(file).ranges, "an id twice in one call: EEXIST, none is taken");
	twice[1].id = UINT64_MAX;
	twice[1].sectors = 0;
	ktap_ok(ioctl(file, FERRY_DISK_GUARD, &arg) < 0 && errno == EINVAL &&
		!disk_status(file).ranges, "one bad range among good ones: none is taken");
	ktap_ok(guard_many(FERRY_DISK_MAX_RANGES + 1, 0) == -E2BIG, "too many: E2BIG");
	ktap_ok(!guard_many(FERRY_DISK_MAX_RANGES, 1) &&
		disk_status(file).ranges == FERRY_DISK_MAX_RANGES, "as many as are allowed");
	ktap_ok(disk_guard(file, 0, 0, 1) == -E2BIG && disk_guard(file, 1, 0, 1) != 0,
		"one more: E2BIG");
	ktap_ok(!disk_unguard_all(file) && !disk_status(file).ranges, "all are opened");
	ktap_ok(!disk_guard(file, UINT64_MAX, STORAGE_SECTORS - 1, 1) &&
		disk_guard(file, UINT64_MAX, 0, 1) == -EEXIST &&
		!disk_unguard(file, UINT64_MAX), "any id, once");
}

int main(void)
{
	storage_open(&storage);
	ktap_plan(35);
	disk_open(&disk, "disk", storage.loop[0]);

	test_what_waits();
	test_order();
	test_ranges();
	test_outlives();
	test_states();
	test_suspend_noflush();
	test_suspend();
	test_limits();

	ktap_ok(disk_close(&disk), "the device can be removed");
	ktap_ok(storage_close(&storage), "the module unloads");
	return ktap_finish();
}
