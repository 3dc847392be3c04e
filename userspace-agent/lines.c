// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lines of text, and files, over a UNIX socket of QEMU.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lines.h"

#define READ_SIZE	(64u << 10)	/* bytes allocated at first */

struct outgoing_line {
	struct outgoing_line *next;
	int file;			/* a duplicate, or -1 */
	size_t length;
	size_t sent;
	char bytes[];
};

/* ------------------------------------------------------------------------
 * Out
 * ------------------------------------------------------------------------ */

static void outgoing_free(struct outgoing_line *o)
{
	if (o->file >= 0)
		close(o->file);
	free(o);
}

int lines_queue(struct lines *l, const char *line, int file, struct failure *why)
{
	size_t length = strlen(line);
	struct outgoing_line **end, *o;

	o = malloc(sizeof(*o) + length + 1);
	if (!o)
		return fail(why, "out of memory");
	*o = (struct outgoing_line){ .file = -1, .length = length + 1 };
	memcpy(o->bytes, line, length);
	o->bytes[length] = '\n';
	if (file >= 0) {
		o->file = fcntl(file, F_DUPFD_CLOEXEC, 0);
		if (o->file < 0) {
			free(o);
			return fail(why, "cannot duplicate a file: %m");
		}
	}

	for (end = &l->out; *end; end = &(*end)->next)
		;
	*end = o;
	return 0;
}

/* sendmsg() with a file attached to the first byte. */
static ssize_t send_some(int socket, struct outgoing_line *o)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec vector = {
		.iov_base = o->bytes + o->sent,
		.iov_len = o->length - o->sent,
	};
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };

	if (o->file >= 0 && !o->sent) {
		struct cmsghdr *header;

		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &o->file, sizeof(int));
	}
	return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int lines_flush(struct lines *l, struct failure *why)
{
	while (l->out) {
		struct outgoing_line *o = l->out;
		ssize_t n = send_some(l->fd, o);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		/* What was said before the hang-up is more telling: read on. */
		if (n < 0 && errno == EPIPE)
			return 0;
		if (n < 0)
			return fail(why, "cannot write: %m");
		o->sent += (size_t)n;
		if (o->sent < o->length)
			continue;
		l->out = o->next;
		outgoing_free(o);
	}
	return 0;
}

/* ------------------------------------------------------------------------
 * In
 * ------------------------------------------------------------------------ */

static int take_lines(struct lines *l, lines_taken *taken, void *opaque,
		      struct failure *why)
{
	size_t begin = 0, at = l->scanned;
	int result = 0;

	while (!result && at < l->length) {
		const char *end = memchr(l->in + at, '\n', l->length - at);

		if (!end)
			break;
		at = (size_t)(end - l->in);
		result = taken(opaque, l->in + begin, at - begin, why);
		begin = ++at;
	}
	memmove(l->in, l->in + begin, l->length - begin);
	l->length -= begin;
	l->scanned = l->length;
	return result;
}

static int make_room(struct lines *l, struct failure *why)
{
	size_t size = l->size ? l->size * 2 : READ_SIZE;
	char *in;

	if (l->length < l->size)
		return 0;
	if (size > LINES_MAX)
		return fail(why, "a line of more than %u MiB",
			    LINES_MAX >> 20);
	in = realloc(l->in, size);
	if (!in)
		return fail(why, "out of memory");
	l->in = in;
	l->size = size;
	return 0;
}

int lines_fill(struct lines *l, lines_taken *taken, void *opaque,
	       struct failure *why)
{
	for (;;) {
		ssize_t n;

		if (make_room(l, why))
			return -1;
		n = recv(l->fd, l->in + l->length, l->size - l->length,
			 MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0 && errno != ECONNRESET)
			return fail(why, "cannot read: %m");
		if (n <= 0)
			return fail(why, "QEMU closed the connection; see its log for why it exited");
		l->length += (size_t)n;
		if (take_lines(l, taken, opaque, why))
			return -1;
	}
}

void lines_close(struct lines *l)
{
	while (l->out) {
		struct outgoing_line *o = l->out;

		l->out = o->next;
		outgoing_free(o);
	}
	free(l->in);
	close(l->fd);
	*l = (struct lines){ .fd = -1 };
}
