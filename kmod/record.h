/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records: from copies of pages to bytes on the ring.
 *
 * Theory of operation
 *
 * Pages that lie together are gathered in a *batch* and encoded together: a codec that
 * sees 64 KiB at once finds more that is alike than in 4 KiB, and takes less time for
 * it. The pages of a batch are copies, which is what makes a record whole: the VM may go
 * on writing to its page, but hash, codec and CRC all see the same bytes.
 *
 * Codecs take one piece of memory and make another, so the batch is one, and there is a
 * bounce buffer besides it. Zero pages need no batch: they become runs.
 *
 * Batch and run must be empty when the chunk changes: ferry_record_flush().
 */
#ifndef FERRY_RECORD_H
#define FERRY_RECORD_H

#include <linux/kvmferry.h>
#include <linux/types.h>

struct ferry_channel;
struct ferry_futility;
struct ferry_ram;

/**
 * struct ferry_batch - pages that will be one record
 * @data:	copies, one after the other; those from @count on are of no use
 * @bounce:	as large, for codecs
 * @most:	how many pages may be in it
 * @first:	number of the first page in its RAM block
 * @count:	how many there are
 */
struct ferry_batch {
	void *data;
	void *bounce;
	unsigned int most;
	unsigned long first;
	unsigned int count;
};

/**
 * struct ferry_zero_run - pages of zero bytes that will be one record
 * @first:	number of the first one in its RAM block
 * @count:	how many, 0 for none
 */
struct ferry_zero_run {
	unsigned long first;
	unsigned int count;
};

int ferry_record_init(struct ferry_channel *channel);
void ferry_record_destroy(struct ferry_channel *channel);
u64 ferry_record_memory(const struct ferry_channel *channel);

void ferry_record_begin(struct ferry_channel *channel, struct ferry_ram *ram,
			struct ferry_futility *futility);
void *ferry_record_place(struct ferry_channel *channel);
int ferry_record_page(struct ferry_channel *channel, unsigned long page);
int ferry_record_zero(struct ferry_channel *channel, unsigned long page);
int ferry_record_flush(struct ferry_channel *channel);
int ferry_record_pass_end(struct ferry_channel *channel, u64 pass, u32 flags);

#endif /* FERRY_RECORD_H */
