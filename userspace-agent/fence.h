/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cutting a source off from the storage (send and receive --fence pr), so that its late
 * writes need not be waited for when it has died with requests in doubt.
 *
 *	             source                          target
 *	before       key registered,                 key registered, so that it may write
 *	DISKS        unit reserved (fence_ready)     (fence_ready)
 *	moved        ends it all, if there is        ends it all: no key, no
 *	             anything left (fence_end)       reservation (fence_end)
 *	not moved    ends it all (fence_end)         takes its key back (fence_leave)
 *	source lost,                                 preempts and aborts (fence_cut): what the
 *	in doubt                                     source has sent or sends has no effect
 *
 * At the end the target is first, and the source waits until it has closed the connection:
 * Linux's own iSCSI target (LIO) hangs for good if two hosts end their registrations at the
 * same moment, as each then waits for the other to let go of its own.
 *
 * It is the source that reserves: LIO waits, or aborts, only for what was sent while the key
 * that is preempted had the reservation.
 *
 * A fence that was used has to stay: a host that lives on may send again what was
 * aborted. The operator ends it once that host has been started anew (kvmferry disk
 * --release). Until then no third host could write, so the VM is not moved.
 *
 * Each host remembers what it did in STATE_DIR/NAME.fence, NAME being device-mapper's
 * of the disk: one line, "source|target SALT ready|cut". It is there as long as there
 * may be a key of this host. Keys are made of the SALT, the beginning of the migration's
 * id, so each side knows the other's.
 */
#ifndef KVMFERRY_FENCE_H
#define KVMFERRY_FENCE_H

#include <limits.h>
#include "journal.h"

enum fence_state {
	FENCE_NONE,
	FENCE_READY,	/* the other host can be cut off */
	FENCE_CUT,	/* it was */
};

/**
 * struct fence - what this host knows of the reservations of a disk
 * @disk:	path of the disk, a target "ferry"
 * @file:	path of the file
 * @side:	this host's, in the migration that it was for
 * @salt:	the beginning of the migration's id
 */
struct fence {
	char disk[PATH_MAX];
	char file[PATH_MAX];
	enum journal_side side;
	uint32_t salt;
	enum fence_state state;
};

uint32_t fence_salt(const uint8_t id[WIRE_ID_SIZE]);

/* A key for persistent reservations. */
uint64_t fence_key(enum journal_side side, uint32_t salt);

/* What is known of @disk. Returns 0, also if nothing is, or -1 with @why: the file is damaged. */
int fence_read(struct fence *f, const char *state_dir, const char *disk, struct failure *why);

/**
 * fence_ready - before the migration
 * @f:		from fence_read(), in the state FENCE_NONE
 *
 * Returns 0, or -1 with @why, and nothing is left of it.
 */
int fence_ready(struct fence *f, enum journal_side side, uint32_t salt, struct failure *why);

/*
 * Cuts the source off, at the target. Takes as long as the storage does to end, or abort, what it has of the
 * source's. Returns 0, or -1 with @why: it may or may not be cut off.
 */
int fence_cut(struct fence *f, struct failure *why);

/* No host has a key or a reservation any more. Returns 0, or -1 with @why. */
int fence_end(struct fence *f, struct failure *why);

/* This host has no key any more. Returns 0, or -1 with @why. */
int fence_leave(struct fence *f, struct failure *why);

#endif /* KVMFERRY_FENCE_H */
