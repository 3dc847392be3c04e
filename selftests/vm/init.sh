#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# PID 1 of the emulated host: set the place up, run one command, look what the kernel had to say, report, wait for the end.
# Started by the initramfs with the run's folder as its only argument; host.sh wrote into it:
#   env       shell assignments, sourced
#   command   a shell script
# The command's output leaves by the virtio port "out"; one line for each finding leaves by the port "verdict":
#   up                  the host runs
#   kernel TEXT         the kernel complained
#   status N            the command's exit status; the last line. No such line, no verdict.
#
# busybox runs mount, ln and the like by itself (and needs /proc, from the initramfs, to do so): starting any other
# program costs a fifth of a second here.
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8
run=$1

# The project and the kernels, where the machine has them: the root may be another system's, or a tmpfs may hide them.
keep_visible() {
	local folder
	for folder; do
		[ -z "$(ls -A "$folder" 2>/dev/null)" ] || continue
		mkdir -p "$folder"
		mount --bind "/.machine$folder" "$folder"
	done
}

mount_all() {
	mount -t sysfs sys /sys
	mkdir -p /dev/pts /dev/shm
	mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
	mount -t tmpfs -o mode=1777 tmpfs /dev/shm
	mount -t tmpfs tmpfs /run
	mount -t tmpfs -o mode=1777,size=75% tmpfs /tmp
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mount -t debugfs debugfs /sys/kernel/debug
	mount -t tracefs tracefs /sys/kernel/tracing
	ln -sfn /proc/self/fd /dev/fd
	ln -sfn /proc/self/fd/0 /dev/stdin
	ln -sfn /proc/self/fd/1 /dev/stdout
	ln -sfn /proc/self/fd/2 /dev/stderr
}

# The node of the virtio port of this name (there is no udev).
port() {
	local dir name
	for dir in /sys/class/virtio-ports/*; do
		read -r name <"$dir/name"
		[ "$name" != "$1" ] || echo "/dev/${dir##*/}"
	done
}

# The modules of the running kernel, from where kernel.sh unpacked them.
bring_modules() {
	local release
	read -r release </proc/sys/kernel/osrelease
	mkdir -p "/lib/modules/$release"
	mount --bind "$KVMFERRY_MODULES/lib/modules/$release" "/lib/modules/$release"
}

# The project's build folder, the one place of the machine that is writable from here.
bring_build() {
	mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=mmap build "$KVMFERRY_BUILD"
}

# The block device of this serial number.
disk() {
	local dir serial
	for dir in /sys/block/vd*; do
		read -r serial <"$dir/serial"
		[ "$serial" != "$1" ] || echo "/dev/${dir##*/}"
	done
}

# One of two hosts; see host.sh.
bring_pair() {
	local dir
	/sbin/modprobe -a virtio_net virtio_blk ext4 || return 1
	for dir in /sys/class/net/*/device; do
		dir=${dir%/device}
		ip link set "${dir##*/}" name pair
	done
	mkdir -p /var/lib/kvmferry
	mount -t ext4 "$(disk disk)" /var/lib/kvmferry
	export KVMFERRY_SHARED
	KVMFERRY_SHARED=$(disk shared)
}

# Kernel log lines that no test may leave behind.
complaints() {
	dmesg | busybox awk -f "$KVMFERRY_TOP/selftests/lib/complaints.awk"
}

# kmemleak reports an object only when a second scan, some seconds later, still finds no reference to it.
leaks() {
	[ -w /sys/kernel/debug/kmemleak ] || return 0
	echo scan >/sys/kernel/debug/kmemleak
	sleep 6
	echo scan >/sys/kernel/debug/kmemleak
	cat /sys/kernel/debug/kmemleak
}

# Nothing that the command left running may outlive it: it would hide a leak, or hold the module. (Kernel threads have
# no exe.)
kill_leftovers() {
	local pid
	for pid in /proc/[0-9]*; do
		[ -e "$pid/exe" ] || continue
		pid=${pid#/proc/}
		[ "$pid" = 1 ] || [ "$pid" = "$output" ] || kill -9 "$pid" 2>/dev/null
	done
}

# Who may use which CPU. QEMU's interpreter lets every CPU that restores FPU state clear a bit of the first CPU's hidden
# flags (cpu_clear_ignne), without a lock. If the first CPU enters or leaves a guest at that moment, that is undone: nested
# paging is off in the guest, or interrupts come before the host's registers are back, and guest or host die. So no guest
# may ever run on CPU 0: whatever is started here inherits this, and what gives QEMU CPUs of its own choice, as libvirt does,
# has to be told KVMFERRY_GUEST_CPUS.
spare_first_cpu() {
	local all
	read -r all </sys/devices/system/cpu/online
	[ "$all" != 0 ] || return 0 # no guests, then
	export KVMFERRY_GUEST_CPUS="1-${all#*-}"
	taskset -cp "$KVMFERRY_GUEST_CPUS" $$ >/dev/null
}

# A write to a virtio port returns before anybody has read it. So host.sh ends this host, when it has read the verdict.
await_end() {
	sleep 60
	poweroff -f
}

# shellcheck source=/dev/null
. "$run/env"
mount_all
spare_first_cpu
keep_visible "$KVMFERRY_TOP" "$KVMFERRY_MODULES" "${KVMFERRY_VMLINUZ_61%/*}"
hostname kvmferry
ip link set lo up
bring_modules
bring_build
[ -z "$KVMFERRY_PAIR" ] || bring_pair || echo "kvmferry: no pair"
ulimit -l unlimited
ulimit -c 0
verdict=$(port verdict)
exec 4>"$verdict"
[ "$KVMFERRY_MODPROBE" = none ] || /sbin/modprobe kvm_amd npt="$KVMFERRY_NPT" || echo "kvmferry: no kvm_amd"
echo up >&4

# A pipe in between, because a virtio port can be opened but once, and /dev/stdout has to work.
mkfifo /run/out
cat /run/out >"$(port out)" 4>&- &
output=$!
exec 5>/run/out
cd "$KVMFERRY_TOP" || exit 1
/usr/bin/setsid -w /bin/bash "$run/command" <"$([ "$KVMFERRY_INPUT" = 1 ] && port in || echo /dev/null)" >&5 2>&5 4>&- 5>&-
status=$?
kill_leftovers
exec 5>&-
wait "$output"

{ complaints; leaks; } | sed 's/^/kernel /' >&4
echo "status $status" >&4
await_end
