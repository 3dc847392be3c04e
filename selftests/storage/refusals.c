// SPDX-License-Identifier: GPL-2.0-or-later
/* What the commands of disks must refuse, each with exactly the error that is documented. */
#include "storage.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ferry.h"
#include "ktap.h"

static struct storage storage;
static struct disk disk;

static void expect(int want, long got, const char *what)
{
	ktap_ok(got == -want, "%s: %s", what, want ? strerrorname_np(want) : "success");
	if (got != -want)
		ktap_note("got %ld", got);
}

static void test_bind(void)
{
	struct ferry_disk_bind arg = { .fd = disk.block };
	int null = must(open("/dev/null", O_RDWR | O_CLOEXEC));
	int device = must(open("/dev/kvmferry", O_RDWR | O_CLOEXEC));
	int path = must(open(storage.loop[0], O_PATH | O_CLOEXEC));
	unsigned int accepted = 0;
	size_t byte;
	long fd;

	expect(EBADF, disk_bind(-1), "bind: no descriptor");
	expect(EBADF, disk_bind(path), "bind: a descriptor of a path");
	expect(ENOTBLK, disk_bind(storage.file), "bind: a file");
	expect(ENOTBLK, disk_bind(null), "bind: a character device");
	expect(ENXIO, disk_bind(storage.loops[0]), "bind: a device without ferry");
	for (byte = offsetof(struct ferry_disk_bind, flags); byte < sizeof(arg); byte++) {
		((uint8_t *)&arg)[byte] = 0x80;
		accepted += ferry_ioctl(device, FERRY_DISK_BIND, &arg) != -EINVAL;
		((uint8_t *)&arg)[byte] = 0;
	}
	ktap_ok(!accepted, "bind: no reserved byte may be set");
	expect(EFAULT, ferry_ioctl(device, FERRY_DISK_BIND, NULL), "bind: no argument");
	expect(ENOTTY, ferry_ioctl(device, FERRY_DISK_STATUS, &arg),
	       "a disk's command on the device");
	fd = ferry_ioctl(device, FERRY_DISK_BIND, &arg);
	ktap_ok(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC, "bind: close-on-exec");
	expect(ENOTTY, ferry_ioctl(fd, FERRY_DISK_BIND, &arg), "the device's command on a disk");
	close(fd);
	close(path);
	close(device);
	close(null);
}

#define ZERO(type, field)	offsetof(struct type, field), sizeof(((struct type *)0)->field)

static const struct {
	const char *name;
	unsigned long command;
	size_t size;
	/* two fields that must be zero, and, if any, one that has to be set */
	size_t flags, flags_size, reserved, reserved_size, set;
	uint32_t value;
} commands[] = {
	{ "STATUS", FERRY_DISK_STATUS, sizeof(struct ferry_disk_status),
	  ZERO(ferry_disk_status, flags), ZERO(ferry_disk_status, reserved), 0, 0 },
	{ "STATUS", FERRY_DISK_STATUS, sizeof(struct ferry_disk_status),
	  ZERO(ferry_disk_status, flags), ZERO(ferry_disk_status, reserved0), 0, 0 },
	{ "HOLD", FERRY_DISK_HOLD, sizeof(struct ferry_disk_hold),
	  ZERO(ferry_disk_hold, flags), ZERO(ferry_disk_hold, reserved), 0, 0 },
	{ "HOLD", FERRY_DISK_HOLD, sizeof(struct ferry_disk_hold),
	  ZERO(ferry_disk_hold, flags), ZERO(ferry_disk_hold, reserved0), 0, 0 },
	{ "CANCEL", FERRY_DISK_CANCEL, sizeof(struct ferry_disk_cancel),
	  ZERO(ferry_disk_cancel, flags), ZERO(ferry_disk_cancel, reserved),
	  offsetof(struct ferry_disk_cancel, kinds), 1 },
	{ "LIST", FERRY_DISK_LIST, sizeof(struct ferry_disk_list),
	  ZERO(ferry_disk_list, flags), ZERO(ferry_disk_list, reserved),
	  offsetof(struct ferry_disk_list, states), 1 },
	{ "ACK", FERRY_DISK_ACK, sizeof(struct ferry_disk_ack),
	  ZERO(ferry_disk_ack, flags), ZERO(ferry_disk_ack, reserved), 0, 0 },
	{ "ACK", FERRY_DISK_ACK, sizeof(struct ferry_disk_ack),
	  ZERO(ferry_disk_ack, flags), ZERO(ferry_disk_ack, reserved0), 0, 0 },
	{ "RESUME", FERRY_DISK_RESUME, sizeof(struct ferry_disk_resume),
	  ZERO(ferry_disk_resume, flags), ZERO(ferry_disk_resume, reserved), 0, 0 },
	{ "RESUME", FERRY_DISK_RESUME, sizeof(struct ferry_disk_resume),
	  ZERO(ferry_disk_resume, flags), ZERO(ferry_disk_resume, reserved0), 0, 0 },
	{ "GUARD", FERRY_DISK_GUARD, sizeof(struct ferry_disk_guard),
	  ZERO(ferry_disk_guard, flags), ZERO(ferry_disk_guard, reserved),
	  offsetof(struct ferry_disk_guard, count), 1 },
	{ "UNGUARD", FERRY_DISK_UNGUARD, sizeof(struct ferry_disk_unguard),
	  ZERO(ferry_disk_unguard, flags), ZERO(ferry_disk_unguard, reserved), 0, 0 },
	{ "UNGUARD", FERRY_DISK_UNGUARD, sizeof(struct ferry_disk_unguard),
	  ZERO(ferry_disk_unguard, flags), ZERO(ferry_disk_unguard, reserved0), 0, 0 },
	{ "RANGES", FERRY_DISK_RANGES, sizeof(struct ferry_disk_ranges),
	  ZERO(ferry_disk_ranges, flags), ZERO(ferry_disk_ranges, reserved), 0, 0 },
	{ "RANGES", FERRY_DISK_RANGES, sizeof(struct ferry_disk_ranges),
	  ZERO(ferry_disk_ranges, flags), ZERO(ferry_disk_ranges, reserved0), 0, 0 },
};

#define COMMANDS	(sizeof(commands) / sizeof(*commands))

/* Bytes of a field that may be set although they must not. */
static unsigned int accepted(unsigned int i, size_t at, size_t size)
{
	unsigned int count = 0;
	size_t byte;

	for (byte = 0; byte < size; byte++) {
		uint8_t arg[256] = {};

		memcpy(arg + commands[i].set, &commands[i].value, sizeof(commands[i].value));
		arg[at + byte] |= 0x80;
		count += ferry_ioctl(disk.file, commands[i].command, arg) != -EINVAL;
	}
	return count;
}

static void test_arguments(void)
{
	char *edge = must(mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	unsigned int i;

	edge += 4096;
	must(munmap(edge, 4096));
	for (i = 0; i < COMMANDS; i++) {
		ktap_ok(!accepted(i, commands[i].flags, commands[i].flags_size) &&
			!accepted(i, commands[i].reserved, commands[i].reserved_size),
			"%s: no reserved byte may be set", commands[i].name);
		ktap_ok(ferry_ioctl(disk.file, commands[i].command,
				    edge - commands[i].size / 2) == -EFAULT,
			"%s: half an argument: EFAULT", commands[i].name);
	}
	ktap_ok(disk_status(disk.file).state == FERRY_DISK_PASS, "nothing of this had an effect");
}

static void test_commands(void)
{
	struct ferry_disk_list list = { .room = FERRY_DISK_MAX_LIST + 1, .states = 1 };
	struct ferry_disk_ranges ranges = { .room = FERRY_DISK_MAX_RANGES + 1 };
	struct ferry_disk_guard guard = { .count = 1 };
	struct ferry_disk_unguard unguard = { .id = 1, .flags = FERRY_DISK_EVERY_RANGE };
	char arg[256] = {};
	int file = disk.file;

	expect(ENOTTY, ferry_ioctl(file, _IOWR(FERRY_IOCTL_TYPE, 0x59, struct ferry_disk_ack), arg),
	       "unknown command");
	expect(ENOTTY, ferry_ioctl(file, _IOWR(FERRY_IOCTL_TYPE, 0x4f, struct ferry_disk_ack), arg),
	       "unknown command below them");
	expect(ENOTTY, ferry_ioctl(file, _IOWR(FERRY_IOCTL_TYPE, 0x50, struct ferry_disk_ack), arg),
	       "known number, other size");
	expect(EINVAL, disk_cancel(file, 0, 0, NULL), "CANCEL: no kind");
	expect(EINVAL, disk_cancel(file, FERRY_DISK_ALL_KINDS + 1, 0, NULL), "CANCEL: unknown kind");
	expect(EINVAL, disk_cancel(file, 1, FERRY_DISK_FAIL_FLUSHES << 1, NULL),
	       "CANCEL: unknown flag");
	expect(EINVAL, disk_resume(file, FERRY_DISK_WHEN_SETTLED << 1), "RESUME: unknown flag");
	expect(E2BIG, ferry_ioctl(file, FERRY_DISK_LIST, &list), "LIST: too much room");
	list = (struct ferry_disk_list) { .room = 1 };
	expect(EINVAL, ferry_ioctl(file, FERRY_DISK_LIST, &list), "LIST: no state");
	list.states = FERRY_DISK_ALL_STATES + 1;
	expect(EINVAL, ferry_ioctl(file, FERRY_DISK_LIST, &list), "LIST: unknown state");
	expect(E2BIG, ferry_ioctl(file, FERRY_DISK_RANGES, &ranges), "RANGES: too much room");
	expect(EFAULT, ferry_ioctl(file, FERRY_DISK_GUARD, &guard), "GUARD: no memory there");
	guard.count = 0;
	expect(EINVAL, ferry_ioctl(file, FERRY_DISK_GUARD, &guard), "GUARD: none");
	expect(EINVAL, ferry_ioctl(file, FERRY_DISK_UNGUARD, &unguard), "UNGUARD: one, and all");
	expect(ENOENT, disk_ack(file, 1), "ACK: no such request");
	expect(0, disk_ack(file, 0), "ACK: all of none");
	expect(0, disk_resume(file, 0), "RESUME in state PASS");
	sure(disk_guard(file, 1, 0, 1));
	ranges = (struct ferry_disk_ranges) { .room = 1 };
	expect(EFAULT, ferry_ioctl(file, FERRY_DISK_RANGES, &ranges), "RANGES: no memory there");
	sure(disk_unguard(file, 1));
}

static void test_features(void)
{
	int device = must(open("/dev/kvmferry", O_RDWR | O_CLOEXEC));
	struct ferry_info info = {};

	must(ioctl(device, FERRY_INFO, &info));
	ktap_ok(info.features & FERRY_FEATURE_DISK, "the handshake tells of disks");
	close(device);
}

static void test_no_memory(void)
{
	if (!ferry_fault("disk-nomem")) {
		ktap_skip("no fault points in this build", "disk-nomem: ENOMEM");
		ktap_skip("no fault points in this build", "disk-nomem: no trace of it");
		return;
	}
	sure(dm_create("other"));
	ktap_ok(dm_load("other", STORAGE_SECTORS, "ferry", storage.loop[1]) == -ENOMEM,
		"disk-nomem: ENOMEM");
	ferry_fault("");
	ktap_ok(!dm_load("other", STORAGE_SECTORS, "ferry", storage.loop[1]) &&
		!dm_resume("other") && !dm_remove("other"), "disk-nomem: no trace of it");
}

int main(void)
{
	storage_open(&storage);
	ktap_plan(64);
	disk_open(&disk, "disk", storage.loop[0]);

	test_bind();
	test_arguments();
	test_commands();
	test_features();
	test_no_memory();

	ktap_ok(disk_close(&disk), "the device can be removed");
	ktap_ok(storage_close(&storage), "the module unloads");
	return ktap_finish();
}
