/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stages of a migration, at the source, in their order.
 */
#ifndef KVMFERRY_STAGES_H
#define KVMFERRY_STAGES_H

#include "source.h"

/**
 * struct stage - one step, and how to take it back
 * @name:	one word, for programs
 * @doing:	what goes on, for people
 * @act:	does it; returns 0, or -1 with @why
 * @undo:	undoes it, also when @act failed half-way; may be NULL
 */
struct stage {
	const char *name;
	const char *doing;
	int (*act)(struct source *s, struct failure *why);
	void (*undo)(struct source *s);
};

/**
 * stages_run - go through all of them
 *
 * After a failure the target is told, and every stage that had begun is undone in
 * reverse order, unless the VM was committed to the target before: from there on
 * nothing is undone.
 *
 * Returns 0, or -1 with @why and @s->stage.
 */
int stages_run(struct source *s, struct failure *why);

/* Closes whatever is still open at the end, whichever way it went. */
void stages_cleanup(struct source *s);

/* Milliseconds of each stage of the blackout, as an object. */
json_t *stages_downtime(const struct source *s);

#endif /* KVMFERRY_STAGES_H */
