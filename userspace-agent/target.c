// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The receiving side of a migration, as a state machine.
 *
 * Theory of operation
 *
 *	WAITING		A QEMU waits, we listen. Strangers come and go.
 *	   | HELLO	RAM paired and emptied, QEMU reads from the tunnel, READY
 *	RECEIVING	Streams fill RAM; each pass is answered with digests;
 *	   |		device state goes through the tunnel, both ways
 *	   | COMMIT	The VM is ours. Written down, durably.
 *	COMMITTED	QEMU has loaded its device state, or is about to: then it
 *	   |		runs, the source is told, and that is written down
 *	[SETTLING]	The VM runs. Disk requests that were cancelled are still with the
 *	   |		source's storage: what overlaps them is held until they ended
 *	ENDED
 *
 * Before COMMIT the source is authoritative: whatever goes wrong, here or there, the
 * target's QEMU is ended, RAM is emptied and no record is left. It does not matter
 * how far it was; a device state that is fully loaded is no claim.
 *
 * After COMMIT the source will never run the VM again. So nothing that happens to
 * the connection matters any more, and an error does not end anything: the VM is
 * run here, or the operator is told that it is in doubt.
 *
 * One thread runs the machine, with one poll loop. Streams have a process of their own,
 * the decoder, that sends reports; the reading anew of RAM has threads that wake the
 * loop through an eventfd. Inputs are handled in the order of enum input: what the
 * source said on the control connection comes first, since it explains what then
 * happens to the streams.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "answer.h"
#include "clock.h"
#include "cutoff.h"
#include "privileges.h"
#include "takeover.h"
#include "target.h"

#define HELLO_TIMEOUT	5000	/* ms from a control connection to its HELLO */
#define SLACK		3000	/* ms more than the operator's time-out for a silent source */
#define TICK		250	/* ms between looks at the clock during a migration */

enum input {
	IN_SIGNAL,
	IN_CONTROL,
	IN_QMP,
	IN_CELL,
	IN_WAKE,
	IN_TUNNEL,
	IN_ACCEPTOR,
	IN_COUNT,
};

/* ------------------------------------------------------------------------
 * Connections
 * ------------------------------------------------------------------------ */

/* A connection that has not said a good HELLO is not worth more than a line. */
static void drop_control(struct target *t)
{
	struct connection link = t->control.link;

	t->control.link = CONNECTION_CLOSED;
	frames_close(&t->control);
	acceptor_refuse(&t->acceptor, &link, t->peer, t->why.text);
	t->why = (struct failure){ 0 };
}

/* In the decoder: it speaks to nobody, and has no use for our keys. */
static void forget_peers(void *opaque)
{
	struct target *t = opaque;

	acceptor_close(&t->acceptor);
	frames_close(&t->control);
	tls_close(t->tls);
}

/*
 * The last process is made, so most of what root may do can go. That our record can still be
 * written without it, we want to know now.
 */
static int start_decoder(struct target *t)
{
	return landing_start(&t->landing, forget_peers, t, &t->why) ||
	       privileges_settle(PRIVILEGES_TARGET, &t->why) ||
	       journal_write(&t->journal, JOURNAL_INCOMING, &t->why) ? -1 : 0;
}

static int welcome_stream(struct target *t, struct arrival *arrival)
{
	if (t->stage != TARGET_RECEIVING ||
	    memcmp(t->id, arrival->preamble.id, sizeof(t->id)) != 0) {
		acceptor_refuse(&t->acceptor, &arrival->link, arrival->peer,
				"it is a stream of a migration that is not known here");
		return 0;
	}
	if (landing_add_stream(&t->landing, arrival->preamble.channel, &arrival->link,
			       &t->why))
		return -1;
	return landing_is_ready(&t->landing) ? start_decoder(t) : 0;
}

static int on_control(struct target *t)
{
	int n;

	if (t->stage == TARGET_SETTLING)
		return takeover_settle(t);
	if (t->stage >= TARGET_COMMITTED) {
		/* Only polled for output, so this is its end. */
		if (frames_flush(&t->control, NULL) < 0)
			frames_close(&t->control);
		return 0;
	}
	n = frames_fill(&t->control, &t->why);
	if (n > 0) {
		t->alive = clock_ms();
		n = answer_frames(t);
	}
	if (n >= 0)
		return 0;
	if (t->begun)
		return -1;
	drop_control(t);
	return 0;
}

/*
 * One migration at a time. But whoever has not said HELLO yet has no claim: a source
 * says it in its first breath.
 */
static int welcome_control(struct target *t, struct arrival *arrival)
{
	struct failure why = { 0 };

	if (t->begun) {
		acceptor_refuse(&t->acceptor, &arrival->link, arrival->peer,
				"this target is busy with another migration");
		return 0;
	}
	if (t->control.link.fd >= 0) {
		fail(&t->why, "a newer one waits, and it has not said HELLO");
		drop_control(t);
	}
	if (frames_open(&t->control, &arrival->link, &why)) {
		log_warn("cannot serve %s: %s", arrival->peer, why.text);
		return 0;
	}
	memcpy(t->peer, arrival->peer, sizeof(t->peer));
	memcpy(t->id, arrival->preamble.id, sizeof(t->id));
	t->hello_by = clock_ms() + HELLO_TIMEOUT;
	/* HELLO may have come with the preamble: then poll() does not see it any more. */
	return on_control(t);
}

static int on_arrivals(struct target *t)
{
	struct arrival arrival;

	while (acceptor_next(&t->acceptor, &arrival)) {
		int result;

		if (arrival.preamble.kind == WIRE_CONTROL)
			result = welcome_control(t, &arrival);
		else
			result = welcome_stream(t, &arrival);
		if (result)
			return -1;
	}
	return 0;
}

/*
 * When sending fails the connection is lost, but not what the source said before
 * it was: COMMIT may be among it. So the failure is left to be found by reading.
 */
static void flush_control(struct target *t)
{
	struct failure why = { 0 };

	if (t->control.link.fd >= 0 && frames_flush(&t->control, &why) < 0)
		log_debug("%s", why.text);
}

/* ------------------------------------------------------------------------
 * The loop
 * ------------------------------------------------------------------------ */

static int on_signal(struct target *t)
{
	struct signalfd_siginfo info;

	if (read(t->signals, &info, sizeof(info)) != sizeof(info))
		return 0;
	if (t->stage == TARGET_COMMITTED) {
		log_warn("too late to stop: the VM belongs to this host");
		return 0;
	}
	return fail(&t->why, "stopped by signal %" PRIu32, info.ssi_signo);
}

static int on_landed(struct target *t)
{
	if (t->stage != TARGET_RECEIVING)
		return 0;
	return answer_landed(t) || landing_check(&t->landing, &t->why) ? -1 : 0;
}

static int on_wake(struct target *t)
{
	uint64_t count;

	if (read(t->wake, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return fail(&t->why, "cannot read an eventfd: %s", strerror(errno));
	return on_landed(t);
}

static int on_tunnel(struct target *t)
{
	if (t->stage >= TARGET_COMMITTED) {
		if (tunnel_move(&t->tunnel, &t->control, NULL))
			tunnel_close(&t->tunnel);
		return 0;
	}
	/* QEMU may have made room for what the source sent meanwhile. */
	return tunnel_move(&t->tunnel, &t->control, &t->why) || answer_frames(t) ? -1 : 0;
}

static int on_input(struct target *t, enum input input)
{
	switch (input) {
	case IN_SIGNAL:
		return on_signal(t);
	case IN_CONTROL:
		return on_control(t);
	case IN_QMP:
		return incoming_pump(&t->in, &t->why);
	case IN_CELL:
		return on_landed(t);
	case IN_WAKE:
		return on_wake(t);
	case IN_TUNNEL:
		return on_tunnel(t);
	case IN_ACCEPTOR:
		return on_arrivals(t);
	case IN_COUNT:
		break;
	}
	return 0;
}

/*
 * Has the source, or our QEMU, been silent for too long? With a little slack: a source
 * with the same time-out gives up first, and knows better why.
 */
static int check_silence(struct target *t)
{
	uint64_t bytes = landing_bytes(&t->landing);

	if (bytes != t->bytes || t->landing.verify)
		t->alive = clock_ms();
	t->bytes = bytes;
	if (clock_left(t->alive + target_timeout_ms(t) + SLACK))
		return 0;
	if (tunnel_is_full(&t->tunnel))
		return fail(&t->why, "the target's QEMU has not taken any device state "
			    "for %u s", t->options->timeout_s);
	return fail(&t->why, "no sign of life from the source for %u s",
		    t->options->timeout_s);
}

/* What time alone can bring. */
static int on_time(struct target *t)
{
	if (!acceptor_timeout(&t->acceptor) && on_arrivals(t))
		return -1;
	switch (t->stage) {
	case TARGET_WAITING:
		if (t->options->wait_s && !clock_left(t->source_by))
			return fail(&t->why, "no source has come for %u s", t->options->wait_s);
		if (t->control.link.fd < 0 || clock_left(t->hello_by))
			return 0;
		fail(&t->why, "it did not say what it wants to migrate");
		drop_control(t);
		return 0;
	case TARGET_RECEIVING:
		return landing_check(&t->landing, &t->why) || check_silence(t) ? -1 : 0;
	case TARGET_COMMITTED:
		return takeover_step(t);
	case TARGET_SETTLING:
		return t->control.link.fd >= 0 ? 0 :
			takeover_lose_source(t, "the connection broke");
	case TARGET_ENDED:
		break;
	}
	return 0;
}

/* With nothing to wait for, poll() must not see the descriptor: it would hang up. */
static struct pollfd wait_for(int fd, int events)
{
	return (struct pollfd){ .fd = events ? fd : -1, .events = (short)events };
}

/* What to wait for, and how long: ms. */
static int fill_poll(struct target *t, struct pollfd p[IN_COUNT])
{
	bool busy = t->stage != TARGET_WAITING || t->control.link.fd >= 0 || t->options->wait_s;
	bool deaf = t->stage == TARGET_COMMITTED || tunnel_is_full(&t->tunnel);
	int control = t->control.link.fd >= 0 ? frames_events(&t->control) : 0;
	int tunnel = t->tunnel.fd >= 0 ? tunnel_events(&t->tunnel, &t->control) : 0;

	p[IN_SIGNAL] = wait_for(t->signals, POLLIN);
	p[IN_CONTROL] = wait_for(t->control.link.fd, deaf ? control & ~POLLIN : control);
	p[IN_QMP] = wait_for(qmp_fd(t->in.qmp),
			     qmp_sending(t->in.qmp) ? POLLIN | POLLOUT : POLLIN);
	/* It may run, and end, as its guest likes. */
	if (t->stage == TARGET_SETTLING)
		p[IN_QMP].fd = -1;
	p[IN_CELL] = wait_for(t->landing.cell.fd, POLLIN);
	p[IN_WAKE] = wait_for(t->wake, POLLIN);
	p[IN_TUNNEL] = wait_for(t->tunnel.fd, tunnel);
	p[IN_ACCEPTOR] = wait_for(t->acceptor.fd, POLLIN);
	return busy ? TICK : acceptor_timeout(&t->acceptor);
}

static int step(struct target *t)
{
	struct pollfd p[IN_COUNT];
	int timeout = fill_poll(t, p);

	if (poll(p, IN_COUNT, timeout) < 0)
		return errno == EINTR ? 0 :
			fail(&t->why, "cannot poll: %s", strerror(errno));
	for (int i = 0; i < IN_COUNT; i++)
		if (p[i].revents && on_input(t, (enum input)i))
			return -1;
	if (on_time(t))
		return -1;
	flush_control(t);
	return 0;
}

/* ------------------------------------------------------------------------
 * Beginning and end
 * ------------------------------------------------------------------------ */

static int prepare(struct target *t)
{
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGHUP);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	t->signals = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
	t->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->signals < 0 || t->wake < 0)
		return fail(&t->why, "cannot set up: %s", strerror(errno));

	if ((t->options->fence &&
	     fencer_start(&t->fencer, t->options->state_dir, &t->why)) ||
	    privileges_begin(PRIVILEGES_TARGET, &t->why))
		return -1;
	if (tls_wanted(&t->options->tls)) {
		t->tls = tls_open(&t->options->tls, true, &t->why);
		if (!t->tls)
			return -1;
	}
	if (incoming_open(&t->in, t->options->qmp, t->options->state_dir, &t->why) ||
	    acceptor_open(&t->acceptor, t->options->listen, t->tls,
			  t->options->insecure, &t->why))
		return -1;
	t->source_by = clock_ms() + (int64_t)t->options->wait_s * 1000;
	log_info("waiting for a source at %s", t->acceptor.name);
	/* A service whose start has succeeded is one that a source can connect to. */
	sd_notifyf(true, "READY=1\nSTATUS=waiting for a source at %s", t->acceptor.name);
	progress_event(&t->progress, "listening",
		       json_pack("{s:s}", "address", t->acceptor.name));
	return 0;
}

/*
 * Something failed here just when the source may have committed. If COMMIT is in the
 * socket the VM is ours all the same, and giving up would leave it with nobody.
 */
static bool committed_after_all(struct target *t)
{
	struct failure why = t->why;
	int failed = 0;

	if (t->stage != TARGET_RECEIVING || !t->landing.final)
		return false;
	t->why = (struct failure){ 0 };
	while (!failed && t->stage == TARGET_RECEIVING && !tunnel_is_full(&t->tunnel) &&
	       frames_fill(&t->control, NULL) > 0)
		failed = answer_frames(t);
	/* To be committed and not able to write that down is a failure of its own. */
	if (t->stage >= TARGET_COMMITTED)
		return !failed;
	t->why = why;
	return false;
}

/* Failed before COMMIT: say so, and leave nothing behind. */
static void give_up(struct target *t)
{
	struct failure why = { 0 };

	log_error("%s", t->why.text);
	if (t->control.link.fd >= 0)
		frames_send(&t->control, WIRE_ABORT, t->why.text, strlen(t->why.text),
			    TARGET_GOODBYE, &why);
	tunnel_close(&t->tunnel);
	landing_close(&t->landing);

	if (guard_open(&t->guard, &t->in.disks, &why))
		log_warn("%s", why.text);
	cutoff_leave(t);
	frames_close(&t->control);
	if (t->begun && !t->options->keep_target) {
		incoming_quit(&t->in);
		landing_empty(&t->landing, &why);
	}
	if (t->recorded && journal_remove(&t->journal, &why))
		log_warn("%s", why.text);
}

static void tell_failure(struct target *t, const char *status)
{
	progress_event(&t->progress, "failed",
		       json_pack("{s:s, s:s}", "status", status, "reason",
				 t->why.text));
}

static enum exit_status tell_done(struct target *t)
{
	progress_done(&t->progress,
		      json_pack("{s:b, s:b, s:b}", "running",
				!!(t->hello.flags & WIRE_HELLO_RUNNING), "held",
				t->guard.closed > 0, "fenced", t->cut));
	if (!t->guard.closed) {
		cutoff_end(t);
		return EXIT_DONE;
	}
	log_warn("the VM runs here, but %u ranges of its disks stay guarded: %s; it waits if it needs them, until they are opened: kvmferry disk tells how",
		 t->guard.closed, t->why.text);
	return EXIT_HELD;
}

static enum exit_status conclude(struct target *t)
{
	if (!t->why.text[0] || t->stage == TARGET_SETTLING)
		return tell_done(t);
	progress_result(t->stage >= TARGET_COMMITTED ? "in-doubt" : "nothing-runs");
	if (t->stage >= TARGET_COMMITTED) {
		log_error("the VM belongs to this host but could not be run: %s; continue it: "
			  "kvmferry recover --apply; should QEMU be gone, %s%s", t->why.text,
			  t->in.asked ?
			  "begin the VM anew from its disks: it may have run here, and the source is too old" :
			  "it never ran here: kvmferry recover has it back on the source once this is deleted: ",
			  t->in.asked ? "" : t->journal.path);
		tell_failure(t, "in-doubt");
		return EXIT_DOUBT;
	}
	give_up(t);
	tell_failure(t, "nothing-runs");
	return EXIT_FAILED;
}

static void dispose(struct target *t)
{
	landing_close(&t->landing);
	frames_close(&t->control);
	tunnel_close(&t->tunnel);
	acceptor_close(&t->acceptor);
	tls_close(t->tls);
	incoming_close(&t->in);
	fencer_stop(&t->fencer);
	if (t->wake >= 0)
		close(t->wake);
	if (t->signals >= 0)
		close(t->signals);
	progress_end(&t->progress);
	free(t);
}

int target_run(const struct target_options *options)
{
	struct target *t = calloc(1, sizeof(*t));
	enum exit_status result;

	if (!t)
		die(EXIT_FAILED, "not enough memory");
	t->options = options;
	t->signals = -1;
	t->wake = -1;
	t->control.link.fd = -1;
	t->tunnel.fd = -1;
	t->landing = LANDING_NONE;
	t->acceptor.fd = -1;
	t->acceptor.listener = -1;

	progress_begin(&t->progress, options->json, NULL);
	if (!prepare(t))
		while (t->stage != TARGET_ENDED && (!step(t) || committed_after_all(t)))
			;
	result = conclude(t);
	dispose(t);
	return result;
}
