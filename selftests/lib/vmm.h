/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A minimal VMM on /dev/kvm: some RAM blocks, 1 to 4 vCPUs with a thread each, and
 * jobs for the guest program (guest.h). Whatever fails ends the test program.
 *
 * The guest's low memory (program, mailboxes, address list) is anonymous and lies
 * in a memory slot of its own, so that only jobs touch the RAM blocks.
 */
#ifndef SELFTESTS_VMM_H
#define SELFTESTS_VMM_H

#include <pthread.h>
#include <stdbool.h>

#include "guest.h"
#include "ram.h"

#define VMM_MAX_VCPUS	4
#define VMM_MAX_RAM	8

struct kvm_run;

struct vmm_vcpu {
	int fd;
	int stats;
	struct kvm_run *run;
	int run_size;
	struct guest_box *box;
	pthread_t thread;
	pthread_mutex_t lock;	/* protects what follows, and is held to wait on it */
	pthread_cond_t changed;
	bool busy;		/* the guest has a job */
	bool paused;		/* it may not run now */
	bool inside;		/* the thread is in KVM_RUN */
	bool quit;
	bool unfit;		/* KVM could not run it */
	bool mmio_allowed;	/* what the guest does to no RAM is counted, not its death */
	unsigned long mmio;
	uint64_t exits_offset;
	uint64_t irq_exits_offset;
};

struct vmm {
	int kvm;
	int vm;
	uint8_t *low;
	unsigned int slots;
	unsigned int rams;
	struct ram ram[VMM_MAX_RAM];
	unsigned int vcpus;
	struct vmm_vcpu vcpu[VMM_MAX_VCPUS];
};

struct guest_job {
	uint32_t op;
	uint64_t base;		/* guest-physical */
	uint32_t count;
	uint32_t stride;
	uint32_t value;
	uint64_t from;		/* guest-physical */
	uint32_t reads;
	uint32_t delay;
};

/* Is there a /dev/kvm that can be used? */
bool vmm_available(void);

void vmm_open(struct vmm *vmm);
/* A new RAM block, in one memory slot, or split in two at guest address @split. */
struct ram *vmm_add_ram(struct vmm *vmm, const struct ram_spec *spec);
struct ram *vmm_add_ram_split(struct vmm *vmm, const struct ram_spec *spec, uint64_t split);
/* The same in two steps, for RAM that the guest sees in several places, or not at all. */
struct ram *vmm_make_ram(struct vmm *vmm, const struct ram_spec *spec);
void vmm_add_slot(struct vmm *vmm, uint64_t gpa, void *map, uint64_t size, uint32_t flags);
/* Starts the vCPUs; each is ready for a job when this returns. */
void vmm_boot(struct vmm *vmm, unsigned int vcpus);
void vmm_close(struct vmm *vmm);

/* Do one job and wait for its end; or start it and wait for it later. */
void vmm_do(struct vmm *vmm, unsigned int vcpu, const struct guest_job *job);
void vmm_start(struct vmm *vmm, unsigned int vcpu, const struct guest_job *job);
void vmm_wait(struct vmm *vmm, unsigned int vcpu);
/* Is its job still to be done? */
bool vmm_busy(struct vmm *vmm, unsigned int vcpu);
/* Tells an endless job to end, and waits for that. */
void vmm_end(struct vmm *vmm, unsigned int vcpu);

/* GUEST_RANDOM on every vCPU over the block; ends with vmm_end(). */
void vmm_start_random(struct vmm *vmm, const struct ram *ram, uint32_t seed, uint32_t reads);
/* The same, idling for @delay rounds of a loop after each store. */
void vmm_start_random_slowly(struct vmm *vmm, const struct ram *ram, uint32_t seed,
			     uint32_t reads, uint32_t delay);
/*
 * After vmm_end(): did the guest compute correctly in this block? Counts the
 * mismatches that the guest saw, and 1 for each vCPU whose counters have the wrong sum.
 */
unsigned int vmm_random_errors(struct vmm *vmm, const struct ram *ram);

/* Take all vCPUs out of the guest in mid-job, and let them run on. */
void vmm_pause(struct vmm *vmm);
void vmm_resume(struct vmm *vmm);

/* Once: a signal to each vCPU's thread, which ends its KVM_RUN and means nothing. */
void vmm_signal(struct vmm *vmm);
/* One every 300 us, from a thread of its own; one storm at a time. */
void vmm_storm_begin(struct vmm *vmm);
void vmm_storm_end(void);

/* The exits of all vCPUs since they were made, as KVM counts them. */
uint64_t vmm_exits(struct vmm *vmm);
/* Of these, the ones for the host's own interrupts: its timer, above all. */
uint64_t vmm_irq_exits(struct vmm *vmm);
void vmm_set_msr(struct vmm *vmm, unsigned int vcpu, uint32_t index, uint64_t value);

/* Stores one dword of a page with the VMM's own hand. */
static inline void vmm_poke(struct ram *ram, uint64_t page, uint32_t value)
{
	*(volatile uint32_t *)(ram->map + page * RAM_PAGE) = value;
}

#endif /* SELFTESTS_VMM_H */
