// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/kvmferry: the table of commands, and the only place where their
 * arguments are copied from and to user space.
 */

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "codec.h"
#include "device.h"
#include "disk.h"
#include "fault.h"
#include "vm.h"

/* The largest argument, whatever the command. */
union ferry_arg {
	struct ferry_info info;
	struct ferry_attach attach;
	struct ferry_add_ram add_ram;
	struct ferry_add_channel add_channel;
	struct ferry_pass pass;
	struct ferry_status status;
	struct ferry_pending pending;
	struct ferry_digest digest;
	struct ferry_group group;
	struct ferry_group_stats group_stats;
	struct ferry_group_map group_map;
	struct ferry_limit limit;
	struct ferry_vm_stats vm_stats;
	struct ferry_workers workers;
	struct ferry_compression_stats compression_stats;
	struct ferry_disk_bind disk_bind;
};

/* The layout is the ABI: a size that moves is a bug. */
static_assert(sizeof(struct ferry_record) == 32);
static_assert(sizeof(struct ferry_info) == 88);
static_assert(sizeof(struct ferry_attach) == 64);
static_assert(sizeof(struct ferry_add_ram) == 64);
static_assert(sizeof(struct ferry_add_channel) == 16);
static_assert(sizeof(struct ferry_pass) == 32);
static_assert(sizeof(struct ferry_status) == 208);
static_assert(sizeof(struct ferry_pending) == 48);
static_assert(sizeof(struct ferry_digest) == 40);
static_assert(sizeof(struct ferry_group) == 48);
static_assert(sizeof(struct ferry_group_stats) == 232);
static_assert(sizeof(struct ferry_group_cell) == 8);
static_assert(sizeof(struct ferry_group_map) == 48);
static_assert(sizeof(struct ferry_limit) == 32);
static_assert(sizeof(struct ferry_workers) == 32);
static_assert(sizeof(struct ferry_compression_stats) == 272);
static_assert(sizeof(struct ferry_vm_stats) == 736);
static_assert(sizeof(struct ferry_consume) == 32);
static_assert(FERRY_PAGE_SHIFT == PAGE_SHIFT);

static long cmd_info(struct ferry_vm *vm, union ferry_arg *arg)
{
	struct ferry_info *info = &arg->info;

	if (!flags_ok(info->flags, 0) || !reserved_ok(info->reserved))
		return -EINVAL;

	info->abi = FERRY_ABI;
	info->features = FERRY_FEATURE_HUGE_PAGES | FERRY_FEATURE_GROUP |
			 FERRY_FEATURE_COMPRESSION | FERRY_FEATURE_DISK |
			 FERRY_FEATURE_GROUP_MAP;
	if (FERRY_HAS_FAULTS)
		info->features |= FERRY_FEATURE_FAULT_POINTS;
	info->codecs = ferry_codecs_available();
	strscpy_pad(info->version, FERRY_VERSION, sizeof(info->version));
	return 0;
}

static long cmd_attach(struct ferry_vm *vm, union ferry_arg *arg)
{
	if (!flags_ok(arg->attach.flags, 0) || arg->attach.reserved0 ||
	    arg->attach.reserved)
		return -EINVAL;
	return ferry_vm_attach(vm, &arg->attach);
}

static long cmd_add_ram(struct ferry_vm *vm, union ferry_arg *arg)
{
	if (!flags_ok(arg->add_ram.flags, 0) ||
	    !reserved_ok(arg->add_ram.reserved))
		return -EINVAL;
	return ferry_vm_add_ram(vm, &arg->add_ram);
}

static long cmd_add_channel(struct ferry_vm *vm, union ferry_arg *arg)
{
	if (!flags_ok(arg->add_channel.flags, 0) || arg->add_channel.reserved)
		return -EINVAL;
	return ferry_vm_add_channel(vm, &arg->add_channel);
}

static long cmd_pass(struct ferry_vm *vm, union ferry_arg *arg)
{
	if (!flags_ok(arg->pass.flags, FERRY_PASS_FINAL) ||
	    arg->pass.reserved0 || !reserved_ok(arg->pass.reserved))
		return -EINVAL;
	return ferry_vm_begin_pass(vm, &arg->pass);
}

static long cmd_status(struct ferry_vm *vm, union ferry_arg *arg)
{
	if (!flags_ok(arg->status.flags, FERRY_STATUS_SCAN) ||
	    !reserved_ok(arg->status.reserved))
		return -EINVAL;
	ferry_vm_status(vm, &arg->status);
	return 0;
}

static long cmd_pending(struct ferry_vm *vm, union ferry_arg *arg)
{
	if (!flags_ok(arg->pending.flags, 0) ||
	    !reserved_ok(arg->pending.reserved))
		return -EINVAL;
	return ferry_vm_get_pending(vm, &arg->pending);
}

static long cmd_digest(struct ferry_vm *vm, union ferry_arg *arg)
{
	if (!flags_ok(arg->digest.flags, FERRY_DIGEST_FULL) ||
	    !reserved_ok(arg->digest.reserved))
		return -EINVAL;
	return ferry_vm_get_digest(vm, &arg->digest);
}

static long cmd_group(struct ferry_vm *vm, union ferry_arg *arg)
{
	if (!flags_ok(arg->group.flags, FERRY_GROUP_RESEND) ||
	    !reserved_ok(arg->group.reserved))
		return -EINVAL;
	return ferry_vm_set_group(vm, &arg->group);
}

static long cmd_group_stats(struct ferry_vm *vm, union ferry_arg *arg)
{
	if (!flags_ok(arg->group_stats.flags, 0) ||
	    !reserved_ok(arg->group_stats.reserved))
		return -EINVAL;
	return ferry_vm_group_stats(vm, &arg->group_stats);
}

static long cmd_group_map(struct ferry_vm *vm, union ferry_arg *arg)
{
	if (!flags_ok(arg->group_map.flags, 0) ||
	    !reserved_ok(arg->group_map.reserved))
		return -EINVAL;
	return ferry_vm_get_group_map(vm, &arg->group_map);
}

static long cmd_limit(struct ferry_vm *vm, union ferry_arg *arg)
{
	if (!flags_ok(arg->limit.flags, 0) || !reserved_ok(arg->limit.reserved))
		return -EINVAL;
	return ferry_vm_set_limit(vm, &arg->limit);
}

static long cmd_vm_stats(struct ferry_vm *vm, union ferry_arg *arg)
{
	if (!flags_ok(arg->vm_stats.flags, 0) ||
	    !reserved_ok(arg->vm_stats.reserved))
		return -EINVAL;
	return ferry_vm_stats(&arg->vm_stats);
}

static long cmd_workers(struct ferry_vm *vm, union ferry_arg *arg)
{
	if (!flags_ok(arg->workers.flags, 0) || arg->workers.reserved0 ||
	    !reserved_ok(arg->workers.reserved))
		return -EINVAL;
	return ferry_vm_set_workers(vm, &arg->workers);
}

static long cmd_compression_stats(struct ferry_vm *vm, union ferry_arg *arg)
{
	struct ferry_compression_stats *stats = &arg->compression_stats;

	if (!flags_ok(stats->flags, 0) || stats->reserved0 ||
	    !reserved_ok(stats->reserved))
		return -EINVAL;
	return ferry_vm_compression_stats(vm, stats);
}

static long cmd_disk_bind(struct ferry_vm *vm, union ferry_arg *arg)
{
	if (!flags_ok(arg->disk_bind.flags, 0) ||
	    !reserved_ok(arg->disk_bind.reserved))
		return -EINVAL;
	return ferry_disk_open_fd(&arg->disk_bind);
}

/* By number; there are gaps. */
static const struct {
	unsigned int cmd;
	long (*run)(struct ferry_vm *vm, union ferry_arg *arg);
} commands[] = {
	{ FERRY_INFO,		cmd_info },
	{ FERRY_ATTACH,		cmd_attach },
	{ FERRY_ADD_RAM,	cmd_add_ram },
	{ FERRY_ADD_CHANNEL,	cmd_add_channel },
	{ FERRY_PASS,		cmd_pass },
	{ FERRY_STATUS,		cmd_status },
	{ FERRY_PENDING,	cmd_pending },
	{ FERRY_DIGEST,		cmd_digest },
	{ FERRY_GROUP,		cmd_group },
	{ FERRY_GROUP_STATS,	cmd_group_stats },
	{ FERRY_LIMIT,		cmd_limit },
	{ FERRY_VM_STATS,	cmd_vm_stats },
	{ FERRY_WORKERS,		cmd_workers },
	{ FERRY_COMPRESSION_STATS, cmd_compression_stats },
	{ FERRY_GROUP_MAP,	cmd_group_map },
	[_IOC_NR(FERRY_DISK_BIND)] = { FERRY_DISK_BIND, cmd_disk_bind },
};

static long device_ioctl(struct file *file, unsigned int cmd,
			 unsigned long user)
{
	unsigned int i = _IOC_NR(cmd);
	void __user *at = (void __user *)user;
	union ferry_arg arg;
	long ret;

	if (i >= ARRAY_SIZE(commands) || commands[i].cmd != cmd)
		return -ENOTTY;
	if (copy_from_user(&arg, at, _IOC_SIZE(cmd)))
		return -EFAULT;
	ret = commands[i].run(file->private_data, &arg);
	if (ret >= 0 && copy_to_user(at, &arg, _IOC_SIZE(cmd)))
		ret = -EFAULT;
	memzero_explicit(&arg, sizeof(arg));	/* it may have held the key */
	return ret;
}

static __poll_t device_poll(struct file *file, poll_table *wait)
{
	struct ferry_vm *vm = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &vm->end, wait);
	if (ferry_vm_pass_ended(vm))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (ferry_vm_lost(vm))
		mask |= EPOLLIN | EPOLLERR;
	return mask;
}

static int device_open(struct inode *inode, struct file *file)
{
	file->private_data = ferry_vm_create();
	return file->private_data ? 0 : -ENOMEM;
}

static int device_release(struct inode *inode, struct file *file)
{
	ferry_vm_destroy(file->private_data);
	return 0;
}

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
	.open = device_open,
	.release = device_release,
	.poll = device_poll,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kvmferry",
	.fops = &device_fops,
	.mode = 0600,
};

/**
 * ferry_device_register() - Make /dev/kvmferry appear
 *
 * Context: Process context. May sleep.
 * Return: 0 or a negative errno.
 */
int ferry_device_register(void)
{
	return misc_register(&device);
}

/**
 * ferry_device_unregister() - Make /dev/kvmferry disappear
 *
 * Context: Process context. May sleep. No file of it is open.
 */
void ferry_device_unregister(void)
{
	misc_deregister(&device);
}
