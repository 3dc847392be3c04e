/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ends a test program whose own machinery failed, so that it can prove nothing. */
#ifndef SELFTESTS_DIE_H
#define SELFTESTS_DIE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define die(fmt, ...) do {						\
	printf("Bail out! %s:%d: " fmt "\n", __FILE__, __LINE__, ##__VA_ARGS__); \
	fflush(stdout);							\
	_Exit(1);							\
} while (0)

/* For system calls that must succeed. */
#define must(call) ({							\
	__typeof__(call) _value = (call);				\
	if ((long)_value == -1)						\
		die("%s: %s", #call, strerror(errno));			\
	_value;								\
})

#endif /* SELFTESTS_DIE_H */
