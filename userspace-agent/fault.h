/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Named faults of the agent, in test builds (-DKVMFERRY_FAULTS) only: the environment variable
 * KVMFERRY_FAULT has the names of those that are armed, with commas in between.
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

#ifdef KVMFERRY_FAULTS
bool fault(const char *name);
#else
static inline bool fault(const char *name)
{
	(void)name;
	return false;
}
#endif

#endif /* KVMFERRY_FAULT_H */
