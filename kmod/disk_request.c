// SPDX-License-Identifier: GPL-2.0-only
/* What is kept of a request that the storage has. See disk_request.h. */

#include <linux/jiffies.h>
#include <linux/mm.h>

#include "compat/compat.h"
#include "disk.h"
#include "disk_request.h"

/**
 * ferry_request_kind() - What does a bio want?
 * @bio: of a target, so that a flush has no data
 *
 * Context: Any.
 * Return: FERRY_DISK_READ and so on.
 */
u32 ferry_request_kind(const struct bio *bio)
{
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return FERRY_DISK_READ;
	case REQ_OP_DISCARD:
		return FERRY_DISK_DISCARD;
	case REQ_OP_WRITE_ZEROES:
		return FERRY_DISK_WRITE_ZEROES;
	case REQ_OP_SECURE_ERASE:
		return FERRY_DISK_SECURE_ERASE;
	default:
		return bio->bi_iter.bi_size ? FERRY_DISK_WRITE : FERRY_DISK_FLUSH;
	}
}

/**
 * ferry_request_limit() - How much of a bio can one request take?
 * @bio: the bio above
 *
 * The vectors of a bio that its owner made in one piece (registered buffers of
 * io_uring) may be more than we could allocate.
 *
 * Context: Any.
 * Return: sectors, which is all of it as a rule; 0 none, as its pieces are too small.
 */
unsigned int ferry_request_limit(struct bio *bio)
{
	unsigned int vecs = 0, bytes = 0;
	struct bvec_iter iter;
	struct bio_vec vec;

	if (!bio_has_data(bio))
		return bio_sectors(bio);
	bio_for_each_bvec(vec, bio, iter) {
		if (vecs++ == BIO_MAX_VECS)
			return round_down(bytes, bdev_logical_block_size(bio->bi_bdev)) >>
				SECTOR_SHIFT;
		bytes += vec.bv_len;
	}
	return bio_sectors(bio);
}

static unsigned short count_vecs(struct bio *bio)
{
	unsigned short vecs = 0;
	struct bvec_iter iter;
	struct bio_vec vec;

	if (bio_has_data(bio)) {
		bio_for_each_bvec(vec, bio, iter)
			vecs++;
	}
	return vecs;
}

static void copy_vecs(struct bio *to, struct bio *from)
{
	struct bvec_iter iter;
	struct bio_vec vec;

	if (bio_has_data(from)) {
		bio_for_each_bvec(vec, from, iter)
			to->bi_io_vec[to->bi_vcnt++] = vec;
	}
	to->bi_iter.bi_sector = from->bi_iter.bi_sector;
	to->bi_iter.bi_size = from->bi_iter.bi_size;
}

/**
 * ferry_request_create() - A request for the storage, as a bio above wants it
 * @disk: the disk
 * @bdev: the device below
 * @upper: the bio above; within ferry_request_limit()
 *
 * Flags that concern only the way between the bio above and its owner are left out:
 * nobody would poll our bio. The control group is that of a bio which was held;
 * for others device-mapper sets it when our bio is sent.
 *
 * Context: May sleep, unless @upper has REQ_NOWAIT.
 * Return: the request, to be given back by ferry_request_destroy(), or NULL if it
 *	   would have to wait for memory and may not.
 */
struct ferry_request *ferry_request_create(struct ferry_disk *disk,
					   struct block_device *bdev,
					   struct bio *upper)
{
	gfp_t gfp = upper->bi_opf & REQ_NOWAIT ? GFP_NOWAIT : GFP_NOIO;
	blk_opf_t opf = upper->bi_opf & ~(REQ_POLLED | REQ_DRV);
	struct ferry_request *request;
	struct bio *bio;

	/* no device yet: it would be charged to the thread that runs */
	bio = bio_alloc_bioset(NULL, count_vecs(upper), opf, gfp, &disk->bios);
	if (!bio)
		return NULL;
	bio->bi_bdev = bdev;
	bio_clone_blkg_association(bio, upper);
	bio->bi_ioprio = upper->bi_ioprio;
	ferry_copy_write_hint(bio, upper);
	copy_vecs(bio, upper);

	request = container_of(bio, struct ferry_request, bio);
	request->upper = upper;
	request->number = 0;
	request->sector = upper->bi_iter.bi_sector;
	request->sectors = bio_sectors(upper);
	request->since = jiffies;
	request->kind = ferry_request_kind(upper);
	bio->bi_end_io = ferry_disk_end_io;
	return request;
}

static void unpin_vec(const struct bio_vec *vec, unsigned int pages)
{
	while (pages--)
		put_page(vec->bv_page + vec->bv_offset / PAGE_SIZE + pages);
}

static unsigned int pages_of(const struct bio_vec *vec)
{
	return DIV_ROUND_UP(vec->bv_offset % PAGE_SIZE + vec->bv_len, PAGE_SIZE);
}

/*
 * Only pages that are counted can be kept. Memory of the slab allocator is freed
 * by its owner whatever the count says, and what lies inside a block of pages that is
 * freed as one has none.
 */
static bool pin_page(struct page *page)
{
	struct folio *folio = page_folio(page);

	return !folio_test_slab(folio) && folio_try_get(folio);
}

static bool pin_vec(const struct bio_vec *vec)
{
	unsigned int i, pages = pages_of(vec);

	for (i = 0; i < pages; i++) {
		if (!pin_page(vec->bv_page + vec->bv_offset / PAGE_SIZE + i)) {
			unpin_vec(vec, i);
			return false;
		}
	}
	return true;
}

static void unpin_vecs(const struct ferry_request *request, unsigned int vecs)
{
	const struct bio *bio = &request->bio;

	/* of the vectors as we set them: the bio's iterator is the driver's */
	while (vecs--)
		unpin_vec(&bio->bi_io_vec[vecs], pages_of(&bio->bi_io_vec[vecs]));
}

/**
 * ferry_request_pin() - Keep the pages of a request that is in flight
 * @request: the request; the bio above is not answered yet
 *
 * Context: Any, under the lane's lock.
 * Return: false if they cannot be kept; then it may not be cancelled.
 */
bool ferry_request_pin(struct ferry_request *request)
{
	const struct bio *bio = &request->bio;
	unsigned int i;

	for (i = 0; i < bio->bi_vcnt; i++) {
		if (!pin_vec(&bio->bi_io_vec[i])) {
			unpin_vecs(request, i);
			return false;
		}
	}
	return true;
}

/**
 * ferry_request_unpin() - The storage will not touch the pages any more
 * @request: the request; it was pinned
 *
 * Context: Any.
 */
void ferry_request_unpin(struct ferry_request *request)
{
	unpin_vecs(request, request->bio.bi_vcnt);
}

/**
 * ferry_request_destroy() - Free a request that has ended, or was never sent
 * @request: the request; on no list
 *
 * Context: Any.
 */
void ferry_request_destroy(struct ferry_request *request)
{
	bio_put(&request->bio);
}

/**
 * ferry_request_age() - Since when has the storage had it?
 * @request: the request
 *
 * Context: Any.
 * Return: milliseconds.
 */
u64 ferry_request_age(const struct ferry_request *request)
{
	return jiffies_to_msecs((unsigned int)jiffies - request->since);
}

/**
 * ferry_request_describe() - Fill in what user space is told
 * @request: the request; it has a number
 * @state: FERRY_DISK_IN_FLIGHT and so on
 * @to: the answer
 *
 * Context: Any, under the lock of the list that it is on.
 */
void ferry_request_describe(const struct ferry_request *request, u32 state,
			    struct ferry_disk_request *to)
{
	to->number = request->number;
	to->sector = request->sectors ? request->sector : 0;
	to->sectors = request->sectors;
	to->age_ms = ferry_request_age(request);
	to->kind = request->kind;
	to->state = state;
	to->error = state == FERRY_DISK_ENDED ?
		    -blk_status_to_errno(request->bio.bi_status) : 0;
	to->reserved = 0;
}
