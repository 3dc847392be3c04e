/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the agent itself may do, which is less than root may: in two steps, each for good and for all
 * threads made after it.
 *
 *	privileges_begin()	as soon as the command line is read. Capabilities that are needed to set
 *				a migration up remain; what the agent never does is denied: run
 *				programs, load modules or BPF, look into processes, and the like
 *	privileges_settle()	when all is set up. No capability remains, but for one of the
 *				target; and no process, namespace, mount or user is made any more
 *
 * What is denied fails with EPERM. It does not end the process as it does the decoder
 * (sandbox.h): the agent may be in the middle of a commit, and must get to the end of it.
 */
#ifndef KVMFERRY_PRIVILEGES_H
#define KVMFERRY_PRIVILEGES_H

#include "log.h"

enum privileges {
	PRIVILEGES_SOURCE,
	PRIVILEGES_TARGET,	/* it makes its decoder's sandbox, and ends that process */
	PRIVILEGES_FENCER,	/* a helper (fencer.h), which keeps what it has at the beginning */
};

/* Returns 0, or -1 with @why. */
int privileges_begin(enum privileges who, struct failure *why);

/* Returns 0, or -1 with @why. The process has one thread. */
int privileges_settle(enum privileges who, struct failure *why);

#endif /* KVMFERRY_PRIVILEGES_H */
