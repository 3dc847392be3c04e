// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The benchmark's runs on the tests' own VMM, where it is known which pages are
 * written. In each round the guest writes, to the end of its job, and then a pass takes
 * the pages; so each exit and each page belongs to one round.
 */
#include "bench-group.h"

#include <unistd.h>

#include "bench-log.h"
#include "die.h"
#include "vmm.h"

#define GPA		0x1000000ul
#define COLD_ROUNDS	3	/* what a policy does before it can have learned much */
#define STEADY_ROUNDS	8

struct scene {
	struct vmm vmm;
	struct ram *ram;
	struct places places;
	struct log_slot slot;
	uint32_t value;		/* never stored before */
};

/* --- KVM's log; only the RAM is logged, as only it is tracked */

static void must_do(int err)
{
	if (err)
		die("KVM's dirty log: %s", strerror(-err));
}

static void log_begin(void *context)
{
	struct scene *s = context;

	must_do(log_switch(s->vmm.vm, &s->slot, true));
}

static uint64_t log_round(void *context)
{
	struct scene *s = context;
	uint64_t pages = 0;

	must_do(log_fetch(s->vmm.vm, &s->slot, false, &pages));
	return pages;
}

static void log_end(void *context)
{
	struct scene *s = context;

	must_do(log_switch(s->vmm.vm, &s->slot, false));
}

/* --- the guest */

static void open_scene(struct scene *s)
{
	struct ram_spec spec = { .size = PATTERN_PAGES * RAM_PAGE, .gpa = GPA };
	struct guest_job touch_list = {
		.op = GUEST_READ, .base = GUEST_LIST, .stride = RAM_PAGE,
		.count = PATTERN_MAX_STORES * sizeof(uint32_t) / RAM_PAGE,
	};

	if (!vmm_available())
		die("no /dev/kvm");
	memset(s, 0, sizeof(*s));
	vmm_open(&s->vmm);
	s->slot.region = (struct kvm_userspace_memory_region) {
		.slot = s->vmm.slots,
		.guest_phys_addr = GPA,
		.memory_size = spec.size,
	};
	s->ram = vmm_add_ram(&s->vmm, &spec);
	s->slot.region.userspace_addr = (uintptr_t)s->ram->map;
	vmm_boot(&s->vmm, 1);
	/* exits of the list's own pages are nobody's business */
	memset(s->vmm.low + GUEST_LIST, 1, PATTERN_MAX_STORES * sizeof(uint32_t));
	vmm_do(&s->vmm, 0, &touch_list);
}

/* All is mapped and writable, as in a VM that has run for a while. */
static void warm_up(struct scene *s)
{
	struct guest_job job = {
		.op = GUEST_STORE, .base = GPA, .count = PATTERN_PAGES, .stride = RAM_PAGE,
		.value = s->value,
	};

	s->value += PATTERN_PAGES;
	vmm_do(&s->vmm, 0, &job);
}

/* Each page gets a content that it never had. */
static void write_places(struct scene *s)
{
	uint32_t *list = (uint32_t *)(s->vmm.low + GUEST_LIST);
	struct guest_job job = {
		.op = GUEST_LIST_STORE, .count = s->places.stores, .value = s->value++,
	};
	uint32_t i;

	for (i = 0; i < s->places.stores; i++)
		list[i] = GPA + s->places.page[i] * RAM_PAGE + i * 64 % RAM_PAGE;
	vmm_do(&s->vmm, 0, &job);
}

static void read_places(struct scene *s)
{
	struct guest_job job = {
		.op = GUEST_READ, .base = GPA, .stride = RAM_PAGE, .count = s->places.pages,
	};

	vmm_do(&s->vmm, 0, &job);
}

/* --- the runs */

static void one_round(struct scene *s, struct tracker *t, const struct pattern *pattern,
		      unsigned int round, struct bench_result *r)
{
	uint64_t exits, irq_exits;

	pattern_places(pattern, round, &s->places);
	if (pattern->reads) {
		write_places(s);
		tracker_round(t);
	}
	exits = vmm_exits(&s->vmm);
	irq_exits = vmm_irq_exits(&s->vmm);
	if (pattern->reads)
		read_places(s);
	else
		write_places(s);
	exits = vmm_exits(&s->vmm) - exits;
	irq_exits = vmm_irq_exits(&s->vmm) - irq_exits;
	if (!pattern->reads)
		tracker_round(t);

	r->exits += exits;
	r->irq_exits += irq_exits;
	r->exits_each[r->each++] = exits - irq_exits;
	r->rounds++;
	r->pages_written += s->places.pages;
}

static void phase(struct scene *s, struct tracker *t, const struct pattern *pattern,
		  const char *name, unsigned int first, unsigned int rounds)
{
	struct bench_result r = {
		.pattern = pattern->name,
		.phase = name,
		.work = BENCH_UNKNOWN,
	};
	uint64_t begin = bench_now_us();
	struct counts before, after;
	unsigned int i;

	tracker_counts(t, &before);
	for (i = 0; i < rounds; i++)
		one_round(s, t, pattern, first + i, &r);
	tracker_counts(t, &after);
	bench_counts_add(&r.counts, &after, &before);
	r.seconds = (bench_now_us() - begin) / 1e6;
	r.differ = t->policy->kind == TRACK_FERRY ? tracker_differences(t) : BENCH_UNKNOWN;
	bench_report(t, &r);
}

static void run(struct scene *s, struct tracker *t, const struct pattern *pattern,
		const struct policy *policy)
{
	warm_up(s);
	if (!tracker_begin(t, policy)) {
		printf("# %s, %s: this module has no groups\n", pattern->name, policy->name);
		return;
	}
	phase(s, t, pattern, "cold", 0, COLD_ROUNDS);
	phase(s, t, pattern, "steady", COLD_ROUNDS, STEADY_ROUNDS);
	tracker_end(t);
}

void bench_vmm(const char *pattern_list, const char *policy_list)
{
	const struct pattern *pattern;
	const struct policy *policy;
	static struct scene s;
	static struct tracker t;

	open_scene(&s);
	t.pid = getpid();
	t.ram = s.ram;
	t.rams = 1;
	t.check = true;
	t.log = (struct kvm_log) { log_begin, log_round, log_end, &s };
	for (pattern = patterns; pattern->name; pattern++)
		for (policy = policies; policy->name; policy++)
			if (bench_wanted(pattern_list, pattern->name) &&
			    bench_wanted(policy_list, policy->name))
				run(&s, &t, pattern, policy);
	vmm_close(&s.vmm);
}
