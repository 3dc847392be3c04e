// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Why something failed: the one way to write it down.
 */
#include <stdarg.h>
#include <stdio.h>

#include "why.h"

int why_set(struct why *why, const char *format, ...)
{
	va_list args;

	if (!why)
		return -1;

	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return -1;
}
