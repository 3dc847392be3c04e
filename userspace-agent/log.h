/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the agent tells its operator: one-line messages on standard error.
 *
 * A function that fails does not log: it leaves its reason in a struct failure,
 * and who decides what to do about the failure also decides whether to log it. A
 * message is one line without a full stop: what happened, why, and what to do.
 */
#ifndef KVMFERRY_LOG_H
#define KVMFERRY_LOG_H

#include <stdarg.h>
#include <stdbool.h>

enum log_level {
	LOG_ERROR,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG,
};

/* Exit status of the agent, the same for every subcommand. */
enum exit_status {
	EXIT_DONE = 0,		/* success */
	EXIT_FAILED = 1,	/* failed; the source runs on, nothing is lost */
	EXIT_USAGE = 2,		/* the command line was wrong; nothing was done */
	EXIT_DOUBT = 3,		/* nobody runs for certain; the operator decides */
	EXIT_HELD = 4,		/* moved; the operator has to open some of its disk */
};

#define FAILURE_SIZE	512	/* the same as WIRE_TEXT_SIZE */

/* Why something failed. Empty text: it did not. */
struct failure {
	char text[FAILURE_SIZE];
};

/**
 * fail - write down why, and return -1
 * @why:	where to; may be NULL
 *
 * The first reason stays: a later one is usually a consequence of it.
 */
__attribute__((format(printf, 2, 3)))
int fail(struct failure *why, const char *format, ...);

/* Puts "WORDS: " before the reason, for a caller that knows the occasion; -1. */
__attribute__((format(printf, 2, 3)))
int fail_in(struct failure *why, const char *format, ...);

__attribute__((format(printf, 1, 2))) void log_error(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_warn(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_info(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_debug(const char *format, ...);

/* Says why on standard error and exits. Only before a migration has begun. */
__attribute__((format(printf, 2, 3), noreturn))
void die(enum exit_status status, const char *format, ...);

/* The least important level that is still written; LOG_INFO at first. */
void log_set_level(enum log_level level);

/**
 * log_set_sink - a better place for messages than standard error
 * @sink:	takes one; returns false if it did not. NULL: there is none
 *
 * To be called before there are threads.
 */
void log_set_sink(bool (*sink)(enum log_level level, const char *text));

/* Writes one message there, or else to standard error. */
void log_write(enum log_level level, const char *text);

/* A name for a level: "error", "warning", "info", "debug". */
const char *log_level_name(enum log_level level);

/**
 * log_set_hook - send messages elsewhere instead of to standard error
 * @hook:	called with one message without its newline; NULL: standard error
 * @opaque:	handed to @hook
 *
 * This is how --json turns messages into objects, and how a progress line is
 * wiped before a message is written over it. Called under a lock, from any thread.
 */
void log_set_hook(void (*hook)(void *opaque, enum log_level level,
			       const char *text), void *opaque);

#endif /* KVMFERRY_LOG_H */
