/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sending RAM: passes while the VM runs, and the last ones while it stands still.
 */
#ifndef KVMFERRY_PASSES_H
#define KVMFERRY_PASSES_H

#include "source.h"

/* Passes while the VM runs, until it is time to switch over. */
int passes_converge(struct source *s, struct failure *why);

/* Lets the VM write as fast as it likes again, if it was slowed down. */
void passes_full_speed(struct source *s);

/* Begins the first final pass; the VM is stopped and its I/O has drained. */
int passes_begin_final(struct source *s, struct failure *why);

/**
 * passes_settle - bring every page of the stopped VM to the target
 *
 * Waits for the pass under way, if there is one, and makes more until a scan finds
 * nothing pending. Returns 0 when the target holds every page as it was sent: the
 * digests agree. A pass that is not needed is not made.
 */
int passes_settle(struct source *s, struct failure *why);

/* Compares digests of all RAM, read anew on both sides. */
int passes_verify(struct source *s, struct failure *why);

#endif /* KVMFERRY_PASSES_H */
