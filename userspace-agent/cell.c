// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The decoder, as its parent sees it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cell.h"
#include "clock.h"
#include "inmate.h"
#include "sandbox.h"

#define LAST_BREATH	1000	/* ms from closing its files to having ended */

int cell_start(struct cell *c, const struct cell_work *work, struct failure *why)
{
	int pair[2];

	*c = CELL_NONE;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return fail(why, "cannot make a pair of sockets: %s", strerror(errno));
	c->pid = sandbox_fork(why);
	if (!c->pid)
		inmate_run(work, pair[1]);
	close(pair[1]);
	c->fd = pair[0];
	if (c->pid > 0)
		return 0;
	cell_stop(c);
	return -1;
}

/* The process and its end of the pair; RAM is ours alone again. */
void cell_stop(struct cell *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	if (c->pid <= 0)
		return;
	kill(c->pid, SIGKILL);
	while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
	c->pid = 0;
}

static bool fail_cell(struct cell *c, const char *because)
{
	c->state = STREAMS_FAILED;
	c->why = (struct failure){ 0 };
	fail(&c->why, "%s", because);
	cell_stop(c);
	return false;
}

/* Its end of the pair is closed: it has ended or is about to, and then we want to know how. */
static bool has_ended(struct cell *c)
{
	int64_t deadline = clock_ms() + LAST_BREATH;
	siginfo_t info = { 0 };
	char because[128];

	while (!waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT | WNOHANG) &&
	       !info.si_pid && clock_left(deadline))
		poll(NULL, 0, 1);
	if (!info.si_pid)
		return fail_cell(c, "the decoder does not speak any more");
	if (info.si_code == CLD_EXITED)
		return fail_cell(c, "the decoder has ended by itself");
	if (info.si_status == SIGSYS)
		return fail_cell(c, "the decoder was killed by its sandbox: it tried a system call that it has no need of");
	snprintf(because, sizeof(because), "the decoder was killed by signal %d (%s)",
		 info.si_status, strsignal(info.si_status));
	return fail_cell(c, because);
}

static bool distrust(struct cell *c, const char *fault)
{
	char because[128];

	snprintf(because, sizeof(because), "the decoder cannot be trusted: it sent %s", fault);
	return fail_cell(c, because);
}

/* A report that passed. Returns true if it is about a pass. */
static bool note(struct cell *c, const struct cell_report *r)
{
	c->last = *r;
	switch (r->type) {
	case REPORT_PASS:
		return true;
	case REPORT_CLOSED:
		c->state = STREAMS_CLOSED;
		break;
	case REPORT_FAILED:
		c->state = STREAMS_FAILED;
		break;
	default:
		return false;
	}
	c->why = (struct failure){ 0 };
	fail(&c->why, "%s", r->text);
	return false;
}

bool cell_take_pass(struct cell *c)
{
	/* One more than fits, so that a longer one shows. */
	union {
		struct cell_report report;
		uint8_t bytes[sizeof(struct cell_report) + 1];
	} in;
	const char *fault;
	ssize_t n;

	while (c->fd >= 0 && c->state != STREAMS_FAILED) {
		n = recv(c->fd, in.bytes, sizeof(in.bytes), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return false;
		if (n <= 0)
			return has_ended(c);
		fault = cell_report_check(&in.report, (size_t)n, &c->last);
		if (fault)
			return distrust(c, fault);
		if (note(c, &in.report))
			return true;
	}
	return false;
}
