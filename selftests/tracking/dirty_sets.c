// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whoever writes to a page, and however: after a pass exactly the pages that were
 * touched are pending. Nothing missed, nothing extra; what is then sent makes the
 * shadow equal to the RAM.
 *
 * Two blocks: one that is as regular as can be, and one whose size is no multiple
 * of anything, at an offset in its file, mapped across the borders of page tables.
 */
#include "ktap.h"
#include "scene.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "die.h"

#define GPA_A		0x1000000ul
#define CONTROL_GOES	50	/* in which the control must lose a write */
#define PAGES_A		2048ul
#define GPA_B		0x4000000ul
#define PAGES_B		1541ul

#define MSR_SYSTEM_TIME	0x4b564d01
#define MSR_STEAL_TIME	0x4b564d03

static struct scene scene;
static struct ram *a, *b;

static void guest(unsigned int vcpu, uint32_t op, const struct ram *ram, uint64_t at,
		  uint32_t count, uint32_t stride)
{
	struct guest_job job = {
		.op = op, .base = ram->gpa + at, .count = count, .stride = stride,
		.value = 0x5eed0000 + op,
	};

	vmm_do(&scene.vmm, vcpu, &job);
}

static void guest_stores(void)
{
	guest(0, GUEST_STORE, a, 4, PAGES_A, RAM_PAGE);
	scene_expect(&scene, a, 0, PAGES_A);
}

static void expect_every(const struct ram *ram, uint64_t first, uint64_t step)
{
	uint64_t page;

	for (page = first; page < ram_pages(ram); page += step)
		scene_expect(&scene, ram, page, 1);
}

static void guest_stores_sparsely(void)
{
	guest(1, GUEST_STORE, b, 3 * RAM_PAGE, (PAGES_B - 3 + 6) / 7, 7 * RAM_PAGE);
	expect_every(b, 3, 7);
}

static void guest_stores_across_a_border(void)
{
	guest(0, GUEST_STORE, a, 511 * RAM_PAGE + RAM_PAGE - 2, 1, 0);
	scene_expect(&scene, a, 511, 2);
	guest(0, GUEST_STORE, b, 2 * RAM_PAGE - 1, 1, 0);
	scene_expect(&scene, b, 1, 2);
}

static void guest_adds_locked(void)
{
	guest(0, GUEST_XADD, a, 8, 300, RAM_PAGE);
	scene_expect(&scene, a, 0, 300);
	guest(1, GUEST_XADD, b, 1000 * RAM_PAGE, 541, RAM_PAGE);
	scene_expect(&scene, b, 1000, 541);
}

static void guest_compares_and_swaps(void)
{
	guest(1, GUEST_CMPXCHG, a, 12, PAGES_A / 16, 16 * RAM_PAGE);
	expect_every(a, 0, 16);
}

static void guest_stores_strings(void)
{
	guest(0, GUEST_STOS, a, 700 * RAM_PAGE - 4, 2 + 5 * 1024, 0);
	scene_expect(&scene, a, 699, 7);
}

static void guest_moves_strings(void)
{
	struct guest_job job = {
		.op = GUEST_MOVS, .count = 20 * 1024,
		.from = GPA_A + 100 * RAM_PAGE, .base = GPA_B + 1200 * RAM_PAGE,
	};

	vmm_do(&scene.vmm, 1, &job);
	scene_expect(&scene, b, 1200, 20);
}

static void guest_stores_here_and_there(void)
{
	uint32_t *list = (uint32_t *)(scene.vmm.low + GUEST_LIST);
	struct guest_job job = { .op = GUEST_LIST_STORE, .count = 500, .value = 0xfeed };
	uint64_t random = 12345;
	unsigned int i;

	for (i = 0; i < job.count; i++) {
		const struct ram *ram = i & 1 ? a : b;
		uint64_t page;

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		page = (random >> 33) % ram_pages(ram);
		list[i] = ram->gpa + page * RAM_PAGE + (random >> 20 & 0xffc);
		scene_expect(&scene, ram, page, 1);
	}
	vmm_do(&scene.vmm, 0, &job);
}

static void both_vcpus_store(void)
{
	struct guest_job job = {
		.op = GUEST_XADD, .base = GPA_A + 16, .count = 1024, .stride = RAM_PAGE,
	};

	vmm_start(&scene.vmm, 0, &job);
	vmm_start(&scene.vmm, 1, &job);
	vmm_wait(&scene.vmm, 0);
	vmm_wait(&scene.vmm, 1);
	scene_expect(&scene, a, 0, 1024);
}

static void guest_reads(void)
{
	guest(0, GUEST_READ, a, 0, PAGES_A, RAM_PAGE);
	guest(1, GUEST_READ, b, 0, PAGES_B, RAM_PAGE);
}

/* The page that was read is mapped read-only, which is another fault than not at all. */
static void guest_reads_then_stores(void)
{
	guest_reads();
	guest(1, GUEST_STORE, a, 20, PAGES_A / 2, 2 * RAM_PAGE);
	expect_every(a, 0, 2);
}

static void vmm_stores(void)
{
	uint64_t page;

	for (page = 5; page < PAGES_A; page += 9)
		vmm_poke(a, page, page);
	expect_every(a, 5, 9);
	vmm_poke(b, PAGES_B - 1, 1);
	scene_expect(&scene, b, PAGES_B - 1, 1);
}

static void vmm_reads(void)
{
	uint64_t page;

	for (page = 0; page < PAGES_A; page++)
		(void)*(volatile uint32_t *)(a->map + page * RAM_PAGE);
}

/* The kernel copies into guest RAM for the VMM. */
static void vmm_reads_a_file_into_ram(void)
{
	int zero = must(open("/dev/zero", O_RDONLY));
	int self = must(open("/proc/self/exe", O_RDONLY));

	must(read(zero, a->map + 50 * RAM_PAGE + 100, 3 * RAM_PAGE));
	scene_expect(&scene, a, 50, 4);
	if (must(read(self, b->map + 1023 * RAM_PAGE, 2 * RAM_PAGE)) != 2 * RAM_PAGE)
		die("short read");
	scene_expect(&scene, b, 1023, 2);
	close(zero);
	close(self);
}

/* get_user_pages() and a copy, as a debugger does it. */
static void others_write_into_ram(void)
{
	char word[8] = "changed";
	struct iovec from = { word, sizeof(word) };
	struct iovec to = { a->map + 77 * RAM_PAGE, sizeof(word) };
	int mem = ferry_open_mem(getpid(), O_RDWR);

	if (must(process_vm_writev(getpid(), &from, 1, &to, 1, 0)) != sizeof(word))
		die("short write");
	scene_expect(&scene, a, 77, 1);
	if (must(pwrite(mem, word, sizeof(word), (uintptr_t)b->map + 2 * RAM_PAGE - 4)) !=
	    sizeof(word))
		die("short write");
	scene_expect(&scene, b, 1, 2);
	close(mem);
}

/* KVM's clock page and its steal time page, which it writes on its own account. */
static void kvm_writes(void)
{
	struct guest_job nop = { .op = GUEST_NOP };

	vmm_set_msr(&scene.vmm, 0, MSR_SYSTEM_TIME, (GPA_A + 900 * RAM_PAGE) | 1);
	vmm_set_msr(&scene.vmm, 0, MSR_STEAL_TIME, (GPA_B + 901 * RAM_PAGE) | 1);
	vmm_do(&scene.vmm, 0, &nop);
	scene_expect(&scene, a, 900, 1);
	scene_expect(&scene, b, 901, 1);
}

/* They know these pages by now, and must not write to them through an old mapping. */
static void kvm_writes_again(void)
{
	kvm_writes();
	vmm_set_msr(&scene.vmm, 0, MSR_SYSTEM_TIME, 0);
	vmm_set_msr(&scene.vmm, 0, MSR_STEAL_TIME, 0);
}

static void nobody_writes(void)
{
}

static const struct {
	const char *name;
	void (*write)(void);
} writers[] = {
	{ "nobody writes", nobody_writes },
	{ "guest stores to every page", guest_stores },
	{ "guest stores to one page in 7", guest_stores_sparsely },
	{ "guest stores across the border of two pages", guest_stores_across_a_border },
	{ "guest adds, locked", guest_adds_locked },
	{ "guest compares and swaps, locked", guest_compares_and_swaps },
	{ "guest stores strings", guest_stores_strings },
	{ "guest moves strings", guest_moves_strings },
	{ "guest stores to random pages", guest_stores_here_and_there },
	{ "two vCPUs store to the same pages", both_vcpus_store },
	{ "guest reads every page", guest_reads },
	{ "guest reads every page, then stores to some", guest_reads_then_stores },
	{ "VMM stores", vmm_stores },
	{ "VMM reads", vmm_reads },
	{ "read(2) into guest RAM", vmm_reads_a_file_into_ram },
	{ "process_vm_writev(2) and /proc/PID/mem", others_write_into_ram },
	{ "KVM writes its clock and steal time", kvm_writes },
	{ "KVM writes them again after a pass", kvm_writes_again },
};

#define WRITERS	(sizeof(writers) / sizeof(*writers))

/* What was written is found, found again by a second look, sent once, and right. */
static void try_writer(unsigned int i)
{
	struct scene_delta delta;
	uint64_t left, twice, differ;

	writers[i].write();
	delta = scene_compare(&scene);
	ktap_ok(!delta.missed && !delta.extra, "%s: %lu pending, %lu missed, %lu extra",
		writers[i].name, delta.expected, delta.missed, delta.extra);

	shadow_forget_sent(&scene.shadow);
	left = scene_settle(&scene);
	twice = scene_sent_more_than(&scene, 1);
	differ = scene_differences(&scene);
	ktap_ok(!left && !twice && !differ,
		"%s: %lu pending after a pass, %lu sent twice, %lu differ",
		writers[i].name, left, twice, differ);
}

/* To ask what is pending must not change it. */
static void try_asking(void)
{
	struct scene_delta delta;
	int times;

	for (times = 0; times < 3; times++) {
		guest(0, GUEST_STORE, a, 0, 10, RAM_PAGE);
		scene_expect(&scene, a, 0, 10);
		delta = scene_compare(&scene);
		if (delta.missed || delta.extra)
			break;
	}
	ktap_ok(times == 3, "asking takes nothing");
	ktap_ok(ferry_pending_pages(&scene.ferry) == 10, "the status counts the same pages");
	scene_settle(&scene);
}

/* A VM is attached to again, after it ran untracked: everything is pending anew. */
static void try_again(void)
{
	scene_detach(&scene);
	guest_stores();
	scene_attach(&scene, 1, 1 << 20);
	ktap_ok(ferry_pending_pages(&scene.ferry) == PAGES_A + PAGES_B,
		"after attaching again every page is pending");
	scene_expect_nothing(&scene);
	ktap_ok(!scene_settle(&scene) && !scene_differences(&scene),
		"and is sent");
	try_writer(2);
}

/* Two passes while the guest writes; does the shadow differ when all is said and done? */
static bool loses_writes(void)
{
	vmm_start_random(&scene.vmm, a, 1, 0);
	ferry_must_pass(&scene.ferry, 0);
	ferry_must_pass(&scene.ferry, 0);
	vmm_end(&scene.vmm, 0);
	vmm_end(&scene.vmm, 1);
	scene_settle(&scene);
	return scene_differences(&scene);
}

/*
 * The control: what if the module protected pages without having taken them? A loss shows
 * only if the page is not written again before the end, so one go may find none.
 */
static void try_control(void)
{
	unsigned int goes = 1;

	if (!ferry_fault("protect-all")) {
		ktap_skip("no fault points in this build", "control");
		return;
	}
	while (!loses_writes() && goes < CONTROL_GOES)
		goes++;
	ferry_fault("");
	scene_expect_nothing(&scene);
	ktap_ok(scene_differences(&scene),
		"control: protecting more than was taken loses writes (at go %u)", goes);
}

int main(void)
{
	unsigned int i;

	scene_open(&scene);
	ktap_plan(2 * WRITERS + 10);
	a = scene_add_ram(&scene, &(struct ram_spec) {
		.size = PAGES_A * RAM_PAGE, .gpa = GPA_A,
	});
	b = scene_add_ram(&scene, &(struct ram_spec) {
		.size = PAGES_B * RAM_PAGE, .gpa = GPA_B,
		.offset = RAM_CHUNK, .skew = 3 * RAM_PAGE,
	});
	vmm_boot(&scene.vmm, 2);
	scene_populate(&scene);
	scene_attach(&scene, 2, 256 << 10);
	ktap_ok(ferry_pending_pages(&scene.ferry) == PAGES_A + PAGES_B,
		"every page is pending at first");
	ktap_ok(!scene_settle(&scene), "after a pass none is");

	for (i = 0; i < WRITERS; i++)
		try_writer(i);
	try_asking();
	try_again();
	try_control();

	scene_close(&scene);
	ktap_ok(ferry_unload_module(), "the module unloads");
	return ktap_finish();
}
