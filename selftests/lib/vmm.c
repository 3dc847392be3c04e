// SPDX-License-Identifier: GPL-2.0-or-later
/* The test VMM: memory slots, vCPU threads, jobs. */
#include "vmm.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "die.h"

#define KICK	SIGUSR1

bool vmm_available(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

void vmm_add_slot(struct vmm *vmm, uint64_t gpa, void *map, uint64_t size, uint32_t flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = vmm->slots++,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)map,
	};

	must(ioctl(vmm->vm, KVM_SET_USER_MEMORY_REGION, &region));
}

/* Only there to interrupt KVM_RUN. */
static void on_kick(int signal)
{
	(void)signal;
}

void vmm_open(struct vmm *vmm)
{
	struct sigaction kick = { .sa_handler = on_kick };

	memset(vmm, 0, sizeof(*vmm));
	must(sigaction(KICK, &kick, NULL));
	vmm->kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC));
	vmm->vm = must(ioctl(vmm->kvm, KVM_CREATE_VM, 0));
	/* Intel wants a place for its real-mode helpers. */
	must(ioctl(vmm->vm, KVM_SET_TSS_ADDR, 0xfffbd000ul));
	vmm->low = must(mmap(NULL, GUEST_LOW_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	memcpy(vmm->low + GUEST_CODE, guest_code, guest_code_end - guest_code);
	vmm_add_slot(vmm, 0, vmm->low, GUEST_LOW_SIZE, 0);
}

struct ram *vmm_make_ram(struct vmm *vmm, const struct ram_spec *spec)
{
	if (vmm->rams == VMM_MAX_RAM)
		die("too many RAM blocks");
	ram_create(&vmm->ram[vmm->rams], spec);
	return &vmm->ram[vmm->rams++];
}

struct ram *vmm_add_ram_split(struct vmm *vmm, const struct ram_spec *spec, uint64_t split)
{
	struct ram *ram = vmm_make_ram(vmm, spec);

	vmm_add_slot(vmm, spec->gpa, ram->map, split, 0);
	if (split < spec->size)
		vmm_add_slot(vmm, spec->gpa + split, ram->map + split, spec->size - split, 0);
	return ram;
}

struct ram *vmm_add_ram(struct vmm *vmm, const struct ram_spec *spec)
{
	return vmm_add_ram_split(vmm, spec, spec->size);
}

/* Finds a counter among a vCPU's binary statistics. */
static uint64_t find_counter(int stats, const char *name)
{
	struct kvm_stats_header header;
	char buf[sizeof(struct kvm_stats_desc) + 256];
	struct kvm_stats_desc *desc = (void *)buf;
	unsigned int i;

	must(pread(stats, &header, sizeof(header), 0));
	for (i = 0; i < header.num_desc; i++) {
		size_t size = sizeof(*desc) + header.name_size;

		must(pread(stats, buf, size, header.desc_offset + i * size));
		if (!strcmp(desc->name, name))
			return header.data_offset + desc->offset;
	}
	die("KVM does not count %s", name);
}

static void enter_protected_mode(struct vmm_vcpu *vcpu, unsigned int index)
{
	struct kvm_segment data = {
		.limit = 0xffffffff, .selector = 0x10, .type = 3,
		.present = 1, .db = 1, .s = 1, .g = 1,
	};
	struct kvm_regs regs = {
		.rip = GUEST_CODE,
		.rbx = GUEST_BOXES + index * GUEST_BOX_SIZE,
		.rflags = 2,
	};
	struct kvm_sregs sregs;

	must(ioctl(vcpu->fd, KVM_GET_SREGS, &sregs));
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.cs = data;
	sregs.cs.selector = 0x8;
	sregs.cs.type = 11;
	sregs.cr0 |= 1;
	must(ioctl(vcpu->fd, KVM_SET_SREGS, &sregs));
	must(ioctl(vcpu->fd, KVM_SET_REGS, &regs));
}

/* All that can be said of a vCPU that stopped where no guest of ours should. */
static void tell_death(const struct vmm_vcpu *vcpu, int err)
{
	const struct kvm_run *run = vcpu->run;
	const struct guest_box *box = vcpu->box;
	struct kvm_regs r;

	printf("# vCPU: error %d, exit reason %u\n", err, run->exit_reason);
	if (run->exit_reason == KVM_EXIT_MMIO)
		printf("# %s of %u bytes at %#llx\n", run->mmio.is_write ? "write" : "read",
		       run->mmio.len, run->mmio.phys_addr);
	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		printf("# suberror %u\n", run->internal.suberror);
	if (!ioctl(vcpu->fd, KVM_GET_REGS, &r))
		printf("# eip %#llx eax %#llx ebx %#llx ecx %#llx edx %#llx esi %#llx edi %#llx ebp %#llx eflags %#llx\n",
		       r.rip, r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.rflags);
	printf("# job %u base %#x count %u done %lu errors %u\n", box->op, box->base, box->count,
	       (unsigned long)box->done, box->errors);
}

/*
 * One turn in the guest; called with the lock held, which is dropped meanwhile. The
 * vCPU stays busy unless the guest has said that it is ready.
 */
static void run_once(struct vmm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	int err;

	vcpu->inside = true;
	pthread_mutex_unlock(&vcpu->lock);
	err = ioctl(vcpu->fd, KVM_RUN, 0) < 0 ? errno : 0;
	pthread_mutex_lock(&vcpu->lock);
	vcpu->inside = false;
	if (err == EINTR || err == EAGAIN) {
		/* a pause, or a signal of the test's */
	} else if (!err && run->exit_reason == KVM_EXIT_MMIO && vcpu->mmio_allowed) {
		vcpu->mmio++;
	} else if (!err && run->exit_reason == KVM_EXIT_IO && run->io.port == GUEST_PORT) {
		vcpu->busy = false;
	} else {
		tell_death(vcpu, err);
		vcpu->unfit = true;
		vcpu->busy = false;
	}
	pthread_cond_broadcast(&vcpu->changed);
}

static void *vcpu_main(void *arg)
{
	struct vmm_vcpu *vcpu = arg;

	pthread_mutex_lock(&vcpu->lock);
	while (!vcpu->quit) {
		if (!vcpu->busy || vcpu->paused)
			pthread_cond_wait(&vcpu->changed, &vcpu->lock);
		else
			run_once(vcpu);
	}
	pthread_mutex_unlock(&vcpu->lock);
	return NULL;
}

static void boot_vcpu(struct vmm *vmm, unsigned int index)
{
	struct vmm_vcpu *vcpu = &vmm->vcpu[index];

	vcpu->run_size = must(ioctl(vmm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	vcpu->fd = must(ioctl(vmm->vm, KVM_CREATE_VCPU, index));
	vcpu->run = must(mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE,
			      MAP_SHARED, vcpu->fd, 0));
	vcpu->stats = must(ioctl(vcpu->fd, KVM_GET_STATS_FD, 0));
	vcpu->exits_offset = find_counter(vcpu->stats, "exits");
	vcpu->irq_exits_offset = find_counter(vcpu->stats, "irq_exits");
	vcpu->box = (void *)(vmm->low + GUEST_BOXES + index * GUEST_BOX_SIZE);
	enter_protected_mode(vcpu, index);
	pthread_mutex_init(&vcpu->lock, NULL);
	pthread_cond_init(&vcpu->changed, NULL);
	vcpu->busy = true;
	if (pthread_create(&vcpu->thread, NULL, vcpu_main, vcpu))
		die("no thread for a vCPU");
	vmm_wait(vmm, index);
}

void vmm_boot(struct vmm *vmm, unsigned int vcpus)
{
	if (vcpus > VMM_MAX_VCPUS)
		die("too many vCPUs");
	for (vmm->vcpus = 0; vmm->vcpus < vcpus; vmm->vcpus++)
		boot_vcpu(vmm, vmm->vcpus);
}

void vmm_start(struct vmm *vmm, unsigned int index, const struct guest_job *job)
{
	struct vmm_vcpu *vcpu = &vmm->vcpu[index];
	struct guest_box *box = vcpu->box;

	if (job->op != GUEST_NOP && !job->count)
		die("a job without pages would never end");
	pthread_mutex_lock(&vcpu->lock);
	if (vcpu->busy)
		die("the vCPU has a job");
	box->op = job->op;
	box->base = job->base;
	box->count = job->count;
	box->stride = job->stride;
	box->value = job->value;
	box->from = job->from;
	box->reads = job->reads;
	box->delay = job->delay;
	box->stop = 0;
	vcpu->busy = true;
	pthread_cond_broadcast(&vcpu->changed);
	pthread_mutex_unlock(&vcpu->lock);
}

void vmm_wait(struct vmm *vmm, unsigned int index)
{
	struct vmm_vcpu *vcpu = &vmm->vcpu[index];

	pthread_mutex_lock(&vcpu->lock);
	while (vcpu->busy)
		pthread_cond_wait(&vcpu->changed, &vcpu->lock);
	if (vcpu->unfit)
		die("the guest died");
	pthread_mutex_unlock(&vcpu->lock);
}

void vmm_do(struct vmm *vmm, unsigned int vcpu, const struct guest_job *job)
{
	vmm_start(vmm, vcpu, job);
	vmm_wait(vmm, vcpu);
}

bool vmm_busy(struct vmm *vmm, unsigned int vcpu)
{
	struct vmm_vcpu *v = &vmm->vcpu[vcpu];
	bool busy;

	pthread_mutex_lock(&v->lock);
	busy = v->busy;
	pthread_mutex_unlock(&v->lock);
	return busy;
}

void vmm_end(struct vmm *vmm, unsigned int vcpu)
{
	vmm->vcpu[vcpu].box->stop = 1;
	vmm_wait(vmm, vcpu);
}

static uint32_t counter_at(unsigned int vcpu)
{
	return vcpu * 8;
}

void vmm_start_random(struct vmm *vmm, const struct ram *ram, uint32_t seed, uint32_t reads)
{
	vmm_start_random_slowly(vmm, ram, seed, reads, 0);
}

void vmm_start_random_slowly(struct vmm *vmm, const struct ram *ram, uint32_t seed,
			     uint32_t reads, uint32_t delay)
{
	struct guest_job job = {
		.op = GUEST_RANDOM,
		.base = ram->gpa,
		.count = ram_pages(ram),
		.reads = reads,
		.delay = delay,
	};
	unsigned int i;

	for (i = 0; i < vmm->vcpus; i++) {
		struct guest_box *box = vmm->vcpu[i].box;

		box->slot = counter_at(i);
		box->seed = seed * 2654435761u + i + 1;
		vmm_start(vmm, i, &job);
	}
}

static bool counters_add_up(const struct vmm_vcpu *vcpu, const struct ram *ram)
{
	uint64_t page, sum = 0;

	for (page = 0; page < ram_pages(ram); page++)
		sum += *(uint32_t *)(ram->map + page * RAM_PAGE + vcpu->box->slot);
	if (sum != vcpu->box->done)
		printf("# counters add up to %lu, not %lu\n",
		       (unsigned long)sum, (unsigned long)vcpu->box->done);
	return sum == vcpu->box->done;
}

unsigned int vmm_random_errors(struct vmm *vmm, const struct ram *ram)
{
	unsigned int i, errors = 0;

	for (i = 0; i < vmm->vcpus; i++) {
		errors += vmm->vcpu[i].box->errors;
		errors += !counters_add_up(&vmm->vcpu[i], ram);
	}
	return errors;
}

static void pause_vcpu(struct vmm_vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->lock);
	vcpu->paused = true;
	/* whichever side of KVM_RUN's check the signal falls on, one of the two works */
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	while (vcpu->inside) {
		pthread_kill(vcpu->thread, KICK);
		pthread_cond_wait(&vcpu->changed, &vcpu->lock);
	}
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&vcpu->lock);
}

void vmm_pause(struct vmm *vmm)
{
	unsigned int i;

	for (i = 0; i < vmm->vcpus; i++)
		pause_vcpu(&vmm->vcpu[i]);
}

void vmm_signal(struct vmm *vmm)
{
	unsigned int i;

	for (i = 0; i < vmm->vcpus; i++)
		pthread_kill(vmm->vcpu[i].thread, KICK);
}

static struct {
	pthread_t thread;
	volatile bool blowing;
} storm;

static void *blow(void *vmm)
{
	const struct timespec pause = { .tv_nsec = 300000 };

	while (storm.blowing) {
		nanosleep(&pause, NULL);
		vmm_signal(vmm);
	}
	return NULL;
}

void vmm_storm_begin(struct vmm *vmm)
{
	storm.blowing = true;
	if (pthread_create(&storm.thread, NULL, blow, vmm))
		die("no thread");
}

void vmm_storm_end(void)
{
	storm.blowing = false;
	pthread_join(storm.thread, NULL);
}

void vmm_resume(struct vmm *vmm)
{
	unsigned int i;

	for (i = 0; i < vmm->vcpus; i++) {
		struct vmm_vcpu *vcpu = &vmm->vcpu[i];

		pthread_mutex_lock(&vcpu->lock);
		vcpu->paused = false;
		pthread_cond_broadcast(&vcpu->changed);
		pthread_mutex_unlock(&vcpu->lock);
	}
}

static uint64_t read_counter(const struct vmm_vcpu *vcpu, uint64_t offset)
{
	uint64_t count;

	must(pread(vcpu->stats, &count, sizeof(count), offset));
	return count;
}

uint64_t vmm_exits(struct vmm *vmm)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < vmm->vcpus; i++)
		sum += read_counter(&vmm->vcpu[i], vmm->vcpu[i].exits_offset);
	return sum;
}

uint64_t vmm_irq_exits(struct vmm *vmm)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < vmm->vcpus; i++)
		sum += read_counter(&vmm->vcpu[i], vmm->vcpu[i].irq_exits_offset);
	return sum;
}

void vmm_set_msr(struct vmm *vmm, unsigned int vcpu, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs list;
		struct kvm_msr_entry entry;
	} msrs = {
		.list.nmsrs = 1,
		.entry = { .index = index, .data = value },
	};

	if (must(ioctl(vmm->vcpu[vcpu].fd, KVM_SET_MSRS, &msrs)) != 1)
		die("KVM refuses MSR %#x", index);
}

static void close_vcpu(struct vmm_vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->lock);
	vcpu->quit = true;
	pthread_cond_broadcast(&vcpu->changed);
	pthread_mutex_unlock(&vcpu->lock);
	pthread_join(vcpu->thread, NULL);
	pthread_mutex_destroy(&vcpu->lock);
	pthread_cond_destroy(&vcpu->changed);
	must(munmap(vcpu->run, vcpu->run_size));
	must(close(vcpu->stats));
	must(close(vcpu->fd));
}

void vmm_close(struct vmm *vmm)
{
	unsigned int i;

	vmm_pause(vmm);
	for (i = 0; i < vmm->vcpus; i++)
		close_vcpu(&vmm->vcpu[i]);
	for (i = 0; i < vmm->rams; i++)
		ram_destroy(&vmm->ram[i]);
	must(munmap(vmm->low, GUEST_LOW_SIZE));
	must(close(vmm->vm));
	must(close(vmm->kvm));
}
