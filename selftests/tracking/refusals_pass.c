// SPDX-License-Identifier: GPL-2.0-or-later
/* What must be refused of passes, of channels and their rings, and of who asks what is pending. */
#include "refusals.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void test_channels(void)
{
	struct ferry *f = attached();
	unsigned int i;

	expect(EINVAL, ferry_add_channel(f, 0), "channel: no size");
	expect(EINVAL, ferry_add_channel(f, FERRY_RING_MIN / 2), "channel: too small");
	expect(EINVAL, ferry_add_channel(f, FERRY_RING_MIN + RAM_PAGE), "channel: no power of two");
	expect(E2BIG, ferry_add_channel(f, 2 * FERRY_RING_MAX), "channel: too large");
	expect(E2BIG, ferry_add_channel(f, 1ull << 63), "channel: far too large");
	for (i = 0; i < FERRY_MAX_CHANNELS; i++)
		if (ferry_add_channel(f, FERRY_RING_MIN))
			break;
	expect_that(i == FERRY_MAX_CHANNELS, "channel: 16 of them");
	expect(E2BIG, ferry_add_channel(f, FERRY_RING_MIN), "channel: a 17th");
	ferry_close(f);
}

static long set_group(struct ferry *f, uint32_t policy, uint32_t order, uint32_t read_order,
		      uint32_t flags)
{
	struct ferry_group group = {
		.policy = policy, .order = order, .read_order = read_order, .flags = flags,
	};

	return ferry_group(f, &group);
}

void test_groups(void)
{
	struct ferry_group_stats stats;
	struct ferry *f = fresh();

	expect(ENXIO, set_group(f, FERRY_GROUP_DYNAMIC, 0, 0, 0), "groups before attach");
	expect(ENXIO, ferry_group_stats(f, &stats), "statistics of groups before attach");
	ferry_close(f);

	f = attached();
	expect(EINVAL, set_group(f, FERRY_GROUP_DYNAMIC + 1, 0, 0, 0), "groups: unknown policy");
	expect(EINVAL, set_group(f, FERRY_GROUP_STATIC, FERRY_GROUP_MAX_ORDER + 1, 0, 0),
	       "groups: larger than a chunk");
	expect(EINVAL, set_group(f, FERRY_GROUP_DYNAMIC, 1, 0, 0), "groups: an order for dynamic ones");
	expect(EINVAL, set_group(f, FERRY_GROUP_OFF, 0, FERRY_GROUP_MAX_ORDER + 1, 0),
	       "groups: too much to read");
	expect(EINVAL, set_group(f, FERRY_GROUP_OFF, 0, 0, FERRY_GROUP_RESEND << 1),
	       "groups: unknown flag");
	expect(0, set_group(f, FERRY_GROUP_STATIC, FERRY_GROUP_MAX_ORDER, FERRY_GROUP_MAX_ORDER,
			    FERRY_GROUP_RESEND), "groups: the largest");
	expect(0, ferry_group_stats(f, &stats), "statistics of groups");
	ferry_close(f);
}

static long set_limit(struct ferry *f, uint64_t pages_per_s, uint32_t max_slowdown)
{
	struct ferry_limit limit = { .pages_per_s = pages_per_s, .max_slowdown = max_slowdown };

	return ferry_ioctl(f->fd, FERRY_LIMIT, &limit);
}

void test_limit(void)
{
	struct ferry *f = fresh();

	expect(ENXIO, set_limit(f, 1, 1), "limit before attach");
	ferry_close(f);

	f = attached();
	expect(EINVAL, set_limit(f, 1, 0), "limit: no slowdown");
	expect(EINVAL, set_limit(f, 0, 1), "limit: no rate");
	expect(EINVAL, set_limit(f, 1, FERRY_LIMIT_MAX_SLOWDOWN + 1), "limit: a standstill");
	expect(0, set_limit(f, -1, FERRY_LIMIT_MAX_SLOWDOWN), "limit: as much as anyone can say");
	expect(0, set_limit(f, 0, 0), "no limit");
	ferry_close(f);
}

void test_vm_stats(void)
{
	struct ferry_vm_stats stats = {};
	struct ferry *f = fresh();

	expect(ESRCH, ferry_ioctl(f->fd, FERRY_VM_STATS, &stats), "all VMs: there is none");
	ferry_close(f);

	f = ready();
	expect(0, ferry_ioctl(f->fd, FERRY_VM_STATS, &stats), "all VMs: the first one");
	expect_that(stats.pid == getpid() && stats.status.ram_pages == SIZE / RAM_PAGE,
		    "all VMs: it is this one");
	expect(0, ferry_ioctl(f->fd, FERRY_VM_STATS, &stats), "all VMs: by its very id");
	stats.pid++;
	expect(ESRCH, ferry_ioctl(f->fd, FERRY_VM_STATS, &stats), "all VMs: no other");
	ferry_close(f);
}

/* In the middle of a pass: the ring is full and nobody consumes. */
void test_busy(void)
{
	struct ferry_add_ram part = { .fd = ram.fd, .id = 1 };
	uint8_t digest[FERRY_HASH_SIZE];
	struct ferry_status status;
	struct ferry *f;

	/* incompressible enough to fill the ring */
	for (size_t i = 0; i < 64 * RAM_PAGE / 4; i++)
		((uint32_t *)ram.map)[i] = i * 2654435761u ^ i << 7;
	f = ready();
	expect(0, ferry_begin(f, 0), "begin a pass");
	do
		ferry_status(f, 0, &status);
	while (!status.waits);
	expect_that(status.state == FERRY_STATE_PASS && status.pass == 1, "the state is pass");
	expect(EBUSY, ferry_begin(f, 0), "a pass in a pass");
	expect(EBUSY, ferry_begin(f, FERRY_PASS_FINAL), "a final pass in a pass");
	expect(EBUSY, ferry_ioctl(f->fd, FERRY_ADD_RAM, &part), "RAM in a pass");
	expect(EBUSY, ferry_add_channel(f, FERRY_RING_MIN), "channel in a pass");
	expect(EBUSY, ferry_digest(f, 0, 0, digest), "digest in a pass");
	expect(EBUSY, ferry_digest(f, 0, FERRY_DIGEST_FULL, digest), "full digest in a pass");
	expect(0, ferry_finish(f), "the pass ends");
	expect(EBUSY, ferry_ioctl(f->fd, FERRY_ADD_RAM, &part), "RAM after a pass");
	expect(EBUSY, ferry_add_channel(f, FERRY_RING_MIN), "channel after a pass");
	expect(0, ferry_digest(f, 0, 0, digest), "digest after a pass");
	expect(ENOENT, ferry_digest(f, 1, 0, digest), "digest of an unknown block");
	expect(ENOENT, ferry_digest(f, -1, FERRY_DIGEST_FULL, digest), "full digest of an unknown block");
	ferry_close(f);
}

static long ask_pending(struct ferry *f, uint32_t block, uint64_t first, uint64_t count, void *to)
{
	struct ferry_pending pending = {
		.block = block, .first = first, .count = count, .bitmap = (uintptr_t)to,
	};

	return ferry_ioctl(f->fd, FERRY_PENDING, &pending);
}

void test_pending(void)
{
	struct ferry *f = ready();
	uint64_t pages = SIZE / RAM_PAGE, bitmap[SIZE / RAM_PAGE / 64];

	expect(ENOENT, ask_pending(f, 1, 0, 64, bitmap), "pending: unknown block");
	expect(EINVAL, ask_pending(f, 0, 1, 64, bitmap), "pending: first not a multiple of 64");
	expect(EINVAL, ask_pending(f, 0, 0, 65, bitmap), "pending: count not a multiple of 64");
	expect(EINVAL, ask_pending(f, 0, 0, 0, bitmap), "pending: no pages");
	expect(EINVAL, ask_pending(f, 0, 64, pages, bitmap), "pending: past the end");
	expect(EINVAL, ask_pending(f, 0, pages, 64, bitmap), "pending: beyond the end");
	expect(EINVAL, ask_pending(f, 0, -64ull, 128, bitmap), "pending: round the end of numbers");
	expect(EFAULT, ask_pending(f, 0, 0, pages, NULL), "pending: no bitmap");
	expect(0, ask_pending(f, 0, pages - 64, 64, bitmap), "pending: the last 64");
	expect_that(bitmap[0] == UINT64_MAX, "they are pending");
	ferry_close(f);
}

static long ask_group_map(struct ferry *f, uint32_t block, uint64_t first, uint64_t count,
			  void *to)
{
	struct ferry_group_map map = {
		.block = block, .first = first, .count = count, .cells = (uintptr_t)to,
	};

	return ferry_ioctl(f->fd, FERRY_GROUP_MAP, &map);
}

void test_group_map(void)
{
	struct ferry *f = ready();
	uint64_t chunks = SIZE / RAM_CHUNK;
	struct ferry_group_cell *cells = calloc(chunks, sizeof(*cells));

	expect(ENOENT, ask_group_map(f, 1, 0, 1, cells), "map of groups: unknown block");
	expect(EINVAL, ask_group_map(f, 0, 0, 0, cells), "map of groups: no chunks");
	expect(EINVAL, ask_group_map(f, 0, 1, chunks, cells), "map of groups: past the end");
	expect(EINVAL, ask_group_map(f, 0, chunks + 1, 1, cells), "map of groups: beyond the end");
	expect(EINVAL, ask_group_map(f, 0, -1ull, 2, cells), "map of groups: round the end of numbers");
	expect(EFAULT, ask_group_map(f, 0, 0, chunks, NULL), "map of groups: no cells");
	expect(0, ask_group_map(f, 0, 0, chunks, cells), "map of groups: all of it");
	expect_that(!cells[chunks - 1].write_faults && !cells[chunks - 1].opened,
		    "and nothing was opened yet");
	free(cells);
	ferry_close(f);
}

static long try_map(const struct ferry_ring_client *c, size_t size, int protection, int flags,
		    uint64_t offset)
{
	void *map = mmap(NULL, size, protection, flags, c->fd, offset);

	if (map == MAP_FAILED)
		return -errno;
	munmap(map, size);
	return 0;
}

void test_ring(void)
{
	struct ferry *f = ready();
	struct ferry_ring_client *c = &f->channel[0];
	size_t size = FERRY_RING_DATA + 2 * c->size;
	struct ferry_consume consume = {};
	char byte = 0;

	expect(0, try_map(c, size, PROT_READ, MAP_SHARED, 0), "ring: mapped once more");
	expect(EACCES, try_map(c, size, PROT_READ | PROT_WRITE, MAP_SHARED, 0), "ring: to write");
	expect(EPERM, try_map(c, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0),
	       "ring: to write, privately");
	expect(EPERM, try_map(c, size, PROT_READ | PROT_EXEC, MAP_SHARED, 0), "ring: to execute");
	expect(EINVAL, try_map(c, size + RAM_PAGE, PROT_READ, MAP_SHARED, 0), "ring: too much");
	expect(EINVAL, try_map(c, RAM_PAGE, PROT_READ, MAP_SHARED, size), "ring: past the end");
	expect(EACCES, mprotect((void *)c->ring, size, PROT_READ | PROT_WRITE) ? -errno : 0,
	       "ring: made writable later");
	expect(EINVAL, read(c->fd, &byte, 1) < 0 ? -errno : 0, "ring: read(2)");
	expect(EBADF, write(c->fd, &byte, 1) < 0 ? -errno : 0, "ring: write(2)");
	expect(ENOTTY, ferry_ioctl(c->fd, FERRY_INFO, &consume), "ring: a command of the device");
	expect(EFAULT, ferry_ioctl(c->fd, FERRY_CONSUME, NULL), "consume: no argument");
	consume.idle_ns = UINT64_MAX;
	expect(0, ferry_ioctl(c->fd, FERRY_CONSUME, &consume), "consume: any time at all");
	expect(0, ferry_ioctl(c->fd, FERRY_CONSUME, &consume), "consume: nothing");
	consume.bytes = 1;
	expect(EINVAL, ferry_ioctl(c->fd, FERRY_CONSUME, &consume), "consume: more than there is");
	expect(0, ferry_pass(f, 0), "a pass");
	consume.bytes = UINT64_MAX;
	expect(EINVAL, ferry_ioctl(c->fd, FERRY_CONSUME, &consume), "consume: far more than there is");
	expect_that(c->ring->head == c->ring->tail && c->ring->head == c->stream.bytes,
		"head and tail are where they were");
	ferry_close(f);
}
