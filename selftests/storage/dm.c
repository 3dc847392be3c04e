// SPDX-License-Identifier: GPL-2.0-or-later
/* A small client of /dev/mapper/control: starting dmsetup takes long in the host. */
#include "dm.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "die.h"

#define ROOM	16384

struct call {
	_Alignas(8) char bytes[ROOM];
};

static struct dm_ioctl *begin(struct call *call, const char *name, uint32_t flags)
{
	struct dm_ioctl *io = (struct dm_ioctl *)call->bytes;

	memset(call, 0, sizeof(*call));
	io->version[0] = DM_VERSION_MAJOR;
	io->data_size = ROOM;
	io->data_start = sizeof(*io);
	io->flags = flags;
	snprintf(io->name, sizeof(io->name), "%s", name);
	return io;
}

/* A descriptor of its own each time: callers may be threads, or forked. */
static int run(unsigned long command, struct dm_ioctl *io)
{
	int fd = must(open("/dev/mapper/control", O_RDWR | O_CLOEXEC));
	int ret = ioctl(fd, command, io) < 0 ? -errno : 0;

	close(fd);
	return ret;
}

int dm_create(const char *name)
{
	struct call call;

	return run(DM_DEV_CREATE, begin(&call, name, 0));
}

static int load(const char *name, uint64_t sectors, const char *target, const char *arguments,
		unsigned int targets)
{
	struct call call;
	struct dm_ioctl *io = begin(&call, name, 0);
	char *at = call.bytes + io->data_start;
	unsigned int i;

	io->target_count = targets;
	for (i = 0; i < targets; i++) {
		struct dm_target_spec *spec = (struct dm_target_spec *)at;
		size_t size = (sizeof(*spec) + strlen(arguments) + 1 + 7) & ~7ul;

		spec->sector_start = i * (sectors / targets);
		spec->length = sectors / targets;
		spec->next = size;
		snprintf(spec->target_type, sizeof(spec->target_type), "%s", target);
		strcpy((char *)(spec + 1), arguments);
		at += size;
	}
	return run(DM_TABLE_LOAD, io);
}

int dm_load(const char *name, uint64_t sectors, const char *target, const char *arguments)
{
	return load(name, sectors, target, arguments, 1);
}

int dm_load_two(const char *name, uint64_t sectors, const char *target, const char *arguments)
{
	return load(name, sectors, target, arguments, 2);
}

int dm_clear(const char *name)
{
	struct call call;

	return run(DM_TABLE_CLEAR, begin(&call, name, 0));
}

int dm_suspend(const char *name, bool noflush)
{
	struct call call;

	return run(DM_DEV_SUSPEND, begin(&call, name, DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG |
					 (noflush ? DM_NOFLUSH_FLAG : 0)));
}

int dm_resume(const char *name)
{
	struct call call;

	return run(DM_DEV_SUSPEND, begin(&call, name, 0));
}

int dm_remove(const char *name)
{
	struct call call;
	unsigned int tries = 500;
	int ret;

	/* a thread that has ended may still be closing its files */
	do {
		ret = run(DM_DEV_REMOVE, begin(&call, name, 0));
	} while (ret == -EBUSY && tries-- && !usleep(10000));
	return ret;
}

const char *dm_status(const char *name, bool table)
{
	static struct call call;
	struct dm_ioctl *io = begin(&call, name, DM_NOFLUSH_FLAG |
				    (table ? DM_STATUS_TABLE_FLAG : 0));

	if (run(DM_TABLE_STATUS, io) || !io->target_count)
		die("no status of %s", name);
	return call.bytes + io->data_start + sizeof(struct dm_target_spec);
}

int dm_minor(const char *name)
{
	struct call call;
	struct dm_ioctl *io = begin(&call, name, 0);
	int ret = run(DM_DEV_STATUS, io);

	return ret ?: (int)minor(io->dev);
}

int dm_make(const char *name, uint64_t sectors, const char *target, const char *arguments)
{
	char node[32];
	int ret;

	ret = dm_create(name) ?: dm_load(name, sectors, target, arguments) ?: dm_resume(name);
	if (ret)
		die("device %s (%s %s): %s", name, target, arguments, strerror(-ret));
	snprintf(node, sizeof(node), "/dev/dm-%d", dm_minor(name));
	return must(open(node, O_RDWR | O_DIRECT | O_CLOEXEC));
}
