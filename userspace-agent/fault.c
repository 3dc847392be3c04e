// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Is a fault armed? In test builds only.
 */
#include "fault.h"

#ifdef FERRY_FAULT
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool fault(const char *name)
{
	const char *at = getenv("KVMFERRY_FAULT");
	size_t length;

	for (; at && *at; at += length + (at[length] == ',')) {
		length = strcspn(at, ",");
		if (length == strlen(name) && !memcmp(at, name, length))
			return true;
	}
	return false;
}

void fault_point(const char *side, const char *name)
{
	char both[64];

	snprintf(both, sizeof(both), "%s:%s", side, name);
	if (fault(both))
		raise(SIGSTOP);
}
#endif
