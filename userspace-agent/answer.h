/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The target's part of the conversation on the control connection: HELLO is answered
 * with READY, the end of a pass with digests, COMMIT by taking over.
 */
#ifndef KVMFERRY_ANSWER_H
#define KVMFERRY_ANSWER_H

#include "target.h"

/**
 * answer_frames - deal with the frames that are here
 *
 * Until there are no more, or what they bring cannot be taken yet, or COMMIT was
 * among them. Returns 0, or -1 with @t->why. Answers are queued, not sent.
 */
int answer_frames(struct target *t);

/* Queues digests for what has landed. Returns 0, or -1 with @t->why. */
int answer_landed(struct target *t);

#endif /* KVMFERRY_ANSWER_H */
