/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `kvmferry disk`: the disks with target "ferry" of this host, what of their requests
 * is in doubt, held or guarded, why, and what the operator may do.
 *
 * For people some lines for each disk. With --json one object per line for each:
 * "event" ("disk"), name, device, state ("pass", "holding", "cancelling", "settling"),
 * sectors, in_flight, in_doubt, ended, held, oldest_ms, "guarded", an array of
 * objects with id, sector and sectors, which linux/kvmferry_disk.h explains, and "fence"
 * ("none", "ready", "cut"; fence.h).
 */
#ifndef KVMFERRY_DISKSHOW_H
#define KVMFERRY_DISKSHOW_H

#include <stdbool.h>

#include "log.h"

enum diskshow_action {
	DISKSHOW_LOOK,
	DISKSHOW_OPEN,		/* whatever is guarded */
	DISKSHOW_CUT_OFF,	/* cut the VM's former host off, and open what was guarded for it */
	DISKSHOW_RELEASE,	/* end the fence */
};

/**
 * struct diskshow_options - what was asked for
 * @name:	only the disk that device-mapper calls so, which must be there; NULL: all
 * @action:	to be done first; with a name only
 * @state_dir:	where fences are remembered
 * @json:	for programs
 */
struct diskshow_options {
	const char *name;
	enum diskshow_action action;
	const char *state_dir;
	bool json;
};

enum exit_status diskshow_run(const struct diskshow_options *options);

#endif /* KVMFERRY_DISKSHOW_H */
