/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What workload.c lends to the rest of the guest. */
#ifndef GUEST_WORKLOAD_H
#define GUEST_WORKLOAD_H

#include <pthread.h>
#include <stdint.h>

uint64_t now_ms(void);
void sleep_ms(unsigned int ms);

/* One line on the console, which begins with "guest: ". */
__attribute__((format(printf, 1, 2)))
void say(const char *format, ...);

/*
 * One more error; how many there were before. Who counts one says what is wrong, in a
 * line that begins with "error: ", unless there were COMPLAINTS before: the console is slow,
 * and the first ones tell enough.
 */
unsigned int count_error(void);
#define COMPLAINTS	20

void start(pthread_t *thread, void *(*function)(void *), void *arg);

/* xorshift64. @s is never 0. */
static inline uint64_t shuffle(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

#endif /* GUEST_WORKLOAD_H */
