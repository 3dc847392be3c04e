// SPDX-License-Identifier: GPL-2.0-only
/* The file of a disk: its commands, their arguments, and poll. */

#include <linux/anon_inodes.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "device.h"
#include "disk.h"

/* The largest argument, whatever the command. */
union disk_arg {
	struct ferry_disk_status status;
	struct ferry_disk_hold hold;
	struct ferry_disk_cancel cancel;
	struct ferry_disk_list list;
	struct ferry_disk_ack ack;
	struct ferry_disk_resume resume;
	struct ferry_disk_guard guard;
	struct ferry_disk_unguard unguard;
	struct ferry_disk_ranges ranges;
};

/* The layout is the ABI: a size that moves is a bug. */
static_assert(sizeof(struct ferry_disk_bind) == 32);
static_assert(sizeof(struct ferry_disk_status) == 144);
static_assert(sizeof(struct ferry_disk_hold) == 16);
static_assert(sizeof(struct ferry_disk_cancel) == 48);
static_assert(sizeof(struct ferry_disk_request) == 48);
static_assert(sizeof(struct ferry_disk_list) == 48);
static_assert(sizeof(struct ferry_disk_ack) == 24);
static_assert(sizeof(struct ferry_disk_resume) == 16);
static_assert(sizeof(struct ferry_disk_range) == 24);
static_assert(sizeof(struct ferry_disk_guard) == 32);
static_assert(sizeof(struct ferry_disk_unguard) == 24);
static_assert(sizeof(struct ferry_disk_ranges) == 40);

static long cmd_status(struct ferry_disk *disk, struct file *file,
		       union disk_arg *arg)
{
	if (!flags_ok(arg->status.flags, 0) || arg->status.reserved0 ||
	    !reserved_ok(arg->status.reserved))
		return -EINVAL;
	ferry_disk_status(disk, &arg->status);
	return 0;
}

static long cmd_hold(struct ferry_disk *disk, struct file *file,
		     union disk_arg *arg)
{
	if (!flags_ok(arg->hold.flags, 0) || arg->hold.reserved0 ||
	    arg->hold.reserved)
		return -EINVAL;
	return ferry_disk_hold(disk, file);
}

static long cmd_cancel(struct ferry_disk *disk, struct file *file,
		       union disk_arg *arg)
{
	struct ferry_disk_cancel *cancel = &arg->cancel;

	if (!flags_ok(cancel->flags, FERRY_DISK_FAIL_FLUSHES) ||
	    !reserved_ok(cancel->reserved) || !cancel->kinds ||
	    !flags_ok(cancel->kinds, FERRY_DISK_ALL_KINDS))
		return -EINVAL;
	return ferry_disk_cancel(disk, file, cancel);
}

static long cmd_list(struct ferry_disk *disk, struct file *file,
		     union disk_arg *arg)
{
	struct ferry_disk_list *list = &arg->list;
	struct ferry_disk_request *requests;
	long err = 0;

	if (!flags_ok(list->flags, 0) || !reserved_ok(list->reserved) ||
	    !list->states || !flags_ok(list->states, FERRY_DISK_ALL_STATES))
		return -EINVAL;
	if (list->room > FERRY_DISK_MAX_LIST)
		return -E2BIG;
	requests = kvcalloc(list->room, sizeof(*requests), GFP_KERNEL_ACCOUNT);
	if (!requests)
		return -ENOMEM;
	list->total = ferry_disk_list(disk, list->states, requests, list->room);
	list->count = min_t(u64, list->total, list->room);
	if (copy_to_user(u64_to_user_ptr(list->requests), requests,
			 list->count * sizeof(*requests)))
		err = -EFAULT;
	kvfree(requests);
	return err;
}

static long cmd_ack(struct ferry_disk *disk, struct file *file,
		    union disk_arg *arg)
{
	if (!flags_ok(arg->ack.flags, 0) || arg->ack.reserved0 ||
	    arg->ack.reserved)
		return -EINVAL;
	return ferry_disk_ack(disk, arg->ack.number);
}

static long cmd_resume(struct ferry_disk *disk, struct file *file,
		       union disk_arg *arg)
{
	if (!flags_ok(arg->resume.flags, FERRY_DISK_WHEN_SETTLED) ||
	    arg->resume.reserved0 || arg->resume.reserved)
		return -EINVAL;
	return ferry_disk_resume(disk, file, arg->resume.flags);
}

static long cmd_guard(struct ferry_disk *disk, struct file *file,
		      union disk_arg *arg)
{
	struct ferry_disk_guard *guard = &arg->guard;
	struct ferry_disk_range *ranges;
	long err;

	if (!flags_ok(guard->flags, 0) || !reserved_ok(guard->reserved) ||
	    !guard->count)
		return -EINVAL;
	if (guard->count > FERRY_DISK_MAX_RANGES)
		return -E2BIG;
	ranges = vmemdup_user(u64_to_user_ptr(guard->ranges),
			      array_size(guard->count, sizeof(*ranges)));
	if (IS_ERR(ranges))
		return PTR_ERR(ranges);
	err = ferry_disk_guard(disk, ranges, guard->count);
	kvfree(ranges);
	return err;
}

static long cmd_unguard(struct ferry_disk *disk, struct file *file,
			union disk_arg *arg)
{
	struct ferry_disk_unguard *unguard = &arg->unguard;

	if (!flags_ok(unguard->flags, FERRY_DISK_EVERY_RANGE) ||
	    unguard->reserved0 || unguard->reserved)
		return -EINVAL;
	if (!unguard->flags)
		return ferry_disk_unguard(disk, unguard->id);
	if (unguard->id)
		return -EINVAL;
	ferry_disk_unguard_all(disk);
	return 0;
}

static long cmd_ranges(struct ferry_disk *disk, struct file *file,
		       union disk_arg *arg)
{
	struct ferry_disk_ranges *answer = &arg->ranges;
	struct ferry_disk_range *ranges;
	long err = 0;

	if (!flags_ok(answer->flags, 0) || answer->reserved0 ||
	    answer->reserved)
		return -EINVAL;
	if (answer->room > FERRY_DISK_MAX_RANGES)
		return -E2BIG;
	ranges = kvcalloc(answer->room, sizeof(*ranges), GFP_KERNEL_ACCOUNT);
	if (!ranges)
		return -ENOMEM;
	answer->count = ferry_disk_ranges(disk, ranges, answer->room);
	answer->total = READ_ONCE(disk->gate.nr_guarded);
	if (copy_to_user(u64_to_user_ptr(answer->ranges), ranges,
			 answer->count * sizeof(*ranges)))
		err = -EFAULT;
	kvfree(ranges);
	return err;
}

static const struct {
	unsigned int cmd;
	long (*run)(struct ferry_disk *disk, struct file *file,
		    union disk_arg *arg);
} commands[] = {
	{ FERRY_DISK_STATUS,	cmd_status },
	{ FERRY_DISK_HOLD,	cmd_hold },
	{ FERRY_DISK_CANCEL,	cmd_cancel },
	{ FERRY_DISK_LIST,	cmd_list },
	{ FERRY_DISK_ACK,	cmd_ack },
	{ FERRY_DISK_RESUME,	cmd_resume },
	{ FERRY_DISK_GUARD,	cmd_guard },
	{ FERRY_DISK_UNGUARD,	cmd_unguard },
	{ FERRY_DISK_RANGES,	cmd_ranges },
};

static long run_command(unsigned int i, struct file *file, union disk_arg *arg)
{
	struct ferry_disk *disk = file->private_data;
	long ret = -ENODEV;

	mutex_lock(&disk->commands);
	if (!disk->gone)
		ret = commands[i].run(disk, file, arg);
	mutex_unlock(&disk->commands);
	return ret;
}

static long file_ioctl(struct file *file, unsigned int cmd, unsigned long user)
{
	unsigned int i = _IOC_NR(cmd) - _IOC_NR(FERRY_DISK_STATUS);
	void __user *at = (void __user *)user;
	union disk_arg arg;
	long ret;

	if (i >= ARRAY_SIZE(commands) || commands[i].cmd != cmd)
		return -ENOTTY;
	if (copy_from_user(&arg, at, _IOC_SIZE(cmd)))
		return -EFAULT;
	ret = run_command(i, file, &arg);
	if (ret >= 0 && copy_to_user(at, &arg, _IOC_SIZE(cmd)))
		ret = -EFAULT;
	return ret;
}

static __poll_t file_poll(struct file *file, poll_table *wait)
{
	struct ferry_disk *disk = file->private_data;

	poll_wait(file, &disk->wait, wait);
	return ferry_disk_ready(disk);
}

static int file_release(struct inode *inode, struct file *file)
{
	struct ferry_disk *disk = file->private_data;

	ferry_disk_disown(disk, file);
	ferry_disk_put(disk);
	return 0;
}

static const struct file_operations file_fops = {
	.owner = THIS_MODULE,
	.release = file_release,
	.poll = file_poll,
	.unlocked_ioctl = file_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

/* Which block device is it? 0: none. */
static dev_t device_of(const struct file *file)
{
	const struct inode *inode = file_inode(file);

	return S_ISBLK(inode->i_mode) ? inode->i_rdev : 0;
}

/**
 * ferry_disk_open_fd() - FERRY_DISK_BIND
 * @arg: the command's argument
 *
 * Context: Process context. May sleep.
 * Return: a new file descriptor of the calling process, or what FERRY_DISK_BIND
 *	   documents.
 */
long ferry_disk_open_fd(const struct ferry_disk_bind *arg)
{
	struct file *file = fget(arg->fd);
	struct ferry_disk *disk;
	dev_t dev;
	long fd;

	if (!file)
		return -EBADF;
	dev = device_of(file);
	fput(file);
	if (!dev)
		return -ENOTBLK;
	disk = ferry_disk_find(dev);
	if (!disk)
		return -ENXIO;
	fd = anon_inode_getfd("[kvmferry-disk]", &file_fops, disk,
			      O_RDWR | O_CLOEXEC);
	if (fd < 0)
		ferry_disk_put(disk);
	return fd;
}
