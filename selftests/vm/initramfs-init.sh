#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# PID 1 of the emulated host's initramfs: mount the host's root read-only over 9p, a tmpfs on top of it, the root of the
# machine that emulates it at /.machine, and go there. What to run there stands on the kernel's command line:
# kvmferry.init=PATH kvmferry.run=FOLDER.
busybox=/bin/busybox
$busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
mount -t sysfs sys /sys

while read -r module; do
	insmod "/lib/$module" || echo "kvmferry: cannot load $module"
done </lib/order

read -r cmdline </proc/cmdline
for word in $cmdline; do
	case $word in
	kvmferry.init=*) init=${word#*=} ;;
	kvmferry.run=*) run=${word#*=} ;;
	esac
done

# A PID 1 that exits is a panic, which the caller reports with the console's tail.
fail() { echo "kvmferry: $*"; exit 1; }

mount_9p() { mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=loose,ro "$1" "$2" || fail "no 9p $1"; }

mount_9p root /lower
mount -t tmpfs -o size=75% tmpfs /upper || fail "no tmpfs"
mkdir /upper/data /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work overlay /root || fail "no overlay"
mkdir -p /root/.machine
mount_9p machine /root/.machine
umount /sys
mount --move /dev /root/dev
mount --move /proc /root/proc
exec switch_root /root "$init" "$run"
