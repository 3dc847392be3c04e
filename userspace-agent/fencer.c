// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The process that makes fences.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disk.h"
#include "fencer.h"
#include "helper.h"
#include "privileges.h"

struct request {
	enum fencer_task task;
	enum journal_side side;
	uint32_t salt;
	char disk[PATH_MAX];
};

struct answer {
	int result;
	struct failure why;
};

/* ------------------------------------------------------------------------
 * In the helper
 * ------------------------------------------------------------------------ */

/* An agent that was taken over shall not reach the reservations of others. */
static int check_disk(const char *path, struct failure *why)
{
	struct disk disk;
	int found = disk_open(&disk, path, why);

	if (!found)
		return fail(why, "%s: no disk with a target \"ferry\"", path);
	disk_close(&disk);
	return found < 0 ? -1 : 0;
}

static int make_ready(struct fence *f, const struct request *r, struct failure *why)
{
	if (f->state != FENCE_NONE)
		return fail(why, "disk %s has a fence of an earlier migration; kvmferry disk tells what to do",
			    f->disk);
	return fence_ready(f, r->side, r->salt, why);
}

static int serve_one(const char *state_dir, const struct request *r, struct failure *why)
{
	struct fence f;

	if (check_disk(r->disk, why) || fence_read(&f, state_dir, r->disk, why))
		return -1;
	if (r->task == FENCER_READY)
		return make_ready(&f, r, why);
	if (f.state == FENCE_NONE)
		return r->task == FENCER_CUT ?
			fail(why, "disk %s: no fence was made ready", f.disk) : 0;
	switch (r->task) {
	case FENCER_CUT:
		return fence_cut(&f, why);
	case FENCER_END:
		return fence_end(&f, why);
	case FENCER_LEAVE:
		return fence_leave(&f, why);
	default:
		return fail(why, "there is no such task");
	}
}

__attribute__((noreturn))
static void serve(int fd, const char *state_dir)
{
	struct request r;
	struct answer a;
	bool able;

	a = (struct answer){ 0 };
	able = !privileges_begin(PRIVILEGES_FENCER, &a.why);
	while (recv(fd, &r, sizeof(r), 0) == sizeof(r)) {
		r.disk[sizeof(r.disk) - 1] = '\0';
		if (able) {
			a = (struct answer){ 0 };
			a.result = serve_one(state_dir, &r, &a.why);
		} else {
			a.result = -1;
		}
		if (send(fd, &a, sizeof(a), 0) != sizeof(a))
			break;
	}
	_exit(0);
}

/* ------------------------------------------------------------------------
 * In the agent
 * ------------------------------------------------------------------------ */

int fencer_start(struct fencer *f, const char *state_dir, struct failure *why)
{
	f->helper = helper_fork(&f->fd);
	if (!f->helper)
		serve(f->fd, state_dir);
	if (f->helper > 0)
		return 0;
	f->helper = 0;
	return fail(why, "cannot begin a process for fences: %s", strerror(errno));
}

void fencer_stop(struct fencer *f)
{
	if (f->helper)
		helper_end(f->helper, f->fd);
	f->helper = 0;
}

static ssize_t receive(int fd, struct answer *a)
{
	ssize_t n;

	do {
		n = recv(fd, a, sizeof(*a), 0);
	} while (n < 0 && errno == EINTR);
	return n;
}

int fencer_do(const struct fencer *f, enum fencer_task task, const char *disk,
	      enum journal_side side, uint32_t salt, struct failure *why)
{
	struct request r = { .task = task, .side = side, .salt = salt };
	struct answer a;

	snprintf(r.disk, sizeof(r.disk), "%s", disk);
	if (send(f->fd, &r, sizeof(r), MSG_NOSIGNAL) != sizeof(r) ||
	    receive(f->fd, &a) != sizeof(a))
		return fail(why, "the process for fences has ended; kvmferry disk tells what there is");
	return a.result ? fail(why, "%s", a.why.text) : 0;
}
