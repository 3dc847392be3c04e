// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A process that can do next to nothing.
 *
 * The order in sandbox_enter() is that of what each step still needs: the user is changed
 * while we may, and the user namespace made by nobody, so that no root stands behind it; mounts take
 * capabilities in it, which then go; the death signal is set after the last change of
 * credentials, which would clear it.
 */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox.h"
#include "sanitized.h"

#define NOBODY	65534

/* ------------------------------------------------------------------------
 * The process
 * ------------------------------------------------------------------------ */

pid_t sandbox_fork(struct failure *why)
{
	int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	pid_t pid = -1;

	if (own < 0 || unshare(CLONE_NEWPID)) {
		fail(why, "cannot make a PID namespace for the decoder: %m");
		goto out;
	}
	pid = fork();
	if (pid < 0)
		fail(why, "cannot make a process for the decoder: %m");
	/* The kernel makes no thread for whoever has children in another namespace. */
	if (pid && setns(own, CLONE_NEWPID)) {
		fail(why, "cannot leave the decoder's PID namespace: %m");
		if (pid > 0)
			kill(pid, SIGKILL);
		pid = -1;
	}
out:
	if (own >= 0)
		close(own);
	return pid;
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Closes all descriptors but those in @sorted, which may have one twice. */
static int close_others(const int *sorted, size_t count)
{
	unsigned int from = 0;

	for (size_t i = 0; i < count; i++) {
		unsigned int keep = (unsigned int)sorted[i];

		if (keep > from && close_range(from, keep - 1, 0))
			return -1;
		from = keep + 1;
	}
	return close_range(from, ~0u, 0);
}

static int keep_files(const struct sandbox *s, struct failure *why)
{
	int *sorted = calloc(s->count + 1, sizeof(*sorted));
	size_t count = s->count;
	int result;

	if (!sorted)
		return fail(why, "not enough memory for the sandbox");
	for (size_t i = 0; i < count; i++)
		sorted[i] = s->keep[i];
	if (SANITIZED)
		sorted[count++] = STDERR_FILENO;
	qsort(sorted, count, sizeof(*sorted), compare);
	result = close_others(sorted, count);
	free(sorted);
	return result ? fail(why, "cannot close files: %m") : 0;
}

/* ------------------------------------------------------------------------
 * Who it is, and where
 * ------------------------------------------------------------------------ */

/* Nobody, with as much power as the next steps take. */
static int become_nobody(struct failure *why)
{
	capng_clear(CAPNG_SELECT_BOTH);
	capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SYS_ADMIN,
		      CAP_SETPCAP, -1);
	if (capng_change_id(NOBODY, NOBODY, CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING))
		return fail(why, "cannot become nobody: %m");
	return 0;
}

/*
 * A host may allow no user namespaces (user.max_user_namespaces=0), as a hardened one often does. It
 * is the one layer that can be missed: without capabilities there is little to be root of.
 */
static int leave_namespaces(struct failure *why)
{
	if (unshare(CLONE_NEWUSER) && errno != ENOSPC && errno != EINVAL)
		return fail(why, "cannot make a user namespace: %m");
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS))
		return fail(why, "cannot make namespaces: %m");
	return 0;
}

/* An empty, read-only file system in the place of all others. */
static int leave_files(struct failure *why)
{
	if (mount("", "/", "", MS_REC | MS_PRIVATE, NULL) ||
	    mount("", "/proc", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=4k,nr_inodes=1,mode=0555") ||
	    chdir("/proc") || syscall(SYS_pivot_root, ".", ".") ||
	    umount2(".", MNT_DETACH) || chdir("/"))
		return fail(why, "cannot make an empty root: %m");
	return 0;
}

/*
 * The bounding set is full again only after a user namespace was made, with all capabilities in it.
 * Without, to become nobody has emptied it, and libcap-ng 0.8.5 has left nothing to do it again with.
 */
static int drop_capabilities(struct failure *why)
{
	capng_select_t which = CAPNG_SELECT_ALL;

	capng_get_caps_process();
	if (capng_have_capabilities(CAPNG_SELECT_BOUNDS) == CAPNG_NONE)
		which = CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT;
	capng_clear(CAPNG_SELECT_ALL);
	if (capng_apply(which))
		return fail(why, "cannot drop capabilities: %m");
	capng_get_caps_process();
	if (capng_have_capabilities(CAPNG_SELECT_CAPS) != CAPNG_NONE ||
	    capng_have_capabilities(CAPNG_SELECT_BOUNDS) != CAPNG_NONE)
		return fail(why, "cannot drop capabilities: some are left");
	return 0;
}

static int limit(int resource, rlim_t most)
{
	const struct rlimit limit = { .rlim_cur = most, .rlim_max = most };

	return setrlimit(resource, &limit);
}

static int set_limits(const struct sandbox *s, struct failure *why)
{
	if (limit(RLIMIT_CORE, 0) || limit(RLIMIT_FSIZE, s->file_end) ||
	    limit(RLIMIT_MEMLOCK, 0) || limit(RLIMIT_MSGQUEUE, 0) ||
	    (!SANITIZED && limit(RLIMIT_DATA, s->memory)))
		return fail(why, "cannot limit the process: %m");
	return 0;
}

/* Nobody is to look into it, it gains nothing by anything, and it does not outlive its parent. */
static int set_properties(struct failure *why)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		return fail(why, "cannot restrict the process: %m");
	return 0;
}

int sandbox_enter(const struct sandbox *s, struct failure *why)
{
	if (keep_files(s, why) || become_nobody(why) || leave_namespaces(why) ||
	    leave_files(why) || drop_capabilities(why) || set_limits(s, why) ||
	    set_properties(why))
		return fail_in(why, "cannot enter the sandbox");
	return 0;
}

/* ------------------------------------------------------------------------
 * What it may do
 * ------------------------------------------------------------------------ */

/*
 * Streams are read, RAM is read and written, the parent and the main thread are told; memory,
 * locks and the clock. The TLS library may answer with an alert, which it sends with sendmsg()
 * where the kernel encrypts. Nothing makes a descriptor, a process or a thread.
 */
static const int allowed[] = {
	SCMP_SYS(read), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
	SCMP_SYS(write), SCMP_SYS(sendmsg),
	SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(lseek),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(restart_syscall),
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	SCMP_SYS(futex), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
	SCMP_SYS(exit), SCMP_SYS(exit_group),
};

/* What AddressSanitizer does by itself. */
static const int for_sanitizer[] = {
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(sched_yield), SCMP_SYS(sigaltstack),
	SCMP_SYS(mmap), SCMP_SYS(rt_sigaction), SCMP_SYS(prctl), SCMP_SYS(close),
	SCMP_SYS(openat), SCMP_SYS(readlink), SCMP_SYS(ioctl), SCMP_SYS(getrandom),
};

static int allow(scmp_filter_ctx filter, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0))
			return -1;
	return 0;
}

/* These only with arguments that are as they should be. */
static int allow_some(scmp_filter_ctx filter)
{
	const scmp_datum_t punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	/* on a connected socket */
	if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1,
			     SCMP_A4(SCMP_CMP_EQ, 0, 0)))
		return -1;
	/* RAM never gets longer or shorter */
	if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fallocate), 1,
			     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, punch)))
		return -1;
	/* memory that can be written to is never run */
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) ||
	       seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
				SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
				SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
}

int sandbox_seal(struct failure *why)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int result = -1;

	if (filter &&
	    !seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) &&
	    !allow(filter, allowed, sizeof(allowed) / sizeof(allowed[0])) &&
	    !allow_some(filter) &&
	    !(SANITIZED && allow(filter, for_sanitizer,
				 sizeof(for_sanitizer) / sizeof(for_sanitizer[0]))))
		result = seccomp_load(filter);
	seccomp_release(filter);
	return result ? fail(why, "cannot enter the sandbox: no filter of system calls: %s",
			     strerror(result == -1 ? EINVAL : -result)) : 0;
}
