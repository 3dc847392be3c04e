// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whatever ends, and in whatever order: the VM, the client, the mapping of the RAM,
 * the device's file, a channel's file. The guest computes on correctly unless it was
 * killed itself, nothing hangs, what was lost is known to be lost, and the module
 * unloads. Each is done many times, at a random moment of a pass.
 */
#include "ktap.h"
#include "ferry.h"
#include "vmproc.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "die.h"

#define GPA		0x1000000ul
#define GUEST		0	/* the block that the guest computes in */
#define SPARE		1	/* the one that nobody needs */
#define SPARE_PAGES	600ul

static const struct ram_spec specs[] = {
	[GUEST] = { .size = 200 * RAM_PAGE, .gpa = GPA, .id = GUEST },
	[SPARE] = { .size = SPARE_PAGES * RAM_PAGE, .gpa = 4 * GPA, .id = SPARE },
};

static int rounds = 20;	/* or what the first argument says */
static struct vmproc vm;

static unsigned int random_below(unsigned int n)
{
	static uint64_t state = 20;

	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (state >> 33) % n;
}

static void nap_us(unsigned int us)
{
	struct timespec t = { .tv_nsec = us * 1000l };

	nanosleep(&t, NULL);
}

/* --- what the VM is told to do */

/* Enough that does not compress to fill a small ring. */
static long vm_fill(struct vmm *vmm, long pages)
{
	struct guest_job job = {
		.op = GUEST_NOISE, .base = vmm->ram[SPARE].gpa, .count = pages * RAM_PAGE / 4,
		.value = 1,
	};

	vmm_do(vmm, 0, &job);
	return 0;
}

static long vm_unmap(struct vmm *vmm, long pages)
{
	return munmap(vmm->ram[SPARE].map, pages * RAM_PAGE);
}

static long vm_map_again(struct vmm *vmm, long argument)
{
	struct ram *ram = &vmm->ram[SPARE];

	(void)argument;
	must(mmap(ram->map, ram->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, ram->fd, 0));
	return 0;
}

static long vm_protect(struct vmm *vmm, long protection)
{
	return mprotect(vmm->ram[SPARE].map, RAM_PAGE, protection);
}

static long vm_map_twice(struct vmm *vmm, long argument)
{
	(void)argument;
	return (long)must(mmap(NULL, RAM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			       vmm->ram[SPARE].fd, 555 * RAM_PAGE));
}

static long vm_store_second(struct vmm *vmm, long where)
{
	(void)vmm;
	(*(volatile uint32_t *)where)++;
	return 0;
}

static long vm_unmap_second(struct vmm *vmm, long where)
{
	(void)vmm;
	return munmap((void *)where, RAM_PAGE);
}

/* As QEMU does with its RAM, or not. */
static long vm_advise_fork(struct vmm *vmm, long advice)
{
	unsigned int i;

	for (i = 0; i < vmm->rams; i++)
		must(madvise(vmm->ram[i].map, vmm->ram[i].size, advice));
	return 0;
}

static long vm_fork(struct vmm *vmm, long argument)
{
	pid_t child = must(fork());

	(void)vmm;
	(void)argument;
	if (!child) {
		pause();
		_exit(0);
	}
	return child;
}

static long vm_reap(struct vmm *vmm, long child)
{
	(void)vmm;
	kill(child, SIGKILL);
	return waitpid(child, NULL, 0);
}

static long vm_exec(struct vmm *vmm, long argument)
{
	(void)vmm;
	(void)argument;
	execlp("sleep", "sleep", "1000", NULL);
	_exit(1);
}

/* --- the client */

static void start_vm(void)
{
	vmproc_start(&vm, specs, 2, 1);
	vmproc_call(&vm, vm_fill, 60);
	vmproc_call(&vm, vmproc_compute, random_below(1000));
}

static void attach(struct ferry *f)
{
	ferry_open(f, NULL, NULL);
	ferry_setup(f, vm.pid, vm.ram, vm.rams, 1 + random_below(3), FERRY_RING_MIN << random_below(3));
}

/* Somewhere in the middle of a pass, with the rings somewhat full. */
static void into_a_pass(struct ferry *f)
{
	unsigned int bites = random_below(20);

	if (random_below(2))
		ferry_must_pass(f, 0);
	must(ferry_begin(f, 0));
	while (bites--)
		ferry_take(f, random_below(f->channels));
	nap_us(random_below(3000));
}

/* The state must become "lost", for this reason; it may take the kernel a moment. */
static bool is_lost(struct ferry *f, uint32_t error)
{
	struct ferry_status status;
	int times;

	for (times = 0; times < 500; times++) {
		must(ferry_status(f, FERRY_STATUS_SCAN, &status));
		if (status.state == FERRY_STATE_LOST)
			break;
		nap_us(10000);
	}
	if (status.state == FERRY_STATE_LOST && status.error == error)
		return true;
	ktap_note("state %u, error %u", status.state, status.error);
	return false;
}

/* The workers may still be on their way out of the pass that was lost. */
static int begin_when_idle(struct ferry *f, uint32_t flags)
{
	int err, times;

	for (times = 0; times < 500; times++) {
		err = ferry_begin(f, flags);
		if (err != -EBUSY)
			break;
		nap_us(10000);
	}
	return err;
}

/* Lost it is, and stays: no further pass, the pass under way ends, pending is refused. */
static bool stays_lost(struct ferry *f, uint32_t error)
{
	bool lost = is_lost(f, error);
	int end = ferry_finish(f);
	int next = begin_when_idle(f, 0), final = begin_when_idle(f, FERRY_PASS_FINAL);
	uint64_t bitmap[64];
	int pending = ferry_pending(f, &vm.ram[SPARE], bitmap);

	if (lost && (end == 0 || end == -ENODATA) && next == -ENODATA && final == -ENODATA &&
	    pending == -ENODATA)
		return true;
	ktap_note("finish %d, begin %d, final %d, pending %d", end, next, final, pending);
	return false;
}

static void guest_is_well(const char *name)
{
	long errors = vmproc_call(&vm, vmproc_errors, 0);

	ktap_ok(!errors, "%s: the guest computed on correctly (%ld errors)", name, errors);
	vmproc_call(&vm, vmproc_compute, random_below(1000));
}

static void unloads(const char *name)
{
	ktap_ok(ferry_unload_module(), "%s: the module unloads", name);
	ferry_load_module();
}

/* --- the ends */

/* What is done in the middle of a pass; true if all that came of it is right. */
typedef bool end_fn(struct ferry *f, int round);

static bool in_a_pass(end_fn *end, int round)
{
	struct ferry f;
	bool good;

	attach(&f);
	into_a_pass(&f);
	good = end(&f, round);
	ferry_close(&f);
	return good;
}

/* How often it went well. */
static int many_times(end_fn *end)
{
	int i, good = 0;

	for (i = 0; i < rounds; i++)
		good += in_a_pass(end, i);
	return good;
}

/* The same for ends that the VM does not survive. */
static int many_vms(end_fn *end)
{
	int i, good = 0;

	for (i = 0; i < rounds; i++) {
		start_vm();
		good += in_a_pass(end, i);
		vmproc_kill(&vm);
	}
	return good;
}

static bool just_close(struct ferry *f, int round)
{
	(void)f;
	(void)round;
	return true;
}

static void test_close(void)
{
	many_times(just_close);
	ktap_ok(true, "device closed in a pass, %d times", rounds);
	guest_is_well("device closed");
	unloads("device closed");
}

/* Files close in any order, and the last of them holds the module. */
static bool close_device_first(struct ferry *f, int round)
{
	bool held = true;

	must(close(f->fd));
	f->fd = must(dup(0));
	if (round % 10 == 0)
		held = system("rmmod kvmferry 2>/dev/null") != 0;
	ferry_take(f, 0);
	return held;
}

static void test_channels_outlive(void)
{
	ktap_ok(many_times(close_device_first) == rounds,
		"channels outlive the device, %d times, and hold the module", rounds);
	guest_is_well("channels outlive the device");
	unloads("channels outlive the device");
}

static bool unmap(struct ferry *f, int round)
{
	bool good;

	(void)round;
	vmproc_call(&vm, vm_unmap, 1 + random_below(SPARE_PAGES));
	good = stays_lost(f, EFAULT);
	vmproc_call(&vm, vm_map_again, 0);
	/* to be mapped again does not bring back what was missed */
	return good && ferry_begin(f, 0) == -ENODATA;
}

static void test_unmap(void)
{
	int good = many_times(unmap);

	ktap_ok(good == rounds, "RAM unmapped in a pass: lost, EFAULT, %d of %d times", good, rounds);
	guest_is_well("RAM unmapped");
}

static bool make_read_only(struct ferry *f, int round)
{
	bool good;

	(void)round;
	vmproc_call(&vm, vm_protect, PROT_READ);
	good = stays_lost(f, EACCES);
	vmproc_call(&vm, vm_protect, PROT_READ | PROT_WRITE);
	return good;
}

static void test_protect(void)
{
	ktap_ok(in_a_pass(make_read_only, 0), "RAM made read-only: lost, EACCES");
}

static bool map_twice(struct ferry *f, int round)
{
	long where = vmproc_call(&vm, vm_map_twice, 0);
	bool good = stays_lost(f, EBUSY);

	(void)round;
	vmproc_call(&vm, vm_unmap_second, where);
	return good;
}

static void test_second_mapping(void)
{
	int good = many_times(map_twice);

	ktap_ok(good == rounds, "RAM mapped twice in a pass: lost, EBUSY, %d of %d times", good, rounds);
	guest_is_well("RAM mapped twice");
}

/* A child of the VM maps its RAM, too, unless the VM has seen to that. */
static bool fork_vm(struct ferry *f, int round)
{
	bool good;
	long child;

	vmproc_call(&vm, vm_advise_fork, round & 1 ? MADV_DONTFORK : MADV_DOFORK);
	child = vmproc_call(&vm, vm_fork, 0);
	if (round & 1)
		good = !ferry_finish(f) && !ferry_pass(f, 0);
	else
		good = stays_lost(f, EBUSY);
	vmproc_call(&vm, vm_reap, child);
	return good;
}

static void test_fork(void)
{
	int good = many_times(fork_vm);

	ktap_ok(good == rounds, "the VM forks: lost, EBUSY, or no matter, %d of %d times", good, rounds);
	guest_is_well("the VM forks");
	unloads("the VM forks");
}

/* --- the control: what if the module did not look at the mappings? */

/* What is unmapped counts as clean. */
static bool unmap_unseen(struct ferry *f, int round)
{
	bool unseen;

	(void)round;
	vmproc_call(&vm, vm_unmap, SPARE_PAGES);
	unseen = !ferry_finish(f) && !ferry_pass(f, 0);
	vmproc_call(&vm, vm_map_again, 0);
	return unseen;
}

/* And what is written through another mapping is not sent. */
static bool map_twice_unseen(struct ferry *f, int round)
{
	uint8_t sent[FERRY_HASH_SIZE], now[FERRY_HASH_SIZE];
	bool unseen;
	long where;

	(void)round;
	must(ferry_finish(f));
	where = vmproc_call(&vm, vm_map_twice, 0);
	vmproc_call(&vm, vm_store_second, where);
	unseen = !ferry_pass(f, FERRY_PASS_FINAL) && !ferry_digest(f, SPARE, 0, sent) &&
		 !ferry_digest(f, SPARE, FERRY_DIGEST_FULL, now);
	vmproc_call(&vm, vm_unmap_second, where);
	return unseen && memcmp(sent, now, sizeof(now));
}

static void test_control(void)
{
	if (!ferry_fault("mapping-blind")) {
		ktap_skip("no fault points in this build", "control");
		ktap_skip("no fault points in this build", "control");
		return;
	}
	ktap_ok(in_a_pass(unmap_unseen, 0), "control: without looking, unmapped RAM is not noticed");
	ktap_ok(in_a_pass(map_twice_unseen, 0),
		"control: nor RAM mapped twice, and the final digest is wrong");
	ferry_fault("");
}

/* --- the ends of processes */

/* The client is killed: everything is as after a close. */
static void test_kill_client(void)
{
	int i;

	for (i = 0; i < rounds; i++) {
		struct ferry f;
		pid_t client = must(fork());

		if (!client) {
			attach(&f);
			into_a_pass(&f);
			for (;;)
				ferry_take(&f, 0);
		}
		nap_us(random_below(60000));
		kill(client, SIGKILL);
		must(waitpid(client, NULL, 0));
	}
	/* nothing of them is left, or this would be refused */
	struct ferry f;

	attach(&f);
	ktap_ok(!ferry_pass(&f, 0), "client killed in a pass, %d times; the next one works", rounds);
	ferry_close(&f);
	guest_is_well("client killed");
	unloads("client killed");
}

static bool kill_vm(struct ferry *f, int round)
{
	kill(vm.pid, SIGKILL);
	/* one time in three both go at once */
	return round % 3 == 0 || stays_lost(f, ESRCH);
}

static void test_kill_vm(void)
{
	int good = many_vms(kill_vm);

	ktap_ok(good == rounds, "VM killed in a pass: lost, ESRCH, %d of %d times", good, rounds);
	unloads("VM killed");
}

static bool exec_vm(struct ferry *f, int round)
{
	(void)round;
	vmproc_cast(&vm, vm_exec, 0);
	return stays_lost(f, ESRCH);
}

static void test_exec(void)
{
	int good = many_vms(exec_vm);

	ktap_ok(good == rounds, "VM calls execve in a pass: lost, ESRCH, %d of %d times", good, rounds);
	unloads("VM calls execve");
}

/* Attaching to a process that is on its way out. */
static void test_attach_dying(void)
{
	int i, attached = 0, refused = 0;

	for (i = 0; i < rounds; i++) {
		struct ferry f;
		pid_t child = must(fork());
		int err;

		if (!child) {
			pause();
			_exit(0);
		}
		ferry_open(&f, NULL, NULL);
		f.mem = ferry_open_mem(child, O_RDWR);
		kill(child, SIGKILL);
		nap_us(random_below(2000));
		err = ferry_attach(&f, child, FERRY_BIT(LZ4));
		attached += !err;
		refused += err == -ESRCH;
		ferry_close(&f);
		waitpid(child, NULL, 0);
	}
	ktap_ok(attached + refused == rounds, "attach to a dying process: %d done, %d refused",
		attached, refused);
}

/*
 * The kernel patches its code when the first VM comes and when the last one goes. To
 * have that done hundreds of times is no aim here, and takes a quarter of the time. So
 * one idle VM stays throughout.
 */
static struct vmm anchor;

int main(int argc, char **argv)
{
	if (argc > 1)
		rounds = atoi(argv[1]);
	if (rounds < 1)
		die("how many rounds?");
	if (!vmm_available())
		ktap_skip_all("no /dev/kvm");
	ktap_plan(25);
	ferry_load_module();
	vmm_open(&anchor);
	vmm_boot(&anchor, 1);

	start_vm();
	test_close();
	test_channels_outlive();
	test_unmap();
	test_protect();
	test_second_mapping();
	test_fork();
	test_control();
	test_kill_client();
	vmproc_kill(&vm);
	test_kill_vm();
	test_exec();
	test_attach_dying();

	vmm_close(&anchor);
	ktap_ok(ferry_unload_module(), "the module unloads at last");
	return ktap_finish();
}
