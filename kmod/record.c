// SPDX-License-Identifier: GPL-2.0-only
/* From copies of pages to bytes on the ring. See record.h. */

#include <linux/crc32c.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "channel.h"
#include "fault.h"
#include "ram.h"
#include "record.h"
#include "trace.h"
#include "vm.h"

/* A batch takes no more of the ring than this, so that the stream has something to do. */
#define BATCH_PART	4

/* Memory in one piece, which there may be none of even if there is memory. */
static void *get_buffer(unsigned int pages)
{
	return kmalloc(pages * PAGE_SIZE, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
}

/**
 * ferry_record_init() - Get memory for a channel's batch
 * @channel: with its ring
 *
 * Where memory is in too small pieces, batches are smaller.
 *
 * Context: Process context. May sleep.
 * Return: 0 or -ENOMEM.
 */
int ferry_record_init(struct ferry_channel *channel)
{
	struct ferry_batch *batch = &channel->batch;

	batch->most = min_t(u64, FERRY_RECORD_MAX_PAGES,
			    channel->ring.size / BATCH_PART / PAGE_SIZE);
	for (; batch->most; batch->most /= 2) {
		batch->data = get_buffer(batch->most);
		batch->bounce = get_buffer(batch->most);
		if (batch->data && batch->bounce)
			return 0;
		ferry_record_destroy(channel);
	}
	return -ENOMEM;
}

/**
 * ferry_record_destroy() - Undo ferry_record_init()
 * @channel: the channel
 *
 * Context: Process context.
 */
void ferry_record_destroy(struct ferry_channel *channel)
{
	kfree(channel->batch.bounce);
	kfree(channel->batch.data);
	channel->batch.bounce = NULL;
	channel->batch.data = NULL;
}

/**
 * ferry_record_memory() - What a channel's batch costs
 * @channel: the channel
 *
 * Context: Any.
 * Return: bytes.
 */
u64 ferry_record_memory(const struct ferry_channel *channel)
{
	return 2 * channel->batch.most * PAGE_SIZE;
}

/* False: the worker must end. */
static bool wait_for_room(struct ferry_channel *channel, u64 bytes)
{
	struct ferry_ring_buffer *ring = &channel->ring;

	if (ferry_ring_has_room(ring, bytes))
		return true;

	ferry_count(&channel->count.waits, 1);
	wait_event_idle(ring->writable, ferry_ring_has_room(ring, bytes) ||
			ferry_channel_must_end(channel));
	return !ferry_channel_must_end(channel);
}

/* Seed and final inversion as in iSCSI. */
static u32 record_crc(const struct ferry_record *record, u32 length)
{
	u32 crc = ~crc32c(~0, record, sizeof(*record) + length);

	return ferry_fault(FERRY_FAULT_CRC_WRONG) ? ~crc : crc;
}

/*
 * Hands over the record for which there is room, and behind whose place its payload
 * lies; @header lacks magic, sequence, length and CRC.
 */
static void commit(struct ferry_channel *channel, struct ferry_record *header,
		   u32 length)
{
	struct ferry_record *record = ferry_ring_place(&channel->ring);
	size_t padded = round_up(length, FERRY_RECORD_ALIGN);

	header->magic = cpu_to_be32(FERRY_RECORD_MAGIC);
	header->sequence = cpu_to_be32(channel->sequence++);
	header->length = cpu_to_be32(length);
	*record = *header;
	memset((void *)(record + 1) + length, 0, padded - length);
	record->crc = cpu_to_be32(record_crc(record, length));
	ferry_ring_commit(&channel->ring, sizeof(*record) + padded);
	ferry_count(&channel->count.bytes_wire, sizeof(*record) + padded);
}

/* A record without payload. */
static int emit_header(struct ferry_channel *channel,
		       struct ferry_record *header)
{
	if (!wait_for_room(channel, sizeof(*header)))
		return -EINTR;
	commit(channel, header, 0);
	return 0;
}

/* ------------------------------------------------------------------------
 * Zero pages
 * ------------------------------------------------------------------------
 */

static int emit_zero_run(struct ferry_channel *channel)
{
	struct ferry_zero_run *run = &channel->zero_run;
	struct ferry_record header = {
		.type = FERRY_RECORD_ZERO,
		.block = cpu_to_be16(channel->ram->id),
		.page = cpu_to_be64(run->first),
		.count = cpu_to_be32(run->count),
	};

	if (!run->count)
		return 0;
	ferry_count(&channel->count.zero, run->count);
	run->count = 0;
	return emit_header(channel, &header);
}

/**
 * ferry_record_zero() - A page of zero bytes
 * @channel: the channel
 * @page: its number in the RAM block
 *
 * Context: Process context, the worker. May sleep.
 * Return: 0, or -EINTR when the worker is to end.
 */
int ferry_record_zero(struct ferry_channel *channel, unsigned long page)
{
	struct ferry_zero_run *run = &channel->zero_run;
	int err = 0;

	if (run->first + run->count != page)
		err = emit_zero_run(channel);
	if (!run->count)
		run->first = page;
	run->count++;
	return err;
}

/* ------------------------------------------------------------------------
 * Batches
 * ------------------------------------------------------------------------
 */

static void *payload_place(struct ferry_channel *channel)
{
	return ferry_ring_place(&channel->ring) + sizeof(struct ferry_record);
}

/* The payload as it is. */
static u32 put_raw(struct ferry_channel *channel)
{
	u32 length = channel->batch.count * PAGE_SIZE;

	memcpy(payload_place(channel), channel->batch.data, length);
	return length;
}

/* The payload with a codec. Returns its bytes, 0 if it is not to be used. */
static u32 put_encoded(struct ferry_channel *channel, u32 codec)
{
	const struct ferry_batch *batch = &channel->batch;
	u64 began = ktime_get_ns();
	u32 length;

	length = ferry_codec_encode(&channel->codec[codec], batch,
				    payload_place(channel));
	ferry_count(&channel->count.codec[codec].ns, ktime_get_ns() - began);
	ferry_futility_learn(channel->futility,
			     ferry_codec_pays(batch->count, length));
	return length;
}

/* Which codec; see compression.c. What there is no memory for leaves it to the rung below. */
static u32 choose(struct ferry_channel *channel)
{
	const struct ferry_ladder *ladder = &channel->vm->ladder;
	unsigned int rung;

	if (ferry_futility_skip(channel->futility)) {
		ferry_count(&channel->count.untried, channel->batch.count);
		return FERRY_CODEC_NONE;
	}
	rung = ferry_ring_choose(&channel->ring, ladder);
	while (!ferry_codec_ready(&channel->codec[ladder->codec[rung]]))
		if (!rung--)
			return FERRY_CODEC_NONE;
	return ladder->codec[rung];
}

static void count_batch(struct ferry_channel *channel, u32 codec, u32 length)
{
	unsigned int pages = channel->batch.count;

	ferry_count(&channel->count.codec[codec].pages, pages);
	ferry_count(&channel->count.codec[codec].bytes, length);
	trace_ferry_record(channel, codec, length);
}

static int emit_batch(struct ferry_channel *channel)
{
	struct ferry_batch *batch = &channel->batch;
	struct ferry_record header = {
		.type = FERRY_RECORD_PAGES,
		.block = cpu_to_be16(channel->ram->id),
		.page = cpu_to_be64(batch->first),
		.count = cpu_to_be32(batch->count),
	};
	u32 codec, length = 0;

	if (!batch->count)
		return 0;
	if (!wait_for_room(channel, sizeof(header) + FERRY_RECORD_EXTRA +
			   batch->count * PAGE_SIZE))
		return -EINTR;

	codec = choose(channel);
	if (codec != FERRY_CODEC_NONE)
		length = put_encoded(channel, codec);
	if (!length) {
		codec = FERRY_CODEC_NONE;
		length = put_raw(channel);
	}
	header.codec = codec;
	count_batch(channel, codec, length);
	commit(channel, &header, length);
	batch->count = 0;
	return 0;
}

/**
 * ferry_record_place() - Where the next page is to be copied to
 * @channel: the channel
 *
 * Context: The worker.
 * Return: PAGE_SIZE bytes, in the linear mapping.
 */
void *ferry_record_place(struct ferry_channel *channel)
{
	return channel->batch.data + channel->batch.count * PAGE_SIZE;
}

/**
 * ferry_record_page() - A page, copied to ferry_record_place()
 * @channel: the channel
 * @page: its number in the RAM block
 *
 * Context: Process context, the worker. May sleep.
 * Return: 0, or -EINTR when the worker is to end.
 */
int ferry_record_page(struct ferry_channel *channel, unsigned long page)
{
	struct ferry_batch *batch = &channel->batch;
	unsigned int at = batch->count;
	int err;

	if (at && batch->first + at != page) {
		err = emit_batch(channel);
		if (err)
			return err;
		memcpy(batch->data, batch->data + at * PAGE_SIZE, PAGE_SIZE);
	}
	if (!batch->count)
		batch->first = page;
	batch->count++;
	return batch->count == batch->most ? emit_batch(channel) : 0;
}

/* ------------------------------------------------------------------------
 * Chunks and passes
 * ------------------------------------------------------------------------
 */

/**
 * ferry_record_begin() - What follows is of this chunk
 * @channel: the channel, flushed, or given up when it last did anything
 * @ram: the RAM block
 * @futility: of the chunk
 *
 * Context: The worker.
 */
void ferry_record_begin(struct ferry_channel *channel, struct ferry_ram *ram,
			struct ferry_futility *futility)
{
	channel->ram = ram;
	channel->futility = futility;
	channel->batch.count = 0;
	channel->zero_run.count = 0;
}

/**
 * ferry_record_flush() - Put what was gathered on the ring
 * @channel: the channel
 *
 * Context: Process context, the worker. May sleep.
 * Return: 0, or -EINTR when the worker is to end.
 */
int ferry_record_flush(struct ferry_channel *channel)
{
	int err = emit_batch(channel);

	return err ?: emit_zero_run(channel);
}

/**
 * ferry_record_pass_end() - The channel has nothing more in this pass
 * @channel: the channel, flushed
 * @pass: number of the pass
 * @flags: its FERRY_PASS_*
 *
 * Context: Process context, the worker. May sleep.
 * Return: 0, or -EINTR when the worker is to end.
 */
int ferry_record_pass_end(struct ferry_channel *channel, u64 pass, u32 flags)
{
	struct ferry_record header = {
		.type = FERRY_RECORD_PASS_END,
		.page = cpu_to_be64(pass),
		.count = cpu_to_be32(flags),
	};

	return emit_header(channel, &header);
}
