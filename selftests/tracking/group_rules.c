// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What may not be opened together with a page that the guest writes to: neighbours in the
 * block that the guest sees elsewhere, or not at all, or read-only. KVM would
 * emulate the guest's store with our address, and the store would be lost.
 *
 *	pages of the block	where the guest sees them
 *	0    to  255		HERE + page
 *	256  to  511		ELSEWHERE; at HERE + page there is nothing
 *	512  to  767		HERE + page
 *	768  to 1023		HERE + page, read-only
 */
#include "ktap.h"
#include "scene.h"

#include <linux/kvm.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "die.h"

#define HERE		0x1000000ul
#define ELSEWHERE	0x4000000ul
#define PAGES		1024ul
#define QUARTER		(PAGES / 4)
#define RING		(1ul << 20)
#define SMM		(1u << 16)	/* in a slot's number: of that address space */

static struct scene scene;
static struct ram *ram;

static void add_quarter(unsigned int quarter, uint64_t gpa, uint32_t flags)
{
	vmm_add_slot(&scene.vmm, gpa, ram->map + quarter * QUARTER * RAM_PAGE,
		     QUARTER * RAM_PAGE, flags);
}

static void make_ram(void)
{
	struct ram_spec spec = { .size = PAGES * RAM_PAGE, .gpa = HERE };

	ram = vmm_make_ram(&scene.vmm, &spec);
	scene.expected[0] = calloc(bitmap_words(PAGES), sizeof(uint64_t));
	memset(ram->map, 0x55, ram->size);
	add_quarter(0, HERE, 0);
	add_quarter(1, ELSEWHERE, 0);
	add_quarter(2, HERE + 2 * QUARTER * RAM_PAGE, 0);
	add_quarter(3, HERE + 3 * QUARTER * RAM_PAGE, KVM_MEM_READONLY);
}

/* Something new to each page of a quarter. */
static struct guest_job stores(uint64_t gpa)
{
	static uint32_t value = 1;

	return (struct guest_job){
		.op = GUEST_STORE, .base = gpa, .count = QUARTER, .stride = RAM_PAGE,
		.value = value += 0x10000,
	};
}

/* How many of the stores are not there? */
static uint64_t lost_stores(unsigned int quarter, uint64_t gpa)
{
	struct guest_job job = stores(gpa);
	uint64_t page, lost = 0;

	vmm_do(&scene.vmm, 0, &job);
	for (page = 0; page < QUARTER; page++)
		lost += *(uint32_t *)(ram->map + (quarter * QUARTER + page) * RAM_PAGE) !=
			job.value + page;
	return lost;
}

static void test_quarter(const char *name, unsigned int quarter, uint64_t gpa)
{
	struct ferry_group_stats s = scene_group_stats(&scene), t;
	uint64_t lost;

	scene_settle(&scene);
	lost = lost_stores(quarter, gpa);
	t = scene_group_stats(&scene);
	ktap_ok(!lost && !scene.vmm.vcpu[0].mmio, "%s: no store is lost", name);
	ktap_ok(t.opened - s.opened == QUARTER - 1 && t.write_faults - s.write_faults == 1,
		"%s: its %lu pages are opened, and no others", name, QUARTER);
	ktap_ok(!scene_settle(&scene) && !scene_differences(&scene), "%s: shadow equals RAM", name);
}

/* Memory that comes and goes beside the pages that are written to. */
static volatile bool toggling;
static pthread_t toggler;

static void *toggle(void *unused)
{
	struct kvm_userspace_memory_region region = {
		.slot = scene.vmm.slots,
		.guest_phys_addr = HERE + QUARTER * RAM_PAGE,
		.userspace_addr = (uintptr_t)ram->map + QUARTER * RAM_PAGE,
	};

	while (toggling) {
		region.memory_size = QUARTER * RAM_PAGE;
		must(ioctl(scene.vmm.vm, KVM_SET_USER_MEMORY_REGION, &region));
		region.memory_size = 0;
		must(ioctl(scene.vmm.vm, KVM_SET_USER_MEMORY_REGION, &region));
	}
	return unused;
}

static void begin_toggling(void)
{
	toggling = true;
	if (pthread_create(&toggler, NULL, toggle, NULL))
		die("no thread");
}

static void end_toggling(void)
{
	toggling = false;
	pthread_join(toggler, NULL);
}

static void test_toggling(void)
{
	uint64_t lost = 0;
	int i;

	begin_toggling();
	for (i = 0; i < 30; i++) {
		ferry_must_pass(&scene.ferry, 0);
		lost += lost_stores(0, HERE);
	}
	end_toggling();
	ktap_ok(!lost && !scene.vmm.vcpu[0].mmio, "a slot that comes and goes beside them: no store is lost");
}

/* --- system management mode */

static void enter_smm(uint64_t base, uint32_t pages, uint32_t value)
{
	struct guest_box *box = (void *)(scene.vmm.low + GUEST_SMM_BOX);
	struct guest_job job = { .op = GUEST_NOP };
	uint64_t before = box->done;

	box->base = base;
	box->count = pages;
	box->value = value;
	must(ioctl(scene.vmm.vcpu[0].fd, KVM_SMI));
	vmm_do(&scene.vmm, 0, &job);
	if (box->done != before + 1)
		die("the handler in system management mode did not run");
}

static void test_smm(void)
{
	struct ferry_group_stats s, t;
	uint64_t page, lost = 0;

	memcpy(scene.vmm.low + GUEST_SMM, guest_smm, guest_smm_end - guest_smm);
	scene.vmm.slots |= SMM;
	vmm_add_slot(&scene.vmm, 0, scene.vmm.low, GUEST_LOW_SIZE, 0);
	add_quarter(0, HERE, 0);
	scene.vmm.slots &= ~SMM;

	scene_settle(&scene);
	s = scene_group_stats(&scene);
	enter_smm(HERE, QUARTER, 0x5113);
	t = scene_group_stats(&scene);
	for (page = 0; page < QUARTER; page++)
		lost += *(uint32_t *)(ram->map + page * RAM_PAGE) != 0x5113;
	ktap_ok(!lost, "system management mode: no store is lost");
	ktap_ok(t.opened == s.opened && t.skipped - s.skipped >= QUARTER,
		"system management mode: nothing is opened; %lu faults skipped",
		(unsigned long)(t.skipped - s.skipped));
	ktap_ok(!scene_settle(&scene) && !scene_differences(&scene),
		"system management mode: shadow equals RAM");
}

/* Does a vCPU come to a standstill? A signal gets it going again. */
static bool gets_stuck(void)
{
	struct guest_job job = stores(HERE);
	unsigned int i;
	bool stuck;

	ferry_must_pass(&scene.ferry, 0);
	vmm_start(&scene.vmm, 0, &job);
	for (i = 0; i < 1000 && vmm_busy(&scene.vmm, 0); i++)
		usleep(10000);
	stuck = vmm_busy(&scene.vmm, 0);
	while (vmm_busy(&scene.vmm, 0)) {
		vmm_signal(&scene.vmm);
		usleep(10000);
	}
	vmm_wait(&scene.vmm, 0);
	return stuck;
}

/* With this back end KVM emulates nothing, but without a deadline it may spin for ever. */
static void test_prefault_control(void)
{
	bool stuck = false;
	unsigned int i;

	if (!ferry_fault("prefault-patient")) {
		ktap_skip("not a test build", "the control");
		return;
	}
	begin_toggling();
	for (i = 0; i < 30 && !stuck; i++)
		stuck = gets_stuck();
	ferry_fault("");
	/* the slots as well: whoever removes one waits for the vCPU */
	end_toggling();
	ktap_ok(stuck, "the control, prefault-patient: a vCPU is stuck after %u rounds", i);
}

/* The rule broken: the store goes to the hole. Comes last, as the VM is none the better for it. */
static void test_control(void)
{
	uint64_t lost = 0, page;

	if (!ferry_fault("slot-blind")) {
		ktap_skip("not a test build", "the control");
		return;
	}
	scene.vmm.vcpu[0].mmio_allowed = true;
	for (page = 0; page < 4 && !lost; page++) {
		scene_settle(&scene);
		lost = lost_stores(0, HERE);
	}
	ferry_fault("");
	ktap_ok(lost, "the control, slot-blind: %lu of %lu stores are lost", lost, QUARTER);
}

int main(void)
{
	ktap_plan(3 * 3 + 1 + 3 + 1 + 1);
	scene_open(&scene);
	make_ram();
	vmm_boot(&scene.vmm, 1);
	scene_group(&scene, FERRY_GROUP_STATIC, FERRY_GROUP_MAX_ORDER, 9);
	scene_attach(&scene, 1, RING);
	scene_settle(&scene);
	test_quarter("a hole behind them", 0, HERE);
	test_quarter("seen elsewhere", 1, ELSEWHERE);
	test_quarter("read-only memory behind them", 2, HERE + 2 * QUARTER * RAM_PAGE);
	test_toggling();
	test_smm();
	if (scene_prefaults())
		test_prefault_control();
	else
		test_control();
	scene_close(&scene);
	ktap_ok(ferry_unload_module(), "the module unloads");
	return ktap_finish();
}
