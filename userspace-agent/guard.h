/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The target's part in cancelled disk requests: what the source's storage may still
 * write to is guarded before the VM runs here, and opened as the source tells that
 * it no longer is in doubt.
 *
 * A guard belongs to the disk and outlives this agent. So that its ranges can be told
 * from those of other migrations, the upper half of a range's id is the beginning
 * of the migration's id, and the lower half the number that the source gave it.
 *
 *	DISKS		guard_offer()	which of our disks could be guarded?
 *	DOUBT, DOUBT_END  guard_doubt(), guard_complete()	from here on they are
 *	ENDED		guard_ended()	a few ranges less
 *	ABORT, or we	guard_open()	the VM stays there, nothing runs here
 *
 * If the source disappears while ranges are guarded, they stay so until it has been cut
 * off from the storage (cutoff.h), or the operator opens them: else only he can know when
 * it is safe.
 */
#ifndef KVMFERRY_GUARD_H
#define KVMFERRY_GUARD_H

#include "journal.h"
#include "vmdisks.h"

struct guard {
	uint32_t salt;			/* fence_salt() of the migration */
	struct wire_disks theirs;	/* as the source numbers them */
	uint64_t usable;		/* of them, those we offered, bit (1 << number) */
	int ours[WIRE_MAX_DISKS];	/* our number of each of these */
	unsigned int closed;		/* ranges that are guarded */
	bool asked;			/* DISKS has come */
	bool complete;			/* DOUBT_END has come */
};

/**
 * guard_offer - DISKS has come
 * @disks:	of our QEMU
 * @payload:	of DISKS, @len bytes
 *
 * Sets @g->usable. Returns 0, or -1 with @why if the source speaks nonsense.
 */
int guard_offer(struct guard *g, const struct vmdisks *disks,
		const uint8_t id[WIRE_ID_SIZE], const uint8_t *payload, size_t len,
		struct failure *why);

/* DOUBT has come: guards its ranges. Returns 0, or -1 with @why. */
int guard_doubt(struct guard *g, const struct vmdisks *disks, const uint8_t *payload,
		size_t len, struct failure *why);

/* DOUBT_END has come. Returns 0, or -1 with @why. */
int guard_complete(struct guard *g, struct failure *why);

/* ENDED has come: opens its ranges. Returns 0, or -1 with @why. */
int guard_ended(struct guard *g, const struct vmdisks *disks, const uint8_t *payload,
		size_t len, struct failure *why);

/* May the VM run here? Not with only a part of what is in doubt guarded. */
bool guard_is_whole(const struct guard *g);

/* Opens all that was guarded for this migration. Returns 0, or -1 with @why. */
int guard_open(struct guard *g, const struct vmdisks *disks, struct failure *why);

/* The same for one disk, and the migration with this fence_salt(). Returns how many there were, or -1. */
int guard_open_some(const struct disk *disk, uint32_t salt, struct failure *why);

/* Our disk in the stead of the source's of this @number; NULL if it is not guarded. */
const struct disk *guard_disk(const struct guard *g, const struct vmdisks *disks,
			      unsigned int number);

/**
 * guard_admits - may the VM be moved away from, or to, these disks?
 * @side:	which of it
 * @state_dir:	where owner records are
 * @vm:		from qemu_identity()
 *
 * No, while ranges of one are guarded: an earlier host of the VM has requests in doubt
 * there, of which the next one would not know. But a target may forget ranges that
 * it guarded for a migration that never came. Nor while there is a fence: the next host
 * could not write.
 *
 * Returns 0 for yes; -1 with @why and the remedy.
 */
int guard_admits(const struct vmdisks *disks, enum journal_side side,
		 const char *state_dir, const char *vm, struct failure *why);

/* Opens the ranges that guard_admits() lets a target forget. Returns 0, or -1 with @why. */
int guard_forget(const struct vmdisks *disks, const char *state_dir, const char *vm,
		 struct failure *why);

#endif /* KVMFERRY_GUARD_H */
