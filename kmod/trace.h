/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints: /sys/kernel/tracing/events/kvmferry */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvmferry

#if !defined(FERRY_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define FERRY_TRACE_H

#include <linux/tracepoint.h>

#include "channel.h"
#include "ram.h"

TRACE_EVENT(ferry_pass,
	TP_PROTO(u64 pass, u32 flags),
	TP_ARGS(pass, flags),

	TP_STRUCT__entry(
		__field(u64, pass)
		__field(u32, flags)
	),

	TP_fast_assign(
		__entry->pass = pass;
		__entry->flags = flags;
	),

	TP_printk("pass %llu%s", __entry->pass,
		  __entry->flags & FERRY_PASS_FINAL ? " final" : "")
);

TRACE_EVENT(ferry_turn,
	TP_PROTO(const struct ferry_channel *channel,
		 const struct ferry_ram *ram, unsigned long chunk),
	TP_ARGS(channel, ram, chunk),

	TP_STRUCT__entry(
		__field(unsigned int, channel)
		__field(u32, block)
		__field(unsigned long, chunk)
		__field(unsigned long, taken)
		__field(unsigned long, written)
		__field(unsigned long, runs)
		__field(bool, huge)
	),

	TP_fast_assign(
		__entry->channel = channel->index;
		__entry->block = ram->id;
		__entry->chunk = chunk;
		__entry->taken = channel->turn.taken;
		__entry->written = channel->turn.written;
		__entry->runs = channel->turn.runs;
		__entry->huge = channel->turn.scan.huge;
	),

	TP_printk("channel %u block %u chunk %lu: %lu taken, %lu written, %lu runs%s",
		  __entry->channel, __entry->block, __entry->chunk,
		  __entry->taken, __entry->written, __entry->runs,
		  __entry->huge ? ", huge" : "")
);

TRACE_EVENT(ferry_group,
	TP_PROTO(const struct ferry_ram *ram, unsigned long chunk,
		 unsigned int page, bool write, unsigned int opened),
	TP_ARGS(ram, chunk, page, write, opened),

	TP_STRUCT__entry(
		__field(u32, block)
		__field(unsigned long, page)
		__field(bool, write)
		__field(unsigned int, opened)
	),

	TP_fast_assign(
		__entry->block = ram->id;
		__entry->page = (chunk << FERRY_CHUNK_SHIFT) + page;
		__entry->write = write;
		__entry->opened = opened;
	),

	TP_printk("block %u page %lu %s: %u more", __entry->block,
		  __entry->page, __entry->write ? "write" : "read",
		  __entry->opened)
);

TRACE_EVENT(ferry_record,
	TP_PROTO(const struct ferry_channel *channel, u32 codec, u32 length),
	TP_ARGS(channel, codec, length),

	TP_STRUCT__entry(
		__field(unsigned int, channel)
		__field(u32, block)
		__field(unsigned long, page)
		__field(unsigned int, count)
		__field(u32, codec)
		__field(u32, length)
	),

	TP_fast_assign(
		__entry->channel = channel->index;
		__entry->block = channel->ram->id;
		__entry->page = channel->batch.first;
		__entry->count = channel->batch.count;
		__entry->codec = codec;
		__entry->length = length;
	),

	TP_printk("channel %u block %u page %lu: %u pages, codec %u, %u bytes",
		  __entry->channel, __entry->block, __entry->page,
		  __entry->count, __entry->codec, __entry->length)
);

TRACE_EVENT(ferry_foreign,
	TP_PROTO(unsigned long start, unsigned long end, unsigned int event,
		 unsigned long pages),
	TP_ARGS(start, end, event, pages),

	TP_STRUCT__entry(
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(unsigned int, event)
		__field(unsigned long, pages)
	),

	TP_fast_assign(
		__entry->start = start;
		__entry->end = end;
		__entry->event = event;
		__entry->pages = pages;
	),

	TP_printk("%#lx-%#lx event %u: %lu pages pending", __entry->start,
		  __entry->end, __entry->event, __entry->pages)
);

TRACE_EVENT(ferry_lost,
	TP_PROTO(int err),
	TP_ARGS(err),

	TP_STRUCT__entry(
		__field(int, err)
	),

	TP_fast_assign(
		__entry->err = err;
	),

	TP_printk("error %d", __entry->err)
);

#endif /* FERRY_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
