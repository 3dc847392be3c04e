#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The Debian packages where they are used: the module and its device, the agent, what comes with it; maintainer scripts while the
# module is loaded and in use; dpkg purges them, and nothing is left.
#
# What life.sh had apt, dpkg and dkms install into a copy of this system is the beginning here. (To have dkms build in here takes
# four minutes, all of the compiler's results given.) So one thing is not as on a user's machine: when the postinst script runs again
# here, for another version, dkms' own part of it is left out. It is in life.sh.
set -u
[ "${unshared:-}" = 1 ] || unshared=1 exec unshare --mount "$0"

# shellcheck source=SCRIPTDIR/../lib/ktap.sh
. "$(dirname "$0")/../lib/ktap.sh"
# shellcheck source=SCRIPTDIR/copy.sh
. "$(dirname "$0")/copy.sh"
# shellcheck source=SCRIPTDIR/small-tree.sh
. "$(dirname "$0")/small-tree.sh"

[ "${KVMFERRY_IN_HOST:-}" = 1 ] || ktap_skip_all "runs in the emulated host only"
version=$(cat VERSION)
release=$(uname -r)
saved=$KVMFERRY_BUILD/dkms/packages/installed-$KVMFERRY_KERNEL
# udev takes a copy for a place where it has no say
export DEBIAN_FRONTEND=noninteractive SYSTEMD_IGNORE_CHROOT=1

quiet() { is_in "$("$@" 2>&1; echo "status $?")" "status 0"; }

loaded_is() { is_in "$(cat /sys/module/kvmferry/version 2>/dev/null || echo none)" "$1"; }

# A module that was built for an older version, as far as anybody can tell.
load_older() {
	sed "s/version=$version/version=${version//[0-9]/0}/" "$KVMFERRY_KO" >"$copy/older.ko"
	# what it is linked against comes with modprobe only
	modinfo -F depends "$KVMFERRY_KO" | tr , '\n' | xargs modprobe -a && insmod "$copy/older.ko" && loaded_is "${version//[0-9]/0}"
}

# configure WORDS: what dpkg has run when a version is new here; it says these words
configure() { is_in "$(copy_run /var/lib/dpkg/info/kvmferry-dkms.postinst configure "$version" 2>&1)" "$1"; }

# Somebody has the device open.
take() { [ -c /dev/kvmferry ] && exec 9<>/dev/kvmferry; }
release() { exec 9>&-; }

# --- the device: another rule, before ours or after it, would give it away

start_udev() {
	mkdir -p "$copy/root/run/udev/rules.d"
	copy_run /lib/systemd/systemd-udevd --daemon
}

# device_after RULE: with a rule of this name that gives it to everybody, what mode, owner and group has it got?
device_after() {
	local rules=$copy/root/run/udev/rules.d
	rm -f "$rules"/*
	echo 'KERNEL=="kvmferry", MODE="0666", GROUP="disk"' >"$rules/$1"
	udevadm_in control --reload
	udevadm_in trigger --settle --action=add /sys/class/misc/kvmferry
	stat -c '%a %U %G' "$copy/root/dev/kvmferry"
}

udevadm_in() { copy_run udevadm "$@"; }

tagged() { udevadm_in info --query=property --name=/dev/kvmferry | grep -q '^TAGS=.*:systemd:'; }

# --- the agent's

completes() {
	# shellcheck disable=SC2016 # the inner shell's
	is_in "$(copy_run bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader kvmferry
		COMP_WORDS=(kvmferry re) COMP_CWORD=1; _kvmferry; echo ${COMPREPLY[*]}')" "receive recover report"
}

has_manual() { copy_run man kvmferry 2>/dev/null | grep -q SYSTEMD; }

compiles() {
	echo 'unsigned long command = FERRY_INFO;' | copy_run gcc -x c -Wall -Werror -fsyntax-only -include linux/kvmferry.h -
}

# (The trigger would be man-db's, who then looks at every manual there is.)
purge() {
	is_in "$(copy_run dpkg --no-triggers --purge kvmferry kvmferry-dkms kvmferry-dev 2>&1 </dev/null; echo "status $?")" \
		"*the module is in use and stays loaded*status 0"
}

[ -e "$saved/stamp" ] || ktap_bail "not installed: $saved"

ktap_plan 20
copy_open / /run/packages "$saved"
tree=usr/lib/modules/$release
small_module_tree "$copy/root/$tree"
copy_except "$tree/kernel"
depmod -b "$copy/root" "$release"
mount --bind "$copy/root/bin/true" "$copy/root/usr/lib/dkms/common.postinst"

ktap_check "an older module is loaded" load_older
take
ktap_check "in use, it stays when there is a new one, and that is said" configure "*in use, version ${version//[0-9]/0} stays*"
release
ktap_check "not in use, it is exchanged" configure ""
ktap_check "for the one that dkms has built" loaded_is "$version"
ktap_check "it unloads" rmmod kvmferry
start_udev
ktap_check "modprobe loads it" copy_run modprobe kvmferry
ktap_check "its device is root's alone" is_in "$(device_after 50-before.rules)" "600 root root"
ktap_check "by the rule: a later one has its way" is_in "$(device_after 70-after.rules)" "666 root disk"
ktap_check "and is a unit of systemd's" tagged
udevadm_in control --exit
ktap_check "the agent is of that version, too" is_in "$(copy_run kvmferry --version)" "kvmferry $version"
ktap_check "its man page is found" has_manual
ktap_check "bash completes its commands" completes
ktap_check "systemd has nothing against the units" quiet copy_run systemd-analyze verify kvmferry-receive@vm1.service kvmferry-receive@7000.socket
ktap_check "a program compiles with the header" compiles
umount "$copy/root/usr/lib/dkms/common.postinst"
take
ktap_check "dpkg purges them while the module is in use, and says so" purge
ktap_check "it is still loaded" loaded_is "$version"
release
ktap_check "and can go now" rmmod kvmferry
ktap_check "nothing is left" copy_leftovers_are ""
ktap_check "dpkg knows them no more" is_in "$(copy_list)" ""
touch "$copy/root/$tree/kernel/kvmferry.ko"
ktap_check "what is planted is found" copy_leftovers_are "/$tree/kernel/kvmferry.ko"
ktap_end
