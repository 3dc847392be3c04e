/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The source's event loop: whatever it waits for, it attends to everything.
 *
 * QEMU's replies and events, the target's frames, QEMU's device stream, the end of a
 * pass, a broken data stream, disk requests that have ended and signals are all looked
 * after while one of them is waited for. Nothing waits without a time-out, but for the
 * storage once the VM has moved.
 */
#ifndef KVMFERRY_ATTEND_H
#define KVMFERRY_ATTEND_H

#include "source.h"

/**
 * attend_signals - from now on a signal is attended to, instead of ending us
 *
 * To be called when there begins to be something to undo, before any thread is.
 */
int attend_signals(struct source *s, struct failure *why);

/**
 * attend - one round: wait up to @timeout ms (-1: any) for anything, and deal with it
 *
 * Returns 0, or -1 with @why when the migration cannot go on. After the commit
 * only the connection to the target still counts.
 */
int attend(struct source *s, int timeout, struct failure *why);

/**
 * attend_until - go round until @done
 * @what:	that is waited for, for the message: "the target did not ..."
 *
 * Returns 0, or -1 with @why, also after the time-out of the options.
 */
int attend_until(struct source *s, bool (*done)(const struct source *s),
		 const char *what, struct failure *why);

/**
 * attend_command - have QEMU run a command, and attend to all else meanwhile
 * @fd:		a file to pass along, or -1
 * @arguments:	of which the reference is taken; may be NULL
 *
 * Returns the reply's value, or NULL with @why.
 */
json_t *attend_command(struct source *s, int fd, const char *command,
		       json_t *arguments, struct failure *why);

/* The same for one that was sent already: qmp_send() called it @number. */
json_t *attend_reply(struct source *s, long number, const char *command,
		     struct failure *why);

/* Waits until everything queued for the target was handed to the socket. */
int attend_flushed(struct source *s, struct failure *why);

#endif /* KVMFERRY_ATTEND_H */
