#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What an operator sees: the packages are installed on a clean Debian, a guest of libvirt's is moved by its name, the packages are
# removed. Prints commands and what they say, for docs/transcripts.md; "make transcript" runs it in the emulated host, where dkms
# takes minutes for its build.
#
# Both hosts are one system with two libvirtds and two network namespaces, so what is installed once is on both.
set -eu -o pipefail
[ "${unshared:-}" = 1 ] || unshared=1 exec unshare --mount "$0"

# shellcheck source=SCRIPTDIR/../migration/scene.sh
. "$(dirname "$0")/../migration/scene.sh"
# shellcheck source=SCRIPTDIR/../migration/libvirt-scene.sh
. "$here/libvirt-scene.sh"
# shellcheck source=SCRIPTDIR/copy.sh
. "$(dirname "$0")/copy.sh"
# shellcheck source=SCRIPTDIR/small-tree.sh
. "$(dirname "$0")/small-tree.sh"

export DEBIAN_FRONTEND=noninteractive
packages=$KVMFERRY_BUILD/dkms/packages/now

title() { printf '\n\n## %s\n\n' "$*"; }

# on PROMPT COMMAND WORDS: WORDS are a line for a shell, COMMAND a shell of that place
on() {
	printf '%s# %s\n' "$1" "${!#}"
	# without what a terminal would have overwritten
	"${@:2}" 2>&1 </dev/null | sed -e 's/\r$//' -e 's/.*\r//'
}

# A copy of this system, where there is no network.
on_both() { on hosts chroot "$copy/root" bash -euc "cd /root; $1" "$1"; }
on_host_of() { on "host${1^^}" inside "$1" env PATH="$GUEST_DIR/bin:$PATH" bash -euc "cd /run/ferry; $2" "$2"; }

open_clean_system() {
	copy_open / /run/packages
	copy_share "${KVMFERRY_MODULES%/*}"
	# of the modules, those that ours needs: depmod reads them all
	small_module_tree "$copy/root/usr/lib/modules/$(uname -r)"
	depmod -b "$copy/root" "$(uname -r)"
	cp "$packages"/kvmferry_*.deb "$packages"/kvmferry-dkms_*.deb "$copy/root/root"
	echo 'APT::Default-Release "";' >"$copy/root/etc/apt/apt.conf.d/zz-kvmferry-transcript"
	copy_begin
}

open_hosts() {
	KVMFERRY_AGENT=$copy/root/usr/sbin/kvmferry
	small_vm
	guest_open
	trap libvirt_close EXIT
	mkdir "$GUEST_DIR/bin"
	ln -s "$GUEST_DIR/kvmferry" "$GUEST_DIR/bin"
	write_configuration
	for host in a b; do
		libvirtd_start $host
		console_open $host
	done
	domain_xml vm1 "$GUEST_UUID" shared "$qmp_arguments" "$console" >"$GUEST_DIR/a/vm1.xml"
}

title "$(. /etc/os-release; echo "$PRETTY_NAME"), kernel $(uname -r), QEMU $(qemu-system-x86_64 --version | sed -n 's/.*version \([0-9.]*\).*/\1/p'), libvirt $(libvirtd --version | sed 's/.* //')"
open_clean_system
on_both 'apt-get install -y ./kvmferry_*.deb ./kvmferry-dkms_*.deb'
on_both 'modprobe kvmferry'
on_both 'modinfo -F version kvmferry; kvmferry --version; ls -l /dev/kvmferry'

open_hosts
on_host_of a 'virsh define vm1.xml'
on_host_of a 'virsh start vm1'
guest_until 200 guest_has a '^guest: up' 0 && guest_continues a
on_host_of a 'kvmferry check --domain vm1'
on_host_of a 'virsh dumpxml --migratable --security-info vm1 >vm1.xml'
cp "$GUEST_DIR/a/vm1.xml" "$GUEST_DIR/b/vm1.xml"
printf '(vm1.xml is copied to host B)\n'
on_host_of b "kvmferry receive --domain-xml vm1.xml --listen 192.0.2.2:$GUEST_PORT --insecure --timeout 60 >receive.log 2>&1 &"
guest_until 60 agent_listens b
on_host_of a "kvmferry send --domain vm1 --to 192.0.2.2:$GUEST_PORT --insecure --timeout 60"
on_host_of b 'cat receive.log'
on_host_of a 'virsh list --all'
on_host_of b 'virsh list --all'
guest_continues b
printf '(the guest'\''s console on host A, and on host B)\n'
tail -n 1 "$GUEST_DIR/a/console"
printf '\n'
guest_report b
on_host_of b 'virsh destroy vm1; virsh undefine vm1'
on_host_of a 'virsh undefine vm1'
trap - EXIT
libvirt_close
rmdir /var/lib/kvmferry # made below the copy, by libvirt-scene.sh

on_both 'apt-get purge -y kvmferry kvmferry-dkms'
rm "$copy/root/etc/apt/apt.conf.d/zz-kvmferry-transcript" "$copy"/root/root/kvmferry*.deb
if lsmod | grep kvmferry; then exit 1; fi
printf '(what the packages have left behind: %s)\n' "$(copy_leftovers | grep . || echo nothing)"
copy_leftovers_are ""
