#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A VM that libvirt has and whose QEMU AppArmor confines, as Debian has it: it is moved, over TLS, with the rule that
# docs/operating.md gives, and the kernel denied it nothing. Without it the VM is not started, and libvirt says why.
#
# Both hosts share a kernel, and both call the VM's profile the same. So when a host's libvirt takes it away, the other host's QEMU
# is confined no more: only one move is looked at, to its end.
set -eu
# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "$0")/scene.sh"
# shellcheck source=SCRIPTDIR/libvirt-scene.sh
. "$(dirname "$0")/libvirt-scene.sh"

small_vm
profile=libvirt-$GUEST_UUID
local_rule=/etc/apparmor.d/local/abstractions/libvirt-qemu
profiles="/etc/apparmor.d/usr.sbin.libvirtd /etc/apparmor.d/usr.lib.libvirt.virt-aa-helper"

profiles_load() {
	mountpoint -q /sys/kernel/security || mount -t securityfs securityfs /sys/kernel/security
	mkdir -p "${local_rule%/*}"
	: >"$local_rule"
	# shellcheck disable=SC2086 # words
	apparmor_parser --replace --skip-cache $profiles
	# to tell of ten profiles that were loaded uses up what the log takes in a while, and a denial would be missing
	echo 0 >/proc/sys/kernel/printk_ratelimit
}

profiles_remove() {
	# shellcheck disable=SC2086 # words
	apparmor_parser --remove $profiles
	echo 5 >/proc/sys/kernel/printk_ratelimit
}

define() {
	domain_xml vm1 "$GUEST_UUID" shared "$qmp_arguments" "$console" >"$GUEST_DIR/a/vm1.xml"
	virsh_on a define /run/ferry/vm1.xml
}

mark() { echo "kvmferry-test: $1" >/dev/kmsg; }

# denials MARK: what the kernel has denied to the VM since then. (That QEMU may not remove libvirt's own socket at its end is
# nothing of ours.)
denials() {
	dmesg | sed "1,/kvmferry-test: $1/d" | grep "apparmor=\"DENIED\".*profile=\"$profile\"" | grep -v '/monitor\.sock"' || true
}

# The negative control, and what an operator sees who has forgotten it.
without_rule() {
	mark "no rule"
	! virsh_on a start vm1 >"$GUEST_DIR/start" 2>&1 || return 1
	sed 's/^/# /' "$GUEST_DIR/start"
	grep -q 'vm1.kvmferry: Permission denied' "$GUEST_DIR/start" && denials "no rule" | grep -q 'vm1.kvmferry'
}

with_rule() {
	documented >"$local_rule"
	[ -s "$local_rule" ] && boot
}

# confined HOST: so says the kernel of its QEMU
confined() {
	local label
	label=$(cat "/proc/$(qemu_of "$1")/attr/apparmor/current")
	ktap_note "host $1: $label"
	[ "$label" = "$profile (enforce)" ]
}

there() {
	local sent=0 received=0
	: >"$GUEST_DIR/denied"
	mark "the move begins"
	take_xml a b && receive_on b && confined b || return 1
	send_on a b
	agent_end a send || sent=$?
	agent_end b receive || received=$?
	denials "the move begins" >"$GUEST_DIR/denied"
	[ "$sent $received" = "0 0" ] && tell_done a && told a 'done' '.tls == "kernel" or .tls == "openssl"' && return
	sed 's/^/# /' "$GUEST_DIR"/{a/send.err,b/receive.err,denied}
	return 1
}

nothing_denied() {
	sed 's/^/# /' "$GUEST_DIR/denied"
	[ ! -s "$GUEST_DIR/denied" ]
}

ktap_plan 11
scene_open
trap 'libvirt_close; profiles_remove' EXIT
(umask 077 && openssl rand -hex 32 >"$GUEST_DIR/psk")
GUEST_LINK="--tls-psk $GUEST_DIR/psk"
ktap_check "the profiles are loaded" profiles_load
write_configuration apparmor
libvirtd_start a
libvirtd_start b
console_open a
console_open b
ktap_check "a domain is defined" define
ktap_check "without its rule it does not start" without_rule
ktap_check "with it, it does" with_rule
ktap_check "its QEMU is confined" confined a
ktap_check "it can be moved" good
ktap_check "it is moved, over TLS" there
ktap_check "nothing was denied to it" nothing_denied
is "libvirt there" "$(view b)" "running, defined"
is "libvirt here" "$(view a)" "shut off, defined"
ktap_check "all its memory is right" healthy b
ktap_end
