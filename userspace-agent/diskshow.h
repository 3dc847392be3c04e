/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `kvmferry disk`: the disks with target "ferry" of this host, what of their requests
 * is in doubt, held or guarded, why, and what the operator may do.
 *
 * For people some lines for each disk. With --json one object per line for each:
 * "event" ("disk"), name, device, state ("pass", "holding", "cancelling", "settling"),
 * sectors, in_flight, in_doubt, ended, held, oldest_ms, and "guarded", an array of
 * objects with id, sector and sectors. linux/kvmferry_disk.h explains them all.
 */
#ifndef KVMFERRY_DISKSHOW_H
#define KVMFERRY_DISKSHOW_H

#include <stdbool.h>

#include "log.h"

/**
 * diskshow_run - show them
 * @name:	only the disk that device-mapper calls so, which must be there; NULL: all
 * @open:	open whatever is guarded of it
 * @json:	for programs
 */
enum exit_status diskshow_run(const char *name, bool open, bool json);

#endif /* KVMFERRY_DISKSHOW_H */
