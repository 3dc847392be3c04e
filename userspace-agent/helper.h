/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes beside the agent, which do what the agent itself gives up (privileges.h).
 * What interrupts the agent does not interrupt them: it tells them how it ends.
 */
#ifndef KVMFERRY_HELPER_H
#define KVMFERRY_HELPER_H

#include <sys/types.h>

/**
 * helper_fork - begin one
 * @fd:		out: a socket of the type SOCK_SEQPACKET, to the other process
 *
 * Returns 0 in the helper, where nothing of the agent's is open but standard input,
 * output and error; its process id in the agent, to be given to helper_end(); -1 with
 * errno.
 */
pid_t helper_fork(int *fd);

/* Closes the socket, at which the helper has to end, and waits until it has. */
void helper_end(pid_t helper, int fd);

#endif /* KVMFERRY_HELPER_H */
