/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process that can do next to nothing: where bytes of strangers are decoded.
 *
 *	parent		sandbox_fork()	a child, the first process of a PID namespace
 *	child		sandbox_enter()	what it is, and what it holds
 *			... its threads are made ...
 *			sandbox_seal()	which system calls it may make, from here on
 *
 * What remains after that is memory, the files that were kept, and a handful of system calls
 * on them; docs/security.md tells what each of the layers is for. Whatever step fails, the
 * process must not go on: there is no sandbox with a hole.
 */
#ifndef KVMFERRY_SANDBOX_H
#define KVMFERRY_SANDBOX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "log.h"

/**
 * struct sandbox - what a process may keep
 * @keep:	file descriptors; all others are closed
 * @count:	how many
 * @file_end:	bytes: no file can be made longer than this
 * @memory:	bytes of writable memory of its own, at most
 */
struct sandbox {
	const int *keep;
	size_t count;
	uint64_t file_end;
	uint64_t memory;
};

/**
 * sandbox_fork - fork() into a PID namespace of its own
 * @why:	the reason of a failure
 *
 * Takes CAP_SYS_ADMIN, and a process of one thread.
 *
 * Returns as fork() does.
 */
pid_t sandbox_fork(struct failure *why);

/**
 * sandbox_enter - give up all but what is to be kept
 * @s:		what that is
 * @why:	the reason of a failure
 *
 * Empty namespaces (user, if this host allows one more; mount, network, IPC, UTS), an empty root,
 * nobody's user and group, no capability and none to be had, no new privileges, limits; and it
 * dies with its parent. The process has one thread.
 *
 * Returns 0, or -1.
 */
int sandbox_enter(const struct sandbox *s, struct failure *why);

/**
 * sandbox_seal - from now on, any system call but a few ends the process
 * @why:	the reason of a failure
 *
 * For all threads; none can be made any more.
 *
 * Returns 0, or -1.
 */
int sandbox_seal(struct failure *why);

#endif /* KVMFERRY_SANDBOX_H */
