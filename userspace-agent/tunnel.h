/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's own migration stream, tunnelled through the control connection.
 *
 * QEMU gets one end of a socket pair as its migration channel. What it writes
 * becomes DEVICE frames, what DEVICE frames bring is written to it, and the end of
 * either direction is told with DEVICE_EOF. Both directions matter on both sides:
 * the return path is how the source's QEMU learns that the target's is content.
 *
 * Memory is bounded by stopping: QEMU is not read while the control connection has
 * no room, and the control connection is not read while QEMU takes nothing
 * (tunnel_is_full()).
 */
#ifndef KVMFERRY_TUNNEL_H
#define KVMFERRY_TUNNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frames.h"
#include "log.h"

/**
 * struct tunnel - one side of the tunnel; { .fd = -1 } is one that is not open
 * @fd:		our end of the socket pair, -1 when closed
 * @begin:	where in @bytes what waits for QEMU begins
 * @end:	where it ends
 * @told_eof:	the other side has nothing more for QEMU
 * @saw_eof:	QEMU has closed its end
 * @sent:	bytes from QEMU to the other side so far
 * @received:	bytes from the other side so far
 * @bytes:	one payload that waits for QEMU
 */
struct tunnel {
	int fd;
	size_t begin;
	size_t end;
	bool told_eof;
	bool saw_eof;
	uint64_t sent;
	uint64_t received;
	uint8_t bytes[WIRE_MAX_PAYLOAD];
};

/**
 * tunnel_open - make the socket pair
 * @t:		to be initialised
 * @qemu:	out: the end for QEMU, to be closed once QEMU has it
 * @why:	the reason of a failure
 *
 * Returns 0, or -1.
 */
int tunnel_open(struct tunnel *t, int *qemu, struct failure *why);

/* Closes our end. QEMU sees that its stream has broken off. */
void tunnel_close(struct tunnel *t);

/*
 * What to poll @t->fd for, given the room in @c. With 0 it must not be polled at
 * all: it may have been hung up, which would end every poll at once.
 */
short tunnel_events(const struct tunnel *t, const struct frames *c);

/* Does something still wait for QEMU, so that no further frame may be taken? */
bool tunnel_is_full(const struct tunnel *t);

/**
 * tunnel_move - move bytes both ways as far as possible
 * @t:		the tunnel
 * @c:		gets DEVICE frames, and DEVICE_EOF when QEMU closed its end
 * @why:	the reason of a failure
 *
 * To be called when @t->fd is ready. Returns 0, or -1.
 */
int tunnel_move(struct tunnel *t, struct frames *c, struct failure *why);

/**
 * tunnel_deliver - the payload of a DEVICE frame came
 * @t:		the tunnel, not full
 * @payload:	its bytes
 * @len:	1 .. WIRE_MAX_PAYLOAD
 * @why:	the reason of a failure: it came after DEVICE_EOF
 *
 * Bytes for a QEMU that has closed its end are dropped: if that was not the end of
 * a good migration, QEMU says so through QMP. Returns 0, or -1.
 */
int tunnel_deliver(struct tunnel *t, const uint8_t *payload, size_t len,
		   struct failure *why);

/* DEVICE_EOF came. Returns 0, or -1 when it came twice. */
int tunnel_deliver_eof(struct tunnel *t, struct failure *why);

#endif /* KVMFERRY_TUNNEL_H */
