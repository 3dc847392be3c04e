// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who may run a VM after a crash, and bringing it about.
 *
 * The verdict is of records alone. What is done is more careful than that: nothing while an
 * agent is at work, only to the QEMU that the record is of, and a QEMU that may be the last
 * to hold the VM is not ended. What must not run is stopped even if only a look was asked
 * for: whoever knows better can continue it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "owners.h"
#include "recover.h"

#define CANCEL_MS	10000	/* for QEMU to end a migration that nobody attends any more */

struct recover {
	const struct recover_options *options;
	struct qmp *qmp;		/* NULL: there is none */
	char run_state[32];		/* QEMU's; empty: not asked */
	struct owners here, there;
	struct ruling ruling;
};

/* ------------------------------------------------------------------------
 * What may be done
 * ------------------------------------------------------------------------ */

static bool is_running(const struct recover *r)
{
	return !strcmp(r->run_state, "running");
}

static enum verdict verdict_for(enum journal_side side)
{
	return side == JOURNAL_SOURCE ? VERDICT_SOURCE : VERDICT_TARGET;
}

/* May the VM run on this host, by the records? */
static bool is_ours(const struct ruling *ruling)
{
	return ruling->verdict == verdict_for(ruling->side);
}

static bool is_theirs(const struct ruling *ruling)
{
	return ruling->verdict == verdict_for(journal_other_side(ruling->side));
}

/* The other host, as it was called in the migration. */
static const char *peer(const struct recover *r)
{
	const struct owner *mine = r->ruling.mine;

	return mine ? mine->record.peer : r->there.host;
}

/* An agent that is at work may change its record in the next moment. */
static const struct owner *find_agent(const struct ruling *ruling)
{
	if (ruling->mine && ruling->mine->agent)
		return ruling->mine;
	return ruling->theirs && ruling->theirs->agent ? ruling->theirs : NULL;
}

/* Is the QEMU at the socket the one that had this VM in the migration? */
static bool is_of_record(const struct recover *r)
{
	const struct owner *mine = r->ruling.mine;

	return !mine || (mine->qemu && qmp_peer(r->qmp) == mine->record.pid);
}

/* Did this very QEMU give the VM away, or may it have? Then it must not run by itself. */
static bool is_fenced(const struct recover *r)
{
	const struct ruling *ruling = &r->ruling;

	return ruling->mine && ruling->side == JOURNAL_SOURCE && is_of_record(r) &&
	       (ruling->here == JOURNAL_COMMITTED || ruling->here == JOURNAL_GONE) &&
	       ruling->verdict != VERDICT_EITHER && !find_agent(ruling);
}

/* ------------------------------------------------------------------------
 * Words
 * ------------------------------------------------------------------------ */

/* What the operator has to know if nothing can be told: it depends on what is missing. */
static void say_nobody(const struct recover *r, struct failure *text)
{
	if (r->ruling.apart)
		fail(text, "nobody may run it for now: the other host has no record of this migration, but one of another, so that the VM was there at some time; find out where it went from there");
	else if (!r->there.known)
		fail(text, "nobody may run it before it is known what the record on %s says: kvmferry recover --vm %s --json says it there, give that here with --peer; if that host is lost for good, cut it off from the storage and begin the VM anew from its disks, as what stands here may be too old",
		     peer(r), r->here.vm);
	else
		fail(text, "it is neither here nor on %s by these records: it was handed over there, and has moved on or was ended since",
		     peer(r));
}

static void say_either(const struct recover *r, struct failure *text)
{
	if (r->ruling.side == JOURNAL_SOURCE)
		fail(text, "the VM was committed to %s, and that did not arrive: it may be continued here (kvmferry recover --apply) or, once this QEMU is ended, there, but only on one of them",
		     peer(r));
	else
		fail(text, "the source committed the VM, and that did not arrive: it may be continued there (kvmferry recover --apply) or, once the source's QEMU is ended, here, but only on one of them");
}

static void say_verdict(const struct recover *r, struct failure *text)
{
	const struct owner *agent = find_agent(&r->ruling);

	if (!r->ruling.known)
		fail(text, "no record of this VM: no migration of it is in doubt here");
	else if (agent)
		fail(text, "its agent (kvmferry %s) is still at work %s: wait for it, or end it",
		     agent->record.side == JOURNAL_SOURCE ? "send" : "receive",
		     agent == r->ruling.mine ? "here" : "there");
	else if (is_ours(&r->ruling))
		fail(text, "the VM is here, and may run here only");
	else if (is_theirs(&r->ruling))
		fail(text, r->ruling.side == JOURNAL_SOURCE ?
		     "the VM belongs to %s, and must never run here again" :
		     "the VM belongs to %s, and has never run here", peer(r));
	else if (r->ruling.verdict == VERDICT_EITHER)
		say_either(r, text);
	else if (r->ruling.verdict == VERDICT_NOBODY)
		say_nobody(r, text);
	else
		fail(text, "these records contradict each other: one was lost or made up; find out by hand where the VM runs");
}

static void print_side(const char *where, enum journal_side side, enum journal_state state,
		       const struct owner *owner)
{
	printf("  %-6s %s, %s", where, journal_side_name(side), journal_state_name(state));
	if (owner)
		printf("; QEMU (process %d) %s, agent %s", (int)owner->record.pid,
		       owner->qemu ? "is there" : "has ended",
		       owner->agent ? "at work" : "has ended");
	putchar('\n');
}

static void print(const struct recover *r, const char *text)
{
	const struct ruling *ruling = &r->ruling;
	char id[JOURNAL_ID_DIGITS + 1];

	printf("%s\n", r->here.vm);
	if (ruling->known) {
		journal_put_id(id, ruling->id);
		printf("  migration %s, the other host is %s\n", id, peer(r));
		print_side("here:", ruling->side, ruling->here, ruling->mine);
		print_side("there:", journal_other_side(ruling->side), ruling->there,
			   ruling->theirs);
	}
	if (r->run_state[0])
		printf("  QEMU says that it is \"%s\"\n", r->run_state);
	printf("  %s\n", text);
}

static void print_json(const struct recover *r, const char *text)
{
	const struct ruling *ruling = &r->ruling;
	json_t *object = json_pack("{s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:s, s:s}",
				   "event", "recover", "vm", r->here.vm,
				   "host", r->here.host, "records", owners_json(&r->here),
				   "side", journal_side_name(ruling->side),
				   "here", journal_state_name(ruling->here),
				   "there", journal_state_name(ruling->there),
				   "verdict", ruling->known ? verdict_name(ruling->verdict) :
				   "none", "text", text);

	if (r->run_state[0])
		json_object_set_new(object, "run_state", json_string(r->run_state));
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
}

/* ------------------------------------------------------------------------
 * Deeds
 * ------------------------------------------------------------------------ */

/* A migration that nobody attends any more keeps QEMU from running the VM. */
static int end_migration(struct recover *r, struct failure *why)
{
	return qemu_cancel(r->qmp, CANCEL_MS) ? 0 :
		fail(why, "QEMU's migration does not end");
}

static int continue_vm(struct recover *r, struct failure *why)
{
	if (is_running(r))
		return 0;
	if (!strcmp(r->run_state, "inmigrate"))
		return fail(why, "this QEMU has not got the VM's state: the VM begins anew from its disks");
	if (end_migration(r, why) ||
	    qmp_do(r->qmp, QMP_TIMEOUT, why, "cont", NULL) ||
	    qemu_runstate(r->qmp, r->run_state, sizeof(r->run_state), why))
		return -1;
	if (!is_running(r))
		return fail(why, "QEMU says \"%s\" after it was told to continue the VM",
			    r->run_state);
	log_info("continued the VM");
	return 0;
}

static int quit_qemu(struct recover *r, struct failure *why)
{
	if (qmp_send(r->qmp, -1, false, "quit", NULL, why) < 0)
		return -1;
	if (qemu_await_end(r->qmp, QMP_TIMEOUT))
		return fail(why, "QEMU (process %d) does not quit; end it by hand",
			    (int)qmp_peer(r->qmp));
	snprintf(r->run_state, sizeof(r->run_state), "ended");
	log_info("ended this QEMU, whose VM is on %s", peer(r));
	return 0;
}

/* The record first: what it says then outlasts a crash, and so does what we do next. */
static int run_target(struct recover *r, struct failure *why)
{
	struct journal j = r->ruling.mine->record;

	if (j.state == JOURNAL_INCOMING && journal_write(&j, JOURNAL_OWNS, why))
		return -1;
	if (continue_vm(r, why) || journal_write(&j, JOURNAL_RUNNING, why))
		return -1;
	journal_forget(r->options->state_dir, &j);
	return 0;
}

/* The other host must not be able to run it then, whatever it does. */
static int take(struct recover *r, struct failure *why)
{
	const struct ruling *ruling = &r->ruling;
	struct journal j;

	if (ruling->side == JOURNAL_TARGET) {
		if (!ruling->mine || !ruling->theirs || ruling->theirs->qemu)
			return fail(why, "end the source's QEMU, then let kvmferry recover say there what the record says, and give it here anew");
		return run_target(r, why);
	}
	j = ruling->mine->record;
	if (journal_write(&j, JOURNAL_OWNS, why))
		return -1;
	log_info("took the VM back: %s says that it is here", j.path);
	return continue_vm(r, why);
}

/* QEMU at the source may be the last to hold the VM, if it never ran at the target. */
static int leave(struct recover *r, struct failure *why)
{
	const struct ruling *ruling = &r->ruling;

	if (ruling->side == JOURNAL_SOURCE && ruling->theirs && !ruling->theirs->qemu)
		return fail(why, "the VM belongs to %s, and its QEMU there has ended: the VM begins anew from its disks, and this QEMU can be ended (QMP: quit); only if kvmferry receive has said there that it never ran, delete %s there, and begin again",
			    peer(r), ruling->theirs->record.path);
	return quit_qemu(r, why);
}

/* Brings about what the verdict says. */
static int apply(struct recover *r, struct failure *why)
{
	const struct ruling *ruling = &r->ruling;

	if (!is_of_record(r))
		return fail(why, "this QEMU (process %d) is not the one of the record (process %d): what it holds is another state of the VM",
			    (int)qmp_peer(r->qmp), (int)ruling->mine->record.pid);
	if (is_theirs(ruling))
		return leave(r, why);
	if (ruling->verdict == VERDICT_EITHER)
		return take(r, why);
	return ruling->side == JOURNAL_TARGET ? run_target(r, why) : continue_vm(r, why);
}

/* Somebody said "cont" to a QEMU that has given its VM away. */
static void stop_stray(struct recover *r)
{
	struct failure why = { 0 };

	if (!is_running(r) || !is_fenced(r))
		return;
	if (qmp_do(r->qmp, QMP_TIMEOUT, &why, "stop", NULL) ||
	    qemu_runstate(r->qmp, r->run_state, sizeof(r->run_state), &why)) {
		log_error("the VM runs here (QEMU is process %d) although it was committed to %s, and could not be stopped: %s",
			  (int)qmp_peer(r->qmp), peer(r), why.text);
		return;
	}
	log_warn("the VM ran here although it was committed to %s: it was stopped; what it did to its disks meanwhile may have damaged them if it runs there, too",
		 peer(r));
}

/* ------------------------------------------------------------------------
 * One VM, or all
 * ------------------------------------------------------------------------ */

/* Can the verdict be acted upon? */
static bool is_decided(const struct ruling *ruling)
{
	return !find_agent(ruling) && ruling->known &&
	       (is_ours(ruling) || is_theirs(ruling) || ruling->verdict == VERDICT_EITHER);
}

/* What the records say now that something was done. */
static int look_again(struct recover *r, struct failure *why)
{
	char vm[QEMU_NAME_SIZE];

	memcpy(vm, r->here.vm, sizeof(vm));
	if (owners_read(&r->here, r->options->state_dir, vm, why))
		return -1;
	r->ruling = owners_judge(&r->here, &r->there);
	return 0;
}

static enum exit_status conclude(struct recover *r)
{
	const struct ruling *ruling = &r->ruling;
	struct failure text = { 0 }, why = { 0 };

	if (r->qmp)
		stop_stray(r);
	if (r->options->apply && is_decided(ruling)) {
		if (apply(r, &why) || look_again(r, &why)) {
			log_error("%s", why.text);
			(r->options->json ? print_json : print)(r, why.text);
			return EXIT_DOUBT;
		}
	}
	say_verdict(r, &text);
	(r->options->json ? print_json : print)(r, text.text);
	if (!ruling->known)
		return EXIT_DONE;
	if (!is_decided(ruling))
		return EXIT_DOUBT;
	return ruling->verdict == VERDICT_EITHER ? EXIT_DOUBT : EXIT_DONE;
}

static int read_peer(struct recover *r, const char *vm, struct failure *why)
{
	const char *path = r->options->peer;
	FILE *file;
	int result;

	r->there = (struct owners){ 0 };
	if (!path)
		return 0;
	file = strcmp(path, "-") != 0 ? fopen(path, "re") : stdin;
	if (!file)
		return fail(why, "--peer %s: %m", path);
	result = owners_parse(&r->there, file, vm, why);
	if (file != stdin)
		fclose(file);
	return result ? fail_in(why, "--peer %s", path) : 0;
}

static enum exit_status look_at(struct recover *r, const char *vm)
{
	struct failure why = { 0 };

	if (owners_read(&r->here, r->options->state_dir, vm, &why) ||
	    read_peer(r, vm, &why)) {
		log_error("%s", why.text);
		return EXIT_DOUBT;
	}
	r->ruling = owners_judge(&r->here, &r->there);
	return conclude(r);
}

struct names {
	char (*vm)[QEMU_NAME_SIZE];
	size_t count;
};

static int take_name(const struct journal *j, const struct failure *trouble, void *opaque)
{
	struct names *n = opaque;
	void *grown;

	if (trouble->text[0]) {
		log_error("%s", trouble->text);
		return 0;
	}
	for (size_t i = 0; i < n->count; i++)
		if (!strcmp(n->vm[i], j->vm))
			return 0;
	grown = realloc(n->vm, (n->count + 1) * sizeof(*n->vm));
	if (!grown)
		return -1;
	n->vm = grown;
	memcpy(n->vm[n->count++], j->vm, sizeof(j->vm));
	return 0;
}

/* Every VM that this host has records of. The worst of what is said of them. */
static enum exit_status look_at_all(struct recover *r)
{
	enum exit_status worst = EXIT_DONE;
	struct names names = { 0 };

	journal_each(r->options->state_dir, NULL, take_name, &names);
	for (size_t i = 0; i < names.count; i++) {
		enum exit_status status = look_at(r, names.vm[i]);

		if (status > worst)
			worst = status;
	}
	if (!names.count && !r->options->json)
		puts("this host has no owner records");
	free(names.vm);
	return worst;
}

/* The VM's name, and whether it runs. */
static int ask_qemu(struct recover *r, char vm[QEMU_NAME_SIZE], struct failure *why)
{
	r->qmp = qmp_open(r->options->qmp, QMP_TIMEOUT, why);
	if (!r->qmp)
		return -1;
	if (qemu_identity(r->qmp, vm, why) ||
	    qemu_runstate(r->qmp, r->run_state, sizeof(r->run_state), why))
		return -1;
	if (r->options->vm && strcmp(r->options->vm, vm) != 0)
		return fail(why, "--vm %s: the QEMU at %s has %s", r->options->vm,
			    r->options->qmp, vm);
	return 0;
}

enum exit_status recover_run(const struct recover_options *options)
{
	struct recover r = { .options = options };
	char vm[QEMU_NAME_SIZE];
	struct failure why = { 0 };
	enum exit_status status;

	if (!options->qmp)
		return options->vm ? look_at(&r, options->vm) : look_at_all(&r);
	if (ask_qemu(&r, vm, &why)) {
		log_error("%s", why.text);
		status = EXIT_FAILED;
	} else {
		status = look_at(&r, vm);
	}
	qmp_close(r.qmp);
	return status;
}
