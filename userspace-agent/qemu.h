/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a QEMU is asked, and how its answers are read, on whichever side it is. How
 * words get there and back is qmp.h's.
 */
#ifndef KVMFERRY_QEMU_H
#define KVMFERRY_QEMU_H

#include "qmp.h"

#define QEMU_NAME_SIZE	80	/* of a VM's name, with its NUL */

/**
 * qemu_identity - what to call this VM in owner records
 *
 * Its UUID, else its name, else "unnamed"; only letters, digits, '-', '_', '.'.
 */
int qemu_identity(struct qmp *qmp, char name[QEMU_NAME_SIZE], struct failure *why);

/* The run state of query-status: "running", "paused", "inmigrate", ... */
int qemu_runstate(struct qmp *qmp, char *state, size_t size, struct failure *why);

/**
 * qemu_capability - look up a migration capability
 * @list:	of query-migrate-capabilities; may be NULL
 * @name:	of the capability
 *
 * Returns 1 on, 0 off, -1 unknown to this QEMU.
 */
int qemu_capability(const json_t *list, const char *name);

/**
 * qemu_is_migrating - is a migration under way, in either direction?
 * @migrate:	of query-migrate; may be NULL
 *
 * Returns false also if QEMU does not say.
 */
bool qemu_is_migrating(const json_t *migrate);

/**
 * qemu_cancel - end QEMU's migration, if there is one, and wait until it has ended
 * @timeout:	ms
 *
 * Returns true if none is under way, also if QEMU does not say.
 */
bool qemu_cancel(struct qmp *qmp, int timeout);

/**
 * qemu_await_end - wait until QEMU, which was told to quit, has hung up
 * @timeout:	ms
 *
 * QEMU may or may not reply to `quit`; that it hangs up is the answer. Returns 0,
 * or -1 after @timeout.
 */
int qemu_await_end(struct qmp *qmp, int timeout);

#endif /* KVMFERRY_QEMU_H */
