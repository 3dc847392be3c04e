// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does the test VM do what its jobs say? Needs KVM, but not the module: if this
 * fails, no other tracking test means anything.
 */
#include "ktap.h"
#include "vmm.h"

#include "die.h"

#define GPA	0x1000000ul
#define PAGES	1024

static struct vmm vmm;
static struct ram *ram;

static uint32_t word(uint64_t page, uint32_t offset)
{
	return *(uint32_t *)(ram->map + page * RAM_PAGE + offset);
}

static void test_walks(void)
{
	struct guest_job job = { .base = GPA + 8, .count = PAGES, .stride = RAM_PAGE };
	uint64_t page, wrong = 0;

	job.op = GUEST_STORE;
	job.value = 1000;
	vmm_do(&vmm, 0, &job);
	job.op = GUEST_XADD;
	vmm_do(&vmm, 0, &job);
	job.op = GUEST_CMPXCHG;
	vmm_do(&vmm, 1, &job);
	for (page = 0; page < PAGES; page++)
		wrong += word(page, 8) != 1000 + page + 2;
	ktap_ok(!wrong, "stores, then locked additions by two vCPUs");

	job.op = GUEST_READ;
	job.count = 3;
	vmm_do(&vmm, 0, &job);
	ktap_ok(vmm.vcpu[0].box->sum == 1002 + 1003 + 1004, "the guest reads what is there");
}

static void test_strings(void)
{
	struct guest_job stos = {
		.op = GUEST_STOS, .base = GPA + 16, .count = 2048, .value = 0xabcdef01,
	};
	struct guest_job movs = {
		.op = GUEST_MOVS, .base = GPA + 64 * RAM_PAGE, .from = GPA, .count = 2048,
	};
	struct guest_job noise = {
		.op = GUEST_NOISE, .base = GPA + 32 * RAM_PAGE, .count = 1024, .value = 7,
	};

	vmm_do(&vmm, 0, &stos);
	ktap_ok(word(0, 16) == 0xabcdef01 && word(2, 12) == 0xabcdef01 && word(2, 16) == 0,
		"string stores end where they should");
	vmm_do(&vmm, 0, &movs);
	ktap_ok(!memcmp(ram->map, ram->map + 64 * RAM_PAGE, 2048 * 4), "string moves copy");
	vmm_do(&vmm, 0, &noise);
	ktap_ok(word(32, 0) && word(32, 0) != word(32, 4) && word(32, 4092) && !word(33, 0),
		"noise fills a page");
}

static void test_list(void)
{
	uint32_t *list = (uint32_t *)(vmm.low + GUEST_LIST);
	struct guest_job job = { .op = GUEST_LIST_STORE, .count = 2, .value = 77 };

	list[0] = GPA + 100 * RAM_PAGE;
	list[1] = GPA + 900 * RAM_PAGE + 4;
	vmm_do(&vmm, 1, &job);
	ktap_ok(word(100, 0) == 77 && word(900, 4) == 77, "a list of addresses is stored to");
}

static void test_random(void)
{
	uint64_t before, after;
	int i;

	memset(ram->map, 0, ram->size);
	vmm_start_random(&vmm, ram, 42, 2);
	for (i = 0; i < 20; i++) {
		struct timespec nap = { .tv_nsec = 5000000 };

		nanosleep(&nap, NULL);
		vmm_pause(&vmm);
		before = vmm.vcpu[0].box->done + vmm.vcpu[1].box->done;
		nanosleep(&nap, NULL);
		after = vmm.vcpu[0].box->done + vmm.vcpu[1].box->done;
		if (before != after)
			break;
		vmm_resume(&vmm);
	}
	vmm_resume(&vmm);
	ktap_ok(i == 20, "nothing moves while the VM is paused");
	vmm_end(&vmm, 0);
	vmm_end(&vmm, 1);
	ktap_note("%lu and %lu rounds", vmm.vcpu[0].box->done, vmm.vcpu[1].box->done);
	ktap_ok(vmm.vcpu[0].box->done && vmm.vcpu[1].box->done, "both vCPUs worked");
	ktap_ok(!vmm_random_errors(&vmm, ram), "their counters add up");
	*(uint32_t *)(ram->map + 5 * RAM_PAGE) += 1;
	ktap_ok(vmm_random_errors(&vmm, ram), "one lost count is noticed");
}

static void test_exits(void)
{
	struct guest_job job = { .op = GUEST_NOP };
	uint64_t before = vmm_exits(&vmm);

	vmm_do(&vmm, 0, &job);
	ktap_ok(vmm_exits(&vmm) > before, "exits are counted");
}

int main(void)
{
	struct ram_spec spec = { .size = PAGES * RAM_PAGE, .gpa = GPA };

	if (!vmm_available())
		ktap_skip_all("no /dev/kvm");
	ktap_plan(11);
	vmm_open(&vmm);
	ram = vmm_add_ram_split(&vmm, &spec, 300 * RAM_PAGE);
	vmm_boot(&vmm, 2);
	test_walks();
	test_strings();
	test_list();
	test_random();
	test_exits();
	vmm_close(&vmm);
	return ktap_finish();
}
