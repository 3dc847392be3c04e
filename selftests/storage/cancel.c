// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * HOLD and CANCEL at the source: what is in flight is failed at once although the
 * storage takes seconds, and is known until the storage has ended it.
 */
#include "storage.h"

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ktap.h"

/* What the storage takes; and what is far from it, and from what the host takes for nothing. */
#define SLOW_MS		storage_ms(2500)
#define AT_ONCE_MS	storage_ms(1000)
#define LONG_MS		20000u

static struct storage storage;
static struct disk quick, slow;

/* Not write zeroes: the kernel lets only one of it and discard at a time into a device. */
static const enum io_op ops[] = { IO_WRITE, IO_READ, IO_DISCARD, IO_FLUSH };

#define OPS		(sizeof(ops) / sizeof(*ops))

static void test_hold(void)
{
	struct ferry_disk_status status;
	struct io io[OPS];
	unsigned int i, ended = 0, errors = 0;

	ktap_ok(!disk_hold(quick.file), "hold");
	for (i = 0; i < OPS; i++)
		io_start(&io[i], quick.block, ops[i], i * 8 * IO_BLOCK, 8 * IO_BLOCK, 0x11);
	within(LONG_MS, disk_status(quick.file).held == OPS);
	sleep_ms(200);
	status = disk_status(quick.file);
	for (i = 0; i < OPS; i++)
		ended += io[i].done;
	ktap_ok(status.state == FERRY_DISK_HOLDING && status.held == OPS && !status.in_flight && !ended,
		"four kinds of requests are held: %llu", (unsigned long long)status.held);
	ktap_ok(io_count(storage.file, 0, 8, 0x11) == 0, "the storage knows nothing of it");
	ktap_ok(disk_poll(quick.file) == POLLOUT, "poll: it may be resumed");
	ktap_ok(!disk_resume(quick.file, 0), "resume");
	for (i = 0; i < OPS; i++)
		errors += !!io_end(&io[i]);
	ktap_ok(!errors && io_count(storage.file, 0, 8, 0x11) == 8, "then all are done");
	ktap_ok(!disk_poll(quick.file) && disk_status(quick.file).state == FERRY_DISK_PASS,
		"pass again");
}

/* What is held when it is cancelled was never in doubt. */
static void test_cancel_held(void)
{
	struct ferry_disk_cancel result;
	struct io io[OPS];
	unsigned int i, wrong = 0;

	disk_hold(quick.file);
	for (i = 0; i < OPS; i++)
		io_start(&io[i], quick.block, ops[i], i * 8 * IO_BLOCK, 8 * IO_BLOCK, 0x12);
	within(LONG_MS, disk_status(quick.file).held == OPS);
	disk_cancel(quick.file, KIND(WRITE) | KIND(READ) | KIND(FLUSH), 0, &result);
	ktap_ok(result.failed == 3 && !result.cancelled, "held: 3 of 4 are failed, none in doubt");
	for (i = 0; i < OPS; i++)
		wrong += io_end(&io[i]) != (ops[i] == IO_DISCARD ? 0 : EIO);
	ktap_ok(!wrong, "of the kinds that are cancelled; the other one is sent");
	ktap_ok(!disk_resume(quick.file, 0), "and nothing stands against a resume");
}

struct wanted {
	enum io_op op;
	unsigned int kind;
	unsigned long block, blocks;
};

static const struct wanted wanted[] = {
	{ IO_WRITE, FERRY_DISK_WRITE, 100, 1 },
	{ IO_WRITE, FERRY_DISK_WRITE, 110, 16 },
	{ IO_READ, FERRY_DISK_READ, 130, 1 },
	{ IO_READ, FERRY_DISK_READ, 140, 16 },
	{ IO_DISCARD, FERRY_DISK_DISCARD, 160, 8 },
	{ IO_FLUSH, FERRY_DISK_FLUSH, 0, 0 },
};

#define WANTED		(sizeof(wanted) / sizeof(*wanted))

static unsigned int count_listed(const struct ferry_disk_request *list, unsigned int n,
				 uint32_t state)
{
	unsigned int i, k, found = 0;

	for (i = 0; i < WANTED; i++)
		for (k = 0; k < n; k++)
			found += list[k].kind == wanted[i].kind && list[k].state == state &&
				 list[k].sector == SECTORS(wanted[i].block) &&
				 list[k].sectors == SECTORS(wanted[i].blocks) && list[k].number;
	return found;
}

static void start_all(struct io *io, uint8_t fill)
{
	unsigned int i;

	for (i = 0; i < WANTED; i++)
		io_start(&io[i], slow.block, wanted[i].op, wanted[i].block * IO_BLOCK,
			 wanted[i].blocks * IO_BLOCK, fill);
	if (!within(SLOW_MS / 2, disk_status(slow.file).in_flight == WANTED))
		die("the requests are not in flight in time");
}

static void test_new_requests(void)
{
	struct io io[4];
	unsigned int i, wrong = 0;

	io_start(&io[0], slow.block, IO_WRITE, 0, IO_BLOCK, 0x77);
	io_start(&io[1], slow.block, IO_READ, 0, IO_BLOCK, 0);
	io_start(&io[2], slow.block, IO_DISCARD, 0, IO_BLOCK, 0);
	io_start(&io[3], slow.block, IO_FLUSH, 0, 0, 0);
	for (i = 0; i < 4; i++)
		wrong += !io_ends(&io[i], AT_ONCE_MS) || io_end(&io[i]) != (i == 3 ? 0 : EIO);
	ktap_ok(!wrong, "what comes fails at once, but a flush succeeds at once");
	ktap_ok(disk_status(slow.file).answered == 1 && disk_status(slow.file).failed >= 3,
		"both are counted");
	disk_cancel(slow.file, FERRY_DISK_ALL_KINDS, FERRY_DISK_FAIL_FLUSHES, NULL);
	io_start(&io[0], slow.block, IO_FLUSH, 0, 0, 0);
	ktap_ok(io_ends(&io[0], AT_ONCE_MS) && io_end(&io[0]) == EIO,
		"with FERRY_DISK_FAIL_FLUSHES flushes fail as well");
	disk_cancel(slow.file, FERRY_DISK_ALL_KINDS, 0, NULL);
}

static void test_ended(void)
{
	struct pollfd poll_fd = { .fd = slow.file, .events = POLLIN };
	struct ferry_disk_request list[16];
	unsigned int n, i, errors = 0;

	ktap_ok(poll(&poll_fd, 1, LONG_MS) == 1 && poll_fd.revents == POLLIN,
		"poll tells of the end");
	within(LONG_MS, !disk_status(slow.file).in_doubt);
	n = disk_list(slow.file, STATE(ENDED), list, 16);
	for (i = 0; i < n; i++)
		errors += list[i].error;
	ktap_ok(n == WANTED && count_listed(list, n, FERRY_DISK_ENDED) == WANTED && !errors,
		"all %u have ended without error", n);
	ktap_ok(!disk_ack(slow.file, list[2].number) &&
		disk_ack(slow.file, list[2].number) == -ENOENT &&
		disk_status(slow.file).ended == WANTED - 1, "one is acknowledged, once");
	ktap_ok((disk_poll(slow.file) & (POLLIN | POLLOUT)) == (POLLIN | POLLOUT),
		"poll: more to read, and it may be resumed");
	ktap_ok(!disk_ack(slow.file, 0) && !disk_status(slow.file).ended, "the rest, all at once");
	within(LONG_MS, !disk_status(slow.file).flushing);
	ktap_ok(disk_status(slow.file).flushed == 1 && !disk_status(slow.file).flush_errors,
		"the flush that was answered has been sent");
}

static void test_cancel(void)
{
	struct ferry_disk_request list[16];
	struct ferry_disk_cancel result;
	struct io io[WANTED];
	unsigned int i, late = 0, wrong = 0, n;

	start_all(io, 0x22);
	n = disk_list(slow.file, STATE(IN_FLIGHT), list, 16);
	ktap_ok(n == WANTED && count_listed(list, n, FERRY_DISK_IN_FLIGHT) == WANTED,
		"%u requests are in flight, with their kinds and sectors", n);
	ktap_ok(disk_list(slow.file, STATE(IN_FLIGHT), list, 2) == WANTED,
		"a list without room tells how many there are");
	ktap_ok(!disk_cancel(slow.file, FERRY_DISK_ALL_KINDS, 0, &result) &&
		result.cancelled == WANTED && !result.kept && !result.failed, "all are cancelled");
	for (i = 0; i < WANTED; i++) {
		late += !io_ends(&io[i], AT_ONCE_MS);
		wrong += io_end(&io[i]) != EIO;
	}
	ktap_ok(disk_status(slow.file).in_doubt == WANTED, "the storage has not ended one of them");
	ktap_ok(!late && !wrong, "yet all have ended above, with EIO");
	ktap_ok(io_count(storage.file, 110, 16, 0x22) == 0, "nothing was written yet");
	n = disk_list(slow.file, FERRY_DISK_ALL_STATES, list, 16);
	ktap_ok(n == WANTED && count_listed(list, n, FERRY_DISK_IN_DOUBT) == WANTED,
		"all are in doubt");
	ktap_ok(list[0].age_ms > 0 && list[0].age_ms < LONG_MS &&
		disk_status(slow.file).oldest_ms >= list[0].age_ms, "age: %llu ms",
		(unsigned long long)list[0].age_ms);
	ktap_ok(!disk_poll(slow.file), "poll: nothing yet");
	ktap_ok(disk_resume(slow.file, 0) == -EBUSY, "resume: EBUSY");
	test_new_requests();
	test_ended();
	ktap_ok(io_count(storage.file, 100, 1, 0x22) == 1 &&
		io_count(storage.file, 110, 16, 0x22) == 16, "the late writes were carried out");
	ktap_ok(!disk_resume(slow.file, 0) && disk_status(slow.file).state == FERRY_DISK_PASS,
		"then it can be resumed");
}

/* Discards are left to finish; writes are cancelled, in a second step reads as well. */
static void test_kinds(void)
{
	struct ferry_disk_cancel result;
	struct io io[4];

	io_start(&io[0], slow.block, IO_WRITE, 200 * IO_BLOCK, IO_BLOCK, 0x33);
	io_start(&io[1], slow.block, IO_READ, 210 * IO_BLOCK, IO_BLOCK, 0);
	io_start(&io[2], slow.block, IO_DISCARD, 110 * IO_BLOCK, 8 * IO_BLOCK, 0);
	within(SLOW_MS / 2, disk_status(slow.file).in_flight == 3);
	disk_cancel(slow.file, KIND(WRITE), 0, &result);
	ktap_ok(result.cancelled == 1 && result.kept == 2, "kinds: one is cancelled, two are kept");
	ktap_ok(io_ends(&io[0], AT_ONCE_MS) && io_end(&io[0]) == EIO && !io[1].done && !io[2].done,
		"kinds: the write has failed, the others are under way");
	disk_cancel(slow.file, KIND(WRITE) | KIND(READ), 0, &result);
	ktap_ok(result.cancelled == 1 && result.kept == 1 && io_ends(&io[1], AT_ONCE_MS) &&
		io_end(&io[1]) == EIO, "kinds: a second cancel takes the read");
	ktap_ok(disk_poll(slow.file) == 0, "kinds: poll waits for the one that was kept");
	io_start(&io[3], slow.block, IO_DISCARD, 118 * IO_BLOCK, 8 * IO_BLOCK, 0);
	ktap_ok(!io_end(&io[2]) && !io_end(&io[3]) && io_count(storage.file, 110, 16, 0) == 16,
		"kinds: discards are carried out, old and new");
	within(LONG_MS, disk_poll(slow.file) & POLLOUT);
	ktap_ok(!disk_resume(slow.file, 0), "kinds: resume");
}

#define PAGES	4096ul	/* 16 MiB that take the place of what was freed */

/*
 * The process frees its buffers as soon as its I/O has failed. What the storage then
 * reads from them must be what was in them; what it writes to them must hit nobody.
 */
static void test_pages(void)
{
	struct io io[2];
	uint8_t *other;
	unsigned long i, spoiled = 0;

	io_start(&io[0], slow.block, IO_WRITE, 300 * IO_BLOCK, 64 * IO_BLOCK, 0x44);
	io_start(&io[1], slow.block, IO_READ, 0, 64 * IO_BLOCK, 0);
	within(SLOW_MS / 2, disk_status(slow.file).in_flight == 2);
	disk_cancel(slow.file, FERRY_DISK_ALL_KINDS, 0, NULL);
	ktap_ok(io_end(&io[0]) == EIO && io_end(&io[1]) == EIO, "pages: failed, and freed");
	other = must(mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	memset(other, 0x55, PAGES * 4096);
	ktap_ok(disk_status(slow.file).in_doubt == 2, "pages: in doubt all the while");
	within(LONG_MS, !disk_status(slow.file).in_doubt);
	ktap_ok(io_count(storage.file, 300, 64, 0x44) == 64, "pages: the late write has its data");
	for (i = 0; i < PAGES * 4096; i++)
		spoiled += other[i] != 0x55;
	ktap_ok(!spoiled, "pages: the late read spoiled %lu bytes", spoiled);
	munmap(other, PAGES * 4096);
	ktap_ok(!disk_resume(slow.file, 0), "pages: resume");
}

/* The disk of scsi_debug, which knows write zeroes; NULL: there is none. */
static const char *find_scsi(void)
{
	static char name[32];
	FILE *list;
	bool found;

	if (system("test -d /sys/bus/pseudo/drivers/scsi_debug || "
		   "{ modprobe -q sd_mod && modprobe -q scsi_debug dev_size_mb=16; }"))
		return NULL;
	/* disks come into being by and by */
	list = popen("for i in $(seq 40); do "
		     "ls /sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*/block 2>/dev/null && "
		     "break; sleep 0.3; done", "r");
	found = fscanf(list, "%31s", name) == 1;
	pclose(list);
	return found ? name : NULL;
}

/* In jiffies, which are 4 or 10 ms. */
static int set_scsi_delay(unsigned int jiffies)
{
	char command[128];

	snprintf(command, sizeof(command),
		 "echo %u >/sys/bus/pseudo/drivers/scsi_debug/delay", jiffies);
	return system(command);
}

/*
 * A job removes the disk's target from debugfs (6.7 and newer), and the end of the module, which removes all that is
 * above it, does not wait for that job: then the kernel dies of it. So the host is removed before.
 */
static int remove_scsi(void)
{
	return system("grep -q '^scsi_debug ' /proc/modules || exit 0; "
		      "echo -1 >/sys/bus/pseudo/drivers/scsi_debug/add_host; "
		      "for i in $(seq 100); do "
		      "set -- /sys/kernel/debug/scsi_debug/target*:0:0; [ -d $1 ] || break; sleep 0.1; done; "
		      "rmmod scsi_debug");
}

static void test_zeroes(void)
{
	const char *name = find_scsi();
	struct ferry_disk_request list[2];
	struct ferry_disk_cancel result;
	struct disk disk = { .name = "scsi" };
	char path[64];
	struct io io;

	if (!name) {
		ktap_skip("no scsi_debug", "write zeroes: in flight");
		ktap_skip("no scsi_debug", "write zeroes: cancelled");
		ktap_skip("no scsi_debug", "write zeroes: carried out late");
		return;
	}
	snprintf(path, sizeof(path), "/dev/%s", name);
	disk.block = dm_make(disk.name, 2048, "ferry", path);
	disk.file = disk_bind(disk.block);
	sure(io_do(disk.block, IO_WRITE, 0, 16 * IO_BLOCK, 0x66));
	sure(set_scsi_delay(500));
	io_start(&io, disk.block, IO_ZERO, 0, 8 * IO_BLOCK, 0);
	ktap_ok(within(LONG_MS, disk_list(disk.file, STATE(IN_FLIGHT), list, 2) == 1) &&
		list[0].kind == FERRY_DISK_WRITE_ZEROES && list[0].sectors == SECTORS(8ul),
		"write zeroes: in flight");
	sure(disk_cancel(disk.file, FERRY_DISK_ALL_KINDS, 0, &result));
	/* the kernel tries again, with writes, which fail at once */
	ktap_ok(result.cancelled == 1 && io_end(&io) == EIO && disk_status(disk.file).in_doubt == 1,
		"write zeroes: cancelled");
	within(LONG_MS, !disk_status(disk.file).in_doubt);
	sure(set_scsi_delay(0));
	sure(disk_resume(disk.file, 0));
	ktap_ok(io_count(disk.block, 0, 8, 0) == 8 && io_count(disk.block, 8, 8, 0x66) == 8,
		"write zeroes: carried out late");
	close(disk.file);
	close(disk.block);
	sure(dm_remove(disk.name));
	if (remove_scsi())
		die("scsi_debug does not unload");
}

int main(void)
{
	storage_open(&storage);
	ktap_plan(47);
	disk_open(&quick, "quick", storage.loop[1]);
	disk_open(&slow, "slow", delay_open("lower", storage.loop[0], SLOW_MS, SLOW_MS));

	test_hold();
	test_cancel_held();
	test_cancel();
	test_kinds();
	test_pages();
	test_zeroes();

	ktap_ok(disk_close(&quick) && disk_close(&slow), "the devices can be removed");
	delay_close("lower");
	ktap_ok(storage_close(&storage), "the module unloads");
	return ktap_finish();
}
