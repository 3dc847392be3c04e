// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzing the kernel's ABI: clients that do anything to anything, several at a time, until their time is up
 * or they are killed, while memory is short now and then, a guest computes and its disks are used.
 *
 *	fuzz [SECONDS]		40 if not given
 *
 * KVMFERRY_SEED=N gives the clients the same ideas as in the run that printed this seed; what comes of it is
 * a matter of time as well. KVMFERRY_COVER=FILE: keeps what of the module ran, see kmod/cover.h.
 *
 * In the end nothing is left of them: no VM is followed, disks are as they were, memory is given back, the
 * guest has computed correctly, the module unloads. What the kernel itself has to complain about, and
 * what it has leaked, the emulated host tells.
 */
#include "ktap.h"
#include "client.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ferry.h"
#include "mutate.h"
#include "../storage/storage.h"

#define CLIENTS		3
#define MAX_STEPS	4000
#define MAX_LIFE_MS	4000
#define KILLED_ONE_IN	3
#define DELAY_MS	20	/* of the storage, so that there is something in flight */
#define GPA		0x1000000ul
#define USERS		4	/* of the disks, the last of them their administrator */
#define COVER		"/sys/kernel/debug/kvmferry-cover"

static struct {
	pid_t pid;
	int64_t until;		/* ms; then it is killed */
} clients[CLIENTS];

static struct toys toys;
static struct storage storage;
static struct disk disks[2];
static pid_t users[USERS];
static unsigned int done, killed, crashed, failed;

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ------------------------------------------------------------------------
 * The scene
 * ------------------------------------------------------------------------ */

static void start_guest(void)
{
	static const struct ram_spec specs[] = {
		{ .size = 200 * RAM_PAGE, .gpa = GPA, .id = 0 },
		{ .size = 600 * RAM_PAGE, .gpa = 4 * GPA, .id = 1 },
	};

	vmproc_start(&toys.vm, specs, 2, 1);
	toys.spare = 1;
	vmproc_call(&toys.vm, vmproc_compute, draw_below(1000));
}

/* Somebody uses the disks all the time; errors are part of the game. */
static void use_disks(void)
{
	for (;;) {
		const struct disk *d = &disks[draw_below(2)];

		io_do(d->block, draw_rarely(2) ? IO_READ : IO_WRITE,
		      draw_below(STORAGE_BYTES / IO_BLOCK) * IO_BLOCK, IO_BLOCK, 1);
	}
}

/* And somebody looks after them. */
static void administer_disks(void)
{
	for (;;) {
		const char *name = disks[draw_below(2)].name;

		dm_status(name, draw_below(2));
		dm_suspend(name, draw_below(2));
		sleep_ms(draw_below(50));
		dm_resume(name);
		sleep_ms(draw_below(500));
	}
}

static void start_user(unsigned int i)
{
	uint64_t seed = draw();

	fflush(stdout);
	users[i] = must(fork());
	if (users[i])
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	draw_seed(seed);
	if (i == USERS - 1)
		administer_disks();
	use_disks();
}

static void open_disks(void)
{
	char name[] = "slow0", disk[] = "disk0";

	storage_open(&storage);
	for (unsigned int i = 0; i < 2; i++) {
		name[4] = disk[4] = '0' + i;
		disk_open(&disks[i], disk, delay_open(name, storage.loop[i], DELAY_MS, DELAY_MS));
		toys.disk[i] = disks[i].block;
	}
	for (unsigned int i = 0; i < USERS; i++)
		start_user(i);
}

/* What waits for a guard is let go, or nobody could end. */
static void open_guards(void)
{
	for (unsigned int i = 0; i < 2; i++)
		disk_unguard_all(disks[i].file);
}

static bool disks_are_well(void)
{
	bool well = true;

	for (unsigned int i = 0; i < USERS; i++)
		kill(users[i], SIGKILL);
	open_guards();
	for (unsigned int i = 0; i < 2; i++)
		dm_resume(disks[i].name);
	for (unsigned int i = 0; i < USERS; i++)
		must(waitpid(users[i], NULL, 0));
	for (unsigned int i = 0; i < 2; i++) {
		struct ferry_disk_status s;

		dm_resume(disks[i].name);
		within(20000, (s = disk_status(disks[i].file)).state == FERRY_DISK_PASS);
		well &= s.state == FERRY_DISK_PASS && !s.in_doubt && !s.held && !s.in_flight && !s.ranges &&
			!io_do(disks[i].block, IO_WRITE, 0, IO_BLOCK, 2);
		ktap_note("disk %u: state %u, %llu cancelled, %llu failed, %llu answered", i, s.state,
			  (unsigned long long)s.cancelled, (unsigned long long)s.failed,
			  (unsigned long long)s.answered);
	}
	return well;
}

static bool close_disks(void)
{
	bool closed = true;

	for (unsigned int i = 0; i < 2; i++)
		closed &= disk_close(&disks[i]);
	delay_close("slow0");
	delay_close("slow1");
	return closed;
}

/* ------------------------------------------------------------------------
 * The clients
 * ------------------------------------------------------------------------ */

static void start_client(unsigned int i)
{
	uint64_t seed = draw();
	unsigned int steps = 1 + draw_below(MAX_STEPS);

	clients[i].until = now_ms() + (draw_rarely(KILLED_ONE_IN) ? draw_below(MAX_LIFE_MS) : MAX_LIFE_MS);
	fflush(stdout);
	clients[i].pid = must(fork());
	if (!clients[i].pid)
		client_run(&toys, seed, steps);
}

/* A client may die of what it has done to its memory; one that has found something wrong says so and exits. */
static void count_end(int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) < 128) {
		done++;
		failed += WEXITSTATUS(status) != 0;
	} else if (WIFEXITED(status)) {
		crashed++;
	} else if (WTERMSIG(status) == SIGKILL) {
		killed++;
	} else {
		crashed++;
	}
}

static bool has_ended(unsigned int i, int options)
{
	int status;

	if (must(waitpid(clients[i].pid, &status, options)) != clients[i].pid)
		return false;
	count_end(status);
	return true;
}

/* Memory is short at one step, for a while. */
static void starve(void)
{
	static const char *const names[] = {
		"attach-nomem", "ram-nomem", "channel-nomem", "zstream-nomem", "work-nomem", "",
	};

	ferry_fault(names[draw_below(10) < 5 ? draw_below(5) : 5]);
}

static void run(int64_t ms)
{
	int64_t end = now_ms() + ms, unguard = 0;
	unsigned int i;

	for (i = 0; i < CLIENTS; i++)
		start_client(i);
	while (now_ms() < end) {
		for (i = 0; i < CLIENTS; i++) {
			if (now_ms() >= clients[i].until)
				kill(clients[i].pid, SIGKILL);
			if (has_ended(i, WNOHANG))
				start_client(i);
		}
		if (now_ms() >= unguard) {
			open_guards();
			starve();
			unguard = now_ms() + 300;
		}
		sleep_ms(10);
	}
	for (i = 0; i < CLIENTS; i++) {
		kill(clients[i].pid, SIGKILL);
		has_ended(i, 0);
	}
	ferry_fault("");
}

/* ------------------------------------------------------------------------
 * What must hold in the end
 * ------------------------------------------------------------------------ */

static bool nobody_is_followed(void)
{
	struct ferry_vm_stats stats = { 0 };
	int fd = must(open("/dev/kvmferry", O_RDWR | O_CLOEXEC));
	long ret = ferry_ioctl(fd, FERRY_VM_STATS, &stats);

	close(fd);
	return ret == -ESRCH;
}

/* KiB of vmalloc, which all that grows with RAM or rings is taken from. */
static unsigned long vmalloc_used(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long kib = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "VmallocUsed: %lu", &kib);
	fclose(file);
	return kib;
}

static void keep_coverage(const char *to)
{
	char command[300];

	snprintf(command, sizeof(command), "cat " COVER " >'%s'", to);
	if (system(command))
		die("no coverage: the module was not built with FERRY_COVER=y");
}

static uint64_t choose_seed(void)
{
	const char *given = getenv("KVMFERRY_SEED");
	uint32_t seed;

	if (given)
		return strtoull(given, NULL, 0);
	must(getrandom(&seed, sizeof(seed), 0));
	return seed;
}

int main(int argc, char **argv)
{
	int64_t ms = 1000 * (argc > 1 ? atol(argv[1]) : 40);
	const char *cover = getenv("KVMFERRY_COVER");
	uint64_t seed = choose_seed();
	unsigned long before, after;

	if (!vmm_available())
		ktap_skip_all("no /dev/kvm");
	ktap_plan(7);
	ktap_note("seed %llu (KVMFERRY_SEED=%llu gives the clients the same ideas)",
		  (unsigned long long)seed, (unsigned long long)seed);
	draw_seed(seed);
	open_disks();
	start_guest();
	/* the first clients bring in what stays: stacks, workers' structures */
	run(ms / 8);
	before = vmalloc_used();
	run(ms - ms / 8);

	ktap_note("clients: %u ended by themselves, %u were killed, %u died of their own memory", done, killed,
		  crashed);
	ktap_ok(done + killed + crashed > CLIENTS && !failed, "clients came and went, and found nothing wrong");
	ktap_ok(nobody_is_followed(), "no VM is followed any more");
	ktap_ok(disks_are_well(), "the disks are as they were");
	ktap_ok(!vmproc_call(&toys.vm, vmproc_errors, 0), "the guest has computed correctly");
	after = vmalloc_used();
	ktap_ok(after < before + 1024, "memory is given back (vmalloc: %lu KiB, then %lu)", before, after);
	vmproc_kill(&toys.vm);
	ktap_ok(close_disks(), "the disks can be removed");
	if (cover)
		keep_coverage(cover);
	ktap_ok(storage_close(&storage), "the module unloads");
	return ktap_finish();
}
