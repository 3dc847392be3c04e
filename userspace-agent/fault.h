/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Named fault points, in test builds only (FERRY_FAULT): the agent stops itself (SIGSTOP)
 * when it comes to the one that the environment's KVMFERRY_FAULT names, so that a test can
 * kill whomever it likes at exactly that moment, and let the agent go on.
 *
 * "source:STAGE" is the beginning of a stage (stages.c), "source:committed" comes right before
 * the first byte of COMMIT leaves. At the target: "target:incoming" before READY, "commit" and
 * "owns" before and after that is recorded, "runs" before the source hears that the VM runs, and
 * "told" before that is recorded.
 */
#ifndef KVMFERRY_FAULT_H
#define KVMFERRY_FAULT_H

#ifdef FERRY_FAULT
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static inline void fault_point(const char *side, const char *name)
{
	const char *armed = getenv("KVMFERRY_FAULT");
	size_t n = strlen(side);

	if (armed && !strncmp(armed, side, n) && armed[n] == ':' && !strcmp(armed + n + 1, name))
		raise(SIGSTOP);
}
#else
static inline void fault_point(const char *side, const char *name)
{
	(void)side;
	(void)name;
}
#endif

#endif /* KVMFERRY_FAULT_H */
