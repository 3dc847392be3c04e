/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The source's QEMU: stopped, made to hand over its device state, and brought back
 * if that fails.
 */
#ifndef KVMFERRY_OUTGOING_H
#define KVMFERRY_OUTGOING_H

#include "source.h"

/* Watches QEMU's events from now on. */
void outgoing_watch(struct source *s);

/* Does the VM run now? Returns 0, or -1 with @why. */
int outgoing_look(struct source *s, bool *running, struct failure *why);

/**
 * outgoing_stop - stop the VM, if it runs
 *
 * The blackout begins. Returns 0 when QEMU has been told, or -1 with @why.
 */
int outgoing_stop(struct source *s, struct failure *why);

/* Waits until it has stopped, and its I/O has drained. Returns 0, or -1 with @why. */
int outgoing_stopped(struct source *s, struct failure *why);

/* Makes the VM run again if outgoing_stop() has stopped it. */
void outgoing_cont(struct source *s);

/**
 * outgoing_migrate - begin QEMU's own migration, through the tunnel
 *
 * Returns 0 when QEMU waits for outgoing_continue(), or -1 with @why.
 */
int outgoing_migrate(struct source *s, struct failure *why);

/* Lets QEMU send its device state. Returns 0 when the target has loaded it. */
int outgoing_continue(struct source *s, struct failure *why);

/* Undoes outgoing_migrate(): QEMU is as it was, with the VM stopped. */
void outgoing_cancel(struct source *s);

/* Makes the source's QEMU exit. */
int outgoing_quit(struct source *s, struct failure *why);

#endif /* KVMFERRY_OUTGOING_H */
