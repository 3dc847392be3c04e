// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A QMP client on a UNIX socket.
 *
 * One line is one JSON object. A command carries a number as its id, so that
 * replies find their command in whatever order QEMU gives them (commands out of
 * band overtake others). A reply whose command was given up is dropped.
 */
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "lines.h"
#include "qmp.h"

#define VERSION_PART_MAX	9999	/* so that a version fits an int */

/* A command that waits for its reply, or for the caller to fetch it. */
struct pending {
	struct pending *next;
	long number;
	json_t *reply;		/* the whole object, NULL until it is here */
	char command[];
};

struct qmp {
	struct lines lines;
	char *name;		/* of the socket, for messages */
	pid_t peer;
	struct pending *pending;
	long numbers;
	bool oob;
	struct failure broken;	/* why it is of no use any more; empty: it is */
	json_t *greeting;
	char version[32];
	int version_number;
	qmp_event_fn *on_event;
	void *on_event_opaque;
};

int qmp_fd(const struct qmp *qmp)
{
	return qmp->lines.fd;
}

bool qmp_sending(const struct qmp *qmp)
{
	return qmp->lines.out != NULL;
}

const char *qmp_version(const struct qmp *qmp)
{
	return qmp->version;
}

int qmp_version_number(const struct qmp *qmp)
{
	return qmp->version_number;
}

pid_t qmp_peer(const struct qmp *qmp)
{
	return qmp->peer;
}

void qmp_on_event(struct qmp *qmp, qmp_event_fn *fn, void *opaque)
{
	qmp->on_event = fn;
	qmp->on_event_opaque = opaque;
}

/* ------------------------------------------------------------------------
 * In
 * ------------------------------------------------------------------------ */

static struct pending *pending_find(struct qmp *qmp, long number)
{
	struct pending *p = qmp->pending;

	while (p && p->number != number)
		p = p->next;
	return p;
}

static void pending_drop(struct qmp *qmp, struct pending *gone)
{
	struct pending **p = &qmp->pending;

	while (*p != gone)
		p = &(*p)->next;
	*p = gone->next;
	json_decref(gone->reply);
	free(gone);
}

static void dispatch_reply(struct qmp *qmp, json_t *reply)
{
	struct pending *p = pending_find(qmp, (long)json_integer_value(
						json_object_get(reply, "id")));

	if (p && !p->reply)
		p->reply = json_incref(reply);
}

static int dispatch(struct qmp *qmp, json_t *object, struct failure *why)
{
	const char *event = json_string_value(json_object_get(object, "event"));

	if (event) {
		if (qmp->on_event)
			qmp->on_event(qmp->on_event_opaque, event,
				      json_object_get(object, "data"));
		return 0;
	}
	if (json_object_get(object, "return") || json_object_get(object, "error")) {
		dispatch_reply(qmp, object);
		return 0;
	}
	if (json_object_get(object, "QMP") && !qmp->greeting) {
		qmp->greeting = json_incref(object);
		return 0;
	}
	return fail(why, "QEMU sent an object that is no reply and no event");
}

/* The first words of what came instead of QMP, fit for a message. */
static void quote(char *out, size_t size, const char *text, size_t length)
{
	size_t i;

	for (i = 0; i + 1 < size && i < length && i < 40; i++)
		out[i] = isprint((unsigned char)text[i]) ? text[i] : '?';
	out[i] = '\0';
}

static int not_qmp(struct qmp *qmp, const char *text, size_t length,
		   struct failure *why)
{
	char words[48];

	quote(words, sizeof(words), text, length);
	if (!qmp->greeting && !strncmp(words, "QEMU ", 5))
		return fail(why, "this is QEMU's human monitor, not QMP; start QEMU with -qmp unix:PATH,server=on,wait=off and give that PATH");
	if (!qmp->greeting)
		return fail(why, "not a QMP socket: it begins with \"%s\"; is it the guest's console? Give the socket of QEMU's -qmp option",
			    words);
	return fail(why, "not JSON from QEMU: \"%s\"", words);
}

static int take_line(void *opaque, const char *line, size_t length,
		     struct failure *why)
{
	struct qmp *qmp = opaque;
	json_t *object;
	int result;

	while (length && isspace((unsigned char)line[length - 1]))
		length--;
	if (!length)
		return 0;
	object = json_loadb(line, length, 0, NULL);
	if (!json_is_object(object)) {
		json_decref(object);
		return not_qmp(qmp, line, length, why);
	}
	result = dispatch(qmp, object, why);
	json_decref(object);
	return result;
}

/* A console need not ever end its line: judge by the first byte. */
static int look_at_greeting(struct qmp *qmp, struct failure *why)
{
	const struct lines *l = &qmp->lines;

	if (qmp->greeting || !l->length || l->in[0] == '{' ||
	    isspace((unsigned char)l->in[0]))
		return 0;
	return not_qmp(qmp, l->in, l->length, why);
}

int qmp_pump(struct qmp *qmp, struct failure *why)
{
	struct failure *broken = &qmp->broken;
	struct failure socket = { 0 };

	if (broken->text[0])
		return fail(why, "%s", broken->text);
	if (!lines_flush(&qmp->lines, &socket) &&
	    !lines_fill(&qmp->lines, take_line, qmp, &socket) &&
	    !look_at_greeting(qmp, &socket))
		return 0;
	fail(broken, "%s: %s", qmp->name, socket.text);
	return fail(why, "%s", broken->text);
}

/* ------------------------------------------------------------------------
 * Commands
 * ------------------------------------------------------------------------ */

static char *compose(struct qmp *qmp, bool oob, const char *command,
		     json_t *arguments)
{
	json_t *object = json_pack("{s:s, s:I}",
				   oob && qmp->oob ? "exec-oob" : "execute",
				   command, "id", (json_int_t)qmp->numbers + 1);
	char *line;

	if (object && arguments)
		json_object_set(object, "arguments", arguments);
	line = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	json_decref(arguments);
	return line;
}

long qmp_send(struct qmp *qmp, int fd, bool oob, const char *command,
	      json_t *arguments, struct failure *why)
{
	char *line = compose(qmp, oob, command, arguments);
	struct pending *p = malloc(sizeof(*p) + strlen(command) + 1);

	if (!line || !p || lines_queue(&qmp->lines, line, fd, why)) {
		free(line);
		free(p);
		return fail(why, "%s: out of memory or files", command);
	}
	free(line);
	*p = (struct pending){
		.number = ++qmp->numbers,
		.next = qmp->pending,
	};
	memcpy(p->command, command, strlen(command) + 1);
	qmp->pending = p;
	return p->number;
}

int qmp_reply(struct qmp *qmp, long number, json_t **result, struct failure *why)
{
	struct pending *p = pending_find(qmp, number);
	const char *words;
	json_t *value;

	if (!p)
		return fail(why, "no such command");
	if (!p->reply)
		return 0;

	value = json_object_get(p->reply, "return");
	if (value) {
		if (result)
			*result = json_incref(value);
		pending_drop(qmp, p);
		return 1;
	}
	words = json_string_value(json_object_get(json_object_get(p->reply,
								  "error"),
						  "desc"));
	fail(why, "%s: QEMU refused: %s", p->command,
		words ? words : "it gave no reason");
	pending_drop(qmp, p);
	return -1;
}

/* Waits for bytes, in or out, until @deadline. */
static int wait_for_bytes(struct qmp *qmp, int64_t deadline, struct failure *why)
{
	struct pollfd p = {
		.fd = qmp_fd(qmp),
		.events = (short)(POLLIN | (qmp_sending(qmp) ? POLLOUT : 0)),
	};

	if (poll(&p, 1, clock_left(deadline)) < 0 && errno != EINTR)
		return fail(why, "poll: %m");
	return qmp_pump(qmp, why);
}

static int await(struct qmp *qmp, long number, int timeout, json_t **result,
		 struct failure *why)
{
	int64_t deadline = clock_ms() + timeout;
	struct pending *p;
	int done;

	for (;;) {
		/* A reply that came before the connection broke still counts. */
		int broken = qmp_pump(qmp, NULL);

		done = qmp_reply(qmp, number, result, why);
		if (done)
			return done;
		if (broken)
			return fail(why, "%s", qmp->broken.text);
		if (!clock_left(deadline))
			break;
		wait_for_bytes(qmp, deadline, NULL);
	}
	p = pending_find(qmp, number);
	fail(why, "%s: no answer from QEMU within %d ms; its main loop is blocked, often by slow storage",
		p->command, timeout);
	pending_drop(qmp, p);
	return -1;
}

static json_t *vexecute(struct qmp *qmp, int timeout, struct failure *why,
			const char *command, const char *format, va_list args)
{
	json_t *arguments = NULL, *result = NULL;
	long number;

	if (format) {
		arguments = json_vpack_ex(NULL, 0, format, args);
		if (!arguments) {
			fail(why, "%s: bad arguments", command);
			return NULL;
		}
	}
	number = qmp_send(qmp, -1, false, command, arguments, why);
	if (number < 0 || await(qmp, number, timeout, &result, why) < 0)
		return NULL;
	return result;
}

json_t *qmp_execute(struct qmp *qmp, int timeout, struct failure *why,
		    const char *command, const char *format, ...)
{
	json_t *result;
	va_list args;

	va_start(args, format);
	result = vexecute(qmp, timeout, why, command, format, args);
	va_end(args);
	return result;
}

int qmp_do(struct qmp *qmp, int timeout, struct failure *why,
	   const char *command, const char *format, ...)
{
	json_t *result;
	va_list args;

	va_start(args, format);
	result = vexecute(qmp, timeout, why, command, format, args);
	va_end(args);
	if (!result)
		return -1;
	json_decref(result);
	return 0;
}

char *qmp_hmp(struct qmp *qmp, struct failure *why, const char *format, ...)
{
	char line[256], *text = NULL;
	json_t *result;
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	result = qmp_execute(qmp, QMP_TIMEOUT, why, "human-monitor-command",
			     "{s:s}", "command-line", line);
	if (!result)
		return NULL;
	if (json_is_string(result))
		text = strdup(json_string_value(result));
	json_decref(result);
	if (!text)
		fail(why, "%s: QEMU's human monitor gave no text", line);
	return text;
}

int qmp_getfd(struct qmp *qmp, int fd, const char *name, struct failure *why)
{
	long number = qmp_send(qmp, fd, false, "getfd",
			       json_pack("{s:s}", "fdname", name), why);

	if (number < 0)
		return -1;
	return await(qmp, number, QMP_TIMEOUT, NULL, why) < 0 ? -1 : 0;
}

/* ------------------------------------------------------------------------
 * Opening and closing
 * ------------------------------------------------------------------------ */

/* What cannot be a part of QEMU's version, missing ones included, counts as 0. */
static int version_part(const json_t *version, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(version, name));

	return n >= 0 && n <= VERSION_PART_MAX ? (int)n : 0;
}

static void learn_version(struct qmp *qmp)
{
	json_t *version = json_object_get(json_object_get(json_object_get(qmp->greeting, "QMP"),
							  "version"), "qemu");
	int major = version_part(version, "major");
	int minor = version_part(version, "minor");
	int micro = version_part(version, "micro");

	qmp->version_number = major * 10000 + minor * 100 + micro;
	snprintf(qmp->version, sizeof(qmp->version), "%d.%d.%d", major, minor,
		 micro);
}

static bool offers_oob(const struct qmp *qmp)
{
	json_t *list = json_object_get(json_object_get(qmp->greeting, "QMP"),
				       "capabilities");
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *name = json_string_value(item);

		if (name && !strcmp(name, "oob"))
			return true;
	}
	return false;
}

static int no_greeting(struct qmp *qmp, int timeout, struct failure *why)
{
	return fail(why, "%s: no QMP greeting within %d ms: QEMU serves one client per socket and another one (libvirt?) has it, or this is no QMP socket; give QEMU another -qmp socket for kvmferry",
		       qmp->name, timeout);
}

static int greet(struct qmp *qmp, int timeout, struct failure *why)
{
	int64_t deadline = clock_ms() + timeout;

	while (!qmp->greeting) {
		if (wait_for_bytes(qmp, deadline, why))
			return -1;
		if (!qmp->greeting && !clock_left(deadline))
			return no_greeting(qmp, timeout, why);
	}
	learn_version(qmp);
	if (!offers_oob(qmp))
		return qmp_do(qmp, timeout, why, "qmp_capabilities", NULL);
	if (qmp_do(qmp, timeout, why, "qmp_capabilities", "{s:[s]}", "enable",
		   "oob"))
		return -1;
	qmp->oob = true;
	return 0;
}

struct qmp *qmp_adopt(int fd, const char *name, int timeout, struct failure *why)
{
	struct qmp *qmp = calloc(1, sizeof(*qmp));
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (!qmp) {
		close(fd);
		fail(why, "out of memory");
		return NULL;
	}
	qmp->lines.fd = fd;
	qmp->name = strdup(name);
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		qmp->peer = peer.pid;
	if (!qmp->name || greet(qmp, timeout, why)) {
		qmp_close(qmp);
		return NULL;
	}
	return qmp;
}

static int connect_to(const char *path, int timeout, struct failure *why)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return fail(why, "%s: the path is too long for a UNIX socket (%zu bytes at most)",
			       path, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path));

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(why, "socket: %m");
	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;

	if (errno == EAGAIN)
		fail(why, "%s: busy: QEMU serves one client per socket and others wait already; give QEMU another -qmp socket for kvmferry (%d ms)",
			path, timeout);
	else
		fail(why, "%s: cannot connect to QEMU: %m; is it running, with -qmp unix:%s,server=on,wait=off?",
			path, path);
	close(fd);
	return -1;
}

struct qmp *qmp_open(const char *path, int timeout, struct failure *why)
{
	int fd = connect_to(path, timeout, why);

	return fd < 0 ? NULL : qmp_adopt(fd, path, timeout, why);
}

void qmp_close(struct qmp *qmp)
{
	if (!qmp)
		return;
	while (qmp->pending)
		pending_drop(qmp, qmp->pending);
	json_decref(qmp->greeting);
	lines_close(&qmp->lines);
	free(qmp->name);
	free(qmp);
}
