/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fencing the source of a migration off a disk: --fence pr.
 *
 * A SCSI persistent reservation makes sure that what the source's storage has in doubt
 * never lands, even if nobody at the source can say any more that it has ended. Both
 * hosts register a key with the disk, each for its own way to it, and the
 * source reserves it for the two. Should the source disappear while its writes are
 * in doubt, the target preempts its key and aborts its requests: the storage ends
 * what it has of them, and refuses what comes later.
 *
 *	source			target
 *	fence_reserve()					before RAM is sent: the VM runs on
 *				fence_join()		only if it sees the reservation: same disk
 *	fence_leave()		fence_leave()		nothing is in doubt, in this order, or
 *				fence_expel()		the source is gone
 *				fence_lift()		the operator: its host was restarted
 *
 * The type is "write exclusive, registrants only": every path of every registered host
 * may write, where plain "write exclusive" has one path only; and it ends with the
 * registration of its holder, where "all registrants" would go on with the next one.
 * Reads are not refused: a late one changes nothing on the disk.
 *
 * A key is "KVF", 'S' for the source or 'T' for the target, and the first 4 bytes
 * of the migration's id. A disk on which others have keys is left alone.
 *
 * The whole of the host is fenced off the whole of the device, so the disk has to be a
 * whole device: no partition, no logical volume.
 *
 * Every function but fence_key() returns 0, or -1 with @why and the remedy. They wait for
 * the storage to answer, up to the time-outs of the kernel's SCSI.
 */
#ifndef KVMFERRY_FENCE_H
#define KVMFERRY_FENCE_H

#include "disk.h"
#include "wire.h"

enum fence_side {
	FENCE_SOURCE = 'S',
	FENCE_TARGET = 'T',
};

/* The key of one side of a migration. */
uint64_t fence_key(enum fence_side side, const uint8_t id[WIRE_ID_SIZE]);

/**
 * fence_probe - could this disk be fenced?
 *
 * Not if it is a part of a device, has no persistent reservations, is used by
 * others who have keys, or is still reserved against an earlier host of the VM.
 * Changes nothing.
 */
int fence_probe(const struct disk *d, struct failure *why);

/**
 * fence_reserve - the source: register @key, reserve the disk
 *
 * To be called by the owner of the VM alone: it removes what an agent that died
 * has left there.
 */
int fence_reserve(const struct disk *d, uint64_t key, struct failure *why);

/* The target: register @key, if the disk is reserved by the source's key @theirs. */
int fence_join(const struct disk *d, uint64_t key, uint64_t theirs, struct failure *why);

/* Take @key back. The reservation ends with that of its holder. */
int fence_leave(const struct disk *d, uint64_t key, struct failure *why);

/**
 * fence_expel - the target: fence off whoever has the key @theirs
 *
 * Once this has returned 0, no write of his lands any more. The disk stays reserved, by
 * @key.
 */
int fence_expel(const struct disk *d, uint64_t key, uint64_t theirs, struct failure *why);

/*
 * Ends the reservation that fence_expel() has left here, or a source that died, of whatever
 * migration it was.
 */
int fence_lift(const struct disk *d, struct failure *why);

#endif /* KVMFERRY_FENCE_H */
