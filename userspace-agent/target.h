/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The receiving side of a migration: `kvmferry receive`.
 *
 * target.c has the state machine, its loop and its end; answer.c deals with what the
 * source says; takeover.c makes the VM ours. They share struct target, which nobody
 * else sees inside.
 */
#ifndef KVMFERRY_TARGET_H
#define KVMFERRY_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "acceptor.h"
#include "fencer.h"
#include "frames.h"
#include "guard.h"
#include "incoming.h"
#include "journal.h"
#include "landing.h"
#include "log.h"
#include "progress.h"
#include "tunnel.h"

#define TARGET_GOODBYE	2000	/* ms for the last frame to go out */

/**
 * struct target_options - what `kvmferry receive` was asked to do
 * @qmp:	path of the QMP socket of a QEMU begun with -incoming defer -S
 * @listen:	where the source will connect: HOST:PORT or [IPv6]:PORT; NULL: at the socket
 *		that systemd has passed
 * @tls:	keys and certificates, if any
 * @insecure:	plaintext is acceptable beyond the loopback interface
 * @json:	report progress and outcome as lines of JSON on standard output
 * @state_dir:	directory of the durable owner record
 * @run_dir:	where to publish how it comes along, see state.h
 * @timeout_s:	seconds without a sign of life of the other side before the
 *		migration is given up, and seconds that QEMU may take for one step
 * @wait_s:	seconds that no source may have come for; 0: any
 * @fence:	cut the source off if it is lost with requests in doubt, see fence.h
 * @keep_target: leave the target's QEMU running after a failure, for a look at it
 */
struct target_options {
	const char *qmp;
	const char *listen;
	struct tls_options tls;
	bool insecure;
	bool json;
	const char *state_dir;
	const char *run_dir;
	unsigned int timeout_s;
	unsigned int wait_s;
	bool fence;
	bool keep_target;
};

/* How far a migration is; target.c has the drawing. */
enum target_stage {
	TARGET_WAITING,
	TARGET_RECEIVING,
	TARGET_COMMITTED,
	TARGET_SETTLING,
	TARGET_ENDED,
};

/**
 * struct target - all that one `kvmferry receive` knows
 * @options:	what was asked
 * @stage:	how far it is
 * @begun:	a source said HELLO: our QEMU is of no use for anything else
 * @progress:	tells programs about it
 * @signals:	a signalfd, for a request to stop
 * @wake:	an eventfd, for the threads that read RAM anew
 * @why:	why it failed
 * @in:		our QEMU
 * @tls:	keys and certificates; NULL: in clear text
 * @acceptor:	where connections come in
 * @control:	the control connection, its fd -1 without one
 * @peer:	address of the source
 * @id:		of the migration
 * @source_by:	when a source must have come, clock_ms(), if it must
 * @hello_by:	when HELLO must be here, clock_ms()
 * @hello:	what the source said
 * @journal:	the owner record
 * @recorded:	there is a record
 * @landing:	RAM, and the streams that bring it
 * @tunnel:	carries device state
 * @guard:	disk ranges that the source's storage may still write to
 * @fencer:	makes fences
 * @cut:	the source was cut off
 * @alive:	when the source last showed a sign of life, clock_ms()
 * @bytes:	bytes on the streams then
 * @commit_by:	when QEMU must have loaded its device state, after COMMIT
 */
struct target {
	const struct target_options *options;
	struct progress progress;
	enum target_stage stage;
	bool begun;
	int signals;
	int wake;
	struct failure why;

	struct incoming in;
	struct tls *tls;
	struct acceptor acceptor;
	struct frames control;
	char peer[TRANSPORT_NAME_SIZE];
	uint8_t id[WIRE_ID_SIZE];
	int64_t source_by;
	int64_t hello_by;
	struct wire_hello hello;
	struct journal journal;
	bool recorded;

	struct landing landing;
	struct tunnel tunnel;
	struct guard guard;
	struct fencer fencer;
	bool cut;

	int64_t alive;
	uint64_t bytes;
	int64_t commit_by;
};

/* Milliseconds that the source may be silent, and that QEMU may take for one step. */
static inline int64_t target_timeout_ms(const struct target *t)
{
	return (int64_t)t->options->timeout_s * 1000;
}

/**
 * target_run - receive one VM
 * @options:	what was asked
 *
 * Waits for a source, without a limit of time if none is given, then takes part in one migration.
 *
 * Every failure has been told when this returns.
 *
 * Returns an enum exit_status: EXIT_DONE, the VM is here; EXIT_FAILED, nothing runs
 * here; EXIT_DOUBT, this host owns the VM and could not run it; EXIT_HELD, it runs, and
 * the operator has to open some of its disk.
 */
int target_run(const struct target_options *options);

#endif /* KVMFERRY_TARGET_H */
