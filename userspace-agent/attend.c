// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The source's event loop.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "attend.h"
#include "clock.h"

/*
 * Far above any device state. More than this means that QEMU sends RAM itself,
 * which would take the whole migration's time again, in the blackout.
 */
#define DEVICE_MAX	(64u << 20)

#define LAST_WORDS_MS	200	/* for a target that gives up to say why */

/* ------------------------------------------------------------------------
 * Frames of the target
 * ------------------------------------------------------------------------ */

static int take_digests(struct source *s, const struct wire_frame *frame,
			const uint8_t *payload, struct failure *why)
{
	const char *reason;

	if (wire_get_digests(&s->theirs, payload, frame->length, &reason))
		return fail(why, "the target's digests are malformed: %s; are both agents of one release?",
			    reason);
	if (s->theirs.rams != s->rams.count)
		return fail(why, "the target sent digests of %u RAM blocks instead of %u",
			    s->theirs.rams, s->rams.count);
	if (frame->type == WIRE_VERIFIED) {
		if (!s->verifying)
			return fail(why, "the target broke the protocol: it was not asked to read its RAM anew");
		s->verifying = false;
		s->verified = true;
		return 0;
	}
	if (s->theirs.pass != s->pass_done + 1 || s->theirs.pass > s->pass)
		return fail(why, "the target broke the protocol: it reports a pass that was not made");
	s->pass_done = s->theirs.pass;
	return 0;
}

static int take_abort(struct source *s, const struct wire_frame *frame,
		      const uint8_t *payload, struct failure *why)
{
	char text[WIRE_TEXT_SIZE];

	wire_get_text(text, payload, frame->length);
	s->told_abort = true;
	return fail(why, "the target gave up: %s", text);
}

static int take_ready(struct source *s, const uint8_t *payload, size_t len,
		      struct failure *why)
{
	const char *fault;

	if (wire_get_ready(&s->codecs, payload, len, &fault))
		return fail(why, "the target broke the protocol: %s", fault);
	s->ready = true;
	return 0;
}

static int take_frame(struct source *s, const struct wire_frame *frame,
		      const uint8_t *payload, struct failure *why)
{
	switch (frame->type) {
	case WIRE_READY:
		if (s->ready)
			break;
		return take_ready(s, payload, frame->length, why);
	case WIRE_PASS_DONE:
	case WIRE_VERIFIED:
		return take_digests(s, frame, payload, why);
	case WIRE_DEVICE:
		if (s->tunnel.fd < 0)
			break;
		return tunnel_deliver(&s->tunnel, payload, frame->length, why);
	case WIRE_DEVICE_EOF:
		/* No device state was sent yet, so that QEMU did not end well. */
		if (s->tunnel.fd < 0)
			return fail(why, "the target's QEMU has gone; see its messages there");
		return tunnel_deliver_eof(&s->tunnel, why);
	case WIRE_RUNNING:
		if (!s->committed)
			break;
		s->running = true;
		s->blackout_end_us = clock_us();
		return 0;
	case WIRE_DISKS_READY:
		return storage_take_ready(s, wire_get_disks_ready(payload), why);
	case WIRE_GUARDED:
		if (!s->storage.complete)
			break;
		s->storage.guarded = true;
		return 0;
	case WIRE_OPEN:
		if (!s->storage.settling)
			break;
		s->storage.open = true;
		return 0;
	case WIRE_ABORT:
		return take_abort(s, frame, payload, why);
	default:
		break;
	}
	return fail(why, "the target broke the protocol: frame %d out of place; are both agents of one release?",
		    (int)frame->type);
}

static int take_frames(struct source *s, struct failure *why)
{
	struct wire_frame frame;
	const uint8_t *payload;
	int more;

	while (!tunnel_is_full(&s->tunnel)) {
		more = frames_next(&s->control, &frame, &payload, why);
		if (more <= 0)
			return more;
		if (take_frame(s, &frame, payload, why))
			return -1;
	}
	return 0;
}

/* What came before the connection broke is seen before the break is. */
static int on_control(struct source *s, short events, struct failure *why)
{
	struct failure broken = { 0 };
	int filled = 0;

	if (events)
		filled = frames_fill(&s->control, &broken);
	if (take_frames(s, why))
		return -1;
	return filled < 0 ? fail(why, "%s", broken.text) : 0;
}

/* ------------------------------------------------------------------------
 * The others
 * ------------------------------------------------------------------------ */

/* After the commit QEMU may end as it likes, but is listened to as long as it is there. */
static int on_qmp(struct source *s, struct failure *why)
{
	struct failure broken = { 0 };

	if (!qmp_pump(s->qmp, &broken))
		return 0;
	if (s->committed) {
		s->qemu_left = true;
		return 0;
	}
	s->qemu_gone = true;
	return fail(why, "%s", broken.text);
}

static int on_tunnel(struct source *s, struct failure *why)
{
	if (s->committed) {
		/* QEMU's stream has ended well, or there would be no commit. */
		tunnel_close(&s->tunnel);
		return 0;
	}
	if (tunnel_move(&s->tunnel, &s->control, why))
		return -1;
	if (s->tunnel.sent <= DEVICE_MAX)
		return 0;
	return fail(why, "QEMU sent more than %u MiB itself: it is sending RAM, so some of the VM's RAM is not a shared, named file to it; see kvmferry check",
		    DEVICE_MAX >> 20);
}

/* A target that gives up closes all: its reason may come right after the break. */
static int hear_last_words(struct source *s, struct failure *why)
{
	struct pollfd p = { .fd = s->control.link.fd, .events = POLLIN };
	int64_t deadline = clock_ms() + LAST_WORDS_MS;

	while (clock_left(deadline) && poll(&p, 1, clock_left(deadline)) > 0)
		if (on_control(s, p.revents, why))
			return -1;
	return 0;
}

static int on_wake(struct source *s, struct failure *why)
{
	unsigned int i;
	uint64_t count;

	if (read(s->wake, &count, sizeof(count)) < 0 || s->committed)
		return 0;
	if (hear_last_words(s, why))
		return -1;
	for (i = 0; i < s->options->channels; i++)
		if (atomic_load(&s->sender[i].failed))
			return fail(why, "%s", s->sender[i].why.text);
	return 0;
}

static int on_signal(struct source *s, struct failure *why)
{
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof(info)) != sizeof(info))
		return 0;
	s->storage.interrupted = s->storage.settling;
	if (!s->committed || s->storage.settling)
		return fail(why, "interrupted by %s", strsignal((int)info.ssi_signo));
	log_warn("too late to stop: the target owns the VM; waiting for it");
	return 0;
}

/* ------------------------------------------------------------------------
 * The loop
 * ------------------------------------------------------------------------ */

enum { SIGNALS, WAKE, QMP, CONTROL, TUNNEL, KERNEL, DISKS, COUNT };

static struct pollfd polled(int fd, short events)
{
	return (struct pollfd){ .fd = events ? fd : -1, .events = events };
}

static void prepare(const struct source *s, struct pollfd p[COUNT])
{
	short control = 0, qmp = 0, tunnel = 0;

	if (s->qmp && !s->qemu_left)
		qmp = (short)(POLLIN | (qmp_sending(s->qmp) ? POLLOUT : 0));
	if (s->control.link.fd >= 0)
		control = frames_events(&s->control);
	if (tunnel_is_full(&s->tunnel))
		control &= ~POLLIN;
	if (s->tunnel.fd >= 0)
		tunnel = tunnel_events(&s->tunnel, &s->control);

	p[SIGNALS] = polled(s->signals, POLLIN);
	p[WAKE] = polled(s->wake, POLLIN);
	p[QMP] = polled(s->qmp ? qmp_fd(s->qmp) : -1, qmp);
	p[CONTROL] = polled(s->control.link.fd, control);
	p[TUNNEL] = polled(s->tunnel.fd, tunnel);
	p[KERNEL] = polled(s->kernel.fd, s->passing ? POLLIN : 0);
	p[DISKS] = polled(s->storage.watch, s->storage.settling ? POLLIN : 0);
}

static int handle(struct source *s, int which, short events,
		  struct failure *why)
{
	switch (which) {
	case SIGNALS:
		return on_signal(s, why);
	case WAKE:
		return on_wake(s, why);
	case QMP:
		return on_qmp(s, why);
	case CONTROL:
		return on_control(s, events, why);
	case TUNNEL:
		return on_tunnel(s, why);
	case KERNEL:
		s->passing = false;
		return 0;
	case DISKS:
		return storage_tell_ended(s, why);
	}
	return 0;
}

/* If the connection broke, the target may have said why before. */
static int flush(struct source *s, struct failure *why)
{
	struct failure broken = { 0 };

	if (s->control.link.fd < 0 || frames_flush(&s->control, &broken) >= 0)
		return 0;
	on_control(s, POLLIN, why);
	return fail(why, "%s", broken.text);
}

int attend_signals(struct source *s, struct failure *why)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signals < 0 ? fail(why, "signalfd: %m") : 0;
}

int attend(struct source *s, int timeout, struct failure *why)
{
	struct pollfd p[COUNT];
	int i;

	if (flush(s, why))
		return -1;
	prepare(s, p);
	if (poll(p, COUNT, timeout) < 0)
		return errno == EINTR ? 0 : fail(why, "poll: %m");
	for (i = 0; i < COUNT; i++)
		if (p[i].revents && handle(s, i, p[i].revents, why))
			return -1;
	/* Frames may be left that came while the tunnel was full. */
	if (s->control.link.fd >= 0 && on_control(s, 0, why))
		return -1;
	return flush(s, why);
}

/* After the commit, what was waited for may have come together with a failure. */
int attend_until(struct source *s, bool (*done)(const struct source *s),
		 const char *what, struct failure *why)
{
	int64_t deadline = clock_ms() + s->options->timeout_ms;

	while (!done(s)) {
		int left = clock_left(deadline);

		if (!left)
			return fail(why, "%s within %d s (see --timeout)", what,
				    s->options->timeout_ms / 1000);
		if (attend(s, left, why))
			return s->committed && done(s) ? 0 : -1;
	}
	return 0;
}

json_t *attend_reply(struct source *s, long number, const char *command,
		     struct failure *why)
{
	int64_t deadline = clock_ms() + s->options->timeout_ms;
	json_t *result = NULL;

	while (!qmp_reply(s->qmp, number, &result, why)) {
		int left = clock_left(deadline);

		if (!left) {
			fail(why, "%s: no answer from QEMU within %d s; its main loop is blocked, often by slow storage (see --timeout)",
			     command, s->options->timeout_ms / 1000);
			return NULL;
		}
		if (attend(s, left, why))
			return NULL;
	}
	return result;
}

json_t *attend_command(struct source *s, int fd, const char *command,
		       json_t *arguments, struct failure *why)
{
	long number = qmp_send(s->qmp, fd, false, command, arguments, why);

	if (number < 0 || qmp_pump(s->qmp, why))
		return NULL;
	return attend_reply(s, number, command, why);
}

static bool is_flushed(const struct source *s)
{
	return s->control.out_begin == s->control.out_end;
}

/* What the socket takes at once must not be waited for: nothing may come after it. */
int attend_flushed(struct source *s, struct failure *why)
{
	if (flush(s, why))
		return -1;
	return attend_until(s, is_flushed,
			    "the target took nothing from the control connection",
			    why);
}
