#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The Debian packages through a life: installed by apt, carried to another kernel by dkms' hooks, upgraded, purged, and nothing is
# left. All of it is real: apt, dpkg, the maintainer scripts, dkms and the compiler.
#
#   life.sh KERNEL [install]
#     KERNEL    whose system and headers it happens with: 6.12 (Debian 12), 7.3 (Debian 13)
#     install   only that, and keep what has changed, for the rest of this test and for packages.sh: a step of the build
#
# It happens on this machine, in a copy of that system, without a network, and nothing in there can load a module: one dkms build
# takes four minutes in the emulated host even with all of the compiler's results at hand. So uname does not name the kernel, and
# dkms takes the system for a chroot: it builds for all kernels there are, which is one at first. packages.sh has what
# needs the kernel: modules, devices, a module that is in use.
set -eu

[ "${unshared:-}" = 1 ] ||
	unshared=1 exec unshare --mount --net setpriv --bounding-set -sys_module --inh-caps -sys_module "$0" "$@"

top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top"
# shellcheck source=SCRIPTDIR/../lib/ktap.sh
. selftests/lib/ktap.sh
# shellcheck source=SCRIPTDIR/copy.sh
. selftests/dkms/copy.sh

kernel=$1 what=${2:-}
other=6.1 # whose modules the same compiler makes, if it is Debian 12
[ "$kernel" != 7.3 ] || other=''
packages=$top/build/dkms/packages
version=$(cat VERSION)
newer=$version.1
saved=$packages/installed-$kernel
cache=$(dirname "$(selftests/vm/kernel.sh modules "$kernel")")
release=$(selftests/vm/kernel.sh release "$kernel")

# of a make that called us, for those in there
unset MAKEFLAGS MAKELEVEL MFLAGS
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# add_kernel NAME: what dkms and depmod look at, of its image and headers
add_kernel() {
	local from into release
	release=$(selftests/vm/kernel.sh release "$1")
	from=$(selftests/vm/kernel.sh modules "$1")/lib/modules/$release
	into=$copy/root/lib/modules/$release
	mkdir -p "$into/kernel"
	cp "$from"/modules.builtin* "$from"/modules.order "$into"
	# a kernel without any module of its own is none to dkms
	cp "$from"/kernel/drivers/md/dm-mod.ko* "$into/kernel"
	ln -s "$(selftests/vm/kernel.sh kdir "$1")" "$into/build"
	depmod -b "$copy/root" "$release"
}

# said COMMAND...: it works; what it says is kept, and shown if it does not
said() { "$@" >"$copy/said" 2>&1 </dev/null || { tail -n 30 "$copy/said" | sed 's/^/#   /'; return 1; }; }

install() {
	local from=$packages/$1 name files=()
	shift
	for name; do files+=("$from/${name}"_*.deb); done
	said copy_apt install "${files[@]}"
}

# dkms_has VERSION [RELEASE]: it is installed for this kernel, and dkms knows of nothing else
dkms_has() {
	is_in "$(copy_run dkms status 2>/dev/null)" "${2:+kvmferry/$1, $2, x86_64: installed}"
}

# module_is VERSION RELEASE: what modprobe would take there
module_is() {
	local file
	file=$(compgen -G "$copy/root/lib/modules/$2/updates/dkms/kvmferry.ko*") || { ktap_note "no module for $2"; return 1; }
	is_in "$(modinfo -F version "$file") $(modinfo -F vermagic "$file")" "$1 $2 *" &&
		grep -q '^updates/dkms/kvmferry.ko' "$copy/root/lib/modules/$2/modules.dep"
}

hook() { said copy_run run-parts --exit-on-error --regex '^dkms$' --arg="$2" --arg="/boot/vmlinuz-$2" "/etc/kernel/$1.d"; }

sources_are() { is_in "$(cd "$copy/root/usr/src" && echo kvmferry-*)" "kvmferry-$1"; }

agent_says() { is_in "$(copy_run kvmferry --version)" "kvmferry $1"; }

# --- the stages

another_kernel_comes() {
	add_kernel "$other"
	hook header_postinst "$later"
}

another_kernel_goes() {
	hook prerm "$later"
	rm -r "$copy/root/lib/modules/$later"
}

# An owner record may be all that tells where a VM may run.
purge_with_record() {
	mkdir -m 700 "$copy/root/var/lib/kvmferry"
	touch "$copy/root/var/lib/kvmferry/vm.source"
	said copy_apt purge kvmferry kvmferry-dkms kvmferry-dev && grep -q 'has records of VMs and stays' "$copy/said"
}

purge_without() {
	rm "$copy/root/var/lib/kvmferry/vm.source"
	install now kvmferry && said copy_run dpkg --purge kvmferry
}

nothing_known() { dkms_has none && is_in "$(copy_list)" ""; }

open_copy() {
	copy_open "$(selftests/vm/kernel.sh system "$kernel")" /run/kvmferry-packages "$@"
	copy_share "$cache"
	[ "$kernel" != 7.3 ] || copy_share "$packages"
}

if [ "$what" = install ]; then
	# what dpkg knows is part of what is kept: as long as nothing else is installed here
	for than in "$packages/stamp" "$(selftests/vm/kernel.sh system "$kernel")/var/lib/dpkg/status" "$0" selftests/dkms/copy.sh; do
		[ ! "$saved/stamp" -ot "$than" ] || rm -rf "$saved"
	done
	[ ! -e "$saved/stamp" ] || exit 0
	mkdir -p "$saved.new"
	touch "$saved.new/stamp"
	open_copy
	add_kernel "$kernel"
	copy_begin
	install now kvmferry kvmferry-dkms kvmferry-dev
	copy_save "$saved"
	mv "$saved.new/stamp" "$saved"
	rmdir "$saved.new"
	exit
fi

[ -e "$saved/stamp" ] || ktap_bail "not installed: $saved"
ktap_plan "$([ -n "$other" ] && echo 17 || echo 13)"
open_copy "$saved"

ktap_check "apt has installed the packages, dkms has built the module" dkms_has "$version" "$release"
ktap_check "for this kernel" module_is "$version" "$release"

if [ -n "$other" ]; then
	later=$(selftests/vm/kernel.sh release "$other")
	ktap_check "another kernel's packages come" another_kernel_comes
	ktap_check "dkms has built for that, too" module_is "$version" "$later"
	ktap_check "it goes" another_kernel_goes
	ktap_check "and its module with it" dkms_has "$version" "$release"
fi

ktap_check "apt upgrades them" install newer kvmferry kvmferry-dkms kvmferry-dev
ktap_check "dkms has built the newer one, and forgotten the other" dkms_has "$newer" "$release"
ktap_check "which is the module" module_is "$newer" "$release"
ktap_check "its sources have replaced the others" sources_are "$newer"
ktap_check "the agent is of the same version" agent_says "$newer"

ktap_check "purged, they say that a record of a VM stays" purge_with_record
ktap_check "neither dpkg nor dkms knows them any more" nothing_known
ktap_check "the record and its folder are all that is left" copy_leftovers_are "/var/lib/kvmferry /var/lib/kvmferry/vm.source"
ktap_check "without a record" purge_without
ktap_check "nothing is left" copy_leftovers_are ""
touch "$copy/root/usr/src/kvmferry-planted"
ktap_check "what is planted is found" copy_leftovers_are "/usr/src/kvmferry-planted"
ktap_end
