/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages with fields, for systemd's journal.
 *
 * When standard error is a stream to the journal (a unit of systemd), each message goes
 * there by itself, with its priority and what is known of the migration, so that
 *
 *	journalctl MIGRATION_ID=0123...		tells of one migration, on both hosts
 *	journalctl VM=... RESULT=runs-on	of those of a VM that failed
 *	journalctl MESSAGE_ID=f8f8...		of how each migration ended
 *
 * The fields are the list below; a message has those that are known by then.
 */
#ifndef KVMFERRY_JOURNALD_H
#define KVMFERRY_JOURNALD_H

#include <stdbool.h>
#include <sys/uio.h>

#include "log.h"

/* MESSAGE_ID of the message that has RESULT: how a migration ended. */
#define JOURNALD_ENDED	"f8f8c3a06d164d92b1a7d6f7d2f3f0b4"

enum journald_field {
	JOURNALD_MIGRATION_ID,	/* 32 hexadecimal digits, as in owner records */
	JOURNALD_VM,		/* UUID or name */
	JOURNALD_ROLE,		/* "source" or "target" */
	JOURNALD_PEER,		/* the other agent's address */
	JOURNALD_STAGE,		/* under way, as --json names it */
	JOURNALD_RESULT,	/* the status of "done" or "failed" of --json */
	JOURNALD_FIELDS,
};

/* MESSAGE, PRIORITY, SYSLOG_IDENTIFIER, MESSAGE_ID, and the above. */
#define JOURNALD_MOST	(4 + JOURNALD_FIELDS)

/* Is standard error a stream to the journal? */
bool journald_wanted(void);

/* From now on messages have this value of this field; NULL: no longer. Too long: cut. */
void journald_set(enum journald_field field, const char *value);

/* One message to the journal, if that is wanted. Returns false if it was not sent. A sink of log.h. */
bool journald_send(enum log_level level, const char *text);

/**
 * struct journald_message - what journald_compose() makes
 * @count:	fields of @field, each "NAME=value"
 */
struct journald_message {
	struct iovec field[JOURNALD_MOST];
	int count;
	char storage[JOURNALD_MOST][1100];
};

void journald_compose(struct journald_message *m, enum log_level level, const char *text);

#endif /* KVMFERRY_JOURNALD_H */
