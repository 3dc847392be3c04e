/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Named faults of the agent, in test builds (-DFERRY_FAULT) only: the environment variable
 * KVMFERRY_FAULT has the names of those that are armed, with commas in between.
 *
 * Points at which the agent stops itself (SIGSTOP), so that a test can kill whomever it likes at
 * exactly that moment, and let the agent go on: "source:STAGE" is the beginning of a stage
 * (stages.c), "source:committed" comes right before the first byte of COMMIT leaves. At the target:
 * "target:incoming" before READY, "commit" and "owns" before and after that is recorded, "runs"
 * before the source hears that the VM runs, and "told" before that is recorded.
 *
 * And things that it does:
 *
 *	decoder-unsealed	the decoder goes without its filter of system calls
 *	decoder-open, decoder-exec, decoder-connect, decoder-ptrace
 *				in the middle of a migration the decoder tries to do such a thing
 *	decoder-lies		in the middle of a migration the decoder tells of a pass that
 *				nobody has made
 */
#ifndef KVMFERRY_FAULT_H
#define KVMFERRY_FAULT_H

#include <stdbool.h>

#ifdef FERRY_FAULT
bool fault(const char *name);
void fault_point(const char *side, const char *name);
#else
static inline bool fault(const char *name)
{
	(void)name;
	return false;
}

static inline void fault_point(const char *side, const char *name)
{
	(void)side;
	(void)name;
}
#endif

#endif /* KVMFERRY_FAULT_H */
