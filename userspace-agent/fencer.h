/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fences need CAP_SYS_ADMIN at any time of a migration, which the agent has given up
 * then. So they are made and ended by a helper (helper.h), which can do nothing but
 * that. If the agent dies it does nothing more: what is left over is in the files that
 * fence.h tells of, and kvmferry disk shows it.
 */
#ifndef KVMFERRY_FENCER_H
#define KVMFERRY_FENCER_H

#include "fence.h"

enum fencer_task { FENCER_READY, FENCER_CUT, FENCER_END, FENCER_LEAVE };

struct fencer {
	pid_t helper;	/* 0: there is none, and nothing is fenced */
	int fd;
};

/**
 * fencer_start - begin the helper, before the agent gives up privileges
 * @state_dir:	for the files
 *
 * Returns 0, or -1 with @why.
 */
int fencer_start(struct fencer *f, const char *state_dir, struct failure *why);

/* Does nothing for a struct of zero bytes. */
void fencer_stop(struct fencer *f);

/* May a fence be made? */
static inline bool fencer_is_there(const struct fencer *f)
{
	return f->helper > 0;
}

/**
 * fencer_do - have a task of fence.h done
 * @disk:	path of the disk
 * @side, @salt: for FENCER_READY; the others know from the file
 *
 * Waits until it is. FENCER_END and FENCER_LEAVE of a disk without a fence do nothing.
 * Returns 0, or -1 with @why.
 */
int fencer_do(const struct fencer *f, enum fencer_task task, const char *disk,
	      enum journal_side side, uint32_t salt, struct failure *why);

#endif /* KVMFERRY_FENCER_H */
