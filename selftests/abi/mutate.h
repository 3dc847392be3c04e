/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random numbers that can be had again, and arguments of ioctls that are wrong in a small way.
 */
#ifndef ABI_MUTATE_H
#define ABI_MUTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From now on, in this thread, the numbers that follow from @seed. */
void draw_seed(uint64_t seed);
uint64_t draw(void);
/* Below @n, which is not 0. */
uint64_t draw_below(uint64_t n);
/* One time in @n. */
static inline bool draw_rarely(uint64_t n)
{
	return !draw_below(n);
}

/* A number as programs get them wrong: 0, -1, powers of two and their neighbours, or any. */
uint64_t draw_odd(void);

/* Spoils one field of 1 to 8 bytes, or one bit. */
void mutate(void *argument, size_t size);

/*
 * ioctl() with this argument: most of the time as it is, else spoilt, or at a bad
 * address. Returns 0 or more, or -errno.
 */
long mutated_ioctl(int fd, unsigned long command, void *argument);

#endif /* ABI_MUTATE_H */
