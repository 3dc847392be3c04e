/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the peers of fuzz-source and fuzz-target talk. Nothing here blocks for longer than it is told
 * to; what the agent does not take is lost, as is what is said on a descriptor of -1.
 */
#ifndef KVMFERRY_FUZZ_PEER_H
#define KVMFERRY_FUZZ_PEER_H

#include <stdbool.h>
#include <stddef.h>

#include "script.h"

#define PEER_PATIENCE	100	/* ms that a peer waits for answers in one conversation, in all */

void peer_say(int fd, const void *bytes, size_t length);

/* A frame from a step: its type, then its payload. */
void peer_say_frame(int fd, const struct script_step *step);

/* Waits for one frame of the agent, as long as there is patience, and forgets it. */
void peer_hear_frame(int fd, int *patience);

/* Takes what is there to be read. */
void peer_drain(int fd);

/* Closes it, if it is open. */
void peer_shut(int *fd);

/* Makes an eventfd readable. */
void peer_ring(int fd);

/* The agent's time is up: SIGTERM is held back until it listens, and forgotten after its end. */
void peer_signals_begin(void);
void peer_signals_end(void);

#endif /* KVMFERRY_FUZZ_PEER_H */
