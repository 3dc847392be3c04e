// SPDX-License-Identifier: GPL-2.0-or-later
/* I/O in threads. */
#include "io.h"

#include <linux/close_range.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "die.h"

void sleep_ms(unsigned int ms)
{
	const struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l };

	nanosleep(&pause, NULL);
}

static long run(const struct io *io)
{
	uint64_t range[2] = { io->offset, io->size };

	switch (io->op) {
	case IO_READ:
		return pread(io->fd, io->buf, io->size, io->offset);
	case IO_WRITE:
		return pwrite(io->fd, io->buf, io->size, io->offset);
	case IO_DISCARD:
		return ioctl(io->fd, BLKDISCARD, range);
	case IO_ZERO:
		return ioctl(io->fd, BLKZEROOUT, range);
	case IO_FLUSH:
		return fsync(io->fd);
	}
	return -1;
}

/* No file but its own: a request that hangs must not keep a disk's file open. */
static void keep_only(unsigned int fd)
{
	must(close_range(fd + 1, ~0u, CLOSE_RANGE_UNSHARE));
	must(close_range(3, fd - 1, 0));
}

static void *thread(void *arg)
{
	struct io *io = arg;
	bool data = io->op == IO_READ || io->op == IO_WRITE;
	long ret;

	keep_only(io->fd);
	ret = run(io);
	if (ret < 0)
		io->error = errno;
	else
		io->error = data && ret != (long)io->size ? ENODATA : 0;
	__atomic_store_n(&io->done, true, __ATOMIC_RELEASE);
	return NULL;
}

void io_start(struct io *io, int fd, enum io_op op, uint64_t offset, uint64_t size, uint8_t fill)
{
	*io = (struct io) { .fd = fd, .op = op, .offset = offset, .size = size };
	if (op == IO_READ || op == IO_WRITE) {
		io->buf = must(mmap(NULL, size, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		memset(io->buf, fill, size);
	}
	if (pthread_create(&io->thread, NULL, thread, io))
		die("no thread");
}

bool io_ends(struct io *io, unsigned int ms)
{
	return within(ms, __atomic_load_n(&io->done, __ATOMIC_ACQUIRE));
}

int io_end(struct io *io)
{
	if (!io->joined)
		pthread_join(io->thread, NULL);
	io->joined = true;
	if (io->buf)
		must(munmap(io->buf, io->size));
	io->buf = NULL;
	return io->error;
}

int io_do(int fd, enum io_op op, uint64_t offset, uint64_t size, uint8_t fill)
{
	struct io io;

	io_start(&io, fd, op, offset, size, fill);
	return io_end(&io);
}

static bool is_all(const uint8_t *data, size_t size, uint8_t fill)
{
	return data[0] == fill && !memcmp(data, data + 1, size - 1);
}

unsigned long io_count(int fd, uint64_t block, unsigned long blocks, uint8_t fill)
{
	_Alignas(4096) uint8_t data[IO_BLOCK];	/* threads count, too */
	unsigned long i, count = 0;

	for (i = 0; i < blocks; i++) {
		if (pread(fd, data, IO_BLOCK, (block + i) * IO_BLOCK) != IO_BLOCK)
			die("block %lu cannot be read: %s", block + i, strerror(errno));
		count += is_all(data, IO_BLOCK, fill);
	}
	return count;
}
