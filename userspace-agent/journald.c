// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Messages with fields, for systemd's journal.
 */
/* Where in these sources a message comes from helps nobody. */
#define SD_JOURNAL_SUPPRESS_LOCATION

/* Before syslog(3)'s names for levels come in. */
#include "journald.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#define VALUE_SIZE	512

static const char *const names[JOURNALD_FIELDS] = {
	[JOURNALD_MIGRATION_ID] = "MIGRATION_ID",
	[JOURNALD_VM] = "VM",
	[JOURNALD_ROLE] = "ROLE",
	[JOURNALD_PEER] = "PEER",
	[JOURNALD_STAGE] = "STAGE",
	[JOURNALD_RESULT] = "RESULT",
};

/* By enum log_level: as syslog(3) numbers error, warning, info and debug. */
static const int priorities[] = { 3, 4, 6, 7 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char values[JOURNALD_FIELDS][VALUE_SIZE];

/* systemd says which stream it has made: a shell may have redirected the standard error since. */
bool journald_wanted(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       !fstat(STDERR_FILENO, &st) && st.st_dev == device && st.st_ino == inode;
}

void journald_set(enum journald_field field, const char *value)
{
	pthread_mutex_lock(&lock);
	snprintf(values[field], sizeof(values[field]), "%s", value ? value : "");
	pthread_mutex_unlock(&lock);
}

__attribute__((format(printf, 2, 3)))
static void add(struct journald_message *m, const char *format, ...)
{
	char *text = m->storage[m->count];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(m->storage[0]), format, args);
	va_end(args);
	m->field[m->count++] = (struct iovec){ .iov_base = text, .iov_len = strlen(text) };
}

void journald_compose(struct journald_message *m, enum log_level level, const char *text)
{
	m->count = 0;
	add(m, "MESSAGE=%s", text);
	add(m, "PRIORITY=%d", priorities[level]);
	add(m, "SYSLOG_IDENTIFIER=kvmferry");
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < JOURNALD_FIELDS; i++)
		if (values[i][0])
			add(m, "%s=%s", names[i], values[i]);
	if (values[JOURNALD_RESULT][0])
		add(m, "MESSAGE_ID=" JOURNALD_ENDED);
	pthread_mutex_unlock(&lock);
}

bool journald_send(enum log_level level, const char *text)
{
	struct journald_message m;

	if (!journald_wanted())
		return false;
	journald_compose(&m, level, text);
	return sd_journal_sendv(m.field, m.count) == 0;
}
