/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is there room for the guest's RAM on this host?
 */
#ifndef KVMFERRY_ROOM_H
#define KVMFERRY_ROOM_H

#include "log.h"
#include "ramblocks.h"

/**
 * room_check - will all RAM blocks fit into the file systems of their files?
 * @rams:	the RAM blocks of the VM here
 * @why:	which file system is too small, and by how much
 *
 * A file of RAM is sparse: QEMU made it without taking its room. What the file
 * already holds counts as room, since it will be given back first. A file system
 * without a limit is taken at its word.
 *
 * Returns 0 if they do, or -1.
 */
int room_check(const struct ramblocks *rams, struct failure *why);

#endif /* KVMFERRY_ROOM_H */
