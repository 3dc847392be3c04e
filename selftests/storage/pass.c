// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Normal life: the target "ferry" passes everything on, and looks from above as the
 * device below does.
 */
#include "storage.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ktap.h"

#define THREADS		4
#define WRITES		200
#define RELOADS		10

static struct storage storage;
static struct disk disk;

static void test_tables(void)
{
	const char *lower = storage.loop[0];
	char two[64];

	snprintf(two, sizeof(two), "%s 0", lower);
	sure(dm_create("bad"));
	ktap_ok(dm_load("bad", STORAGE_SECTORS, "ferry", "") == -EINVAL, "no device: EINVAL");
	ktap_ok(dm_load("bad", STORAGE_SECTORS, "ferry", two) == -EINVAL,
		"a second argument: EINVAL");
	ktap_ok(dm_load("bad", STORAGE_SECTORS, "ferry", "/dev/none") < 0, "no such device");
	ktap_ok(dm_load("bad", STORAGE_SECTORS + 8, "ferry", lower) < 0,
		"longer than the device below");
	ktap_ok(dm_load_two("bad", STORAGE_SECTORS, "ferry", lower) == -EINVAL,
		"two targets in one table: EINVAL");
	sure(dm_remove("bad"));
}

static void test_zoned(void)
{
	const char *name = "a zoned device: refused";

	if (system("test -d /sys/module/null_blk || modprobe -q null_blk nr_devices=1 zoned=1 zone_size=4 gb=1") ||
	    system("grep -q host-managed /sys/block/nullb0/queue/zoned")) {
		ktap_skip("no zoned null_blk", "%s", name);
		return;
	}
	sure(dm_create("bad"));
	ktap_ok(dm_load("bad", 8 << 11, "ferry", "/dev/nullb0") < 0, "%s", name);
	sure(dm_remove("bad"));
	if (system("rmmod null_blk"))
		die("null_blk does not unload");
}

/* One attribute of a queue, in a static buffer. */
static const char *attribute(const char *device, const char *name)
{
	static char text[2][64];
	static unsigned int turn;
	char *to = text[turn++ % 2], path[128];
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/block/%s/queue/%s", device, name);
	fd = must(open(path, O_RDONLY | O_CLOEXEC));
	n = must(read(fd, to, sizeof(text[0]) - 1));
	to[n] = 0;
	close(fd);
	return to;
}

static void test_limits(void)
{
	static const char * const names[] = {
		"logical_block_size", "physical_block_size", "minimum_io_size",
		"discard_granularity", "discard_max_bytes", "write_zeroes_max_bytes",
		"write_cache", "max_segments", "rotational", "zoned",
	};
	unsigned int i, differ = 0;
	char device[32];

	snprintf(device, sizeof(device), "dm-%d", dm_minor(disk.name));
	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *above = attribute(device, names[i]);
		const char *below = attribute(storage.loop[0] + strlen("/dev/"), names[i]);

		if (strcmp(above, below)) {
			ktap_note("%s: %s below, %s above", names[i], below, above);
			differ++;
		}
	}
	ktap_ok(!differ, "the limits are those of the device below");
}

static void test_status(void)
{
	struct ferry_disk_status status = disk_status(disk.file);
	char want[32];
	int number = atoi(storage.loop[0] + strlen("/dev/loop"));

	ktap_ok(!strncmp(dm_status(disk.name, false), "pass 0 in flight, 0 in doubt", 28),
		"status line: %s", dm_status(disk.name, false));
	snprintf(want, sizeof(want), "7:%d", number);
	ktap_ok(!strcmp(dm_status(disk.name, true), want), "table line: %s", want);
	ktap_ok(status.state == FERRY_DISK_PASS && status.sectors == STORAGE_SECTORS &&
		!status.in_flight && !status.held && !status.ranges, "FERRY_DISK_STATUS");
}

static void test_data(void)
{
	char node[32];
	int synchronous;

	ktap_ok(!io_do(disk.block, IO_WRITE, 0, 256 * IO_BLOCK, 0x11) &&
		io_count(storage.file, 0, 256, 0x11) == 256, "a write of 1 MiB arrives");
	ktap_ok(io_count(disk.block, 0, 256, 0x11) == 256, "and is read back");
	ktap_ok(!io_do(disk.block, IO_WRITE, 512, 512, 0x22) &&
		io_count(storage.file, 0, 2, 0x11) == 1, "a write of one sector");
	ktap_ok(!io_do(disk.block, IO_FLUSH, 0, 0, 0), "a flush");
	snprintf(node, sizeof(node), "/dev/dm-%d", dm_minor(disk.name));
	synchronous = must(open(node, O_RDWR | O_DIRECT | O_DSYNC | O_CLOEXEC));
	ktap_ok(!io_do(synchronous, IO_WRITE, 0, IO_BLOCK, 0x33) &&
		io_count(storage.file, 0, 1, 0x33) == 1, "a write with FUA");
	close(synchronous);
	ktap_ok(!io_do(disk.block, IO_DISCARD, 0, 8 * IO_BLOCK, 0) &&
		io_count(storage.file, 0, 8, 0) == 8 && io_count(storage.file, 8, 8, 0x11) == 8,
		"a discard");
	ktap_ok(!io_do(disk.block, IO_ZERO, 8 * IO_BLOCK, 8 * IO_BLOCK, 0) &&
		io_count(storage.file, 8, 8, 0) == 8 && io_count(storage.file, 16, 8, 0x11) == 8,
		"write zeroes");
	ktap_ok(io_do(disk.block, IO_READ, STORAGE_BYTES, IO_BLOCK, 0) == ENODATA,
		"nothing beyond the end");
}

/* An ioctl that only the device below knows. */
static void test_ioctl(void)
{
	struct loop_info64 info = {};

	ktap_ok(!ioctl(disk.block, LOOP_GET_STATUS64, &info), "ioctls reach the device below");
}

/* One write from a registered buffer: its pages are more than one bio of ours can have. */
static long write_registered(int fd, void *data, size_t size)
{
	struct iovec iovec = { .iov_base = data, .iov_len = size };
	struct io_uring_params params = {};
	int ring = syscall(__NR_io_uring_setup, 1, &params);
	struct io_uring_sqe *sqe;
	char *sq, *cq;
	struct io_uring_cqe *cqe;

	if (ring < 0)
		return -errno;
	must(syscall(__NR_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iovec, 1));
	sq = must(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING));
	cq = must(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING));
	sqe = must(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES));
	*sqe = (struct io_uring_sqe) {
		.opcode = IORING_OP_WRITE_FIXED, .fd = fd,
		.addr = (uintptr_t)data, .len = size,
	};
	*(uint32_t *)(sq + params.sq_off.array) = 0;
	__atomic_store_n((uint32_t *)(sq + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		die("io_uring_enter: %s", strerror(errno));
	cqe = (struct io_uring_cqe *)(cq + params.cq_off.cqes);
	close(ring);
	return cqe->res;
}

static void test_registered(void)
{
	size_t size = 4ul << 20;
	uint8_t *data = must(mmap(NULL, size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	long ret;

	/* pages that do not lie together */
	must(madvise(data, size, MADV_NOHUGEPAGE));
	memset(data, 0x44, size);
	ret = write_registered(disk.block, data, size);
	if (ret == -ENOSYS || ret == -EPERM)
		ktap_skip("no io_uring", "a write of 1024 pages in one piece");
	else
		ktap_ok(ret == (long)size && io_count(storage.file, 0, 1024, 0x44) == 1024,
			"a write of 1024 pages in one piece (%ld)", ret);
	munmap(data, size);
}

static void *writer(void *number)
{
	unsigned int thread = (uintptr_t)number, seed = thread;
	unsigned long i, wrong = 0;
	uint8_t *data = must(mmap(NULL, IO_BLOCK, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	for (i = 0; i < WRITES; i++) {
		uint64_t block = thread * 64 + rand_r(&seed) % 64;
		uint8_t fill = rand_r(&seed) % 255 + 1;

		memset(data, fill, IO_BLOCK);
		wrong += pwrite(disk.block, data, IO_BLOCK, block * IO_BLOCK) != IO_BLOCK;
		memset(data, 0, IO_BLOCK);
		wrong += pread(disk.block, data, IO_BLOCK, block * IO_BLOCK) != IO_BLOCK;
		wrong += data[0] != fill || memcmp(data, data + 1, IO_BLOCK - 1);
	}
	munmap(data, IO_BLOCK);
	return (void *)wrong;
}

/* Tables are exchanged for each other meanwhile, with and without waiting for I/O. */
static void test_reload(void)
{
	pthread_t thread[THREADS];
	unsigned long wrong = 0, i;
	int err = 0;

	for (i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, writer, (void *)i);
	for (i = 0; i < RELOADS && !err; i++)
		err = dm_load(disk.name, STORAGE_SECTORS, "ferry", storage.loop[i % 2]) ?:
		      dm_suspend(disk.name, i % 2) ?: dm_resume(disk.name);
	ktap_ok(!err, "%lu reloads under load (%d)", i, err);
	for (i = 0; i < THREADS; i++) {
		void *result;

		pthread_join(thread[i], &result);
		wrong += (uintptr_t)result;
	}
	ktap_ok(!wrong, "%u writes and reads meanwhile: %lu wrong", THREADS * WRITES, wrong);
	ktap_ok(!dm_load(disk.name, STORAGE_SECTORS, "ferry", storage.loop[0]) &&
		!dm_clear(disk.name) && disk_status(disk.file).state == FERRY_DISK_PASS,
		"a table that never came into use");
}

int main(void)
{
	storage_open(&storage);
	ktap_plan(26);

	test_tables();
	test_zoned();
	disk_open(&disk, "disk", storage.loop[0]);
	test_limits();
	test_status();
	test_data();
	test_ioctl();
	test_registered();
	test_reload();
	ktap_ok(syscall(__NR_delete_module, "kvmferry", O_NONBLOCK) < 0,
		"the module cannot be unloaded while there is a disk");
	ktap_ok(disk_close(&disk), "the device can be removed");
	ktap_ok(storage_close(&storage), "the module unloads");
	return ktap_finish();
}
