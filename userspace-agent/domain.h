/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VMs that libvirt has: found by their domain's name at the source, begun from their XML at the target.
 *
 * Theory of operation
 *
 *	The agent drives QEMU as it always does, over a QMP socket of its own; libvirt sees what QEMU
 *	tells it: that the VM was stopped, runs, or has ended. What only libvirt can do stands around
 *	that, and is done by a process of its own, the keeper, as the agent gives up what it takes
 *	(privileges.h). It is told nothing by the agent but how the migration ended.
 *
 *	                source                            target
 *	before		the domain runs, its XML is       a domain is started from the XML, plus
 *			good; autostart is off            -incoming defer; it is not defined
 *	moved		it is shut off, without           it is defined, if the XML is good for that
 *			autostart
 *	not moved	autostart is as it was            it is destroyed
 *	in doubt	nothing is done                   nothing is done
 *	agent died	nothing is done                   nothing is done
 *
 *	So at no time does a host begin the VM by itself while it may be on the other. Autostart is
 *	switched off first, and durably: a host that loses its power after COMMIT must not start what is
 *	not its own any more.
 */
#ifndef KVMFERRY_DOMAIN_H
#define KVMFERRY_DOMAIN_H

#include <sys/types.h>
#include "check.h"

#define DOMAIN_SOCKET	128

/**
 * struct domain - a domain that is being moved
 * @keeper:	the process that deals with libvirt
 * @fd:		to it
 * @qmp:	path of the QMP socket of its QEMU
 */
struct domain {
	pid_t keeper;
	int fd;
	char qmp[DOMAIN_SOCKET];
};

/**
 * domain_leave - prepare to move a domain away
 * @name:	its name, UUID or number
 *
 * What is wrong with its XML is logged. Returns 0, or -1 with @why.
 */
int domain_leave(struct domain *d, const char *name, struct failure *why);

/**
 * domain_enter - start a domain that waits for its VM
 * @file:	with the XML that the source's libvirt gives (virsh dumpxml --migratable); "-": standard
 *		input
 * @keep:	leave it there after a failure
 *
 * Returns 0, or -1 with @why.
 */
int domain_enter(struct domain *d, const char *file, bool keep, struct failure *why);

/* Does what is to be done after the agent has ended its work with @status, which is returned. */
enum exit_status domain_close(struct domain *d, enum exit_status status);

/**
 * domain_check - look at a domain, for `kvmferry check`
 * @name:	its name, UUID or number
 * @qmp:	out: path of its QMP socket; empty: it has none, or does not run
 * @line:	called for each thing that was looked at
 *
 * Returns the number of failures.
 */
int domain_check(const char *name, char qmp[DOMAIN_SOCKET], check_line_fn *line, void *opaque);

#endif /* KVMFERRY_DOMAIN_H */
