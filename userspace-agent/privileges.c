// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the agent itself may do.
 */
#include <cap-ng.h>
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>

#include "privileges.h"
#include "sanitized.h"

#define CAP(name)	(1ull << CAP_##name)

/* What setting up a migration takes. */
static const uint64_t for_setup[] = {
	/*
	 * QEMU's sockets and files may be another user's; /proc/PID/maps, mem and map_files are
	 * looked at; the kernel loads its module for TLS only for NET_ADMIN; SETPCAP empties the
	 * bounding set.
	 */
	[PRIVILEGES_SOURCE] = CAP(DAC_OVERRIDE) | CAP(SYS_PTRACE) | CAP(CHECKPOINT_RESTORE) |
			      CAP(NET_ADMIN) | CAP(SETPCAP),
	/* A low port; then the decoder's sandbox, and its end. */
	[PRIVILEGES_TARGET] = CAP(DAC_OVERRIDE) | CAP(SYS_PTRACE) | CAP(CHECKPOINT_RESTORE) |
			      CAP(NET_ADMIN) | CAP(SETPCAP) | CAP(NET_BIND_SERVICE) |
			      CAP(SYS_ADMIN) | CAP(SETUID) | CAP(SETGID) | CAP(KILL),
	/* Linux 6.1 changes reservations for nobody else. Its files, and the storage's devices. */
	[PRIVILEGES_FENCER] = CAP(SYS_ADMIN) | CAP(DAC_OVERRIDE) | CAP(SETPCAP),
};

/* And what is left then. */
static const uint64_t for_good[] = {
	[PRIVILEGES_SOURCE] = 0,
	[PRIVILEGES_TARGET] = CAP(KILL),
};

/* What the agent never does. */
static const int never[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
	SCMP_SYS(process_madvise), SCMP_SYS(pidfd_getfd), SCMP_SYS(kcmp),
	SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(io_uring_setup),
	SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl),
	SCMP_SYS(open_by_handle_at), SCMP_SYS(mknod), SCMP_SYS(mknodat),
	SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(reboot), SCMP_SYS(acct),
	SCMP_SYS(quotactl), SCMP_SYS(syslog), SCMP_SYS(personality), SCMP_SYS(modify_ldt),
	SCMP_SYS(iopl), SCMP_SYS(ioperm), SCMP_SYS(sethostname), SCMP_SYS(setdomainname),
	SCMP_SYS(settimeofday), SCMP_SYS(clock_settime), SCMP_SYS(adjtimex),
	SCMP_SYS(clock_adjtime),
};

/* What it does no more once all is set up. The decoder was the last process. */
static const int no_more[] = {
	SCMP_SYS(fork), SCMP_SYS(vfork),
	SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(chroot), SCMP_SYS(pivot_root),
	SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(fsopen), SCMP_SYS(fsmount),
	SCMP_SYS(move_mount), SCMP_SYS(open_tree), SCMP_SYS(mount_setattr),
	SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid),
	SCMP_SYS(setresuid), SCMP_SYS(setresgid), SCMP_SYS(setgroups),
	SCMP_SYS(setfsuid), SCMP_SYS(setfsgid), SCMP_SYS(chown), SCMP_SYS(fchown),
	SCMP_SYS(lchown), SCMP_SYS(fchownat),
};

static int deny(scmp_filter_ctx filter, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), calls[i], 0))
			return -1;
	return 0;
}

/* The leak check at the end of a sanitized build is a process that traces its parent. */
static int deny_tracing(scmp_filter_ctx filter)
{
	return SANITIZED ? 0 :
	       seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ptrace), 0);
}

/* Threads, but no processes. The flags of clone3() cannot be seen: without it, libraries use clone(). */
static int deny_processes(scmp_filter_ctx filter)
{
	if (SANITIZED)
		return 0;
	return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) ||
	       seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
				SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
}

static int load(scmp_filter_ctx filter, int failed, struct failure *why)
{
	if (!failed)
		failed = seccomp_load(filter);
	seccomp_release(filter);
	return failed ? fail(why, "cannot give up privileges: no filter of system calls: %s",
			     strerror(failed == -1 ? EINVAL : -failed)) : 0;
}

/* Gives up all but these. Whoever is not root has less to begin with. */
static int keep_capabilities(uint64_t keep, struct failure *why)
{
	capng_select_t which = CAPNG_SELECT_CAPS;

	capng_get_caps_process();
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		which = CAPNG_SELECT_ALL;
	for (unsigned int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (!capng_have_capability(CAPNG_PERMITTED, cap))
			keep &= ~(1ull << cap);
	capng_clear(CAPNG_SELECT_ALL);
	for (unsigned int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (keep & 1ull << cap)
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, cap);
	return capng_apply(which) ?
	       fail(why, "cannot give up privileges: %s", strerror(errno)) : 0;
}

int privileges_begin(enum privileges who, struct failure *why)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int failed = !filter || deny(filter, never, sizeof(never) / sizeof(never[0])) ||
		     deny_tracing(filter);

	return load(filter, failed ? -1 : 0, why) ||
	       keep_capabilities(for_setup[who], why) ? -1 : 0;
}

int privileges_settle(enum privileges who, struct failure *why)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int failed = !filter ||
		     deny(filter, no_more, sizeof(no_more) / sizeof(no_more[0])) ||
		     deny_processes(filter);

	return load(filter, failed ? -1 : 0, why) ||
	       keep_capabilities(for_good[who], why) ? -1 : 0;
}
