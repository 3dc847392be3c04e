/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Direct I/O in threads of its own, so that it can be seen not to end. */
#ifndef SELFTESTS_IO_H
#define SELFTESTS_IO_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define IO_BLOCK	4096ul

enum io_op { IO_READ, IO_WRITE, IO_DISCARD, IO_ZERO, IO_FLUSH };

struct io {
	int fd;
	enum io_op op;
	uint64_t offset;	/* bytes, as the size */
	uint64_t size;
	uint8_t *buf;
	pthread_t thread;
	volatile bool done;
	int error;		/* 0, or an errno: valid when done */
	bool joined;
};

/* Begins; a write is of @size bytes @fill. Offsets and sizes are multiples of 512. */
void io_start(struct io *io, int fd, enum io_op op, uint64_t offset, uint64_t size, uint8_t fill);
/* Has it ended by then? */
bool io_ends(struct io *io, unsigned int ms);
/* Waits for its end, however long; frees it. Returns 0 or its errno. */
int io_end(struct io *io);
/* Both at once. */
int io_do(int fd, enum io_op op, uint64_t offset, uint64_t size, uint8_t fill);

/* How many of @blocks blocks from @block on hold nothing but @fill, read from this descriptor. */
unsigned long io_count(int fd, uint64_t block, unsigned long blocks, uint8_t fill);

void sleep_ms(unsigned int ms);
/* Waits until @condition, at most @ms; its value in the end. */
#define within(ms, condition) ({					\
	unsigned int _left = (ms) / 10 + 1;				\
	while (!(condition) && --_left)					\
		sleep_ms(10);						\
	_left || (condition);						\
})

#endif /* SELFTESTS_IO_H */
