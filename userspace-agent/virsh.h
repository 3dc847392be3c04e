/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libvirt, through its own command: so nothing of libvirt is linked to the agent, or loaded by it, and a
 * host without libvirt needs none. The environment says which libvirt, as always (LIBVIRT_DEFAULT_URI).
 *
 * Not for a process that has given up its privileges: it may not start programs (privileges.h).
 */
#ifndef KVMFERRY_VIRSH_H
#define KVMFERRY_VIRSH_H

#include "log.h"

#define VIRSH_MAX	(1u << 20)	/* bytes of a domain's XML, or of what virsh says */

extern int virsh_wait_ms;	/* for libvirt to answer, 2 minutes; tests shorten it */

/**
 * virsh - run one command of virsh(1)
 * @input:	what it finds in /dev/stdin; NULL: nothing
 * @why:	its own words, if it failed, or that it did not end
 * @command:	its arguments, up to a NULL
 *
 * Returns what it printed, to be freed, or NULL with @why.
 */
__attribute__((sentinel))
char *virsh(const char *input, struct failure *why, const char *command, ...);

#endif /* KVMFERRY_VIRSH_H */
