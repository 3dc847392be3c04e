/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A QMP client: QEMU's machine protocol over a UNIX socket.
 *
 * The socket never blocks. A command is sent with qmp_send() and its reply
 * collected with qmp_reply() by a program with an event loop of its own, or both
 * at once with qmp_execute(), which waits. Events are handed to a callback from
 * inside qmp_pump(), and so also from inside qmp_execute().
 *
 * Times are in milliseconds. Commands that return a json_t pass on a reference.
 */
#ifndef KVMFERRY_QMP_H
#define KVMFERRY_QMP_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>
#include "log.h"

#define QMP_TIMEOUT	10000	/* ms: for commands that QEMU answers at once */

struct qmp;

/**
 * typedef qmp_event_fn - an event has come in
 * @name:	such as "STOP" or "MIGRATION"
 * @data:	its data, borrowed; NULL when it has none
 *
 * Must not call qmp_pump(), qmp_execute() or qmp_close().
 */
typedef void qmp_event_fn(void *opaque, const char *name, const json_t *data);

/**
 * qmp_open - connect to @path, greet, and enter command mode
 * @timeout:	ms for all of it; a QEMU that serves another client does not
 *		greet, and is told apart by this
 *
 * Returns the client, or NULL with @why.
 */
struct qmp *qmp_open(const char *path, int timeout, struct failure *why);

/* The same on a connected socket @fd, which the client then owns, also on failure. */
struct qmp *qmp_adopt(int fd, const char *name, int timeout, struct failure *why);

/* Closes the socket and frees the client. NULL is allowed. */
void qmp_close(struct qmp *qmp);

/* The socket, to be polled for POLLIN, and for POLLOUT if qmp_sending(). */
int qmp_fd(const struct qmp *qmp);
bool qmp_sending(const struct qmp *qmp);

/* Calls @fn for each event from now on; one callback at a time, NULL for none. */
void qmp_on_event(struct qmp *qmp, qmp_event_fn *fn, void *opaque);

/**
 * qmp_pump - move bytes without blocking: send, read, deliver events
 *
 * Returns 0, or -1 with @why when QEMU has gone or sends nonsense; the client is
 * then broken and only qmp_close() helps.
 */
int qmp_pump(struct qmp *qmp, struct failure *why);

/**
 * qmp_send - queue a command
 * @fd:		a file to pass along (SCM_RIGHTS), or -1; not closed here
 * @oob:	run it out of band, even while QEMU's main loop is blocked, if this
 *		QEMU can
 * @arguments:	an object, of which the reference is taken; NULL for none
 *
 * Returns a number for qmp_reply(), or -1 with @why.
 */
long qmp_send(struct qmp *qmp, int fd, bool oob, const char *command,
	      json_t *arguments, struct failure *why);

/**
 * qmp_reply - has a command been answered?
 * @number:	from qmp_send()
 * @result:	the "return" value, if not NULL
 *
 * Returns 1 done; 0 not yet, pump on; -1 QEMU refused, with @why ("COMMAND:
 * QEMU's words").
 */
int qmp_reply(struct qmp *qmp, long number, json_t **result, struct failure *why);

/**
 * qmp_execute - send a command and wait for its reply
 * @format:	of json_pack() for the arguments, such as "{s:s}"; NULL for none
 *
 * Returns the "return" value, or NULL with @why after an error or @timeout ms.
 */
json_t *qmp_execute(struct qmp *qmp, int timeout, struct failure *why,
		    const char *command, const char *format, ...);

/* The same for a command whose result says nothing. Returns 0, or -1 with @why. */
int qmp_do(struct qmp *qmp, int timeout, struct failure *why,
	   const char *command, const char *format, ...);

/**
 * qmp_hmp - run a command line of the human monitor
 *
 * Returns its output, to be freed; NULL with @why. The human monitor reports
 * errors as output: the caller must look at it.
 */
__attribute__((format(printf, 3, 4)))
char *qmp_hmp(struct qmp *qmp, struct failure *why, const char *format, ...);

/* Hands @fd to QEMU as @name, for "fd:NAME" uris. @fd stays open here too. */
int qmp_getfd(struct qmp *qmp, int fd, const char *name, struct failure *why);

/* "7.2.22", or with the distribution's suffix as QEMU tells it. */
const char *qmp_version(const struct qmp *qmp);

/* major * 10000 + minor * 100 + micro */
int qmp_version_number(const struct qmp *qmp);

/* The process at the other end of the socket: QEMU, unless a proxy is between. */
pid_t qmp_peer(const struct qmp *qmp);

#endif /* KVMFERRY_QMP_H */
