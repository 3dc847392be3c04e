/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files with fsync, as files.c writes them, and as ../migration/files-check.c looks for them. */
#ifndef GUEST_FILES_H
#define GUEST_FILES_H

#include <stddef.h>
#include <stdint.h>

#define FILES_THREADS	8
#define FILES_SLOTS	32			/* files of one thread; file N takes the place of N - FILES_SLOTS */
#define FILES_WORDS	8192u			/* the largest */
#define FILES_STAMP	0x6b766d66696c6573ULL	/* "kvmfiles" */

/* Number @n of thread @thread: how many words it has, and what they are. */
static inline size_t files_size(unsigned int thread, uint64_t n)
{
	return 64 + (n * 2654435761u + thread * 977u) % (FILES_WORDS - 64);
}

static inline uint64_t files_word(unsigned int thread, uint64_t n, size_t i)
{
	if (i == 0)
		return FILES_STAMP;
	if (i == 1)
		return n;
	return (n << 32 | thread << 24 | i) * 0x9e3779b97f4a7c15ULL;
}

/* What follows the word "files" of a command. */
void files_obey(char *words);

#endif /* GUEST_FILES_H */
