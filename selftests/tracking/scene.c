// SPDX-License-Identifier: GPL-2.0-or-later
/* The common scene of the tracking tests. */
#include "scene.h"

#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "die.h"

void scene_open(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	s->ferry.fd = -1;
	if (!vmm_available()) {
		printf("TAP version 13\n1..0 # SKIP no /dev/kvm\n");
		exit(4);
	}
	ferry_load_module();
	vmm_open(&s->vmm);
}

struct ram *scene_add_ram(struct scene *s, const struct ram_spec *spec)
{
	struct ram_spec named = *spec;
	unsigned int i = s->vmm.rams;

	named.id = i;
	s->expected[i] = calloc(bitmap_words(spec->size / RAM_PAGE), sizeof(uint64_t));
	/* two memory slots, as the PC's hole makes them */
	return vmm_add_ram_split(&s->vmm, &named, spec->size / 2 & ~(RAM_PAGE - 1));
}

void scene_attach(struct scene *s, unsigned int channels, uint64_t ring)
{
	unsigned int i;

	ferry_open(&s->ferry, shadow_sink, &s->shadow);
	s->ferry.group = s->group;
	shadow_init(&s->shadow, NULL);
	for (i = 0; i < s->vmm.rams; i++)
		shadow_add(&s->shadow, i, ram_pages(&s->vmm.ram[i]));
	ferry_setup(&s->ferry, getpid(), s->vmm.ram, s->vmm.rams, channels, ring);
}

void scene_detach(struct scene *s)
{
	ferry_close(&s->ferry);
	shadow_free(&s->shadow);
}

void scene_close(struct scene *s)
{
	unsigned int i;

	if (s->ferry.fd >= 0)
		scene_detach(s);
	for (i = 0; i < s->vmm.rams; i++)
		free(s->expected[i]);
	vmm_close(&s->vmm);
}

void scene_group(struct scene *s, uint32_t policy, uint32_t order, uint32_t read_order)
{
	s->group = (struct ferry_group){
		.policy = policy, .order = order, .read_order = read_order,
	};
	if (s->ferry.fd >= 0)
		must(ferry_group(&s->ferry, &s->group));
}

struct ferry_group_stats scene_group_stats(struct scene *s)
{
	struct ferry_group_stats stats;
	int err = ferry_group_stats(&s->ferry, &stats);

	if (err)
		die("statistics: %s", strerror(-err));
	return stats;
}

/* From 7.0 on KVM shows its fault handler to its own modules only. */
bool scene_prefaults(void)
{
	const char *backend = getenv("KVMFERRY_BACKEND");
	struct utsname kernel;

	must(uname(&kernel));
	return backend ? !strcmp(backend, "prefault") : atoi(kernel.release) >= 7;
}

void scene_populate(struct scene *s)
{
	unsigned int i;

	for (i = 0; i < s->vmm.rams; i++) {
		const struct ram *ram = &s->vmm.ram[i];
		struct guest_job job = {
			.op = GUEST_STORE,
			.base = ram->gpa + 128,
			.count = ram_pages(ram),
			.stride = RAM_PAGE,
			.value = 0x10000000 * (i + 1),
		};

		vmm_do(&s->vmm, 0, &job);
	}
}

/* migrate_pages(2) does it before it looks whether there is anything to migrate. */
void scene_drain_lists(void)
{
	unsigned long node = 1;

	must(syscall(SYS_migrate_pages, 0, 8 * sizeof(node), &node, &node));
}

uint64_t scene_settle(struct scene *s)
{
	uint64_t pending;
	int tries = 8;

	do {
		scene_drain_lists();
		ferry_must_pass(&s->ferry, 0);
		pending = ferry_pending_pages(&s->ferry);
	} while (pending && --tries);
	return pending;
}

void scene_expect(struct scene *s, const struct ram *ram, uint64_t page, uint64_t pages)
{
	while (pages--)
		bitmap_set(s->expected[ram->id], page++);
}

void scene_expect_nothing(struct scene *s)
{
	unsigned int i;

	for (i = 0; i < s->vmm.rams; i++)
		memset(s->expected[i], 0,
		       bitmap_words(ram_pages(&s->vmm.ram[i])) * sizeof(uint64_t));
}

static void compare_block(const uint64_t *expected, const uint64_t *pending,
			  uint64_t pages, struct scene_delta *delta)
{
	uint64_t i;

	for (i = 0; i < pages; i++) {
		bool want = bitmap_get(expected, i), have = bitmap_get(pending, i);

		delta->expected += want;
		delta->missed += want && !have;
		delta->extra += have && !want;
	}
}

struct scene_delta scene_compare(struct scene *s)
{
	struct scene_delta delta = {};
	unsigned int i;

	for (i = 0; i < s->vmm.rams; i++) {
		const struct ram *ram = &s->vmm.ram[i];
		uint64_t *pending = calloc(bitmap_words(ram_pages(ram)), sizeof(uint64_t));
		int err = ferry_pending(&s->ferry, ram, pending);

		if (err)
			die("pending: %s", strerror(-err));
		compare_block(s->expected[i], pending, ram_pages(ram), &delta);
		free(pending);
	}
	scene_expect_nothing(s);
	return delta;
}

uint64_t scene_differences(struct scene *s)
{
	const char *fault = ferry_fault_of_streams(&s->ferry) ?: s->shadow.fault;
	uint64_t differ = 0;
	unsigned int i;

	if (fault) {
		printf("# stream: %s\n", fault);
		return UINT64_MAX;
	}
	for (i = 0; i < s->vmm.rams; i++)
		differ += shadow_differences(&s->shadow, &s->vmm.ram[i]);
	return differ;
}

uint64_t scene_sent_more_than(const struct scene *s, uint32_t times)
{
	uint64_t page, count = 0;
	unsigned int i;

	for (i = 0; i < s->vmm.rams; i++)
		for (page = 0; page < s->shadow.block[i].pages; page++)
			count += s->shadow.block[i].sent[page] > times;
	return count;
}
