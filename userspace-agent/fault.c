// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Is a fault armed? In test builds only.
 */
#include "fault.h"

#ifdef KVMFERRY_FAULTS
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
#endif
