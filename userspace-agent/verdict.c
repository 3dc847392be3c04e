// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who may run a VM after a crash: the rule, as a table.
 */
#include "verdict.h"

/* Rows: what the source says. What is not here contradicts itself. */
static const enum verdict rule[JOURNAL_STATES][JOURNAL_STATES] = {
	[JOURNAL_UNKNOWN] = {
		[JOURNAL_UNKNOWN]	= VERDICT_NOBODY,
		[JOURNAL_NONE]		= VERDICT_NOBODY,
		[JOURNAL_INCOMING]	= VERDICT_NOBODY,
		[JOURNAL_OWNS]		= VERDICT_TARGET,
		[JOURNAL_RUNNING]	= VERDICT_TARGET,
	},
	[JOURNAL_NONE] = {
		[JOURNAL_UNKNOWN]	= VERDICT_NOBODY,
		[JOURNAL_NONE]		= VERDICT_SOURCE,
		[JOURNAL_INCOMING]	= VERDICT_SOURCE,
		[JOURNAL_OWNS]		= VERDICT_TARGET,
		[JOURNAL_RUNNING]	= VERDICT_TARGET,
	},
	[JOURNAL_OWNS] = {
		[JOURNAL_UNKNOWN]	= VERDICT_SOURCE,
		[JOURNAL_NONE]		= VERDICT_SOURCE,
		[JOURNAL_INCOMING]	= VERDICT_SOURCE,
	},
	[JOURNAL_COMMITTED] = {
		[JOURNAL_UNKNOWN]	= VERDICT_NOBODY,
		[JOURNAL_NONE]		= VERDICT_EITHER,
		[JOURNAL_INCOMING]	= VERDICT_EITHER,
		[JOURNAL_OWNS]		= VERDICT_TARGET,
		[JOURNAL_RUNNING]	= VERDICT_TARGET,
	},
	[JOURNAL_GONE] = {
		[JOURNAL_UNKNOWN]	= VERDICT_TARGET,
		/* It may have moved on, and what says so is a record of another migration. */
		[JOURNAL_NONE]		= VERDICT_NOBODY,
		[JOURNAL_OWNS]		= VERDICT_TARGET,
		[JOURNAL_RUNNING]	= VERDICT_TARGET,
	},
};

enum verdict verdict(enum journal_state source, enum journal_state target)
{
	return rule[source][target];
}

const char *verdict_name(enum verdict verdict)
{
	static const char *const names[] = {
		[VERDICT_CONTRADICTION] = "contradiction",
		[VERDICT_NOBODY] = "nobody",
		[VERDICT_SOURCE] = "source",
		[VERDICT_TARGET] = "target",
		[VERDICT_EITHER] = "either",
	};

	return names[verdict];
}
