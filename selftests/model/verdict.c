// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The agent's rule after a crash, verdict(), as macros for the model: is_VERDICT(source, target)
 * of two records, for each verdict that allows something.
 */
#include <stdio.h>

#include "verdict.h"

/* What the model calls a state; NULL if it is that of the other side. */
static const char *word(enum journal_state state, enum journal_side side)
{
	static const char *const words[2][JOURNAL_STATES] = {
		[JOURNAL_SOURCE] = {
			[JOURNAL_OWNS] = "JOURNAL_OWNS",
			[JOURNAL_COMMITTED] = "JOURNAL_COMMITTED",
			[JOURNAL_GONE] = "JOURNAL_GONE",
			[JOURNAL_NONE] = "JOURNAL_NONE",
			[JOURNAL_UNKNOWN] = "JOURNAL_UNKNOWN",
		},
		[JOURNAL_TARGET] = {
			[JOURNAL_INCOMING] = "JOURNAL_INCOMING",
			[JOURNAL_OWNS] = "JOURNAL_OWNS",
			[JOURNAL_RUNNING] = "JOURNAL_RUNNING",
			[JOURNAL_NONE] = "JOURNAL_NONE",
			[JOURNAL_UNKNOWN] = "JOURNAL_UNKNOWN",
		},
	};

	return words[side][state];
}

static void print_macro(const char *name, enum verdict wanted)
{
	printf("#define is_%s(source, target)\t(false", name);
	for (int s = 0; s < JOURNAL_STATES; s++)
		for (int t = 0; t < JOURNAL_STATES; t++) {
			const char *source = word((enum journal_state)s, JOURNAL_SOURCE);
			const char *target = word((enum journal_state)t, JOURNAL_TARGET);

			if (source && target &&
			    verdict((enum journal_state)s, (enum journal_state)t) == wanted)
				printf(" || \\\n\t((source) == %s && (target) == %s)", source, target);
		}
	puts(")");
}

int main(void)
{
	print_macro("source", VERDICT_SOURCE);
	print_macro("target", VERDICT_TARGET);
	print_macro("either", VERDICT_EITHER);
	return 0;
}
