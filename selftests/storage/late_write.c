// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The late write: the storage says nothing, and carries a cancelled write out seconds
 * later, when the VM runs at the target and has written newer data there. Two disks
 * over one storage play the two hosts; the source's way to it is slow.
 */
#include "storage.h"

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ferry.h"
#include "ktap.h"

#define SLOW_MS		storage_ms(2000)
#define SOON_MS		storage_ms(1000)
#define LONG_MS		20000u
#define BLOCKS		4u

static struct storage storage;
static struct disk source, target;

static void start_blocks(struct io *io, int fd, uint64_t block, uint8_t fill)
{
	unsigned int i;

	for (i = 0; i < BLOCKS; i++)
		io_start(&io[i], fd, IO_WRITE, (block + i) * IO_BLOCK, IO_BLOCK, fill);
}

static unsigned int end_blocks(struct io *io, int want)
{
	unsigned int i, right = 0;

	for (i = 0; i < BLOCKS; i++)
		right += io_end(&io[i]) == want;
	return right;
}

static unsigned int ended_blocks(struct io *io)
{
	unsigned int i, ended = 0;

	for (i = 0; i < BLOCKS; i++)
		ended += io[i].done;
	return ended;
}

/* Old data are under way at the source, and in doubt. */
static void leave_in_doubt(uint64_t block, struct ferry_disk_request *list)
{
	struct io io[BLOCKS];

	start_blocks(io, source.block, block, 0x22);
	if (!within(SLOW_MS / 2, disk_status(source.file).in_flight == BLOCKS))
		die("the writes are not in flight in time");
	sure(disk_cancel(source.file, FERRY_DISK_ALL_KINDS, 0, NULL));
	if (end_blocks(io, EIO) != BLOCKS ||
	    disk_list(source.file, STATE(IN_DOUBT), list, BLOCKS) != BLOCKS)
		die("the writes are not in doubt");
}

static void guard_all(const struct ferry_disk_request *list)
{
	unsigned int i;

	for (i = 0; i < BLOCKS; i++)
		sure(disk_guard(target.file, list[i].number, list[i].sector, list[i].sectors));
}

/* As the agents do: every end at the source opens its range at the target. */
static unsigned int release_as_they_end(void)
{
	struct pollfd poll_fd = { .fd = source.file, .events = POLLIN };
	struct ferry_disk_request ended[BLOCKS];
	unsigned int released = 0, n, i;

	while (released < BLOCKS && poll(&poll_fd, 1, LONG_MS) == 1) {
		n = disk_list(source.file, STATE(ENDED), ended, BLOCKS);
		for (i = 0; i < n; i++) {
			released += !disk_unguard(target.file, ended[i].number);
			sure(disk_ack(source.file, ended[i].number));
		}
	}
	return released;
}

static void test_guarded(void)
{
	struct ferry_disk_request list[BLOCKS];
	struct io io[BLOCKS], other;

	leave_in_doubt(100, list);
	guard_all(list);
	start_blocks(io, target.block, 100, 0x33);
	io_start(&other, target.block, IO_WRITE, 200 * IO_BLOCK, IO_BLOCK, 0x33);
	ktap_ok(io_ends(&other, SOON_MS) && !io_end(&other), "guard: other blocks can be written");
	ktap_ok(within(SOON_MS, disk_status(target.file).held == BLOCKS) && !ended_blocks(io) &&
		disk_status(source.file).in_doubt, "guard: %u writes of newer data wait", BLOCKS);
	ktap_ok(release_as_they_end() == BLOCKS, "guard: the source tells when they have ended");
	ktap_ok(end_blocks(io, 0) == BLOCKS, "guard: then the newer data are written");
	ktap_ok(io_count(storage.file, 100, BLOCKS, 0x33) == BLOCKS, "guard: %lu stale blocks",
		BLOCKS - io_count(storage.file, 100, BLOCKS, 0x33));
	ktap_ok(!disk_status(target.file).ranges, "guard: nothing is guarded any more");
	ktap_ok(!disk_resume(source.file, 0), "guard: the source can be resumed");
}

static void test_blind(void)
{
	struct ferry_disk_request list[BLOCKS];
	struct io io[BLOCKS];
	unsigned long stale;

	if (!ferry_fault("guard-blind")) {
		ktap_skip("no fault points in this build", "guard-blind: newer data pass the guard");
		ktap_skip("no fault points in this build", "guard-blind: stale blocks");
		return;
	}
	leave_in_doubt(110, list);
	guard_all(list);
	start_blocks(io, target.block, 110, 0x33);
	ktap_ok(end_blocks(io, 0) == BLOCKS && disk_status(source.file).in_doubt == BLOCKS,
		"guard-blind: newer data pass the guard");
	release_as_they_end();
	ferry_fault("");
	stale = BLOCKS - io_count(storage.file, 110, BLOCKS, 0x33);
	ktap_ok(stale > 0, "guard-blind: %lu stale blocks", stale);
	disk_resume(source.file, 0);
}

/* The VM goes on at the source: what it sends again waits for what is in doubt. */
static void test_settle(void)
{
	struct ferry_disk_request list[BLOCKS];
	struct io io[BLOCKS];

	leave_in_doubt(120, list);
	ktap_ok(!disk_resume(source.file, FERRY_DISK_WHEN_SETTLED) &&
		disk_status(source.file).state == FERRY_DISK_SETTLING, "settle: resumed");
	start_blocks(io, source.block, 120, 0x44);
	ktap_ok(within(SOON_MS, disk_status(source.file).held == BLOCKS) &&
		disk_status(source.file).in_doubt, "settle: what comes waits");
	ktap_ok(end_blocks(io, 0) == BLOCKS, "settle: and is sent in the end");
	ktap_ok(io_count(storage.file, 120, BLOCKS, 0x44) == BLOCKS &&
		disk_status(source.file).state == FERRY_DISK_PASS, "settle: after what was in doubt");
}

/*
 * A read in doubt: its page has a new use, as a guest's has that runs again after its
 * request has failed. Returns whether the late read has hit it.
 */
static bool late_read(int *resumed)
{
	struct io io;
	uint8_t *page;
	bool hit;

	io_start(&io, source.block, IO_READ, 300 * IO_BLOCK, IO_BLOCK, 0);
	within(SLOW_MS / 2, disk_status(source.file).in_flight == 1);
	sure(disk_cancel(source.file, FERRY_DISK_ALL_KINDS, 0, NULL));
	if (!io_ends(&io, LONG_MS) || io.error != EIO)
		die("the read does not fail");
	page = io.buf;
	memset(page, 0x66, IO_BLOCK);
	*resumed = disk_resume(source.file, 0);
	within(LONG_MS, !disk_status(source.file).in_doubt);
	hit = page[0] != 0x66;
	io_end(&io);
	disk_resume(source.file, 0);
	return hit;
}

static void test_resume(void)
{
	int resumed;
	bool hit;

	sure(io_do(target.block, IO_WRITE, 300 * IO_BLOCK, IO_BLOCK, 0x55));
	late_read(&resumed);
	ktap_ok(resumed == -EBUSY, "resume is refused while a read is in doubt");
	if (!ferry_fault("resume-early")) {
		ktap_skip("no fault points in this build", "resume-early: a late read hits");
		return;
	}
	hit = late_read(&resumed);
	ferry_fault("");
	ktap_ok(!resumed && hit, "resume-early: resumed, and a late read hits a page in use");
}

int main(void)
{
	storage_open(&storage);
	ktap_plan(17);
	disk_open(&source, "source", delay_open("lower", storage.loop[0], SLOW_MS, SLOW_MS));
	disk_open(&target, "target", storage.loop[1]);

	test_guarded();
	test_blind();
	test_settle();
	test_resume();

	ktap_ok(disk_close(&source) && disk_close(&target), "the devices can be removed");
	delay_close("lower");
	ktap_ok(storage_close(&storage), "the module unloads");
	return ktap_finish();
}
