/* SPDX-License-Identifier: GPL-2.0-only */
/* Passes: the worker of a channel. */
#ifndef FERRY_PASS_H
#define FERRY_PASS_H

int ferry_pass_worker(void *channel);

#endif /* FERRY_PASS_H */
