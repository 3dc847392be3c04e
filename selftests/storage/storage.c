// SPDX-License-Identifier: GPL-2.0-or-later
/* The scene of the storage tests. */
#include "storage.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ferry.h"

unsigned int storage_ms(unsigned int ms)
{
	const char *kernel = getenv("KVMFERRY_KERNEL");

	return kernel && !strcmp(kernel, "debug") ? 3 * ms : ms;
}

static void attach_loop(struct storage *storage, unsigned int i)
{
	struct loop_config config = { .fd = storage->file };
	int control = must(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
	int number = must(ioctl(control, LOOP_CTL_GET_FREE));

	snprintf(storage->loop[i], sizeof(storage->loop[i]), "/dev/loop%d", number);
	storage->loops[i] = must(open(storage->loop[i], O_RDWR | O_CLOEXEC));
	must(ioctl(storage->loops[i], LOOP_CONFIGURE, &config));
	close(control);
}

void storage_open(struct storage *storage)
{
	unsigned int i;

	ferry_load_module();
	if (system("modprobe -qa loop dm-mod dm-delay"))
		die("no loop devices, or no dm-delay");
	storage->file = must(memfd_create("storage", MFD_CLOEXEC));
	must(ftruncate(storage->file, STORAGE_BYTES));
	for (i = 0; i < 2; i++)
		attach_loop(storage, i);
}

bool storage_close(struct storage *storage)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		must(ioctl(storage->loops[i], LOOP_CLR_FD));
		close(storage->loops[i]);
	}
	close(storage->file);
	return ferry_unload_module();
}

int disk_bind(int block)
{
	int device = must(open("/dev/kvmferry", O_RDWR | O_CLOEXEC));
	struct ferry_disk_bind arg = { .fd = block };
	long ret = ferry_ioctl(device, FERRY_DISK_BIND, &arg);

	close(device);
	return ret;
}

static void guard_guards(int minor, int life)
{
	char path[32], c;
	int block, file;

	must(dup2(life, 3));
	close_range(4, ~0u, 0);
	if (read(3, &c, 1) < 0)
		_exit(1);
	snprintf(path, sizeof(path), "/dev/dm-%d", minor);
	block = open(path, O_RDWR | O_CLOEXEC);
	file = block < 0 ? -1 : disk_bind(block);
	if (file >= 0)
		disk_unguard_all(file);
	_exit(0);
}

static void start_guardian(struct disk *disk)
{
	int minor = dm_minor(disk->name), ends[2];

	must(pipe2(ends, O_CLOEXEC));
	fflush(stdout);
	disk->guardian = must(fork());
	if (!disk->guardian)
		guard_guards(minor, ends[0]);
	close(ends[0]);
	disk->life = ends[1];
}

void disk_open(struct disk *disk, const char *name, const char *lower)
{
	snprintf(disk->name, sizeof(disk->name), "%s", name);
	disk->block = dm_make(name, STORAGE_SECTORS, "ferry", lower);
	disk->file = disk_bind(disk->block);
	if (disk->file < 0)
		die("disk %s cannot be bound: %s", name, strerror(-disk->file));
	start_guardian(disk);
}

void disk_forget(struct disk *disk)
{
	close(disk->life);
	must(waitpid(disk->guardian, NULL, 0));
}

bool disk_close(struct disk *disk)
{
	bool removed;

	close(disk->file);
	close(disk->block);
	removed = !dm_remove(disk->name);
	disk_forget(disk);
	return removed;
}

const char *delay_open(const char *name, const char *lower, unsigned int read_ms,
		       unsigned int write_ms)
{
	static char path[32];
	char arguments[128];

	snprintf(arguments, sizeof(arguments), "%s 0 %u %s 0 %u", lower, read_ms, lower, write_ms);
	close(dm_make(name, STORAGE_SECTORS, "delay", arguments));
	snprintf(path, sizeof(path), "/dev/dm-%d", dm_minor(name));
	return path;
}

void delay_close(const char *name)
{
	if (dm_remove(name))
		die("device %s cannot be removed", name);
}

int disk_hold(int file)
{
	struct ferry_disk_hold arg = {};

	return ferry_ioctl(file, FERRY_DISK_HOLD, &arg);
}

int disk_cancel(int file, uint32_t kinds, uint32_t flags, struct ferry_disk_cancel *result)
{
	struct ferry_disk_cancel arg = { .kinds = kinds, .flags = flags };
	int ret = ferry_ioctl(file, FERRY_DISK_CANCEL, &arg);

	if (result)
		*result = arg;
	return ret;
}

int disk_resume(int file, uint32_t flags)
{
	struct ferry_disk_resume arg = { .flags = flags };

	return ferry_ioctl(file, FERRY_DISK_RESUME, &arg);
}

int disk_guard(int file, uint64_t id, uint64_t sector, uint64_t sectors)
{
	struct ferry_disk_range range = { .id = id, .sector = sector, .sectors = sectors };
	struct ferry_disk_guard arg = { .ranges = (uintptr_t)&range, .count = 1 };

	return ferry_ioctl(file, FERRY_DISK_GUARD, &arg);
}

int disk_unguard(int file, uint64_t id)
{
	struct ferry_disk_unguard arg = { .id = id };

	return ferry_ioctl(file, FERRY_DISK_UNGUARD, &arg);
}

int disk_unguard_all(int file)
{
	struct ferry_disk_unguard arg = { .flags = FERRY_DISK_EVERY_RANGE };

	return ferry_ioctl(file, FERRY_DISK_UNGUARD, &arg);
}

int disk_ack(int file, uint64_t number)
{
	struct ferry_disk_ack arg = { .number = number };

	return ferry_ioctl(file, FERRY_DISK_ACK, &arg);
}

struct ferry_disk_status disk_status(int file)
{
	struct ferry_disk_status status = {};

	must(ioctl(file, FERRY_DISK_STATUS, &status));
	return status;
}

unsigned int disk_list(int file, uint32_t states, struct ferry_disk_request *list,
		       unsigned int room)
{
	struct ferry_disk_list arg = {
		.requests = (uintptr_t)list, .room = room, .states = states,
	};

	must(ioctl(file, FERRY_DISK_LIST, &arg));
	return arg.total;
}

short disk_poll(int file)
{
	struct pollfd poll_fd = { .fd = file, .events = POLLIN | POLLOUT };

	must(poll(&poll_fd, 1, 0));
	return poll_fd.revents;
}
