/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The source of a migration: `kvmferry send`.
 *
 * stages.c has the order of everything; passes.c sends RAM; storage.c cancels disk
 * requests; outgoing.c talks to the source's QEMU; attend.c waits for whatever may happen meanwhile. They share
 * struct source, which nobody else sees inside.
 */
#ifndef KVMFERRY_SOURCE_H
#define KVMFERRY_SOURCE_H

#include "converge.h"
#include "fencer.h"
#include "frames.h"
#include "heat.h"
#include "journal.h"
#include "kernel.h"
#include "progress.h"
#include "qemu.h"
#include "ramblocks.h"
#include "sender.h"
#include "storage.h"
#include "tls.h"
#include "transport.h"
#include "tunnel.h"

/**
 * struct source_options - what `kvmferry send` was asked to do
 * @qmp:	path of QEMU's QMP socket
 * @to:		HOST:PORT or [IPv6]:PORT of the target's agent
 * @from:	addresses of this host that the streams leave from, in turn
 * @sources:	how many of them; 0: the kernel chooses
 * @state_dir:	directory of owner records
 * @run_dir:	where to publish how it comes along, see state.h
 * @channels:	data streams, 1 .. FERRY_MAX_CHANNELS
 * @ring_bytes:	size of each channel's ring, a power of two
 * @codecs:	that may be used, bit (1 << FERRY_CODEC_x)
 * @bandwidth:	bytes a second that all data streams together may send; 0: any
 * @cpu_limit:	percent of one CPU that the kernel's threads may use; 0: any
 * @nice:	of these threads
 * @downtime_ms: switch over once the blackout is expected to be this short
 * @max_passes:	switch over after this many passes at the latest
 * @max_slowdown: percent of its time that a vCPU may be made to wait, 0 .. 99
 * @group:	how many pages a fault opens; its floor is found as we go
 * @timeout_ms:	for each step, and for the streams to make any progress
 * @verify:	compare digests of all RAM read anew on both sides
 * @tls:	keys and certificates, if any
 * @insecure:	plaintext may leave the loopback interface
 * @json:	progress and outcome as lines of JSON on standard output
 * @keep_source: leave the source's QEMU there afterwards
 * @drain_storage: wait for all disk requests, cancel none
 * @fence:	let the target cut us off if it loses us with requests in doubt, see fence.h
 */
struct source_options {
	const char *qmp;
	const char *to;
	struct sockaddr_storage from[TRANSPORT_SOURCES_MAX];
	unsigned int sources;
	const char *state_dir;
	const char *run_dir;
	unsigned int channels;
	size_t ring_bytes;
	uint64_t codecs;
	uint64_t bandwidth;
	unsigned int cpu_limit;
	int nice;
	unsigned int downtime_ms;
	unsigned int max_passes;
	unsigned int max_slowdown;
	struct ferry_group group;
	int timeout_ms;
	bool verify;
	struct tls_options tls;
	bool insecure;
	bool json;
	bool keep_source;
	bool drain_storage;
	bool fence;
};

/* What the source's QEMU says about its outgoing migration. */
enum outgoing_status {
	OUTGOING_NONE,
	OUTGOING_ACTIVE,	/* begun, not yet waiting */
	OUTGOING_WAITING,	/* pre-switchover: waits for migrate-continue */
	OUTGOING_COMPLETED,
	OUTGOING_FAILED,	/* or cancelled */
};

#define SOURCE_STAGES_MAX	20

struct source {
	const struct source_options *options;
	struct progress progress;
	uint8_t id[WIRE_ID_SIZE];	/* of the migration */
	uint8_t key[FERRY_KEY_SIZE];	/* of the page hashes */
	int signals;			/* a signalfd, -1 before attend_signals() */
	int wake;			/* an eventfd: a sender has failed */
	bool committed;			/* the point of no return is passed */
	bool forgot;			/* records of earlier migrations are gone */

	/* QEMU */
	struct qmp *qmp;
	char vm[QEMU_NAME_SIZE];
	struct ramblocks rams;
	struct journal journal;
	long stop;			/* qmp_reply()'s number for `stop` */
	bool was_running;		/* as the target was told */
	bool stopped;			/* `stop` was sent */
	bool handed;			/* QEMU has its end of the tunnel */
	bool migrating;			/* `migrate` was sent */
	enum outgoing_status outgoing;
	json_t *capabilities;		/* as they were before, of those we set */
	struct tunnel tunnel;

	/* The kernel module */
	struct kernel kernel;
	struct sender sender[FERRY_MAX_CHANNELS];
	bool passing;			/* a pass is under way in the kernel */
	bool slowed;			/* the VM was limited, and the user told */
	uint64_t pass;			/* its number, or that of the last one */
	int64_t pass_us;		/* when it began */
	struct converge converge;
	unsigned int blackout_ms;	/* expected */
	uint64_t floor;			/* pages, as the kernel knows it */

	struct heat heat;		/* where groups are opened; for the log */

	struct storage storage;
	struct fencer fencer;

	/* The target */
	struct tls *tls;		/* NULL: in clear text */
	const char *encrypts;		/* the data streams, see tls_encrypts() */
	struct frames control;
	uint64_t codecs;		/* what READY allows, bit (1 << FERRY_CODEC_x) */
	bool ready;			/* it has come */
	bool running;			/* RUNNING has come */
	bool verifying;			/* VERIFY was sent, and not answered */
	bool verified;			/* VERIFIED has come: @theirs is of that */
	bool told_abort;		/* ABORT came: no need to send one */
	uint64_t pass_done;		/* number of the last PASS_DONE */
	struct wire_digests theirs;

	/* For the summary. Milliseconds, microseconds. */
	const char *stage;		/* the one under way, or the one that failed */
	double stage_ms[SOURCE_STAGES_MAX];
	int64_t blackout_begin_us;	/* `stop` was sent */
	int64_t blackout_end_us;	/* RUNNING came */
	struct kernel_counts last;	/* the last that the kernel told */
	bool qemu_gone;			/* it ended before the commit */
	bool qemu_left;			/* ... or after it, which is no failure */
	bool paused_here;		/* rollback could not make the VM run again */
	bool held;			/* it runs there, and some of its disk may be held */
};

/**
 * source_run - move one VM away
 *
 * Returns an enum exit_status. Every failure has been told when this returns.
 */
int source_run(const struct source_options *options);

#endif /* KVMFERRY_SOURCE_H */
