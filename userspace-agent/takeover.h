/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking over: from COMMIT to the VM running here.
 *
 * The order is what protects the VM. First the owner record is durable: then the VM
 * is ours whatever crashes. Only then may it run. The source hears of it before the
 * record is made more exact, because the source's blackout ends with that word.
 */
#ifndef KVMFERRY_TAKEOVER_H
#define KVMFERRY_TAKEOVER_H

#include "target.h"

/**
 * takeover_begin - COMMIT came
 *
 * Returns 0, or -1 with @t->why: with @t->stage still TARGET_RECEIVING the COMMIT
 * was out of place and the VM is the source's; with TARGET_COMMITTED it is in doubt.
 */
int takeover_begin(struct target *t);

/**
 * takeover_step - run the VM if its device state is here, else go on waiting
 *
 * For TARGET_COMMITTED, to be called again and again. Returns 0, with TARGET_ENDED
 * once there is nothing more to do; @t->why then says why the VM does not run, should
 * that be so. Or -1 with @t->why.
 */
int takeover_step(struct target *t);

/**
 * takeover_settle - take what the source says of its storage, once the VM runs
 *
 * When nothing is guarded any more the source is told, and @t has ended. Returns 0, or
 * -1 with @t->why if the source is no longer there, or speaks nonsense.
 */
int takeover_settle(struct target *t);

/**
 * takeover_lose_source - it is gone, and ranges are guarded
 * @reason:	how
 *
 * Returns 0, and @t has ended, if the source could be cut off from the storage; else -1
 * with @t->why.
 */
int takeover_lose_source(struct target *t, const char *reason);

#endif /* KVMFERRY_TAKEOVER_H */
