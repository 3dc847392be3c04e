// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the module must refuse, each with exactly the error that its header
 * documents. Needs no guest: a process that maps a file is VM enough.
 */
#include "ktap.h"
#include "ferry.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "die.h"

#define SIZE	(4 * RAM_CHUNK)

static struct ram ram;

/* One result: the call gave -@want, or a success if @want is 0. */
static void expect(int want, long got, const char *what)
{
	const char *name = want ? strerrorname_np(want) : "success";

	if (got < 0)
		ktap_ok(got == -want, "%s: %s%s%s", what, name, got == -want ? "" : ", not ",
			got == -want ? "" : strerrorname_np(-got));
	else
		ktap_ok(!want, "%s: %s%s", what, name, want ? ", not success" : "");
}

/* A device file in the state that a test wants. */
static struct ferry *fresh(void)
{
	static struct ferry f;

	ferry_open(&f, NULL, NULL);
	return &f;
}

static struct ferry *attached(void)
{
	struct ferry *f = fresh();

	if (ferry_attach(f, getpid(), FERRY_CODEC_LZ4))
		die("cannot attach to ourselves");
	return f;
}

static struct ferry *ready(void)
{
	struct ferry *f = attached();

	if (ferry_add_ram(f, &ram) || ferry_add_channel(f, FERRY_RING_MIN))
		die("cannot set up");
	return f;
}

/* --- the rules that hold for every command */

static void test_commands(void)
{
	struct ferry *f = fresh();
	struct ferry_info info = {};
	char buf[512] = {};
	void *read_only = must(mmap(NULL, RAM_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	expect(ENOTTY, ferry_ioctl(f->fd, _IOWR(FERRY_IOCTL_TYPE, 0x3f, struct ferry_info), buf),
	       "unknown command");
	expect(ENOTTY, ferry_ioctl(f->fd, _IOWR(FERRY_IOCTL_TYPE, 0x00, struct ferry_pass), buf),
	       "known number, other size");
	expect(ENOTTY, ferry_ioctl(f->fd, _IOR(FERRY_IOCTL_TYPE, 0x00, struct ferry_info), buf),
	       "known number, other direction");
	expect(ENOTTY, ferry_ioctl(f->fd, _IOWR('k', 0x00, struct ferry_info), buf),
	       "another driver's command");
	expect(ENOTTY, ferry_ioctl(f->fd, FERRY_CONSUME, buf), "a channel's command");
	expect(EFAULT, ferry_ioctl(f->fd, FERRY_INFO, read_only), "answer into read-only memory");
	expect(0, ferry_ioctl(f->fd, FERRY_INFO, &info), "handshake");
	ktap_ok(info.abi == FERRY_ABI && info.codecs & 1 && info.version[0] &&
		memchr(info.version, 0, sizeof(info.version)), "handshake: abi, codecs, version %s",
		info.version);
	munmap(read_only, RAM_PAGE);
	ferry_close(f);
}

static const struct {
	const char *name;
	unsigned long command;
	size_t size;
	/* places of fields that must be zero: offset and size of each */
	struct {
		size_t at, size;
	} zero[2];
} arguments[] = {
#define ZERO(type, field) { offsetof(struct type, field), sizeof(((struct type *)0)->field) }
	{ "INFO", FERRY_INFO, sizeof(struct ferry_info),
	  { ZERO(ferry_info, flags), ZERO(ferry_info, reserved) } },
	{ "ATTACH", FERRY_ATTACH, sizeof(struct ferry_attach),
	  { ZERO(ferry_attach, flags), ZERO(ferry_attach, reserved) } },
	{ "ADD_RAM", FERRY_ADD_RAM, sizeof(struct ferry_add_ram),
	  { ZERO(ferry_add_ram, flags), ZERO(ferry_add_ram, reserved) } },
	{ "ADD_CHANNEL", FERRY_ADD_CHANNEL, sizeof(struct ferry_add_channel),
	  { ZERO(ferry_add_channel, flags), ZERO(ferry_add_channel, reserved) } },
	{ "PASS", FERRY_PASS, sizeof(struct ferry_pass),
	  { ZERO(ferry_pass, reserved0), ZERO(ferry_pass, reserved) } },
	{ "STATUS", FERRY_STATUS, sizeof(struct ferry_status),
	  { ZERO(ferry_status, reserved) } },
	{ "PENDING", FERRY_PENDING, sizeof(struct ferry_pending),
	  { ZERO(ferry_pending, flags), ZERO(ferry_pending, reserved) } },
	{ "DIGEST", FERRY_DIGEST, sizeof(struct ferry_digest),
	  { ZERO(ferry_digest, reserved) } },
};

#define ARGUMENTS	(sizeof(arguments) / sizeof(*arguments))

/* Every byte that must be zero, set one at a time: how many were accepted? */
static unsigned int accepted(struct ferry *f, unsigned int i)
{
	unsigned int zone, count = 0;
	size_t byte;

	for (zone = 0; zone < 2; zone++) {
		for (byte = 0; byte < arguments[i].zero[zone].size; byte++) {
			uint8_t arg[256] = {};

			arg[arguments[i].zero[zone].at + byte] = 0x80;
			count += ferry_ioctl(f->fd, arguments[i].command, arg) != -EINVAL;
		}
	}
	return count;
}

static void test_arguments(void)
{
	struct ferry *f = fresh();
	struct ferry_pass pass = { .flags = FERRY_PASS_FINAL << 1 };
	struct ferry_status status = { .flags = FERRY_STATUS_SCAN << 1 };
	struct ferry_digest digest = { .flags = FERRY_DIGEST_FULL << 1 };
	char *edge = must(mmap(NULL, 2 * RAM_PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	unsigned int i;

	edge += RAM_PAGE;
	must(munmap(edge, RAM_PAGE));

	for (i = 0; i < ARGUMENTS; i++) {
		char name[64];

		ktap_ok(!accepted(f, i), "%s: no reserved byte may be set", arguments[i].name);
		snprintf(name, sizeof(name), "%s: no argument", arguments[i].name);
		expect(EFAULT, ferry_ioctl(f->fd, arguments[i].command, NULL), name);
		snprintf(name, sizeof(name), "%s: half an argument", arguments[i].name);
		expect(EFAULT, ferry_ioctl(f->fd, arguments[i].command,
					   edge - arguments[i].size / 2), name);
	}
	expect(EINVAL, ferry_ioctl(f->fd, FERRY_PASS, &pass), "PASS: unknown flag");
	expect(EINVAL, ferry_ioctl(f->fd, FERRY_STATUS, &status), "STATUS: unknown flag");
	expect(EINVAL, ferry_ioctl(f->fd, FERRY_DIGEST, &digest), "DIGEST: unknown flag");
	ferry_close(f);
}

/* --- FERRY_ATTACH */

static long try_attach(pid_t pid, int mem)
{
	struct ferry *f = fresh();
	struct ferry_attach attach = { .pid = pid, .mem_fd = mem };
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

static void test_attach(void)
{
	struct ferry *f, second;
	struct ferry_attach attach = { .pid = getpid() };

	test_wrong_mem();
	test_wrong_pid();
	test_exec();

	f = fresh();
	expect(EOPNOTSUPP, ferry_attach(f, getpid(), 5), "attach: codec 5");
	expect(EOPNOTSUPP, ferry_attach(f, getpid(), 63), "attach: codec 63");
	expect(EOPNOTSUPP, ferry_attach(f, getpid(), 64), "attach: codec 64");
	expect(EOPNOTSUPP, ferry_attach(f, getpid(), -1), "attach: codec 2^32 - 1");
	expect(0, ferry_attach(f, getpid(), FERRY_CODEC_NONE), "attach: no codec");
	attach.mem_fd = f->mem;
	expect(EBUSY, ferry_ioctl(f->fd, FERRY_ATTACH, &attach), "attach: this file again");
	ferry_open(&second, NULL, NULL);
	expect(EBUSY, ferry_attach(&second, getpid(), FERRY_CODEC_LZ4), "attach: this process again");
	ferry_close(f);
	expect(0, ferry_attach(&second, getpid(), FERRY_CODEC_LZ4), "attach: when the other has let go");
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
	struct ferry_attach attach = { .pid = getppid() };

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
	struct ferry_attach attach = { .pid = getpid() };

	attach.mem_fd = open("/proc/self/mem", O_RDWR);
	return -ferry_ioctl(device, FERRY_ATTACH, &attach);
}

static void test_rights(void)
{
	struct ferry *f = fresh();

	expect(EACCES, -unprivileged(open_device, f->fd), "no rights: the device");
	expect(EACCES, -unprivileged(open_parents_mem, f->fd), "no rights: the VM's mem");
	expect(ESRCH, -unprivileged(attach_by_own_mem, f->fd), "no rights: attach by its own mem");
	expect(EPERM, -unprivileged(attach_by_null, f->fd), "no rights: attach by /dev/null");
	expect(0, -unprivileged(attach_to_itself, f->fd), "no rights: attach to itself");
	ferry_close(f);
}

/* --- FERRY_ADD_RAM */

static struct ferry_add_ram whole(void)
{
	return (struct ferry_add_ram) {
		.fd = ram.fd, .address = (uintptr_t)ram.map, .size = SIZE,
	};
}

static void refuse_ram(int want, struct ferry_add_ram add, const char *what)
{
	struct ferry *f = attached();

	expect(want, ferry_ioctl(f->fd, FERRY_ADD_RAM, &add), what);
	ferry_close(f);
}

/* @change is a statement on a request that is otherwise right. */
#define REFUSE(want, change, what) do {			\
	struct ferry_add_ram add = whole();		\
							\
	change;						\
	refuse_ram(want, add, "RAM: " what);		\
} while (0)

static void test_ram_numbers(void)
{
	REFUSE(0, add.id = FERRY_MAX_RAM - 1, "all is right");
	REFUSE(E2BIG, add.id = FERRY_MAX_RAM, "id 64");
	REFUSE(EINVAL, add.size = 0, "no size");
	REFUSE(EINVAL, add.size -= 1, "size not in pages");
	REFUSE(EINVAL, add.address += 8, "address not in pages");
	REFUSE(EINVAL, add.offset = RAM_PAGE, "offset not in chunks");
	REFUSE(EINVAL, add.size = -RAM_CHUNK, "size past the end of the world");
	REFUSE(EINVAL, add.address = -RAM_CHUNK, "the kernel's address");
	REFUSE(EINVAL, add.offset = -RAM_CHUNK, "offset past the end of the world");
	REFUSE(EBADF, add.fd = -1, "fd -1");
	REFUSE(EFAULT, add.address += RAM_PAGE, "address beside the mapping");
	REFUSE(EFAULT, add.size += RAM_CHUNK, "more than is mapped");
	REFUSE(EFAULT, add.offset = RAM_CHUNK, "another part of the file");
	REFUSE(EFAULT, add.address = (uintptr_t)&add & ~(RAM_PAGE - 1), "anonymous memory");
	REFUSE(0, add.size = RAM_CHUNK, "a part of it");
}

/* Maps @fd as told and tries it as a RAM block. */
static void refuse_mapping(int want, int fd, int protection, int flags, const char *what)
{
	struct ferry_add_ram add = { .fd = fd, .size = RAM_CHUNK };
	void *map = must(mmap(NULL, RAM_CHUNK, protection, flags, fd, 0));

	add.address = (uintptr_t)map;
	refuse_ram(want, add, what);
	munmap(map, RAM_CHUNK);
}

static int new_file(const char *path)
{
	int fd = must(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));

	must(ftruncate(fd, RAM_CHUNK));
	must(unlink(path));
	return fd;
}

static void test_ram_mappings(void)
{
	int fd = new_file("/dev/shm/refused"), zero;
	int all = PROT_READ | PROT_WRITE;

	refuse_mapping(0, fd, all, MAP_SHARED, "RAM: tmpfs, shared");
	refuse_mapping(EACCES, fd, all, MAP_PRIVATE, "RAM: mapped privately");
	refuse_mapping(EACCES, fd, PROT_READ, MAP_SHARED, "RAM: mapped read-only");
	close(fd);

	fd = must(memfd_create("refused", MFD_CLOEXEC));
	must(ftruncate(fd, RAM_CHUNK));
	refuse_mapping(0, fd, all, MAP_SHARED, "RAM: memfd");
	close(fd);

	fd = new_file("/root/refused");
	refuse_mapping(ENODEV, fd, all, MAP_SHARED, "RAM: overlayfs");
	close(fd);

	zero = must(open("/dev/zero", O_RDWR));
	refuse_mapping(ENODEV, zero, all, MAP_SHARED, "RAM: /dev/zero");
	close(zero);
}

static void test_ram_ext4(void)
{
	int fd;

	if (system("modprobe -q ext4; modprobe -q loop; mkdir -p /tmp/ext4 && "
		   "truncate -s 8M /tmp/ext4.img && mkfs.ext4 -q /tmp/ext4.img && "
		   "mount -o loop /tmp/ext4.img /tmp/ext4"))
		die("no ext4");
	fd = new_file("/tmp/ext4/refused");
	refuse_mapping(ENODEV, fd, PROT_READ | PROT_WRITE, MAP_SHARED, "RAM: ext4");
	close(fd);
	if (system("umount /tmp/ext4; rm /tmp/ext4.img"))
		die("ext4 stays");
}

static void test_ram_hugetlbfs(void)
{
	int fd = must(memfd_create("refused", MFD_CLOEXEC | MFD_HUGETLB));

	must(ftruncate(fd, RAM_CHUNK));
	if (system("echo 2 >/proc/sys/vm/nr_hugepages"))
		die("no huge pages");
	refuse_mapping(EOPNOTSUPP, fd, PROT_READ | PROT_WRITE, MAP_SHARED, "RAM: hugetlbfs");
	close(fd);
	if (system("echo 0 >/proc/sys/vm/nr_hugepages"))
		die("huge pages stay");
}

/* Another process that maps the block: not at all, a part of it, then no longer. */
static void test_ram_other_process(void)
{
	pid_t child = must(fork());
	int status;

	if (!child) {
		must(mmap(NULL, RAM_PAGE, PROT_READ, MAP_SHARED, ram.fd, SIZE - RAM_PAGE));
		/* what was inherited is a mapping, too, and not the one that is meant */
		must(munmap(ram.map, SIZE));
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(child, &status, WUNTRACED);
	REFUSE(EBUSY, , "another process maps its last page");
	REFUSE(0, add.size -= RAM_CHUNK, "another process maps the rest of the file");
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	REFUSE(0, , "the other process is gone");
}

static void test_ram_twice(void)
{
	void *second = must(mmap(NULL, RAM_PAGE, PROT_READ, MAP_SHARED, ram.fd, RAM_CHUNK));
	struct ferry_add_ram part = whole();
	struct ferry *f;

	REFUSE(EBUSY, , "this process maps a page of it a second time");
	munmap(second, RAM_PAGE);

	f = attached();
	part.size = 2 * RAM_CHUNK;
	expect(0, ferry_ioctl(f->fd, FERRY_ADD_RAM, &part), "RAM: the first half");
	part.address += part.size;
	part.offset += part.size;
	expect(EEXIST, ferry_ioctl(f->fd, FERRY_ADD_RAM, &part), "RAM: an id that is taken");
	part.id = 1;
	part.address -= RAM_CHUNK;
	part.offset -= RAM_CHUNK;
	expect(EEXIST, ferry_ioctl(f->fd, FERRY_ADD_RAM, &part), "RAM: it overlaps another block");
	part.address += RAM_CHUNK;
	part.offset += RAM_CHUNK;
	expect(0, ferry_ioctl(f->fd, FERRY_ADD_RAM, &part), "RAM: the other half");
	ferry_close(f);
}

static void test_ram_dead(void)
{
	struct ferry_add_ram add = whole();
	struct ferry *f = fresh();
	pid_t child = must(fork());

	if (!child) {
		pause();
		_exit(0);
	}
	if (ferry_attach(f, child, FERRY_CODEC_LZ4))
		die("cannot attach to the child");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	expect(ESRCH, ferry_ioctl(f->fd, FERRY_ADD_RAM, &add), "RAM: the process is dead");
	ferry_close(f);
}

/* --- order of the commands, and the channel */

static void test_order(void)
{
	struct ferry_add_channel channel = { .size = FERRY_RING_MIN };
	struct ferry_status status;
	struct ferry *f = fresh();
	uint64_t bitmap[64];

	expect(0, ferry_status(f, FERRY_STATUS_SCAN, &status), "status before all else");
	ktap_ok(status.state == FERRY_STATE_NEW && !status.pass && !status.ram_pages,
		"the state is new");
	expect(ENXIO, ferry_add_ram(f, &ram), "RAM before attach");
	expect(ENXIO, ferry_ioctl(f->fd, FERRY_ADD_CHANNEL, &channel), "channel before attach");
	expect(ENXIO, ferry_begin(f, 0), "pass before attach");
	expect(ENOENT, ferry_pending(f, &ram, bitmap), "pending before attach");
	expect(ENOENT, ferry_digest(f, 0, 0, (uint8_t *)bitmap), "digest before attach");
	ferry_close(f);

	f = attached();
	expect(0, ferry_status(f, 0, &status), "status when attached");
	ktap_ok(status.state == FERRY_STATE_IDLE, "the state is idle");
	expect(ENXIO, ferry_begin(f, 0), "pass without RAM or channel");
	expect(0, ferry_add_ram(f, &ram), "add RAM");
	expect(ENXIO, ferry_begin(f, 0), "pass without channel");
	ferry_close(f);
	f = attached();
	expect(0, ferry_add_channel(f, FERRY_RING_MIN), "add a channel");
	expect(ENXIO, ferry_begin(f, 0), "pass without RAM");
	ferry_close(f);
}

static void test_channels(void)
{
	struct ferry *f = attached();
	unsigned int i;

	expect(EINVAL, ferry_add_channel(f, 0), "channel: no size");
	expect(EINVAL, ferry_add_channel(f, FERRY_RING_MIN / 2), "channel: too small");
	expect(EINVAL, ferry_add_channel(f, FERRY_RING_MIN + RAM_PAGE), "channel: no power of two");
	expect(E2BIG, ferry_add_channel(f, 2 * FERRY_RING_MAX), "channel: too large");
	expect(E2BIG, ferry_add_channel(f, 1ull << 63), "channel: far too large");
	for (i = 0; i < FERRY_MAX_CHANNELS; i++)
		if (ferry_add_channel(f, FERRY_RING_MIN))
			break;
	ktap_ok(i == FERRY_MAX_CHANNELS, "channel: 16 of them");
	expect(E2BIG, ferry_add_channel(f, FERRY_RING_MIN), "channel: a 17th");
	ferry_close(f);
}

/* In the middle of a pass: the ring is full and nobody consumes. */
static void test_busy(void)
{
	struct ferry_add_ram part = { .fd = ram.fd, .id = 1 };
	uint8_t digest[FERRY_HASH_SIZE];
	struct ferry_status status;
	struct ferry *f;

	/* incompressible enough to fill the ring */
	for (size_t i = 0; i < 64 * RAM_PAGE / 4; i++)
		((uint32_t *)ram.map)[i] = i * 2654435761u ^ i << 7;
	f = ready();
	expect(0, ferry_begin(f, 0), "begin a pass");
	do
		ferry_status(f, 0, &status);
	while (!status.waits);
	ktap_ok(status.state == FERRY_STATE_PASS && status.pass == 1, "the state is pass");
	expect(EBUSY, ferry_begin(f, 0), "a pass in a pass");
	expect(EBUSY, ferry_begin(f, FERRY_PASS_FINAL), "a final pass in a pass");
	expect(EBUSY, ferry_ioctl(f->fd, FERRY_ADD_RAM, &part), "RAM in a pass");
	expect(EBUSY, ferry_add_channel(f, FERRY_RING_MIN), "channel in a pass");
	expect(EBUSY, ferry_digest(f, 0, 0, digest), "digest in a pass");
	expect(EBUSY, ferry_digest(f, 0, FERRY_DIGEST_FULL, digest), "full digest in a pass");
	expect(0, ferry_finish(f), "the pass ends");
	expect(EBUSY, ferry_ioctl(f->fd, FERRY_ADD_RAM, &part), "RAM after a pass");
	expect(EBUSY, ferry_add_channel(f, FERRY_RING_MIN), "channel after a pass");
	expect(0, ferry_digest(f, 0, 0, digest), "digest after a pass");
	expect(ENOENT, ferry_digest(f, 1, 0, digest), "digest of an unknown block");
	expect(ENOENT, ferry_digest(f, -1, FERRY_DIGEST_FULL, digest), "full digest of an unknown block");
	ferry_close(f);
}

static long ask_pending(struct ferry *f, uint32_t block, uint64_t first, uint64_t count, void *to)
{
	struct ferry_pending pending = {
		.block = block, .first = first, .count = count, .bitmap = (uintptr_t)to,
	};

	return ferry_ioctl(f->fd, FERRY_PENDING, &pending);
}

static void test_pending(void)
{
	struct ferry *f = ready();
	uint64_t pages = SIZE / RAM_PAGE, bitmap[SIZE / RAM_PAGE / 64];

	expect(ENOENT, ask_pending(f, 1, 0, 64, bitmap), "pending: unknown block");
	expect(EINVAL, ask_pending(f, 0, 1, 64, bitmap), "pending: first not a multiple of 64");
	expect(EINVAL, ask_pending(f, 0, 0, 65, bitmap), "pending: count not a multiple of 64");
	expect(EINVAL, ask_pending(f, 0, 0, 0, bitmap), "pending: no pages");
	expect(EINVAL, ask_pending(f, 0, 64, pages, bitmap), "pending: past the end");
	expect(EINVAL, ask_pending(f, 0, pages, 64, bitmap), "pending: beyond the end");
	expect(EINVAL, ask_pending(f, 0, -64ull, 128, bitmap), "pending: round the end of numbers");
	expect(EFAULT, ask_pending(f, 0, 0, pages, NULL), "pending: no bitmap");
	expect(0, ask_pending(f, 0, pages - 64, 64, bitmap), "pending: the last 64");
	ktap_ok(bitmap[0] == UINT64_MAX, "they are pending");
	ferry_close(f);
}

static long try_map(const struct ferry_ring_client *c, size_t size, int protection, int flags,
		    uint64_t offset)
{
	void *map = mmap(NULL, size, protection, flags, c->fd, offset);

	if (map == MAP_FAILED)
		return -errno;
	munmap(map, size);
	return 0;
}

static void test_ring(void)
{
	struct ferry *f = ready();
	struct ferry_ring_client *c = &f->channel[0];
	size_t size = FERRY_RING_DATA + 2 * c->size;
	struct ferry_consume consume = {};
	char byte = 0;

	expect(0, try_map(c, size, PROT_READ, MAP_SHARED, 0), "ring: mapped once more");
	expect(EACCES, try_map(c, size, PROT_READ | PROT_WRITE, MAP_SHARED, 0), "ring: to write");
	expect(EPERM, try_map(c, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0),
	       "ring: to write, privately");
	expect(EPERM, try_map(c, size, PROT_READ | PROT_EXEC, MAP_SHARED, 0), "ring: to execute");
	expect(EINVAL, try_map(c, size + RAM_PAGE, PROT_READ, MAP_SHARED, 0), "ring: too much");
	expect(EINVAL, try_map(c, RAM_PAGE, PROT_READ, MAP_SHARED, size), "ring: past the end");
	expect(EACCES, mprotect((void *)c->ring, size, PROT_READ | PROT_WRITE) ? -errno : 0,
	       "ring: made writable later");
	expect(EINVAL, read(c->fd, &byte, 1) < 0 ? -errno : 0, "ring: read(2)");
	expect(EBADF, write(c->fd, &byte, 1) < 0 ? -errno : 0, "ring: write(2)");
	expect(ENOTTY, ferry_ioctl(c->fd, FERRY_INFO, &consume), "ring: a command of the device");
	expect(EFAULT, ferry_ioctl(c->fd, FERRY_CONSUME, NULL), "consume: no argument");
	consume.reserved = 1;
	expect(EINVAL, ferry_ioctl(c->fd, FERRY_CONSUME, &consume), "consume: reserved field");
	consume.reserved = 0;
	expect(0, ferry_ioctl(c->fd, FERRY_CONSUME, &consume), "consume: nothing");
	consume.bytes = 1;
	expect(EINVAL, ferry_ioctl(c->fd, FERRY_CONSUME, &consume), "consume: more than there is");
	expect(0, ferry_pass(f, 0), "a pass");
	consume.bytes = UINT64_MAX;
	expect(EINVAL, ferry_ioctl(c->fd, FERRY_CONSUME, &consume), "consume: far more than there is");
	ktap_ok(c->ring->head == c->ring->tail && c->ring->head == c->stream.bytes,
		"head and tail are where they were");
	ferry_close(f);
}

int main(void)
{
	struct ram_spec spec = { .size = SIZE };

	ktap_plan(3 * ARGUMENTS + 140);
	ferry_load_module();
	ram_create(&ram, &spec);
	test_commands();
	test_arguments();
	test_attach();
	test_rights();
	test_ram_numbers();
	test_ram_mappings();
	test_ram_ext4();
	test_ram_hugetlbfs();
	test_ram_other_process();
	test_ram_twice();
	test_ram_dead();
	test_order();
	test_channels();
	test_busy();
	test_pending();
	test_ring();
	ram_destroy(&ram);
	ktap_ok(ferry_unload_module(), "the module unloads");
	return ktap_finish();
}
