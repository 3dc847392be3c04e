// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One-line messages for the operator.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

#define LINE_SIZE	1024	/* bytes of one message, with its NUL */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static enum log_level least = LOG_INFO;
static void (*hook)(void *opaque, enum log_level level, const char *text);
static void *hook_opaque;
static bool (*sink)(enum log_level level, const char *text);

const char *log_level_name(enum log_level level)
{
	static const char *const names[] = {
		[LOG_ERROR] = "error",
		[LOG_WARN] = "warning",
		[LOG_INFO] = "info",
		[LOG_DEBUG] = "debug",
	};

	return names[level];
}

void log_set_level(enum log_level level)
{
	least = level;
}

void log_set_hook(void (*fn)(void *opaque, enum log_level level,
			     const char *text), void *opaque)
{
	pthread_mutex_lock(&lock);
	hook = fn;
	hook_opaque = opaque;
	pthread_mutex_unlock(&lock);
}

/* A message is one line, whatever QEMU or the other side put into it. */
static void flatten(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

void log_set_sink(bool (*fn)(enum log_level level, const char *text))
{
	sink = fn;
}

void log_write(enum log_level level, const char *text)
{
	if (sink && sink(level, text))
		return;
	if (level == LOG_INFO)
		fprintf(stderr, "kvmferry: %s\n", text);
	else
		fprintf(stderr, "kvmferry: %s: %s\n", log_level_name(level), text);
}

static void say(enum log_level level, const char *format, va_list args)
{
	char text[LINE_SIZE];

	if (level > least)
		return;
	vsnprintf(text, sizeof(text), format, args);
	flatten(text);

	pthread_mutex_lock(&lock);
	if (hook)
		hook(hook_opaque, level, text);
	else
		log_write(level, text);
	pthread_mutex_unlock(&lock);
}

#define SAY(level) do {				\
	va_list args;				\
						\
	va_start(args, format);			\
	say(level, format, args);		\
	va_end(args);				\
} while (0)

void log_error(const char *format, ...)
{
	SAY(LOG_ERROR);
}

void log_warn(const char *format, ...)
{
	SAY(LOG_WARN);
}

void log_info(const char *format, ...)
{
	SAY(LOG_INFO);
}

void log_debug(const char *format, ...)
{
	SAY(LOG_DEBUG);
}

int fail(struct failure *why, const char *format, ...)
{
	va_list args;

	if (!why || why->text[0])
		return -1;
	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return -1;
}

int fail_in(struct failure *why, const char *format, ...)
{
	char reason[FAILURE_SIZE];
	va_list args;
	size_t used;

	if (!why)
		return -1;
	memcpy(reason, why->text, sizeof(reason));
	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	used = strlen(why->text);
	snprintf(why->text + used, sizeof(why->text) - used, "%s%s",
		 reason[0] ? ": " : "", reason);
	return -1;
}

void die(enum exit_status status, const char *format, ...)
{
	SAY(LOG_ERROR);
	exit(status);
}
