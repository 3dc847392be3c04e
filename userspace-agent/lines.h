/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines of text, and files, over a UNIX socket of QEMU. Nothing here blocks.
 *
 * Both directions are buffered: lines_queue() and lines_fill() take and bring whole
 * lines, whatever pieces the socket carries them in.
 */
#ifndef KVMFERRY_LINES_H
#define KVMFERRY_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include "log.h"

#define LINES_MAX	(8u << 20)	/* bytes of a line; more is a failure */

struct outgoing_line;

/* A socket. { .fd = FD }, the rest zero, is a fresh one. */
struct lines {
	int fd;				/* owned */
	struct outgoing_line *out;	/* what is still to be sent */
	char *in;
	size_t length;			/* bytes read and not yet taken as a line */
	size_t scanned;			/* of these, known to hold no end of line */
	size_t size;			/* bytes allocated */
};

/* A line has come in, without its end. Returns 0, or -1 with @why to stop. */
typedef int lines_taken(void *opaque, const char *line, size_t length,
			struct failure *why);

/**
 * lines_queue - a line to be sent
 * @file:	a file to pass along with its first byte, or -1; stays open here
 *
 * Returns 0, or -1 with @why.
 */
int lines_queue(struct lines *l, const char *line, int file, struct failure *why);

/* Sends what can be sent now. Returns 0, or -1 with @why. */
int lines_flush(struct lines *l, struct failure *why);

/**
 * lines_fill - read all that has come, and hand out each complete line
 *
 * Returns 0, or -1 with @why; that the other end hung up is a failure too, seen
 * after every line before it.
 */
int lines_fill(struct lines *l, lines_taken *taken, void *opaque,
	       struct failure *why);

/* Closes the socket; what is in the buffers is lost. */
void lines_close(struct lines *l);

#endif /* KVMFERRY_LINES_H */
