/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What most tracking tests play in: a VM, a client of the module that follows it, a
 * shadow that every record is applied to, and the set of pages that must be pending.
 */
#ifndef TRACKING_SCENE_H
#define TRACKING_SCENE_H

#include "ferry.h"
#include "shadow.h"
#include "vmm.h"

struct scene {
	struct vmm vmm;
	struct ferry ferry;
	struct ferry_group group;	/* for scene_attach(); off at first */
	struct shadow shadow;
	uint64_t *expected[VMM_MAX_RAM];
};

/* How the pending set differs from the expected one, in pages. */
struct scene_delta {
	uint64_t expected;
	uint64_t missed;
	uint64_t extra;
};

/* Loads the module, makes a VM without RAM and vCPUs. Skips all without KVM. */
void scene_open(struct scene *s);
struct ram *scene_add_ram(struct scene *s, const struct ram_spec *spec);
/* After RAM and vCPUs: attach to ourselves. Must not fail. */
void scene_attach(struct scene *s, unsigned int channels, uint64_t ring);
/* Detach; the VM stays. And attach anew. */
void scene_detach(struct scene *s);
void scene_close(struct scene *s);

/* How groups are formed from now on, after a scene_attach() to come as well. */
void scene_group(struct scene *s, uint32_t policy, uint32_t order, uint32_t read_order);
struct ferry_group_stats scene_group_stats(struct scene *s);

/* Is the back end prefault, and not page-fault? As KVMFERRY_BACKEND says, or what this kernel has. */
bool scene_prefaults(void);

/* Every page of every block gets a content of its own, from the guest. */
void scene_populate(struct scene *s);
/*
 * Passes until nothing is pending, while nobody writes. Returns the number of pages
 * pending after the last one: 0 unless something is wrong, or pinned.
 */
uint64_t scene_settle(struct scene *s);

/* Pages that must be pending at the next scene_compare(). */
void scene_expect(struct scene *s, const struct ram *ram, uint64_t page, uint64_t pages);
void scene_expect_nothing(struct scene *s);
/* Asks the module, and forgets what was expected. */
struct scene_delta scene_compare(struct scene *s);
/* Pages of all blocks in which shadow and RAM differ; says so if a stream was at fault. */
uint64_t scene_differences(struct scene *s);
/* Pages that came more than @times since shadow_forget_sent(). */
uint64_t scene_sent_more_than(const struct scene *s, uint32_t times);

/*
 * Page references that wait in per-CPU lists look as if somebody held the page.
 * Empties the lists.
 */
void scene_drain_lists(void);

#endif /* TRACKING_SCENE_H */
