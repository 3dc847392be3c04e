// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The source's QEMU during the switchover.
 *
 * With x-ignore-shared QEMU sends device state only. With pause-before-switchover
 * it waits before that, so that RAM can be settled first. With return-path it says
 * "completed" only after the target's QEMU has loaded everything; without it, it
 * would say so with the target dead.
 *
 * The VM is stopped before `migrate`, not by it. So after a failure QEMU leaves it
 * stopped, and whether it runs again is decided here alone.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attend.h"
#include "clock.h"
#include "outgoing.h"
#include "qemu.h"

#define FD_NAME		"kvmferry"
#define CANCEL_MS	10000	/* for QEMU to notice that it was cancelled */

/* What QEMU must do during a migration of ours, and what it must not. */
static const struct {
	const char *name;
	bool on;
} wanted[] = {
	{ "x-ignore-shared", true },
	{ "return-path", true },
	{ "pause-before-switchover", true },
	{ "events", true },
	{ "multifd", false },
	{ "postcopy-ram", false },
	{ "background-snapshot", false },
	{ "zero-copy-send", false },
	{ "mapped-ram", false },
	{ "x-colo", false },
	{ "block", false },
	{ "compress", false },
};

/* ------------------------------------------------------------------------
 * Events
 * ------------------------------------------------------------------------ */

static enum outgoing_status read_status(const char *status)
{
	static const struct {
		const char *word;
		enum outgoing_status status;
	} words[] = {
		{ "setup", OUTGOING_ACTIVE },
		{ "active", OUTGOING_ACTIVE },
		{ "pre-switchover", OUTGOING_WAITING },
		{ "device", OUTGOING_ACTIVE },
		{ "completed", OUTGOING_COMPLETED },
		{ "failing", OUTGOING_FAILED },
		{ "failed", OUTGOING_FAILED },
		{ "cancelling", OUTGOING_FAILED },
		{ "cancelled", OUTGOING_FAILED },
	};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (status && !strcmp(status, words[i].word))
			return words[i].status;
	return OUTGOING_NONE;
}

/* After COMMIT: somebody has told this QEMU to continue what is not its VM any more. */
static void stop_stray(struct source *s)
{
	struct failure why = { 0 };

	if (qmp_send(s->qmp, -1, false, "stop", NULL, &why) < 0)
		log_error("the VM runs here (QEMU is process %d) although it was committed to %s, and cannot be stopped: %s",
			  (int)s->rams.pid, s->options->to, why.text);
	else
		log_warn("somebody has continued the VM here although it was committed to %s: it is stopped again",
			 s->options->to);
}

static void on_event(void *opaque, const char *name, const json_t *data)
{
	struct source *s = opaque;

	log_debug("QEMU: %s", name);
	if (!strcmp(name, "MIGRATION"))
		s->outgoing = read_status(json_string_value(
					json_object_get(data, "status")));
	else if (!strcmp(name, "RESUME") && s->committed)
		stop_stray(s);
}

void outgoing_watch(struct source *s)
{
	qmp_on_event(s->qmp, on_event, s);
}

/* ------------------------------------------------------------------------
 * Stop and cont
 * ------------------------------------------------------------------------ */

/* Like qmp_do(), attending to all else. */
static int command(struct source *s, int fd, const char *name, json_t *arguments,
		   struct failure *why)
{
	json_t *result = attend_command(s, fd, name, arguments, why);

	json_decref(result);
	return result ? 0 : -1;
}

int outgoing_look(struct source *s, bool *running, struct failure *why)
{
	json_t *status = attend_command(s, -1, "query-status", NULL, why);

	*running = json_is_true(json_object_get(status, "running"));
	json_decref(status);
	return status ? 0 : -1;
}

/* The target was told in HELLO whether the VM runs, and will act upon it. */
int outgoing_stop(struct source *s, struct failure *why)
{
	bool running;

	if (outgoing_look(s, &running, why))
		return -1;
	if (running != s->was_running)
		return fail(why, "the VM was %s by somebody else during the migration; try again",
			    running ? "continued" : "stopped");
	s->blackout_begin_us = clock_us();
	if (!running)
		return 0;
	s->stopped = true;
	s->stop = qmp_send(s->qmp, -1, false, "stop", NULL, why);
	return s->stop < 0 || qmp_pump(s->qmp, why) ? -1 : 0;
}

int outgoing_stopped(struct source *s, struct failure *why)
{
	json_t *result;

	if (!s->stopped)
		return 0;
	result = attend_reply(s, s->stop, "stop", why);
	json_decref(result);
	return result ? 0 : -1;
}

void outgoing_cont(struct source *s)
{
	struct failure why = { 0 };

	if (!s->stopped)
		return;
	s->stopped = false;
	if (s->qemu_gone)
		return;
	if (!qmp_do(s->qmp, s->options->timeout_ms, &why, "cont", NULL))
		return;
	s->paused_here = true;
	log_error("the VM is here but could not be made to run: %s; continue it by hand (QMP or HMP: cont)",
		  why.text);
}

/* ------------------------------------------------------------------------
 * Capabilities
 * ------------------------------------------------------------------------ */

static json_t *capability(const char *name, bool on)
{
	return json_pack("{s:s, s:b}", "capability", name, "state", on);
}

/* Sets those that differ from what is wanted, and keeps how they were. */
static int set_capabilities(struct source *s, struct failure *why)
{
	json_t *list = attend_command(s, -1, "query-migrate-capabilities", NULL,
				      why);
	json_t *change = json_array(), *before = json_array();
	size_t i;
	int result;

	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		int is = qemu_capability(list, wanted[i].name);

		if (is < 0 || is == wanted[i].on)
			continue;
		json_array_append_new(change, capability(wanted[i].name,
							 wanted[i].on));
		json_array_append_new(before, capability(wanted[i].name, is));
	}
	s->capabilities = before;
	result = list ? command(s, -1, "migrate-set-capabilities",
				json_pack("{s:O}", "capabilities", change), why) : -1;
	json_decref(change);
	json_decref(list);
	return result;
}

static void restore_capabilities(struct source *s)
{
	struct failure why = { 0 };

	if (!s->capabilities)
		return;
	if (qmp_do(s->qmp, QMP_TIMEOUT, &why, "migrate-set-capabilities",
		   "{s:O}", "capabilities", s->capabilities))
		log_warn("QEMU's migration capabilities could not be set back: %s",
			 why.text);
	json_decref(s->capabilities);
	s->capabilities = NULL;
}

/* ------------------------------------------------------------------------
 * Migrate
 * ------------------------------------------------------------------------ */

static int hand_over_tunnel(struct source *s, struct failure *why)
{
	int qemu, result;

	if (tunnel_open(&s->tunnel, &qemu, why))
		return -1;
	result = command(s, qemu, "getfd", json_pack("{s:s}", "fdname", FD_NAME),
			 why);
	close(qemu);
	s->handed = !result;
	return result;
}

/* QEMU's own words for a migration that failed. */
static int why_failed(struct source *s, struct failure *why)
{
	json_t *migrate = qmp_execute(s->qmp, QMP_TIMEOUT, NULL, "query-migrate",
				      NULL);
	const char *words = json_string_value(json_object_get(migrate,
							      "error-desc"));

	fail(why, "QEMU could not hand over its device state: %s; see the logs of both QEMUs",
	     words ? words : "it gives no reason");
	json_decref(migrate);
	return -1;
}

static bool is_waiting(const struct source *s)
{
	return s->outgoing == OUTGOING_WAITING || s->outgoing == OUTGOING_FAILED ||
	       s->outgoing == OUTGOING_COMPLETED;
}

static bool is_over(const struct source *s)
{
	return s->outgoing == OUTGOING_FAILED ||
	       s->outgoing == OUTGOING_COMPLETED;
}

int outgoing_migrate(struct source *s, struct failure *why)
{
	if (set_capabilities(s, why) || hand_over_tunnel(s, why))
		return -1;
	s->migrating = true;
	s->handed = false;	/* now it is the migration's */
	if (command(s, -1, "migrate", json_pack("{s:s}", "uri", "fd:" FD_NAME),
		    why) ||
	    attend_until(s, is_waiting, "QEMU did not get ready to switch over",
			 why))
		return -1;
	if (s->outgoing == OUTGOING_WAITING)
		return 0;
	return why_failed(s, why);
}

int outgoing_continue(struct source *s, struct failure *why)
{
	s->outgoing = OUTGOING_ACTIVE;
	if (command(s, -1, "migrate-continue",
		    json_pack("{s:s}", "state", "pre-switchover"), why) ||
	    attend_until(s, is_over, "the two QEMUs did not hand over device state",
			 why))
		return -1;
	return s->outgoing == OUTGOING_COMPLETED ? 0 : why_failed(s, why);
}

/* A failed migration of a paused VM leaves it so; only `cont` leads out of that. */
static void tell_postmigrate(struct source *s)
{
	char state[32];

	if (s->was_running || qemu_runstate(s->qmp, state, sizeof(state), NULL) ||
	    strcmp(state, "postmigrate") != 0)
		return;
	log_warn("QEMU calls the paused VM \"postmigrate\" from now on; it is here and can be continued (QMP: cont), and be moved only after that");
}

void outgoing_cancel(struct source *s)
{
	tunnel_close(&s->tunnel);
	if (s->handed)
		qmp_do(s->qmp, QMP_TIMEOUT, NULL, "closefd", "{s:s}", "fdname",
		       FD_NAME);
	s->handed = false;
	if (s->migrating) {
		qemu_cancel(s->qmp, CANCEL_MS);
		tell_postmigrate(s);
	}
	s->migrating = false;
	restore_capabilities(s);
}

int outgoing_quit(struct source *s, struct failure *why)
{
	if (qmp_send(s->qmp, -1, false, "quit", NULL, why) < 0)
		return -1;
	if (qemu_await_end(s->qmp, s->options->timeout_ms))
		return fail(why, "QEMU (process %d) did not quit; end it by hand, it must never run this VM again",
			    (int)s->rams.pid);
	return 0;
}
