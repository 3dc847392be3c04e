/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The target's part in fences (fence.h). Nothing of it is done without --fence pr.
 */
#ifndef KVMFERRY_CUTOFF_H
#define KVMFERRY_CUTOFF_H

#include "target.h"

/* HELLO has come: both sides have to want the same. Returns 0, or -1 with @t->why. */
int cutoff_agree(struct target *t);

/* DISKS has come: makes a fence of each disk that could be guarded ready. Returns 0, or -1 with @t->why. */
int cutoff_ready(struct target *t);

/**
 * cutoff_source - the source is lost, and ranges are guarded
 * @reason:	how it was lost
 *
 * Cuts it off and opens them. Returns 0; -1 with @t->why: they stay guarded.
 */
int cutoff_source(struct target *t, const char *reason);

/* The VM is here, and nothing is in doubt. Logs what goes wrong. */
void cutoff_end(struct target *t);

/* The VM stays there. Logs what goes wrong. */
void cutoff_leave(struct target *t);

#endif /* KVMFERRY_CUTOFF_H */
