/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ring of a channel: one producer in the kernel, one consumer in user space.
 *
 *	page 0      struct ferry_ring, what user space may read
 *	data        size bytes
 *	data again  the same pages, so that nothing ever wraps
 *
 * The kernel keeps head and tail for itself and only copies them to page 0. User
 * space maps everything read-only and moves the tail with FERRY_CONSUME, which
 * is checked against the kernel's own head. So nothing that user space can write
 * is ever used as an index.
 */
#ifndef FERRY_RING_H
#define FERRY_RING_H

#include <linux/kvmferry.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

#include "compression.h"

struct page;
struct vm_area_struct;

/**
 * struct ferry_ring_buffer - a ring
 * @shared:	page 0, as user space sees it
 * @data:	the data, mapped twice in a row
 * @pages:	page 0 and the pages of the data
 * @nr_pages:	how many
 * @size:	bytes of data, a power of two
 * @lock:	see docs/locking.md
 * @head:	bytes ever put; moved by the producer
 * @tail:	bytes ever consumed; moved by FERRY_CONSUME
 * @closed:	nothing will be put any more
 * @meter:	how fast the consumer is
 * @readable:	woken when bytes were put, or on close
 * @writable:	woken when bytes were consumed, or on close
 */
struct ferry_ring_buffer {
	struct ferry_ring *shared;
	void *data;
	struct page **pages;
	unsigned long nr_pages;
	u64 size;
	spinlock_t lock;	/* protects head, tail, closed and meter */
	u64 head;
	u64 tail;
	bool closed;
	struct ferry_meter meter;
	wait_queue_head_t readable;
	wait_queue_head_t writable;
};

int ferry_ring_init(struct ferry_ring_buffer *ring, u64 size);
void ferry_ring_destroy(struct ferry_ring_buffer *ring);
int ferry_ring_mmap(struct ferry_ring_buffer *ring,
		    struct vm_area_struct *vma);

bool ferry_ring_has_room(struct ferry_ring_buffer *ring, u64 bytes);
void *ferry_ring_place(struct ferry_ring_buffer *ring);
void ferry_ring_add_stats(struct ferry_ring_buffer *ring,
			  struct ferry_compression_stats *to);
unsigned int ferry_ring_choose(struct ferry_ring_buffer *ring,
			       const struct ferry_ladder *ladder);
void ferry_ring_commit(struct ferry_ring_buffer *ring, u64 bytes);
void ferry_ring_close(struct ferry_ring_buffer *ring);
int ferry_ring_consume(struct ferry_ring_buffer *ring,
		       struct ferry_consume *arg);
bool ferry_ring_empty(struct ferry_ring_buffer *ring);
bool ferry_ring_closed(struct ferry_ring_buffer *ring);

static inline u64 ferry_ring_memory(const struct ferry_ring_buffer *ring)
{
	return (u64)ring->nr_pages << PAGE_SHIFT;
}

#endif /* FERRY_RING_H */
