// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the agents give up, each in a process of its own, and what they must still be able to do.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "privileges.h"
#include "sanitized.h"

/* Does a line of /proc/self/status say so? */
static bool has_line(const char *line)
{
	char text[4096] = "";
	FILE *file = fopen("/proc/self/status", "re");
	bool found;

	found = fread(text, 1, sizeof(text) - 1, file) && strstr(text, line);
	fclose(file);
	return found;
}

/* Exits with the number of the line unless it is so. */
#define REQUIRE(condition)						\
	do {								\
		if (!(condition))					\
			_exit(__LINE__ % 256 ? __LINE__ % 256 : 1);	\
	} while (0)

static bool is_denied(long result)
{
	return result < 0 && errno == EPERM;
}

static void *nothing(void *opaque)
{
	return opaque;
}

static bool can_make_threads(void)
{
	pthread_t thread;

	return !pthread_create(&thread, NULL, nothing, NULL) && !pthread_join(thread, NULL);
}

static void require_denied_always(void)
{
	char *const none[] = { NULL };

	REQUIRE(is_denied(execve("/bin/true", none, none)));
	REQUIRE(SANITIZED || is_denied(ptrace(PTRACE_TRACEME, 0, NULL, NULL)));
	REQUIRE(is_denied(syscall(SYS_bpf, 0, NULL, 0)));
	REQUIRE(is_denied(syscall(SYS_init_module, NULL, 0, "")));
	REQUIRE(has_line("\nNoNewPrivs:\t1\n"));
	REQUIRE(has_line("\nSeccomp:\t2\n"));
	REQUIRE(has_line("\nCapBnd:\t0000000000000000\n"));
	REQUIRE(can_make_threads());
}

static void begin_source(void)
{
	REQUIRE(!privileges_begin(PRIVILEGES_SOURCE, NULL));
	require_denied_always();
	REQUIRE(has_line("\nCapEff:\t0000010000080102\n"));
	REQUIRE(!unshare(CLONE_FS));
}

static void begin_target(void)
{
	REQUIRE(!privileges_begin(PRIVILEGES_TARGET, NULL));
	require_denied_always();
	REQUIRE(has_line("\nCapEff:\t00000100002805e2\n"));
	REQUIRE(!unshare(CLONE_NEWNS));
}

static void require_settled(void)
{
	require_denied_always();
	REQUIRE(SANITIZED || is_denied(fork()));
	REQUIRE(is_denied(unshare(CLONE_FS)));
	REQUIRE(is_denied(mount("", "/", "tmpfs", 0, NULL)));
	REQUIRE(is_denied(chroot("/")));
	REQUIRE(is_denied(setuid(0)));
	REQUIRE(open("/proc/self/status", O_RDONLY) >= 0);
}

static void settle_source(void)
{
	REQUIRE(!privileges_begin(PRIVILEGES_SOURCE, NULL));
	REQUIRE(!privileges_settle(PRIVILEGES_SOURCE, NULL));
	require_settled();
	REQUIRE(has_line("\nCapEff:\t0000000000000000\n"));
	REQUIRE(has_line("\nCapPrm:\t0000000000000000\n"));
}

static void settle_target(void)
{
	REQUIRE(!privileges_begin(PRIVILEGES_TARGET, NULL));
	REQUIRE(!privileges_settle(PRIVILEGES_TARGET, NULL));
	require_settled();
	REQUIRE(has_line("\nCapEff:\t0000000000000020\n"));
	REQUIRE(has_line("\nCapPrm:\t0000000000000020\n"));
}

/* Whoever has no capabilities has none to give up, and is filtered all the same. */
static void settle_nobody(void)
{
	REQUIRE(!setgid(65534) && !setuid(65534));
	REQUIRE(!privileges_begin(PRIVILEGES_SOURCE, NULL));
	REQUIRE(!privileges_settle(PRIVILEGES_SOURCE, NULL));
	REQUIRE(SANITIZED || is_denied(fork()));
	REQUIRE(can_make_threads());
}

/* Without them, all of that can be done, or fails for another reason. */
static void keep_all(void)
{
	char *const none[] = { NULL };
	pid_t pid = fork();

	REQUIRE(pid >= 0);
	if (!pid)
		_exit(0);
	REQUIRE(waitpid(pid, NULL, 0) == pid);
	REQUIRE(!unshare(CLONE_FS));
	REQUIRE(!chroot("/"));
	REQUIRE(!setuid(0));
	REQUIRE(!ptrace(PTRACE_TRACEME, 0, NULL, NULL) || errno == EPERM);
	REQUIRE(execve("/nowhere", none, none) && errno == ENOENT);
}

static void run(void (*what)(void))
{
	int status;
	pid_t pid;

	if (geteuid())
		skip();
	pid = fork();

	if (!pid) {
		what();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status)
		fail_msg("status %x: line %d", status, WEXITSTATUS(status));
}

static void test_begin(void **state)
{
	(void)state;
	run(begin_source);
	run(begin_target);
}

static void test_settle(void **state)
{
	(void)state;
	run(settle_source);
	run(settle_target);
	run(settle_nobody);
}

static void test_without(void **state)
{
	(void)state;
	run(keep_all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begin),
		cmocka_unit_test(test_settle),
		cmocka_unit_test(test_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
