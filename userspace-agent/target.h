/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The receiving side of a migration: `kvmferry receive`.
 */
#ifndef KVMFERRY_TARGET_H
#define KVMFERRY_TARGET_H

#include <stdbool.h>

/**
 * struct target_options - what `kvmferry receive` was asked to do
 * @qmp:	path of the QMP socket of a QEMU begun with -incoming defer -S
 * @listen:	where the source will connect: HOST:PORT or [IPv6]:PORT
 * @insecure:	plaintext is acceptable beyond the loopback interface
 * @json:	report progress and outcome as lines of JSON on standard output
 * @state_dir:	directory of the durable owner record
 * @timeout_s:	seconds without a sign of life of the other side before the
 *		migration is given up, and seconds that QEMU may take for one step
 * @keep_target: leave the target's QEMU running after a failure, for a look at it
 */
struct target_options {
	const char *qmp;
	const char *listen;
	bool insecure;
	bool json;
	const char *state_dir;
	unsigned int timeout_s;
	bool keep_target;
};

enum target_exit {
	TARGET_RUNS = 0,	/* the VM runs here */
	TARGET_FAILED = 1,	/* nothing runs here */
	TARGET_IN_DOUBT = 3,	/* this host owns the VM and could not run it */
};

/**
 * target_run - receive one VM
 * @options:	what was asked
 *
 * Waits for a source without a limit of time, then takes part in one migration.
 * Every failure has been logged, in one line, when this returns.
 *
 * Returns an enum target_exit, fit to be the status of the process.
 */
int target_run(const struct target_options *options);

#endif /* KVMFERRY_TARGET_H */
