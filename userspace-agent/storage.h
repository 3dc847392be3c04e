/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The source's part in cancelled disk requests. Slow storage would lengthen the
 * blackout: QEMU waits in `stop` for whatever it has in flight. So it is cancelled
 * (linux/kvmferry_disk.h), and the target's QEMU, which finds it in its device state,
 * sends it again.
 *
 *	connect		which disks could be cancelled here, and guarded there? With --fence
 *			pr, they are reserved before (fence.h)
 *	drain		`stop` is under way: cancel, which ends it; tell what is in doubt
 *	guard		before the commit: nothing there touches what is in doubt
 *	disks		after it: tell what the storage has ended, until it is all
 *
 * While `stop` is under way flushes are failed, as they may be the guest's. After it
 * has returned, QEMU has none of the guest's requests any more: the flushes that
 * come then are its own, for the migration, and are answered at once.
 *
 * The way back is to resume the disks before `cont`: QEMU then sends again what was
 * failed, and the kernel holds it until nothing is in doubt.
 */
#ifndef KVMFERRY_STORAGE_H
#define KVMFERRY_STORAGE_H

#include "blockstats.h"
#include "log.h"
#include "vmdisks.h"

struct source;

/**
 * struct storage - the disks of a VM that is moved away
 * @disks:	all of them
 * @chosen:	those whose requests are cancelled, bit (1 << number)
 * @asked:	the target was told of the disks
 * @answered:	and has said which it could guard
 * @begun:	something was cancelled
 * @cancelled:	requests
 * @reads:	of these, reads that were in doubt when all was told
 * @doubt:	ranges that the target was told of and that have not ended
 * @told:	ranges that it was told of in all
 * @complete:	that was all of them: DOUBT_END
 * @guarded:	the target guards them
 * @open:	it guards nothing any more
 * @settling:	the VM is gone, and we wait for the storage
 * @interrupted: the operator does not
 * @watch:	an epoll file: readable when requests have ended; -1 without any
 * @stats:	how long requests take
 */
struct storage {
	struct vmdisks disks;
	uint64_t chosen;
	bool asked;
	bool answered;
	bool begun;
	uint64_t cancelled;
	unsigned int reads;
	unsigned int doubt;
	unsigned int told;
	bool complete;
	bool guarded;
	bool open;
	bool settling;
	bool interrupted;
	int watch;
	struct blockstats stats;
};

/* Asks the target about the disks. Returns 0, or -1 with @why. */
int storage_offer(struct source *s, struct failure *why);

/* DISKS_READY has come. Returns 0, or -1 with @why. */
int storage_take_ready(struct source *s, uint64_t usable, struct failure *why);

/**
 * storage_expect - how long will the blackout wait for storage?
 * @us:		out: microseconds, of the slowest disk that is not cancelled
 *
 * Returns 0, or -1 with @why.
 */
int storage_expect(struct source *s, uint64_t *us, struct failure *why);

/* The stage "drain": after `stop` was sent. Returns 0, or -1 with @why. */
int storage_drain(struct source *s, struct failure *why);

/* Back to normal. Does nothing without storage_drain(). Logs what goes wrong. */
void storage_resume(struct source *s);

/* The stage "guard". Returns 0, or -1 with @why. */
int storage_guard(struct source *s, struct failure *why);

/**
 * storage_settle - the stage "disks": until the storage has ended what was cancelled
 *
 * Always returns 0: the VM has moved. If the target may have to be told by hand, that
 * is logged, and @s->held is set.
 */
int storage_settle(struct source *s, struct failure *why);

/* @watch is readable: tells the target what has ended. Returns 0, or -1 with @why. */
int storage_tell_ended(struct source *s, struct failure *why);

/*
 * The VM is here, or nothing of it is in doubt: others may write to its disks as before.
 * May be repeated. Logs what goes wrong.
 */
void storage_unfence(struct source *s);

void storage_close(struct source *s);

#endif /* KVMFERRY_STORAGE_H */
