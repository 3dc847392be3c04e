// SPDX-License-Identifier: GPL-2.0-only
/*
 * Passes: what the worker of a channel does.
 *
 *	chunk -> turn (scan, take, protect) -> for each page that was taken:
 *	copy -> zero? -> hash -> unchanged? -> record
 *
 * What becomes of a copy stands in record.h.
 *
 * A page that was taken and could not be sent would be lost, so every error ends
 * the tracking of the VM (ferry_vm_lose), never just the pass.
 */

#include <linux/kthread.h>
#include <linux/sched/mm.h>
#include <linux/string.h>

#include "channel.h"
#include "hash.h"
#include "pass.h"
#include "trace.h"
#include "vm.h"

static void check_pinned(struct ferry_channel *channel, struct ferry_ram *ram,
			 unsigned long page, const struct ferry_refs *refs)
{
	if (!ferry_protect_pinned(&channel->turn.scan, refs) ||
	    channel->vm->pass_flags & FERRY_PASS_FINAL)
		return;
	ferry_ram_mark(ram, page, page);
	ferry_count(&channel->count.pinned, 1);
}

/*
 * The target has the page with this content already, or has it as it began: empty.
 * Only the first pass sends such a page, to say that it was looked at.
 */
static bool may_skip(struct ferry_channel *channel)
{
	if (ferry_vm_pass(channel->vm) == 1)
		return false;
	ferry_count(&channel->count.unchanged, 1);
	return !READ_ONCE(channel->vm->resend);
}

static int send_page(struct ferry_channel *channel, struct ferry_ram *ram,
		     unsigned long page)
{
	void *copy = ferry_record_place(channel);
	struct ferry_hash hash;
	struct ferry_refs refs;
	bool zero;
	int ret;

	ret = ferry_ram_read(ram, page, copy, &refs);
	if (ret < 0)
		return ret;
	check_pinned(channel, ram, page, &refs);

	zero = !ret || !memchr_inv(copy, 0, PAGE_SIZE);
	ret = ferry_hash_page(channel->hasher, ram->id, page, zero ? NULL : copy,
			      &hash);
	if (ret)
		return ret;

	if (ferry_ram_sent(ram, page, &hash))
		__set_bit(page & (FERRY_CHUNK_PAGES - 1),
			  channel->turn.changed.page);
	else if (may_skip(channel))
		return 0;

	return zero ? ferry_record_zero(channel, page) :
		      ferry_record_page(channel, page);
}

static int take_chunk(struct ferry_channel *channel, struct ferry_ram *ram,
		      unsigned long chunk)
{
	struct mm_struct *mm = channel->vm->mm;
	struct ferry_turn *turn = &channel->turn;

	if (!mmget_not_zero(mm))
		return -ESRCH;
	WRITE_ONCE(channel->protecting, true);
	WRITE_ONCE(ram->chunk[chunk].protecting, true);
	ferry_protect_turn(mm, ram, chunk, turn);
	WRITE_ONCE(ram->chunk[chunk].protecting, false);
	WRITE_ONCE(channel->protecting, false);
	/* It pairs with the look at @protecting before a fault sleeps. */
	if (wq_has_sleeper(&channel->vm->protected))
		wake_up_all(&channel->vm->protected);
	mmput(mm);
	trace_ferry_turn(channel, ram, chunk);

	ferry_count(&channel->count.taken, turn->taken);
	ferry_count(&channel->count.written, turn->written);
	ferry_count(&channel->count.protected_runs, turn->runs);
	ferry_count(&channel->count.protected_huge, turn->huge);
	return 0;
}

/* What became of the groups that were opened in the chunk. */
static void learn(struct ferry_channel *channel, struct ferry_ram *ram,
		  unsigned long chunk)
{
	struct ferry_ram_chunk *c = &ram->chunk[chunk];
	struct ferry_turn *turn = &channel->turn;
	unsigned int opened, good;

	/* The first pass sends everything and says nothing about writes. */
	if (ferry_vm_pass(channel->vm) == 1)
		return;

	spin_lock(&c->lock);
	ferry_group_learn(&channel->vm->group, &c->group, &turn->scan.present,
			  &turn->take, &turn->opened, &turn->changed);
	spin_unlock(&c->lock);

	opened = bitmap_weight(turn->opened.page, FERRY_CHUNK_PAGES);
	bitmap_and(turn->opened.page, turn->opened.page, turn->changed.page,
		   FERRY_CHUNK_PAGES);
	good = bitmap_weight(turn->opened.page, FERRY_CHUNK_PAGES);
	ferry_count(&channel->count.opened_changed, good);
	ferry_count(&channel->count.opened_unchanged, opened - good);
}

static int send_chunk(struct ferry_channel *channel, struct ferry_ram *ram,
		      unsigned long chunk)
{
	unsigned long first = chunk << FERRY_CHUNK_SHIFT;
	unsigned long offset;
	int err;

	err = take_chunk(channel, ram, chunk);
	if (err || !channel->turn.taken)
		return err;

	bitmap_zero(channel->turn.changed.page, FERRY_CHUNK_PAGES);
	ferry_record_begin(channel, ram, &ram->chunk[chunk].futility);
	ferry_protect_settle(ram);
	for_each_set_bit(offset, channel->turn.take.page, FERRY_CHUNK_PAGES) {
		err = send_page(channel, ram, first + offset);
		if (err)
			return err;
		cond_resched();
	}
	learn(channel, ram, chunk);
	return ferry_record_flush(channel);
}

/* The chunks of all blocks that belong to this channel, in order. */
static int send_pass(struct ferry_channel *channel, u64 pass)
{
	struct ferry_vm *vm = channel->vm;
	unsigned int i;

	for (i = 0; i < vm->nr_ram; i++) {
		struct ferry_ram *ram = vm->ram[i];
		unsigned long chunk;

		for (chunk = 0; chunk < ferry_ram_chunks(ram); chunk++) {
			int err;

			if ((ram->first_chunk + chunk) % vm->nr_channels !=
			    channel->index)
				continue;
			if (ferry_channel_must_end(channel))
				return -EINTR;
			err = send_chunk(channel, ram, chunk);
			if (err)
				return err;
			ferry_budget_keep(channel);
			cond_resched();
		}
	}
	return ferry_record_pass_end(channel, pass, vm->pass_flags);
}

/**
 * ferry_pass_worker() - The thread of a channel
 * @data: the channel
 *
 * Context: Kernel thread; ended by ferry_channel_halt().
 * Return: 0.
 */
int ferry_pass_worker(void *data)
{
	struct ferry_channel *channel = data;
	struct ferry_vm *vm = channel->vm;

	set_active_memcg(channel->memcg);
	for (;;) {
		u64 pass;
		int err;

		wait_event_idle(vm->begin, kthread_should_stop() ||
				ferry_vm_pass(vm) != channel->pass_done);
		if (kthread_should_stop())
			return 0;

		pass = ferry_vm_pass(vm);
		err = send_pass(channel, pass);
		if (err && err != -EINTR)
			ferry_vm_lose(vm, err);
		channel->pass_done = pass;
		ferry_vm_channel_done(vm);
	}
}
