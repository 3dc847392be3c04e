/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * struct ferry_channel: one worker, one ring, one file in user space.
 *
 * The VM owns its channels and stops their workers. The file only keeps the ring
 * alive: it may outlive the VM, and then says hang-up.
 */
#ifndef FERRY_CHANNEL_H
#define FERRY_CHANNEL_H

#include <linux/kref.h>
#include <linux/kvmferry.h>

#include "codec.h"
#include "protect.h"
#include "ring.h"

struct ferry_vm;
struct shash_desc;
struct task_struct;

/* What a channel has done so far; written by its worker, read by anyone. */
struct ferry_counters {
	u64 taken;
	u64 zero;
	u64 raw;
	u64 encoded;
	u64 bytes_wire;
	u64 bytes_encoded;
	u64 written;
	u64 pinned;
	u64 protected_runs;
	u64 protected_huge;
	u64 waits;
	u64 unchanged;
	u64 opened_changed;
	u64 opened_unchanged;
};

/**
 * struct ferry_channel - a channel
 * @ref:	held by the VM and by the file
 * @vm:		the VM; valid for the worker only
 * @index:	its number among the VM's channels
 * @worker:	the thread, see pass.c
 * @ring:	where its records go
 * @protecting:	the worker is changing mappings right now: what the MMU notifier
 *		tells in its context is our own doing
 * @pass_done:	number of the last pass that the worker has finished
 * @sequence:	of the next record
 * @codec:	its compressor
 * @hash:	its hash state
 * @bounce:	one page: a copy that cannot change any more
 * @turn:	the chunk being worked on
 * @zero_block:	RAM block of a run of zero pages that is not yet a record
 * @zero_first:	its first page
 * @zero_count:	its length, 0 for none
 * @count:	counters
 */
struct ferry_channel {
	struct kref ref;
	struct ferry_vm *vm;
	unsigned int index;
	struct task_struct *worker;
	struct ferry_ring_buffer ring;
	bool protecting;
	u64 pass_done;
	u32 sequence;
	struct ferry_codec codec;
	struct shash_desc *hash;
	void *bounce;
	struct ferry_turn turn;
	u32 zero_block;
	unsigned long zero_first;
	u32 zero_count;
	struct ferry_counters count;
};

/* Counters have one writer; the marked accesses keep 64 bits in one piece. */
static inline void ferry_count(u64 *counter, u64 n)
{
	WRITE_ONCE(*counter, *counter + n);
}

struct ferry_channel *ferry_channel_create(struct ferry_vm *vm,
					   unsigned int index, u64 size);
void ferry_channel_halt(struct ferry_channel *channel);
void ferry_channel_destroy(struct ferry_channel *channel);
int ferry_channel_open_fd(struct ferry_channel *channel);

#endif /* FERRY_CHANNEL_H */
