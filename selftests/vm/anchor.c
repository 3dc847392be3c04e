// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keeps the emulated host's KVM from patching its own code in mid-test.
 *
 * KVM has switches in its hot paths (static keys) that count VMs of some kind and rewrite
 * the code when the count leaves zero or comes back to it, some a second later. QEMU
 * before 8.1 may translate a page while another CPU writes to it, and keep the
 * breakpoint that stands there for a moment: an int3 oops in KVM_RUN. So this
 * program holds every count above zero for as long as it lives:
 *
 *	a vCPU whose APIC the guest has not enabled	apic_sw_disabled
 *	one whose APIC is off altogether		apic_hw_disabled
 *	a vCPU without an APIC in the kernel		kvm_has_noapic_vcpu
 *
 * None of them ever runs.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int kvm_ioctl(int fd, unsigned long command, void *argument)
{
	int result = ioctl(fd, command, argument);

	if (result < 0)
		err(1, "KVM ioctl %#lx", command);
	return result;
}

static void with_apic(int kvm)
{
	int vm = kvm_ioctl(kvm, KVM_CREATE_VM, NULL), vcpu;
	struct kvm_sregs sregs;

	kvm_ioctl(vm, KVM_CREATE_IRQCHIP, NULL);
	kvm_ioctl(vm, KVM_CREATE_VCPU, (void *)0);
	vcpu = kvm_ioctl(vm, KVM_CREATE_VCPU, (void *)1);
	kvm_ioctl(vcpu, KVM_GET_SREGS, &sregs);
	sregs.apic_base &= ~(1ull << 11);
	kvm_ioctl(vcpu, KVM_SET_SREGS, &sregs);
}

static void without_apic(int kvm)
{
	int vm = kvm_ioctl(kvm, KVM_CREATE_VM, NULL);

	kvm_ioctl(vm, KVM_CREATE_VCPU, (void *)0);
}

int main(void)
{
	int kvm = open("/dev/kvm", O_RDWR);

	if (kvm < 0)
		err(1, "/dev/kvm");
	with_apic(kvm);
	without_apic(kvm);
	if (daemon(0, 0))
		err(1, "daemon");
	for (;;)
		pause();
}
