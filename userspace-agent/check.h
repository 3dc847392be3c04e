/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every precondition of a migration, in one list. `kvmferry check` prints them,
 * `send` and `receive` insist on them. Nothing is changed by looking.
 */
#ifndef KVMFERRY_CHECK_H
#define KVMFERRY_CHECK_H

#include "journal.h"
#include "qmp.h"
#include "ramblocks.h"
#include "vmdisks.h"

enum check_result {
	CHECK_PASS,
	CHECK_WARN,
	CHECK_FAIL,
};

/* One line of the report. */
typedef void check_line_fn(void *opaque, enum check_result result,
			   const char *name, const char *text);

/* A check_line_fn: the log has failures and warnings, and with --verbose the rest. */
void check_log(void *opaque, enum check_result result, const char *name, const char *text);

/**
 * check_vm - go through the list
 * @side:	JOURNAL_SOURCE or JOURNAL_TARGET: whose preconditions
 * @state_dir:	where owner records are
 * @rams:	out: the VM's RAM blocks, to be closed; empty if not found
 * @disks:	out: its disks, likewise
 * @line:	called for each precondition; NULL: check_log()
 * @why:	the first failure
 *
 * Returns the number of failures.
 */
int check_vm(struct qmp *qmp, enum journal_side side, const char *state_dir,
	     struct ramblocks *rams, struct vmdisks *disks, check_line_fn *line,
	     void *opaque, struct failure *why);

#endif /* KVMFERRY_CHECK_H */
