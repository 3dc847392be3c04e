/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `kvmferry recover`: who may run a VM after a crash, and bringing it about.
 *
 * For people some lines for each VM. With --json one object per line for each: "event"
 * ("recover"), vm, host (this one's name), records (see owners_json()), side ("source" or
 * "target": which this host is in the migration that decides), here and there (what the
 * records of the two hosts say: a state, "none" or "unknown"), verdict ("source", "target",
 * "either", "nobody" or "contradiction"; "none": there is no record), run_state (QEMU's, if
 * it was asked) and text.
 */
#ifndef KVMFERRY_RECOVER_H
#define KVMFERRY_RECOVER_H

#include "log.h"

/**
 * struct recover_options - what `kvmferry recover` was asked to do
 * @qmp:	QMP socket of the VM's QEMU here; NULL: records are looked at, no more
 * @vm:		its name in owner records; NULL: that of the QEMU, or all
 * @peer:	file with what the other host says; "-": standard input; NULL: unknown
 * @state_dir:	directory of owner records
 * @apply:	do here what the verdict says
 * @json:	for programs
 */
struct recover_options {
	const char *qmp;
	const char *vm;
	const char *peer;
	const char *state_dir;
	bool apply;
	bool json;
};

/* Returns an enum exit_status. */
enum exit_status recover_run(const struct recover_options *options);

#endif /* KVMFERRY_RECOVER_H */
