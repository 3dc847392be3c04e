// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All that is known of who owns a VM.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "owners.h"

/* ------------------------------------------------------------------------
 * From the state directory
 * ------------------------------------------------------------------------ */

struct reading {
	struct owners *owners;
	struct failure *why;
};

static int take_record(const struct journal *j, const struct failure *trouble, void *opaque)
{
	struct reading *r = opaque;
	struct owners *o = r->owners;

	if (trouble->text[0])
		return fail(r->why, "%s", trouble->text);
	if (o->count == OWNERS_MAX)
		return fail(r->why, "%s: there are more than %d owner records of this VM; those of \"incoming\" that are old can be deleted",
			    j->path, OWNERS_MAX);
	o->owner[o->count++] = (struct owner){
		.record = *j,
		.qemu = journal_has_qemu(j),
		.agent = journal_has_agent(j),
	};
	return 0;
}

int owners_read(struct owners *o, const char *dir, const char *vm, struct failure *why)
{
	struct reading reading = { .owners = o, .why = why };

	*o = (struct owners){ .known = true };
	snprintf(o->vm, sizeof(o->vm), "%s", vm);
	gethostname(o->host, sizeof(o->host) - 1);
	if (journal_sync(dir, why))
		return -1;
	return journal_each(dir, vm, take_record, &reading);
}

/* ------------------------------------------------------------------------
 * JSON
 * ------------------------------------------------------------------------ */

static json_t *record_json(const struct owner *owner)
{
	const struct journal *j = &owner->record;
	char id[JOURNAL_ID_DIGITS + 1], after[JOURNAL_ID_DIGITS + 1];

	journal_put_id(id, j->id);
	journal_put_id(after, j->after);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:b, s:b, s:s}",
			 "migration", id, "after", after, "side", journal_side_name(j->side),
			 "state", journal_state_name(j->state), "peer", j->peer,
			 "pid", (int)j->pid, "qemu", owner->qemu, "agent", owner->agent,
			 "file", j->path);
}

json_t *owners_json(const struct owners *o)
{
	json_t *records = json_array();

	for (unsigned int i = 0; i < o->count; i++)
		json_array_append_new(records, record_json(&o->owner[i]));
	return records;
}

static bool take_object(struct owner *owner, json_t *object)
{
	struct journal *j = &owner->record;
	const char *id, *after, *side, *state, *peer, *file;
	int pid, qemu, agent;

	if (json_unpack(object, "{s:s, s:s, s:s, s:s, s:s, s:i, s:b, s:b, s:s}",
			"migration", &id, "after", &after, "side", &side, "state", &state, "peer", &peer,
			"pid", &pid, "qemu", &qemu, "agent", &agent, "file", &file))
		return false;
	*owner = (struct owner){ .qemu = qemu, .agent = agent, .record.pid = pid };
	snprintf(j->peer, sizeof(j->peer), "%s", peer);
	snprintf(j->path, sizeof(j->path), "%s", file);
	return journal_get_id(j->id, id) && journal_get_id(j->after, after) &&
	       journal_side_of(side, &j->side) && journal_state_of(state, &j->state) &&
	       j->state < JOURNAL_NONE;
}

/* Is this line about @vm? It is taken then, 1; else 0; -1: it is malformed. */
static int take_line(struct owners *o, json_t *line, const char *vm)
{
	const char *name, *host;
	json_t *records, *record;
	size_t i;

	if (json_unpack(line, "{s:s, s:s, s:o}", "vm", &name, "host", &host,
			"records", &records))
		return -1;
	if (strcmp(name, vm) != 0)
		return 0;
	snprintf(o->vm, sizeof(o->vm), "%s", name);
	snprintf(o->host, sizeof(o->host), "%s", host);
	if (!json_is_array(records) || json_array_size(records) > OWNERS_MAX)
		return -1;
	json_array_foreach(records, i, record)
		if (!take_object(&o->owner[o->count++], record))
			return -1;
	return 1;
}

int owners_parse(struct owners *o, FILE *file, const char *vm, struct failure *why)
{
	json_error_t error;
	int taken = 0;
	json_t *line;

	*o = (struct owners){ .known = true };
	while (!taken && (line = json_loadf(file, JSON_DISABLE_EOF_CHECK, &error))) {
		taken = take_line(o, line, vm);
		json_decref(line);
	}
	if (taken > 0)
		return 0;
	return fail(why, "it does not say what kvmferry recover --vm %s --json says on the other host", vm);
}

/* ------------------------------------------------------------------------
 * Which migration decides, and how
 * ------------------------------------------------------------------------ */

static const struct owner *find(const struct owners *o, const uint8_t *id,
				enum journal_side side)
{
	for (unsigned int i = 0; i < o->count; i++) {
		const struct journal *j = &o->owner[i].record;

		if (j->side == side && !memcmp(j->id, id, sizeof(j->id)))
			return &o->owner[i];
	}
	return NULL;
}

/*
 * How late in the life of a VM on one host. What came is later than what left, if both are
 * there: before it leaves, records of how it came are deleted.
 */
static int lateness(const struct journal *j)
{
	static const int order[JOURNAL_STATES] = {
		[JOURNAL_INCOMING] = 1,		/* it never came */
		[JOURNAL_GONE] = 2,		/* another QEMU may have begun anew since */
		[JOURNAL_OWNS] = 3,
		[JOURNAL_COMMITTED] = 4,
		[JOURNAL_RUNNING] = 5,
	};

	return j->state == JOURNAL_OWNS && j->side == JOURNAL_TARGET ?
	       order[JOURNAL_RUNNING] : order[j->state];
}

static const struct owner *last(const struct owners *o)
{
	const struct owner *latest = NULL;

	for (unsigned int i = 0; i < o->count; i++)
		if (!latest ||
		    lateness(&o->owner[i].record) > lateness(&latest->record))
			latest = &o->owner[i];
	return latest;
}

/* It left by @mine, as @theirs may tell, or did not come: so it is not here by it. */
static bool is_past(const struct journal *mine, const struct journal *theirs)
{
	return mine->state == JOURNAL_INCOMING || mine->state == JOURNAL_GONE ||
	       (mine->state == JOURNAL_COMMITTED && theirs->side == JOURNAL_SOURCE &&
		!memcmp(theirs->after, mine->id, sizeof(mine->id)));
}

/*
 * The record that decides. Unless the VM is here by one, the other host may know of a later one:
 * NULL then if nothing is left of that here, and all that is here are attempts that failed.
 */
static const struct owner *choose(const struct owners *here, const struct owners *there)
{
	const struct owner *mine = last(here), *theirs = last(there);
	const struct owner *same;

	if (!mine || !theirs || !is_past(&mine->record, &theirs->record))
		return mine;
	same = find(here, theirs->record.id, journal_other_side(theirs->record.side));
	if (same)
		return same;
	return mine->record.state == JOURNAL_INCOMING &&
	       theirs->record.side == JOURNAL_SOURCE ? NULL : mine;
}

/*
 * Does any record say that the VM was on this host, but for how it came to the other one before
 * the migration @mine?
 */
static bool was_there(const struct owners *o, const struct owner *mine)
{
	for (unsigned int i = 0; i < o->count; i++) {
		const struct journal *j = &o->owner[i].record;

		if (j->state != JOURNAL_INCOMING &&
		    memcmp(j->id, mine->record.after, sizeof(j->id)) != 0)
			return true;
	}
	return false;
}

static enum journal_state state_of(const struct owner *owner)
{
	return owner ? owner->record.state : JOURNAL_NONE;
}

/* What the other host says of a migration that this one has a record of. */
static void ask_other(struct ruling *r, const struct owners *here, const struct owners *there)
{
	enum journal_side side = journal_other_side(r->side);

	r->theirs = find(there, r->id, side);
	/* Both may be one host, with one directory. */
	if (!r->theirs)
		r->theirs = find(here, r->id, side);
	r->there = state_of(r->theirs);
	if (r->theirs)
		return;
	r->apart = side == JOURNAL_TARGET && was_there(there, r->mine);
	if (!there->known || r->apart)
		r->there = JOURNAL_UNKNOWN;
}

struct ruling owners_judge(const struct owners *here, const struct owners *there)
{
	struct ruling r = { .mine = choose(here, there), .theirs = last(there) };

	r.here = state_of(r.mine);
	r.there = state_of(r.theirs);
	if (!r.mine && !r.theirs)
		return r;
	r.known = true;
	if (r.mine) {
		memcpy(r.id, r.mine->record.id, sizeof(r.id));
		r.side = r.mine->record.side;
		ask_other(&r, here, there);
	} else {
		memcpy(r.id, r.theirs->record.id, sizeof(r.id));
		r.side = journal_other_side(r.theirs->record.side);
	}
	r.verdict = r.side == JOURNAL_SOURCE ? verdict(r.here, r.there) :
					       verdict(r.there, r.here);
	return r;
}
