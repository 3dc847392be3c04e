/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Time that only moves forward.
 */
#ifndef KVMFERRY_CLOCK_H
#define KVMFERRY_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Microseconds since some moment in the past. */
static inline int64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Milliseconds since the same moment. */
static inline int64_t clock_ms(void)
{
	return clock_us() / 1000;
}

/* Milliseconds from now until @deadline (of clock_ms()), not below 0. */
static inline int clock_left(int64_t deadline)
{
	int64_t left = deadline - clock_ms();

	return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

#endif /* KVMFERRY_CLOCK_H */
