/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a running agent publishes about its migration, for `kvmferry top`: one small file
 * of JSON in STATE_DIR, MIGRATION.source.json or MIGRATION.target.json.
 *
 * Each update is a new file that is renamed over the old one, so a reader sees the old
 * state or the new one, and never a part of one. An agent holds a lock (flock(2)) on its
 * file from before it has its name: a file without a lock is of an agent that has died.
 * At the end the file is removed.
 *
 * It never matters for the migration: what cannot be published is not.
 */
#ifndef KVMFERRY_STATE_H
#define KVMFERRY_STATE_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>

#include "log.h"

#define STATE_DIR	"/run/kvmferry"
#define STATE_MAX	(64u << 10)	/* bytes of a file; more is no state */

/* One published state. { .fd = -1 } publishes nothing. */
struct state {
	int fd;			/* of the file that has the name, locked */
	char path[PATH_MAX];	/* "": nothing to publish */
};

/**
 * state_open - begin to publish
 * @dir:	made if it is missing
 * @migration:	its id in hexadecimal digits
 * @side:	"source" or "target"
 *
 * Returns 0, or -1 with @why: nothing is published then.
 */
int state_open(struct state *s, const char *dir, const char *migration, const char *side,
	       struct failure *why);

/* Publishes @object instead of what was there. Returns 0, or -1 with @why. */
int state_put(struct state *s, const json_t *object, struct failure *why);

/* Removes the file. May be repeated. */
void state_close(struct state *s);

/**
 * state_visit_fn - one state
 * @alive:	its agent runs
 */
typedef void state_visit_fn(void *opaque, const json_t *object, bool alive);

/**
 * state_each - call @visit for each state in @dir, by name
 *
 * What cannot be read as one is passed over: it may have ended meanwhile.
 *
 * Returns how many, also if @dir is missing; or -1 with @why.
 */
int state_each(const char *dir, state_visit_fn *visit, void *opaque, struct failure *why);

#endif /* KVMFERRY_STATE_H */
