// SPDX-License-Identifier: GPL-2.0-only
/*
 * Passes: what the worker of a channel does.
 *
 *	chunk -> turn (scan, take, protect) -> for each page that was taken:
 *	read -> bounce buffer -> zero? -> hash -> encode -> record -> ring
 *
 * The bounce buffer is what makes a record whole: the VM may go on writing to
 * the page, but hash, codec and CRC all see the same bytes.
 *
 * A page that was taken and could not be sent would be lost, so every error ends
 * the tracking of the VM (ferry_vm_lose), never just the pass.
 */

#include <linux/crc32c.h>
#include <linux/kthread.h>
#include <linux/sched/mm.h>
#include <linux/string.h>

#include "channel.h"
#include "fault.h"
#include "hash.h"
#include "pass.h"
#include "trace.h"
#include "vm.h"

/* Seed and final inversion as in iSCSI. */
static u32 record_crc(const struct ferry_record *header, const void *payload,
		      u32 length)
{
	u32 crc = crc32c(~0, header, sizeof(*header));

	crc = ~crc32c(crc, payload, length);
	return ferry_fault(FERRY_FAULT_CRC_WRONG) ? ~crc : crc;
}

/* False: the worker was told to stop, or tracking was lost, while waiting. */
static bool wait_for_room(struct ferry_channel *channel, u64 bytes)
{
	struct ferry_ring_buffer *ring = &channel->ring;

	if (ferry_ring_has_room(ring, bytes))
		return true;

	ferry_count(&channel->count.waits, 1);
	wait_event_idle(ring->writable,
			ferry_ring_has_room(ring, bytes) ||
			kthread_should_stop() || ferry_vm_lost(channel->vm));
	return !kthread_should_stop() && !ferry_vm_lost(channel->vm);
}

/* Puts a record on the ring; @header lacks magic, sequence, length and CRC. */
static int emit_record(struct ferry_channel *channel,
		       struct ferry_record *header, const void *payload,
		       u32 length)
{
	size_t padded = round_up(length, FERRY_RECORD_ALIGN);
	size_t bytes = sizeof(*header) + padded;
	void *place;

	if (!wait_for_room(channel, bytes))
		return -EINTR;

	header->magic = cpu_to_be32(FERRY_RECORD_MAGIC);
	header->sequence = cpu_to_be32(channel->sequence++);
	header->length = cpu_to_be32(length);
	header->crc = 0;
	header->crc = cpu_to_be32(record_crc(header, payload, length));

	place = ferry_ring_place(&channel->ring);
	memcpy(place, header, sizeof(*header));
	place += sizeof(*header);
	memcpy(place, payload, length);
	memset(place + length, 0, padded - length);
	ferry_ring_commit(&channel->ring, bytes);

	ferry_count(&channel->count.bytes_wire, bytes);
	return 0;
}

static int emit_zero_run(struct ferry_channel *channel)
{
	struct ferry_record header = {
		.type = FERRY_RECORD_ZERO,
		.block = cpu_to_be16(channel->zero_block),
		.page = cpu_to_be64(channel->zero_first),
		.count = cpu_to_be32(channel->zero_count),
	};

	if (!channel->zero_count)
		return 0;
	ferry_count(&channel->count.zero, channel->zero_count);
	channel->zero_count = 0;
	return emit_record(channel, &header, NULL, 0);
}

/* A zero page joins the run under way, or begins a new one. */
static int emit_zero(struct ferry_channel *channel,
		     const struct ferry_ram *ram, unsigned long page)
{
	int err = 0;

	if (channel->zero_first + channel->zero_count != page)
		err = emit_zero_run(channel);
	if (!channel->zero_count) {
		channel->zero_block = ram->id;
		channel->zero_first = page;
	}
	channel->zero_count++;
	return err;
}

static int emit_page(struct ferry_channel *channel,
		     const struct ferry_ram *ram, unsigned long page)
{
	unsigned int length = ferry_codec_encode(&channel->codec,
						 channel->bounce);
	struct ferry_record header = {
		.type = FERRY_RECORD_PAGES,
		.codec = length ? channel->codec.id : FERRY_CODEC_NONE,
		.block = cpu_to_be16(ram->id),
		.page = cpu_to_be64(page),
		.count = cpu_to_be32(1),
	};
	int err;

	err = emit_zero_run(channel);
	if (err)
		return err;

	if (length) {
		ferry_count(&channel->count.encoded, 1);
		ferry_count(&channel->count.bytes_encoded, length);
		return emit_record(channel, &header, channel->codec.out, length);
	}
	ferry_count(&channel->count.raw, 1);
	return emit_record(channel, &header, channel->bounce, PAGE_SIZE);
}

static int emit_pass_end(struct ferry_channel *channel, u64 pass, u32 flags)
{
	struct ferry_record header = {
		.type = FERRY_RECORD_PASS_END,
		.page = cpu_to_be64(pass),
		.count = cpu_to_be32(flags),
	};

	return emit_record(channel, &header, NULL, 0);
}

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
	struct ferry_hash hash;
	struct ferry_refs refs;
	bool zero;
	int ret;

	ret = ferry_ram_read(ram, page, channel->bounce, &refs);
	if (ret < 0)
		return ret;
	check_pinned(channel, ram, page, &refs);

	zero = !ret || !memchr_inv(channel->bounce, 0, PAGE_SIZE);
	ret = ferry_hash_page(channel->hash, ram->id, page,
			      zero ? NULL : channel->bounce, &hash);
	if (ret)
		return ret;

	if (ferry_ram_sent(ram, page, &hash))
		__set_bit(page & (FERRY_CHUNK_PAGES - 1),
			  channel->turn.changed.page);
	else if (may_skip(channel))
		return 0;

	return zero ? emit_zero(channel, ram, page) :
		      emit_page(channel, ram, page);
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
	ferry_protect_settle(ram);
	for_each_set_bit(offset, channel->turn.take.page, FERRY_CHUNK_PAGES) {
		err = send_page(channel, ram, first + offset);
		if (err)
			return err;
		cond_resched();
	}
	learn(channel, ram, chunk);
	return emit_zero_run(channel);
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
			if (kthread_should_stop() || ferry_vm_lost(vm))
				return -EINTR;
			err = send_chunk(channel, ram, chunk);
			if (err)
				return err;
			cond_resched();
		}
	}
	return emit_pass_end(channel, pass, vm->pass_flags);
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
