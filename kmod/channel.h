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

#include "budget.h"
#include "codec.h"
#include "protect.h"
#include "record.h"
#include "ring.h"

struct ferry_hasher;
struct ferry_vm;
struct mem_cgroup;
struct task_struct;

/* What a channel has done so far; written by its worker, read by anyone. */
struct ferry_counters {
	u64 taken;
	u64 zero;
	struct ferry_codec_stats codec[FERRY_NR_CODECS];
	u64 untried;
	u64 bytes_wire;
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
 * @memcg:	what its worker allocates is charged to: whoever made the channel
 * @ring:	where its records go
 * @protecting:	the worker is changing mappings right now: what the MMU notifier
 *		tells in its context is our own doing
 * @pass_done:	number of the last pass that the worker has finished
 * @sequence:	of the next record
 * @codec:	its compressors, by FERRY_CODEC_*
 * @hasher:	what its worker hashes with
 * @budget:	the CPU time of its worker
 * @turn:	the chunk being worked on
 * @ram:	the RAM block that batch and zero run are of
 * @futility:	of the chunk they are of
 * @batch:	pages that are not yet a record
 * @zero_run:	zero pages that are not yet a record
 * @count:	counters
 */
struct ferry_channel {
	struct kref ref;
	struct ferry_vm *vm;
	unsigned int index;
	struct task_struct *worker;
	struct mem_cgroup *memcg;
	struct ferry_ring_buffer ring;
	bool protecting;
	u64 pass_done;
	u32 sequence;
	struct ferry_codec codec[FERRY_NR_CODECS];
	struct ferry_hasher *hasher;
	struct ferry_budget budget;
	struct ferry_turn turn;
	struct ferry_ram *ram;
	struct ferry_futility *futility;
	struct ferry_batch batch;
	struct ferry_zero_run zero_run;
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
bool ferry_channel_must_end(const struct ferry_channel *channel);

#endif /* FERRY_CHANNEL_H */
