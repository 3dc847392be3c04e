// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the fuzzers of whole agents do instead of telling how a migration comes along, and of giving up
 * privileges (see QUIET in the Makefile).
 */
#include "privileges.h"
#include "progress.h"

void __wrap_progress_begin(struct progress *p, bool json, json_t *options);
void __wrap_progress_identify(struct progress *p, const struct progress_identity *who);
void __wrap_progress_end(struct progress *p);
int __wrap_privileges_begin(enum privileges who, struct failure *why);
int __wrap_privileges_settle(enum privileges who, struct failure *why);

/* Nobody watches. */
void __wrap_progress_begin(struct progress *p, bool json, json_t *options)
{
	(void)p;
	(void)json;
	json_decref(options);
}

void __wrap_progress_identify(struct progress *p, const struct progress_identity *who)
{
	(void)p;
	(void)who;
}

void __wrap_progress_end(struct progress *p)
{
	(void)p;
}

/* The fuzzer keeps what it has: it needs it for the next run. */
int __wrap_privileges_begin(enum privileges who, struct failure *why)
{
	(void)who;
	(void)why;
	return 0;
}

int __wrap_privileges_settle(enum privileges who, struct failure *why)
{
	(void)who;
	(void)why;
	return 0;
}
