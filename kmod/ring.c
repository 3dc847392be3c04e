// SPDX-License-Identifier: GPL-2.0-only
/* The ring of a channel. See ring.h. */

#include <linux/gfp.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat/compat.h"
#include "fault.h"
#include "ring.h"

static void ring_free_pages(struct ferry_ring_buffer *ring)
{
	unsigned long i;

	for (i = 0; i < ring->nr_pages; i++)
		if (ring->pages[i])
			__free_page(ring->pages[i]);
	kvfree(ring->pages);
}

static int ring_alloc_pages(struct ferry_ring_buffer *ring)
{
	unsigned long i;

	ring->nr_pages = 1 + (ring->size >> PAGE_SHIFT);
	ring->pages = kvcalloc(ring->nr_pages, sizeof(*ring->pages),
			       GFP_KERNEL_ACCOUNT);
	if (!ring->pages)
		return -ENOMEM;

	for (i = 0; i < ring->nr_pages; i++) {
		ring->pages[i] = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		if (!ring->pages[i]) {
			ring_free_pages(ring);
			return -ENOMEM;
		}
	}
	return 0;
}

/* One kernel mapping of: data, data again. */
static int ring_map(struct ferry_ring_buffer *ring)
{
	unsigned long nr = ring->nr_pages - 1;
	struct page **twice;

	twice = kvmalloc_array(2 * nr, sizeof(*twice), GFP_KERNEL);
	if (!twice)
		return -ENOMEM;
	memcpy(twice, ring->pages + 1, nr * sizeof(*twice));
	memcpy(twice + nr, ring->pages + 1, nr * sizeof(*twice));

	ring->data = vmap(twice, 2 * nr, VM_MAP, PAGE_KERNEL);
	kvfree(twice);
	return ring->data ? 0 : -ENOMEM;
}

/**
 * ferry_ring_init() - Make a ring
 * @ring: uninitialised
 * @size: bytes of data: a power of two, FERRY_RING_MIN to FERRY_RING_MAX
 *
 * Context: Process context. May sleep.
 * Return: 0, -EINVAL, -E2BIG or -ENOMEM.
 */
int ferry_ring_init(struct ferry_ring_buffer *ring, u64 size)
{
	int err;

	if (size > FERRY_RING_MAX)
		return -E2BIG;
	if (size < FERRY_RING_MIN || !is_power_of_2(size))
		return -EINVAL;

	memset(ring, 0, sizeof(*ring));
	ring->size = size;
	spin_lock_init(&ring->lock);
	init_waitqueue_head(&ring->readable);
	init_waitqueue_head(&ring->writable);

	err = ring_alloc_pages(ring);
	if (err)
		return err;
	err = ring_map(ring);
	if (err) {
		ring_free_pages(ring);
		return err;
	}
	ring->shared = page_address(ring->pages[0]);
	ring->shared->size = size;
	return 0;
}

/**
 * ferry_ring_destroy() - Undo ferry_ring_init()
 * @ring: the ring; neither mapped nor used by anyone any more
 *
 * Context: Process context. May sleep.
 */
void ferry_ring_destroy(struct ferry_ring_buffer *ring)
{
	vunmap(ring->data);
	ring_free_pages(ring);
}

static vm_fault_t ring_fault(struct vm_fault *vmf)
{
	struct ferry_ring_buffer *ring = vmf->vma->vm_private_data;
	unsigned long nr = ring->nr_pages - 1;
	pgoff_t index = vmf->pgoff;

	if (index > 2 * nr)
		return VM_FAULT_SIGBUS;
	if (index > nr)
		index -= nr;
	vmf->page = ring->pages[index];
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct ring_vm_ops = {
	.fault = ring_fault,
};

/**
 * ferry_ring_mmap() - Show a ring to user space
 * @ring: the ring; the file that @vma maps keeps it alive
 * @vma: a read-only mapping
 *
 * Context: mmap(2), under the caller's mmap_lock.
 * Return: 0; -EPERM when it is to be written to, now or ever.
 */
int ferry_ring_mmap(struct ferry_ring_buffer *ring, struct vm_area_struct *vma)
{
	if (vma->vm_flags & (VM_WRITE | VM_EXEC))
		return -EPERM;
	if (vma->vm_pgoff + vma_pages(vma) > 2 * ring->nr_pages - 1)
		return -EINVAL;

	vm_flags_clear(vma, VM_MAYWRITE | VM_MAYEXEC);
	vma->vm_private_data = ring;
	vma->vm_ops = &ring_vm_ops;
	return 0;
}

/**
 * ferry_ring_has_room() - May this much be put now?
 * @ring: the ring
 * @bytes: of a record, at most the ring's size
 *
 * There may be more room than what is good to have waiting, see compression.c.
 *
 * Context: Any. The producer may rely on a yes, as only it takes room away.
 */
bool ferry_ring_has_room(struct ferry_ring_buffer *ring, u64 bytes)
{
	u64 waiting, most;

	spin_lock(&ring->lock);
	waiting = ring->head - ring->tail;
	most = ferry_meter_most(&ring->meter, ring->size, bytes);
	spin_unlock(&ring->lock);
	return waiting + bytes <= most;
}

/**
 * ferry_ring_place() - Where the next bytes go
 * @ring: the ring
 *
 * Context: The producer only.
 * Return: as many contiguous bytes as there is room.
 */
void *ferry_ring_place(struct ferry_ring_buffer *ring)
{
	/* only the producer moves the head: no lock needed to read it */
	return ring->data + (ring->head & (ring->size - 1));
}

/**
 * ferry_ring_add_stats() - Count a ring in
 * @ring: the ring
 * @to: sums over all rings
 *
 * Context: Any.
 */
void ferry_ring_add_stats(struct ferry_ring_buffer *ring,
			  struct ferry_compression_stats *to)
{
	spin_lock(&ring->lock);
	to->waiting += ring->head - ring->tail;
	to->rate += ring->meter.rate;
	to->idle_ns += ring->meter.all_idle;
	spin_unlock(&ring->lock);
}

/**
 * ferry_ring_choose() - Which codec for the next record?
 * @ring: the ring
 * @ladder: what there is
 *
 * Context: The producer, before each record.
 * Return: a rung, an index into @ladder->codec.
 */
unsigned int ferry_ring_choose(struct ferry_ring_buffer *ring,
			       const struct ferry_ladder *ladder)
{
	bool blind = ferry_fault(FERRY_FAULT_BACKLOG_BLIND);
	u64 now = ktime_get_ns();
	unsigned int rung;

	spin_lock(&ring->lock);
	rung = ferry_ladder_choose(ladder, &ring->meter, now,
				   blind ? 0 : ring->head - ring->tail,
				   ring->size);
	spin_unlock(&ring->lock);
	return rung;
}

/**
 * ferry_ring_commit() - Hand over what was written to ferry_ring_place()
 * @ring: the ring
 * @bytes: how much, no more than there was room for
 *
 * Context: The producer only.
 */
void ferry_ring_commit(struct ferry_ring_buffer *ring, u64 bytes)
{
	u64 now = ktime_get_ns();

	spin_lock(&ring->lock);
	ferry_meter_put(&ring->meter, now);
	ring->head += bytes;
	/* pairs with the consumer's acquire: the bytes before the head */
	smp_store_release(&ring->shared->head, ring->head);
	spin_unlock(&ring->lock);
	wake_up_interruptible(&ring->readable);
}

/**
 * ferry_ring_close() - Say that nothing more will come
 * @ring: the ring
 *
 * Context: Any.
 */
void ferry_ring_close(struct ferry_ring_buffer *ring)
{
	spin_lock(&ring->lock);
	ring->closed = true;
	spin_unlock(&ring->lock);
	wake_up_interruptible(&ring->readable);
	wake_up(&ring->writable);
}

/**
 * ferry_ring_consume() - FERRY_CONSUME
 * @ring: the ring
 * @arg: bytes and idle_ns in; head and tail out
 *
 * Context: Any.
 * Return: 0; -EINVAL when there are fewer bytes than that.
 */
int ferry_ring_consume(struct ferry_ring_buffer *ring,
		       struct ferry_consume *arg)
{
	u64 now = ktime_get_ns();
	int err = 0;

	spin_lock(&ring->lock);
	if (arg->bytes > ring->head - ring->tail) {
		err = -EINVAL;
	} else {
		ring->tail += arg->bytes;
		ferry_meter_take(&ring->meter, now, arg->bytes,
				 ring->head - ring->tail, arg->idle_ns);
	}
	arg->head = ring->head;
	arg->tail = ring->tail;
	WRITE_ONCE(ring->shared->tail, ring->tail);
	spin_unlock(&ring->lock);

	wake_up(&ring->writable);
	return err;
}

/**
 * ferry_ring_empty() - Is there nothing to consume?
 * @ring: the ring
 *
 * Context: Any.
 */
bool ferry_ring_empty(struct ferry_ring_buffer *ring)
{
	bool empty;

	spin_lock(&ring->lock);
	empty = ring->head == ring->tail;
	spin_unlock(&ring->lock);
	return empty;
}

/**
 * ferry_ring_closed() - Was the ring closed?
 * @ring: the ring
 *
 * Context: Any.
 */
bool ferry_ring_closed(struct ferry_ring_buffer *ring)
{
	return READ_ONCE(ring->closed);
}
