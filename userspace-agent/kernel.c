// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel module: its ioctls, and its errors as sentences.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel.h"

int kernel_call(int fd, unsigned long command, void *argument)
{
	int result;

	do {
		result = ioctl(fd, command, argument);
	} while (result < 0 && errno == EINTR);
	return result;
}

/* ------------------------------------------------------------------------
 * Open and close
 * ------------------------------------------------------------------------ */

static int refuse_open(struct failure *why)
{
	switch (errno) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return fail(why, "there is no " KERNEL_DEVICE ": the kernel module is not loaded; run modprobe kvmferry (dkms status tells whether it was built for this kernel)");
	case EACCES:
	case EPERM:
		return fail(why, "no right to open " KERNEL_DEVICE "; run kvmferry as root");
	default:
		return fail(why, "cannot open " KERNEL_DEVICE ": %m");
	}
}

int kernel_open(struct kernel *k, struct failure *why)
{
	*k = (struct kernel){ .fd = open(KERNEL_DEVICE, O_RDWR | O_CLOEXEC) };
	if (k->fd < 0)
		return refuse_open(why);
	if (kernel_call(k->fd, FERRY_INFO, &k->info)) {
		fail(why, KERNEL_DEVICE " does not shake hands: %m; the module and the agent are of different releases, install both from one");
		kernel_close(k);
		return -1;
	}
	k->info.version[sizeof(k->info.version) - 1] = '\0';
	if (k->info.abi >= FERRY_ABI &&
	    k->info.features & FERRY_FEATURE_COMPRESSION)
		return 0;
	fail(why, "the kernel module %s is older than this agent; reload the module: rmmod kvmferry && modprobe kvmferry",
	     k->info.version);
	kernel_close(k);
	return -1;
}

void kernel_close(struct kernel *k)
{
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
}

/* ------------------------------------------------------------------------
 * Attach
 * ------------------------------------------------------------------------ */

static int refuse_attach(pid_t pid, struct failure *why)
{
	switch (errno) {
	case EBUSY:
		return fail(why, "process %d is already being migrated by another kvmferry; wait for that one or stop it",
			    (int)pid);
	case ESRCH:
		return fail(why, "QEMU (process %d) is gone or exiting; see its log",
			    (int)pid);
	case EPERM:
		return fail(why, "the kernel does not accept /proc/%d/mem as the right to trace QEMU; run kvmferry as root in the initial user namespace",
			    (int)pid);
	case EOPNOTSUPP:
		return fail(why, "the kernel module cannot compress with one of these codecs any more; load the kernel's module for it or use another --codec");
	case ENOMEM:
		return fail(why, "the kernel has no memory to follow QEMU; free some");
	default:
		return fail(why, "cannot attach to QEMU (process %d): %m",
			    (int)pid);
	}
}

int kernel_attach(struct kernel *k, pid_t pid, uint64_t codecs,
		  const uint8_t key[FERRY_KEY_SIZE], struct failure *why)
{
	struct ferry_attach attach = { .pid = pid, .codecs = codecs };
	char path[40];
	int result;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	attach.mem_fd = open(path, O_RDWR | O_CLOEXEC);
	if (attach.mem_fd < 0)
		return fail(why, "cannot open %s: %m; kvmferry needs the right to trace QEMU, run it as root",
			    path);
	memcpy(attach.key, key, sizeof(attach.key));
	result = kernel_call(k->fd, FERRY_ATTACH, &attach);
	if (result)
		refuse_attach(pid, why);
	explicit_bzero(attach.key, sizeof(attach.key));
	close(attach.mem_fd);
	return result ? -1 : 0;
}

/* ------------------------------------------------------------------------
 * RAM
 * ------------------------------------------------------------------------ */

static int refuse_ram(const struct ramblock *b, struct failure *why)
{
	switch (errno) {
	case EBUSY:
		return fail(why, "RAM block %s: %s is mapped a second time, by QEMU or by another process, whose writes would be missed; stop what maps it (a vhost-user backend? a backup tool?)",
			    b->name, b->path);
	case EEXIST:
		return fail(why, "RAM block %s: another RAM block uses the same part of %s; give each memory backend a file of its own",
			    b->name, b->path);
	case EFAULT:
		return fail(why, "RAM block %s: QEMU does not map %s at 0x%" PRIx64 " any more",
			    b->name, b->path, b->address);
	case EACCES:
		return fail(why, "RAM block %s: QEMU maps %s privately or read-only; use share=on",
			    b->name, b->path);
	case EOPNOTSUPP:
		return fail(why, "RAM block %s: %s has huge pages of hugetlbfs, which cannot be tracked; put it on tmpfs",
			    b->name, b->path);
	case ENODEV:
		return fail(why, "RAM block %s: %s is not on tmpfs; give it a mem-path on tmpfs, such as /dev/shm/NAME",
			    b->name, b->path);
	case EINVAL:
		return fail(why, "RAM block %s: its %" PRIu64 " bytes at %" PRIu64 " of %s are not aligned (size to 4 KiB, offset to 2 MiB)",
			    b->name, b->size, b->offset, b->path);
	case ESRCH:
		return fail(why, "QEMU is gone; see its log");
	case ENOMEM:
		return fail(why, "the kernel has no memory to track RAM block %s; free some",
			    b->name);
	default:
		return fail(why, "RAM block %s: the kernel refused it: %m",
			    b->name);
	}
}

int kernel_add_ram(struct kernel *k, unsigned int id, const struct ramblock *b,
		   struct failure *why)
{
	struct ferry_add_ram add = {
		.fd = b->fd,
		.id = id,
		.address = b->address,
		.size = b->size,
		.offset = b->offset,
	};

	return kernel_call(k->fd, FERRY_ADD_RAM, &add) ? refuse_ram(b, why) : 0;
}

/* ------------------------------------------------------------------------
 * Passes
 * ------------------------------------------------------------------------ */

/* Why tracking was lost, by the number the kernel gives. */
static int lost(int error, struct failure *why)
{
	switch (error) {
	case ESRCH:
		return fail(why, "QEMU is gone; see its log");
	case EBUSY:
		return fail(why, "another process mapped the VM's RAM during the migration, and its writes would be missed; stop it and try again");
	case EFAULT:
		return fail(why, "QEMU unmapped some of the VM's RAM during the migration (memory hot-unplug?); try again");
	case EIO:
		return fail(why, "a page of the VM's RAM could not be read back (swap or memory error); see dmesg");
	case ENOMEM:
		return fail(why, "the kernel ran out of memory while tracking the VM; free some and try again");
	default:
		errno = error;
		return fail(why, "the kernel lost track of the VM's RAM: %m; see dmesg");
	}
}

static int why_lost(struct kernel *k, struct failure *why)
{
	struct ferry_status status = { 0 };

	if (kernel_call(k->fd, FERRY_STATUS, &status))
		return fail(why, "the kernel lost track of the VM's RAM; see dmesg");
	return lost((int)status.error, why);
}

int kernel_pass(struct kernel *k, bool final, uint64_t *pass,
		struct failure *why)
{
	struct ferry_pass p = { .flags = final ? FERRY_PASS_FINAL : 0 };

	if (!kernel_call(k->fd, FERRY_PASS, &p)) {
		*pass = p.pass;
		return 0;
	}
	if (errno == ENODATA)
		return why_lost(k, why);
	if (errno == EBUSY)
		return fail(why, "the kernel cannot begin a pass: one is still running, or another process mapped the VM's RAM; stop that process and try again");
	return fail(why, "the kernel cannot begin a pass: %m; see dmesg");
}

int kernel_status(struct kernel *k, bool scan, struct ferry_status *status,
		  struct failure *why)
{
	*status = (struct ferry_status){
		.flags = scan ? FERRY_STATUS_SCAN : 0,
	};
	if (kernel_call(k->fd, FERRY_STATUS, status)) {
		if (errno == ENODATA)
			return why_lost(k, why);
		return fail(why, "the kernel does not tell its status: %m; see dmesg");
	}
	if (status->state == FERRY_STATE_LOST)
		return lost((int)status->error, why);
	return 0;
}

int kernel_counts(struct kernel *k, bool scan, struct kernel_counts *counts,
		  struct failure *why)
{
	if (kernel_status(k, scan, &counts->status, why) ||
	    kernel_group_stats(k, &counts->group, why))
		return -1;
	counts->compression = (struct ferry_compression_stats){ 0 };
	if (!kernel_call(k->fd, FERRY_COMPRESSION_STATS, &counts->compression))
		return 0;
	return fail(why, "the kernel does not tell what its codecs cost: %m; see dmesg");
}

int kernel_workers(struct kernel *k, unsigned int cpu_limit, int nice,
		   struct failure *why)
{
	struct ferry_workers workers = { .cpu_limit = cpu_limit, .nice = nice };

	if (!kernel_call(k->fd, FERRY_WORKERS, &workers))
		return 0;
	return fail(why, "the kernel cannot limit the CPU time of its threads: %m; try again without --cpu-limit and --nice");
}

int kernel_digest(struct kernel *k, unsigned int id, bool full,
		  uint8_t digest[FERRY_HASH_SIZE], struct failure *why)
{
	struct ferry_digest d = {
		.block = id,
		.flags = full ? FERRY_DIGEST_FULL : 0,
	};

	if (kernel_call(k->fd, FERRY_DIGEST, &d))
		return fail(why, "the kernel cannot compute the digest of RAM block %u: %m; see dmesg",
			    id);
	memcpy(digest, d.digest, FERRY_HASH_SIZE);
	return 0;
}

/* ------------------------------------------------------------------------
 * Groups of pages, and writers that wait
 * ------------------------------------------------------------------------ */

bool kernel_has_groups(const struct kernel *k)
{
	return k->info.features & FERRY_FEATURE_GROUP;
}

int kernel_group(struct kernel *k, const struct ferry_group *group,
		 struct failure *why)
{
	struct ferry_group g = *group;

	if (!kernel_has_groups(k) || !kernel_call(k->fd, FERRY_GROUP, &g))
		return 0;
	return fail(why, "the kernel module %s refuses these groups of pages: %m; the module and the agent are of different releases, install both from one",
		    k->info.version);
}

int kernel_group_stats(struct kernel *k, struct ferry_group_stats *stats,
		       struct failure *why)
{
	*stats = (struct ferry_group_stats){ 0 };
	if (!kernel_has_groups(k) || !kernel_call(k->fd, FERRY_GROUP_STATS, stats))
		return 0;
	return fail(why, "the kernel does not tell what its groups of pages cost: %m; see dmesg");
}

int kernel_group_map(struct kernel *k, unsigned int id, uint64_t first, uint64_t count,
		     struct ferry_group_cell *cells, struct failure *why)
{
	struct ferry_group_map map = {
		.block = id, .first = first, .count = count, .cells = (uintptr_t)cells,
	};

	if (!(k->info.features & FERRY_FEATURE_GROUP_MAP))
		return 1;
	if (!kernel_call(k->fd, FERRY_GROUP_MAP, &map))
		return 0;
	return fail(why, "the kernel does not tell where its groups of pages are: %m; see dmesg");
}

int kernel_limit(struct kernel *k, uint64_t pages_per_s,
		 unsigned int max_slowdown, struct failure *why)
{
	struct ferry_limit limit = {
		.pages_per_s = pages_per_s,
		.max_slowdown = pages_per_s ? max_slowdown : 0,
	};

	if (!kernel_has_groups(k))
		return 1;
	if (!kernel_call(k->fd, FERRY_LIMIT, &limit))
		return 0;
	if (errno == EOPNOTSUPP)
		return 1;
	return fail(why, "the kernel cannot slow the VM down: %m; try again with --max-slowdown 0");
}

int kernel_vm_stats(struct kernel *k, pid_t pid, struct ferry_vm_stats *vm,
		    struct failure *why)
{
	*vm = (struct ferry_vm_stats){ .pid = pid };
	if (!kernel_has_groups(k))
		return fail(why, "the kernel module %s does not tell about its VMs; reload the module: rmmod kvmferry && modprobe kvmferry",
			    k->info.version);
	if (!kernel_call(k->fd, FERRY_VM_STATS, vm))
		return 1;
	if (errno == ESRCH)
		return 0;
	return fail(why, "the kernel does not tell about its VMs: %m; see dmesg");
}

/* ------------------------------------------------------------------------
 * Channels
 * ------------------------------------------------------------------------ */

static int refuse_channel(size_t size, struct failure *why)
{
	switch (errno) {
	case ENOMEM:
		return fail(why, "the kernel has no memory for a ring of %zu KiB; use a smaller --ring or fewer --channels",
			    size >> 10);
	case E2BIG:
	case EINVAL:
		return fail(why, "the kernel refuses a ring of %zu KiB; use a power of two from 1 to %d MiB for --ring and at most %d --channels",
			    size >> 10, FERRY_RING_MAX >> 20, FERRY_MAX_CHANNELS);
	default:
		return fail(why, "the kernel cannot add a channel: %m");
	}
}

int kernel_add_channel(struct kernel *k, size_t size, struct channel *c,
		       struct failure *why)
{
	struct ferry_add_channel add = { .size = size };

	*c = (struct channel){
		.fd = kernel_call(k->fd, FERRY_ADD_CHANNEL, &add),
		.size = size,
		.map_size = FERRY_RING_DATA + 2 * size,
	};
	if (c->fd < 0)
		return refuse_channel(size, why);
	c->map = mmap(NULL, c->map_size, PROT_READ, MAP_SHARED, c->fd, 0);
	if (c->map != MAP_FAILED)
		return 0;
	fail(why, "cannot map a ring of %zu KiB: %m; use a smaller --ring",
	     size >> 10);
	c->map = NULL;
	channel_close(c);
	return -1;
}

const void *channel_bytes(const struct channel *c, size_t *length)
{
	const struct ferry_ring *ring = c->map;
	uint64_t head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);

	*length = head - c->tail;
	return (const char *)c->map + FERRY_RING_DATA +
	       (c->tail & (c->size - 1));
}

int channel_consume(struct channel *c, size_t length, uint64_t idle_ns, struct failure *why)
{
	struct ferry_consume consume = { .bytes = length, .idle_ns = idle_ns };

	if (kernel_call(c->fd, FERRY_CONSUME, &consume))
		return fail(why, "the kernel does not take back %zu bytes of a ring: %m",
			    length);
	c->tail = consume.tail;
	return 0;
}

void channel_close(struct channel *c)
{
	if (c->map)
		munmap(c->map, c->map_size);
	if (c->fd >= 0)
		close(c->fd);
	*c = (struct channel){ .fd = -1 };
}
