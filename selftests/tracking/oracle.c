// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The oracle: a live guest is followed for some seconds, a pass every 20 ms, each
 * applied to a shadow; then the VM is stopped, the final pass is applied, too, and
 * every page of shadow and RAM is compared. None may differ.
 *
 * That is done with each policy of grouping, and after each the same with a rule broken on
 * purpose, which must be found: it takes a write at the wrong moment, and a page that is
 * not sent again, so several runs are allowed for it.
 *
 *	oracle vmm MIB SECONDS VCPUS [disturbed]
 *		vCPUs of the test VMM, writing and reading at random; disturbed by
 *		signals every 300 us, by holes that are punched and by reclaim
 *	oracle process SECONDS PID STOP CONT FILE...
 *		any VMM: its RAM is in these files, and the shell commands STOP
 *		and CONT do what they say
 *
 * With ORACLE_POLICY=NAME in the environment only that policy is tried.
 *
 * A line of the output that begins with "policy" is for oracle.sh.
 */
#include "ktap.h"
#include "ferry.h"
#include "shadow.h"
#include "vmproc.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "die.h"

#define ROUND_MS	20
#define MIN_PASSES	10
#define CONTROL_RUNS	12
#define CHANNELS	2
#define RING		(4ul << 20)

/*
 * Two rules are broken in turn: that nothing is protected but what was taken, and that what
 * groups have opened counts as written. With static groups only the second: what is opened
 * all the time is sent all the time, so that a write which was lost does not stay lost.
 * Without groups only the first.
 */
#define TAKEN_ONLY	"protect-all"
#define OPENED_COUNTS	"opened-blind"

static const struct policy {
	const char *name;
	const char *control[2];	/* fault points */
	struct ferry_group group;
} policies[] = {
	{ "off", { TAKEN_ONLY, TAKEN_ONLY }, { .policy = FERRY_GROUP_OFF } },
	{ "static 32", { OPENED_COUNTS, OPENED_COUNTS },
	  { .policy = FERRY_GROUP_STATIC, .order = 5, .read_order = 5 } },
	{ "static 512", { OPENED_COUNTS, OPENED_COUNTS },
	  { .policy = FERRY_GROUP_STATIC, .order = 9, .read_order = 9 } },
	{ "contiguous", { OPENED_COUNTS, TAKEN_ONLY },
	  { .policy = FERRY_GROUP_CONTIGUOUS, .read_order = 5 } },
	{ "dynamic", { OPENED_COUNTS, TAKEN_ONLY },
	  { .policy = FERRY_GROUP_DYNAMIC, .read_order = 5 } },
};

#define POLICIES (sizeof(policies) / sizeof(*policies))

struct subject {
	pid_t pid;
	struct ram ram[FERRY_MAX_RAM];
	unsigned int rams;
	const char *stop, *cont;	/* commands; NULL: it is our own VMM */
	struct vmproc own;
};

struct outcome {
	uint64_t pages;
	uint64_t differ;
	unsigned long passes;
	uint64_t sent;
	struct ferry_group_stats groups;
};

/* --- our own VM */

static long vm_compute(struct vmm *vmm, long seed)
{
	vmm_start_random_slowly(vmm, &vmm->ram[0], seed, 4, 100000);
	return 0;
}

/* Held while something is being disturbed: a VM that is paused changes no more. */
static pthread_mutex_t disturbing = PTHREAD_MUTEX_INITIALIZER;

static long vm_pause(struct vmm *vmm, long argument)
{
	(void)argument;
	pthread_mutex_lock(&disturbing);
	vmm_pause(vmm);
	return 0;
}

static long vm_resume(struct vmm *vmm, long argument)
{
	(void)argument;
	vmm_resume(vmm);
	pthread_mutex_unlock(&disturbing);
	return 0;
}

static long vm_errors(struct vmm *vmm, long argument)
{
	unsigned int i;

	(void)argument;
	for (i = 0; i < vmm->vcpus; i++)
		vmm_end(vmm, i);
	return vmm_random_errors(vmm, &vmm->ram[0]);
}

/* What a VMM and its host do to guest RAM and vCPUs, all at once, until the process ends. */
static void *disturb(void *context)
{
	const struct timespec pause = { .tv_nsec = 300000 };
	struct vmm *vmm = context;
	struct ram *ram = &vmm->ram[0];
	unsigned int round;

	for (round = 0;; round++) {
		uint8_t *at = ram->map + random() % (ram_pages(ram) - 64) * RAM_PAGE;

		nanosleep(&pause, NULL);
		pthread_mutex_lock(&disturbing);
		vmm_signal(vmm);
		if (round % 16 == 0)
			madvise(at, RAM_PAGE, MADV_REMOVE);
		if (round % 64 == 0)
			madvise(at, 64 * RAM_PAGE, MADV_PAGEOUT);
		pthread_mutex_unlock(&disturbing);
	}
	return NULL;
}

static long vm_disturb(struct vmm *vmm, long argument)
{
	pthread_t thread;

	(void)argument;
	return pthread_create(&thread, NULL, disturb, vmm);
}

static void start_own(struct subject *s, unsigned long mib, unsigned int vcpus, bool disturbed)
{
	struct ram_spec spec = { .size = mib << 20, .gpa = 0x1000000 };

	vmproc_start(&s->own, &spec, 1, vcpus);
	s->pid = s->own.pid;
	s->rams = s->own.rams;
	memcpy(s->ram, s->own.ram, sizeof(s->own.ram));
	vmproc_call(&s->own, vm_compute, 1);
	if (disturbed && vmproc_call(&s->own, vm_disturb, 0))
		die("no thread");
}

/* --- somebody else's */

static void find_other(struct subject *s, char **args)
{
	s->pid = atoi(*args++);
	s->stop = *args++;
	s->cont = *args++;
	/* An empty command would succeed, and a VM that runs on differs for good reason. */
	if (!*s->stop || !*s->cont)
		die("how is the VM stopped and continued?");
	for (; *args; args++, s->rams++) {
		ram_find(&s->ram[s->rams], s->pid, *args);
		s->ram[s->rams].id = s->rams;
	}
}

static void stop(struct subject *s)
{
	if (!s->stop)
		vmproc_call(&s->own, vm_pause, 0);
	else if (system(s->stop))
		die("the VM does not stop");
}

static void cont(struct subject *s)
{
	if (!s->cont)
		vmproc_call(&s->own, vm_resume, 0);
	else if (system(s->cont))
		die("the VM does not continue");
}

/* --- following it */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

/* Passes at the beat of ROUND_MS, or one after the other if they take longer. */
static unsigned long follow(struct ferry *f, unsigned int seconds)
{
	unsigned long passes = 0;
	uint64_t start, next;

	ferry_must_pass(f, 0);
	start = next = now_ms();
	while (passes < MIN_PASSES || now_ms() - start < seconds * 1000) {
		uint64_t now = now_ms();

		if (now < next)
			usleep((next - now) * 1000);
		else
			next = now;
		next += ROUND_MS;
		ferry_must_pass(f, 0);
		passes++;
	}
	return passes;
}

static struct outcome run(struct subject *s, unsigned int seconds, const struct policy *policy)
{
	struct outcome outcome = {};
	struct ferry_status status;
	struct shadow shadow;
	struct ferry f;
	unsigned int i;

	shadow_init(&shadow, NULL);
	for (i = 0; i < s->rams; i++)
		shadow_add(&shadow, i, ram_pages(&s->ram[i]));
	ferry_open(&f, shadow_sink, &shadow);
	f.group = policy->group;
	ferry_setup(&f, s->pid, s->ram, s->rams, CHANNELS, RING);

	outcome.passes = follow(&f, seconds);
	stop(s);
	ferry_must_pass(&f, FERRY_PASS_FINAL);
	for (i = 0; i < s->rams; i++) {
		outcome.pages += ram_pages(&s->ram[i]);
		outcome.differ += shadow_differences(&shadow, &s->ram[i]);
	}
	if (shadow.fault)
		die("shadow: %s", shadow.fault);
	must(ferry_status(&f, 0, &status));
	outcome.sent = status.taken;
	must(ferry_group_stats(&f, &outcome.groups));
	cont(s);
	ferry_close(&f);
	shadow_free(&shadow);
	return outcome;
}

static void report(const char *name, const struct outcome *o)
{
	ktap_note("%s: %lu passes, %lu pages taken, %lu opened, %lu read-mapped, %lu faults skipped; %lu of %lu pages differ",
		  name, o->passes, o->sent, (unsigned long)o->groups.opened,
		  (unsigned long)o->groups.read_mapped, (unsigned long)o->groups.skipped,
		  o->differ, o->pages);
}

/* True: nothing differs with the rules, and something without them. */
static bool try_policy(struct subject *s, unsigned int seconds, const struct policy *policy)
{
	struct outcome good, control = { 0 };
	unsigned int i;

	good = run(s, seconds, policy);
	report(policy->name, &good);
	for (i = 0; i < CONTROL_RUNS && !control.differ; i++) {
		const char *broken = policy->control[i % 2];

		if (!ferry_fault(broken))
			die("the control needs a test build of the module");
		control = run(s, seconds, policy);
		report(broken, &control);
	}
	ferry_fault("");
	printf("policy %s: pages %lu differ %lu control_differ %lu\n", policy->name,
	       good.pages, good.differ, control.differ);
	return !good.differ && control.differ;
}

static void swap_on(void)
{
	if (system("modprobe zram num_devices=1 && echo 256M >/sys/block/zram0/disksize && "
		   "mkswap /dev/zram0 >/dev/null && swapon /dev/zram0"))
		die("no swap");
}

static void swap_off(void)
{
	/* it may be built in */
	if (system("swapoff /dev/zram0 && echo 1 >/sys/block/zram0/reset && "
		   "{ modprobe -rq zram || true; }"))
		die("swapoff");
}

int main(int argc, char **argv)
{
	static struct subject s;
	const char *only = getenv("ORACLE_POLICY");
	bool own, disturbed, good = true;
	unsigned int seconds, i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	own = argc >= 5 && argc <= 6 && !strcmp(argv[1], "vmm");
	if (!own && (argc < 7 || strcmp(argv[1], "process") != 0))
		die("see the top of oracle.c for what to tell me");
	disturbed = own && argc == 6;

	ferry_load_module();
	if (disturbed)
		swap_on();
	seconds = atoi(argv[own ? 3 : 2]);
	if (own)
		start_own(&s, atoi(argv[2]), atoi(argv[4]), disturbed);
	else
		find_other(&s, argv + 3);

	for (i = 0; i < POLICIES; i++)
		if (!only || !strcmp(only, policies[i].name))
			good &= try_policy(&s, seconds, &policies[i]);

	/* what is punched and what the guest counts do not go together */
	if (own && !disturbed && vmproc_call(&s.own, vm_errors, 0))
		die("the guest computed wrong");
	if (own)
		vmproc_kill(&s.own);
	if (disturbed)
		swap_off();
	return !good;
}
