/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The target's QEMU: begun with "-incoming defer -S", it is made ready, fed with
 * device state, and run once the VM belongs here.
 */
#ifndef KVMFERRY_INCOMING_H
#define KVMFERRY_INCOMING_H

#include <stdbool.h>

#include "apply.h"
#include "log.h"
#include "qemu.h"
#include "ramblocks.h"
#include "vmdisks.h"
#include "wire.h"

enum incoming_status {
	INCOMING_NONE,		/* QEMU has not loaded anything yet */
	INCOMING_COMPLETED,	/* it has loaded all of it */
	INCOMING_FAILED,
};

/**
 * struct incoming - the target's QEMU
 * @qmp:	its control connection
 * @vm:		what owner records call the VM
 * @rams:	its RAM blocks
 * @disks:	its disks
 * @status:	what it has said about its incoming migration
 * @asked:	it was told to run the guest, and may have
 */
struct incoming {
	struct qmp *qmp;
	char vm[QEMU_NAME_SIZE];
	struct ramblocks rams;
	struct vmdisks disks;
	enum incoming_status status;
	bool asked;
};

/**
 * incoming_open - connect to a QEMU that waits, find its RAM, insist on check.h
 * @in:		to be initialised; must stay where it is until incoming_close()
 * @path:	of its QMP socket
 * @state_dir:	where owner records are
 * @why:	the reason of a failure, as when it runs a VM already
 *
 * Changes nothing in QEMU. Returns 0, or -1.
 */
int incoming_open(struct incoming *in, const char *path, const char *state_dir,
		  struct failure *why);

/**
 * incoming_pair - find our RAM block for each of the source's
 * @in:		the QEMU
 * @hello:	what the source has
 * @rams:	out: @hello->rams RAM blocks, in the source's order
 * @why:	what differs
 *
 * Returns 0, or -1 unless both sides have the same blocks with the same sizes.
 */
int incoming_pair(const struct incoming *in, const struct wire_hello *hello,
		  struct apply_ram rams[FERRY_MAX_RAM], struct failure *why);

/**
 * incoming_start - let QEMU read its migration stream from @fd
 *
 * From now on this QEMU is of no use for anything else. @fd stays the caller's,
 * to be closed. Returns 0, or -1.
 */
int incoming_start(struct incoming *in, int fd, struct failure *why);

/**
 * incoming_pump - take what QEMU has to say
 *
 * Returns 0, or -1 when QEMU has gone or its incoming migration has failed.
 */
int incoming_pump(struct incoming *in, struct failure *why);

/* Asks QEMU about its migration, should its event have been missed. As above. */
int incoming_query(struct incoming *in, struct failure *why);

/**
 * incoming_run - let the guest run
 * @in:		a QEMU with INCOMING_COMPLETED
 * @timeout_s:	for QEMU to open disks that the other host may just be closing
 * @why:	what QEMU said last
 *
 * Returns 0 when QEMU says that it runs, or -1.
 */
int incoming_run(struct incoming *in, unsigned int timeout_s, struct failure *why);

/* Ends QEMU. Never fails: what cannot be done is logged. */
void incoming_quit(struct incoming *in);

/* Lets go of QEMU, which goes on. */
void incoming_close(struct incoming *in);

#endif /* KVMFERRY_INCOMING_H */
