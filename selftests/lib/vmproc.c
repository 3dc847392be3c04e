// SPDX-License-Identifier: GPL-2.0-or-later
/* Test VMs in processes of their own. */
#include "vmproc.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "die.h"

struct call {
	vmproc_fn *fn;
	long argument;
	bool answer;
};

/* The child, until its parent ends or kills it. */
static void serve(struct vmm *vmm, int socket)
{
	struct call call;

	while (read(socket, &call, sizeof(call)) == sizeof(call)) {
		long result = call.fn(vmm, call.argument);

		if (call.answer && write(socket, &result, sizeof(result)) != sizeof(result))
			break;
	}
	_exit(0);
}

static long vm_whereabouts(struct vmm *vmm, long where)
{
	memcpy((void *)where, vmm->ram, sizeof(vmm->ram));
	return vmm->rams;
}

/* Without vCPUs only the RAM is made, as anyone without KVM could. */
static void make(struct vmm *vmm, const struct ram_spec *specs, unsigned int rams,
		 unsigned int vcpus)
{
	unsigned int i;

	memset(vmm, 0, sizeof(*vmm));
	if (vcpus)
		vmm_open(vmm);
	for (i = 0; i < rams; i++) {
		if (vcpus)
			vmm_add_ram(vmm, &specs[i]);
		else
			ram_create(&vmm->ram[vmm->rams++], &specs[i]);
	}
	if (vcpus)
		vmm_boot(vmm, vcpus);
}

void vmproc_start(struct vmproc *vm, const struct ram_spec *specs, unsigned int rams,
		  unsigned int vcpus)
{
	static struct vmm vmm;
	void *shared = must(mmap(NULL, sizeof(vm->ram), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	unsigned int i;
	int ends[2];

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
	fflush(stdout);
	vm->pid = must(fork());
	if (!vm->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		/* the vCPUs leave some of the few CPUs to whoever follows them */
		errno = 0;
		if (nice(10) == -1 && errno)
			die("nice");
		make(&vmm, specs, rams, vcpus);
		serve(&vmm, ends[1]);
	}
	close(ends[1]);
	vm->socket = ends[0];
	vm->rams = vmproc_call(vm, vm_whereabouts, (long)shared);
	memcpy(vm->ram, shared, sizeof(vm->ram));
	must(munmap(shared, sizeof(vm->ram)));
	for (i = 0; i < vm->rams; i++)
		vm->ram[i].fd = must(open(vm->ram[i].path, O_RDWR | O_CLOEXEC));
}

static void send_call(struct vmproc *vm, vmproc_fn *fn, long argument, bool answer)
{
	struct call call = { .fn = fn, .argument = argument, .answer = answer };

	if (must(write(vm->socket, &call, sizeof(call))) != sizeof(call))
		die("short write");
}

long vmproc_call(struct vmproc *vm, vmproc_fn *fn, long argument)
{
	long result;

	send_call(vm, fn, argument, true);
	if (read(vm->socket, &result, sizeof(result)) != sizeof(result))
		die("the VM's process does not answer");
	return result;
}

void vmproc_cast(struct vmproc *vm, vmproc_fn *fn, long argument)
{
	send_call(vm, fn, argument, false);
}

long vmproc_compute(struct vmm *vmm, long seed)
{
	vmm_start_random(vmm, &vmm->ram[0], seed, 1);
	return 0;
}

long vmproc_errors(struct vmm *vmm, long argument)
{
	unsigned int i, idle = 0;

	(void)argument;
	for (i = 0; i < vmm->vcpus; i++) {
		uint64_t before = vmm->vcpu[i].box->done;
		int naps = 600;

		while (vmm->vcpu[i].box->done == before && --naps)
			usleep(50000);
		idle += !naps;
		vmm_end(vmm, i);
	}
	return vmm_random_errors(vmm, &vmm->ram[0]) + idle;
}

void vmproc_kill(struct vmproc *vm)
{
	unsigned int i;

	kill(vm->pid, SIGKILL);
	must(waitpid(vm->pid, NULL, 0));
	close(vm->socket);
	for (i = 0; i < vm->rams; i++) {
		close(vm->ram[i].fd);
		unlink(vm->ram[i].path);
	}
	vm->pid = 0;
}
