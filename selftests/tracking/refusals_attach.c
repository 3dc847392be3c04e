// SPDX-License-Identifier: GPL-2.0-or-later
/* What FERRY_ATTACH must refuse, and to whom. */
#include "refusals.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "die.h"

static long try_attach(pid_t pid, int mem)
{
	struct ferry *f = fresh();
	struct ferry_attach attach = { .pid = pid, .codecs = FERRY_BIT(NONE), .mem_fd = mem };
	long ret = ferry_ioctl(f->fd, FERRY_ATTACH, &attach);

	ferry_close(f);
	return ret;
}

static long try_attach_by(const char *path, int flags)
{
	int fd = must(open(path, flags | O_CLOEXEC));
	long ret = try_attach(getpid(), fd);

	close(fd);
	return ret;
}

static void test_wrong_mem(void)
{
	expect(EBADF, try_attach(getpid(), 999), "attach: mem_fd that nobody opened");
	expect(EBADF, try_attach(getpid(), -1), "attach: mem_fd -1");
	expect(EPERM, try_attach_by("/proc/self/mem", O_RDONLY), "attach: mem open for reading only");
	expect(EPERM, try_attach_by("/proc/self/mem", O_WRONLY), "attach: mem open for writing only");
	expect(EPERM, try_attach_by("/proc/self/environ", O_RDONLY), "attach: environ");
	expect(EPERM, try_attach_by("/proc/self/environ", O_RDWR), "attach: environ, read-write");
	expect(EPERM, try_attach_by("/proc/self/auxv", O_RDWR), "attach: auxv, read-write");
	expect(EPERM, try_attach_by("/proc/self/pagemap", O_RDWR), "attach: pagemap, read-write");
	expect(EPERM, try_attach_by(ram.path, O_RDWR), "attach: the RAM's file");
	expect(EPERM, try_attach_by("/dev/null", O_RDWR), "attach: /dev/null");
	expect(ESRCH, try_attach_by("/proc/self/comm", O_RDWR), "attach: another writable file of procfs");
	expect(ESRCH, try_attach_by("/proc/1/mem", O_RDWR), "attach: another process's mem");
}

static void *just_wait(void *arg)
{
	volatile pid_t *tid = arg;

	*tid = gettid();
	pause();
	return NULL;
}

static void test_wrong_pid(void)
{
	int mem = ferry_open_mem(getpid(), O_RDWR);
	volatile pid_t tid = 0;
	pthread_t thread;
	siginfo_t info;
	pid_t child;

	expect(ESRCH, try_attach(-1, mem), "attach: pid -1");
	expect(ESRCH, try_attach(0, mem), "attach: pid 0");
	expect(ESRCH, try_attach(0x3fffff, mem), "attach: no such process");
	expect(ESRCH, try_attach(2, mem), "attach: a kernel thread");
	expect(ESRCH, try_attach(1, mem), "attach: another process, our mem");

	if (pthread_create(&thread, NULL, just_wait, (void *)&tid))
		die("no thread");
	while (!tid)
		usleep(1000);
	expect(ESRCH, try_attach(tid, mem), "attach: a thread's id");
	pthread_cancel(thread);
	pthread_join(thread, NULL);

	child = must(fork());
	if (!child)
		_exit(0);
	must(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
	expect(ESRCH, try_attach(child, mem), "attach: a zombie");
	waitpid(child, NULL, 0);
	expect(ESRCH, try_attach(child, mem), "attach: a process that is gone");
	close(mem);
}

/* The address space that was opened is not the one that the process has now. */
static void test_exec(void)
{
	int ends[2], mem;
	pid_t child;
	char byte;

	must(pipe2(ends, O_CLOEXEC));
	child = must(fork());
	if (!child) {
		raise(SIGSTOP);
		execlp("sleep", "sleep", "100", NULL);
		_exit(1);
	}
	waitpid(child, NULL, WUNTRACED);
	mem = ferry_open_mem(child, O_RDWR);
	kill(child, SIGCONT);
	close(ends[1]);
	/* the child's copy of the end is closed by its exec */
	if (read(ends[0], &byte, 1))
		die("no end of file");
	expect(ESRCH, try_attach(child, mem), "attach: it has called execve since");
	close(mem);
	close(ends[0]);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

void test_attach(void)
{
	struct ferry *f, second;
	struct ferry_attach attach = { .pid = getpid(), .codecs = FERRY_BIT(NONE) };

	test_wrong_mem();
	test_wrong_pid();
	test_exec();

	f = fresh();
	expect(EOPNOTSUPP, ferry_attach(f, getpid(), 1ull << FERRY_NR_CODECS), "attach: a codec from the future");
	expect(EOPNOTSUPP, ferry_attach(f, getpid(), FERRY_BIT(LZ4) | 1ull << 63), "attach: codec 63");
	expect(EOPNOTSUPP, ferry_attach(f, getpid(), 0), "attach: no codec at all");
	expect(EOPNOTSUPP, ferry_attach(f, getpid(), -1), "attach: any codec");
	expect(0, ferry_attach(f, getpid(), FERRY_BIT(NONE)), "attach: raw pages only");
	attach.mem_fd = f->mem;
	expect(EBUSY, ferry_ioctl(f->fd, FERRY_ATTACH, &attach), "attach: this file again");
	ferry_open(&second, NULL, NULL);
	expect(EBUSY, ferry_attach(&second, getpid(), FERRY_BIT(LZ4)), "attach: this process again");
	ferry_close(f);
	expect(0, ferry_attach(&second, getpid(), FERRY_BIT(LZ4)), "attach: when the other has let go");
	ferry_close(&second);
}

/* --- a caller without rights */

/* Runs @body in a child without privileges, which returns its exit status. */
static int unprivileged(int (*body)(int device), int device)
{
	int status;
	pid_t child;

	fflush(stdout);
	child = must(fork());
	if (!child) {
		must(setresgid(1000, 1000, 1000));
		must(setresuid(1000, 1000, 1000));
		/* as if it had been started so: it may look at itself */
		must(prctl(PR_SET_DUMPABLE, 1));
		_exit(body(device));
	}
	must(waitpid(child, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static int open_device(int device)
{
	(void)device;
	return open("/dev/kvmferry", O_RDWR) < 0 ? errno : 0;
}

static int open_parents_mem(int device)
{
	int fd = ferry_open_mem(getppid(), O_RDWR);

	(void)device;
	return fd < 0 ? -fd : 0;
}

static int attach_by_file(int device, const char *path)
{
	struct ferry_attach attach = { .pid = getppid(), .codecs = FERRY_BIT(NONE) };

	attach.mem_fd = open(path, O_RDWR);
	return -ferry_ioctl(device, FERRY_ATTACH, &attach);
}

static int attach_by_own_mem(int device)
{
	return attach_by_file(device, "/proc/self/mem");
}

static int attach_by_null(int device)
{
	return attach_by_file(device, "/dev/null");
}

/* With the device handed over, and its own memory, it is within its rights. */
static int attach_to_itself(int device)
{
	struct ferry_attach attach = { .pid = getpid(), .codecs = FERRY_BIT(NONE) };

	attach.mem_fd = open("/proc/self/mem", O_RDWR);
	return -ferry_ioctl(device, FERRY_ATTACH, &attach);
}

void test_rights(void)
{
	struct ferry *f = fresh();

	expect(EACCES, -unprivileged(open_device, f->fd), "no rights: the device");
	expect(EACCES, -unprivileged(open_parents_mem, f->fd), "no rights: the VM's mem");
	expect(ESRCH, -unprivileged(attach_by_own_mem, f->fd), "no rights: attach by its own mem");
	expect(EPERM, -unprivileged(attach_by_null, f->fd), "no rights: attach by /dev/null");
	expect(0, -unprivileged(attach_to_itself, f->fd), "no rights: attach to itself");
	ferry_close(f);
}
