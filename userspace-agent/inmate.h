/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of the decoder: enters the sandbox, then runs the streams and reports.
 *
 * Of its descriptors remain the data streams, the files of RAM, its end of the pair, and an eventfd
 * by which its threads wake each other. It never waits for its parent but in send(), and ends when
 * the other end of the pair is closed.
 */
#ifndef KVMFERRY_INMATE_H
#define KVMFERRY_INMATE_H

#include "cell.h"

/**
 * inmate_run - be a decoder; never returns
 * @work:	what there is to do
 * @parent:	our end of the pair
 */
__attribute__((noreturn))
void inmate_run(const struct cell_work *work, int parent);

#endif /* KVMFERRY_INMATE_H */
