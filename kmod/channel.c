// SPDX-License-Identifier: GPL-2.0-only
/* Channels: their life, and their file. See channel.h. */

#include <linux/anon_inodes.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "channel.h"
#include "fault.h"
#include "hash.h"
#include "pass.h"
#include "vm.h"

static void channel_free(struct kref *ref)
{
	struct ferry_channel *channel =
		container_of(ref, struct ferry_channel, ref);

	ferry_ring_destroy(&channel->ring);
	kfree(channel);
}

static void channel_put(struct ferry_channel *channel)
{
	kref_put(&channel->ref, channel_free);
}

static void destroy_codecs(struct ferry_channel *channel)
{
	unsigned int id;

	for (id = 0; id < FERRY_NR_CODECS; id++)
		ferry_codec_destroy(&channel->codec[id]);
}

static int init_codecs(struct ferry_channel *channel)
{
	const struct ferry_ladder *ladder = &channel->vm->ladder;
	unsigned int i;

	for (i = 0; i < ladder->rungs; i++) {
		u32 id = ladder->codec[i];
		int err;

		if (id == FERRY_CODEC_NONE)
			continue;
		err = ferry_codec_init(&channel->codec[id], id);
		if (err) {
			destroy_codecs(channel);
			return err;
		}
	}
	return 0;
}

/* What the worker needs and the file does not. */
static int channel_equip(struct ferry_channel *channel)
{
	int err;

	err = ferry_record_init(channel);
	if (err)
		return err;

	err = -ENOMEM;
	channel->hasher = ferry_hasher_new(channel->vm->key);
	if (!channel->hasher)
		goto err_record;

	err = init_codecs(channel);
	if (err)
		goto err_hasher;
	channel->memcg = get_mem_cgroup_from_mm(current->mm);
	return 0;

err_hasher:
	ferry_hasher_free(channel->hasher);
err_record:
	ferry_record_destroy(channel);
	return err;
}

static void channel_strip(struct ferry_channel *channel)
{
	mem_cgroup_put(channel->memcg);
	destroy_codecs(channel);
	ferry_hasher_free(channel->hasher);
	ferry_record_destroy(channel);
}

/**
 * ferry_channel_create() - Make a channel with its worker running
 * @vm: the VM that will own it
 * @index: its number among the VM's channels
 * @size: bytes of its ring's data
 *
 * Context: Process context, under vm->lock. May sleep.
 * Return: the channel with one reference, to be given up by
 *	   ferry_channel_halt() and then ferry_channel_destroy(), or an
 *	   error pointer.
 */
struct ferry_channel *ferry_channel_create(struct ferry_vm *vm,
					   unsigned int index, u64 size)
{
	struct ferry_channel *channel;
	int err;

	channel = kzalloc(sizeof(*channel), GFP_KERNEL_ACCOUNT);
	if (!channel)
		return ERR_PTR(-ENOMEM);
	kref_init(&channel->ref);
	channel->vm = vm;
	channel->index = index;

	err = ferry_ring_init(&channel->ring, size);
	if (err)
		goto err_free;
	err = channel_equip(channel);
	if (err)
		goto err_ring;

	channel->worker = kthread_run(ferry_pass_worker, channel,
				      "kvmferry/%u", index);
	if (IS_ERR(channel->worker)) {
		err = PTR_ERR(channel->worker);
		goto err_strip;
	}
	set_user_nice(channel->worker, vm->nice);
	return channel;

err_strip:
	channel_strip(channel);
err_ring:
	ferry_ring_destroy(&channel->ring);
err_free:
	kfree(channel);
	return ERR_PTR(err);
}

/**
 * ferry_channel_must_end() - Is the worker to give up what it is doing?
 * @channel: the channel
 *
 * Context: The worker.
 * Return: true when it was told to stop, or tracking was lost.
 */
bool ferry_channel_must_end(const struct ferry_channel *channel)
{
	return kthread_should_stop() || ferry_vm_lost(channel->vm);
}

/**
 * ferry_channel_halt() - Stop the worker and hang up
 * @channel: the channel
 *
 * Context: Process context. Sleeps until the worker has finished what it was
 *	    doing with one page.
 */
void ferry_channel_halt(struct ferry_channel *channel)
{
	kthread_stop(channel->worker);
	ferry_ring_close(&channel->ring);
}

/**
 * ferry_channel_destroy() - Free a halted channel, all but what its file needs
 * @channel: the channel; gives up the VM's reference
 *
 * Context: Process context. May sleep.
 */
void ferry_channel_destroy(struct ferry_channel *channel)
{
	channel_strip(channel);
	channel_put(channel);
}

static int channel_release(struct inode *inode, struct file *file)
{
	channel_put(file->private_data);
	return 0;
}

static __poll_t channel_poll(struct file *file, poll_table *wait)
{
	struct ferry_ring_buffer *ring =
		&((struct ferry_channel *)file->private_data)->ring;
	__poll_t mask = 0;

	poll_wait(file, &ring->readable, wait);
	if (!ferry_ring_empty(ring))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (ferry_ring_closed(ring))
		mask |= EPOLLHUP;
	return mask;
}

static int channel_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct ferry_channel *channel = file->private_data;

	return ferry_ring_mmap(&channel->ring, vma);
}

static long channel_ioctl(struct file *file, unsigned int cmd,
			  unsigned long user)
{
	struct ferry_channel *channel = file->private_data;
	void __user *to = (void __user *)user;
	struct ferry_consume arg;
	int err;

	if (cmd != FERRY_CONSUME)
		return -ENOTTY;
	if (copy_from_user(&arg, to, sizeof(arg)))
		return -EFAULT;
	err = ferry_ring_consume(&channel->ring, &arg);
	if (!err && copy_to_user(to, &arg, sizeof(arg)))
		err = -EFAULT;
	return err;
}

static const struct file_operations channel_fops = {
	.owner = THIS_MODULE,
	.release = channel_release,
	.poll = channel_poll,
	.mmap = channel_mmap,
	.unlocked_ioctl = channel_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

/**
 * ferry_channel_open_fd() - Give user space the channel's file
 * @channel: the channel
 *
 * Context: Process context. May sleep.
 * Return: a new file descriptor of the calling process, or a negative errno.
 */
int ferry_channel_open_fd(struct ferry_channel *channel)
{
	int fd;

	if (ferry_fault(FERRY_FAULT_CHANNEL_NOMEM))
		return -ENOMEM;

	kref_get(&channel->ref);
	fd = anon_inode_getfd("[kvmferry-channel]", &channel_fops, channel,
			      O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		channel_put(channel);
	return fd;
}
