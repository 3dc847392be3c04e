#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Another Debian than this machine's, as a folder: the root of emulated hosts, with that suite's QEMU and tools, and the
# place where modules for its kernel are compiled. Nothing is installed into this machine.
#
#   system.sh path SUITE [COMPILER]         its folder; made, with packages from the network, if it is not there
#   system.sh run SUITE COMMAND ARGS...     run a command in it; the project and the kernels lie where they lie here
#
# SUITE is a suite, such as trixie, or one of backports, such as trixie-backports: what that has is taken from there, the rest
# from the suite below.
# To have newer packages, remove CACHE/systems/SUITE.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
cache=${KVMFERRY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kvmferry}

# package, and why; what Debian installs everywhere is there anyway
packages='
apparmor                the migration test with libvirt, where QEMU is confined
busybox-static          init.sh
dkms                    the test that installs the module as a user would
dmsetup                 device-mapper targets of the storage tests
e2fsprogs               the test of file systems that hold no RAM of guests
gawk                    building modules
iproute2                network name spaces of the migration tests
jq                      reads the QEMUs and the agents
kmod                    modprobe, depmod
libcap-ng0              the agent
libjansson4             the agent
liblz4-1                the agent
libseccomp2             the agent
libssl3t64              the agent
libsystemd0             the agent
libvirt-clients         the migration test with libvirt
libvirt-daemon          the same
libvirt-daemon-driver-qemu  the same
libxml2                 the agent
libzstd1                the agent
make                    building modules
mount                   tmpfs for the guests
open-iscsi              the test of fences
openssl                 certificates of the TLS test
pahole                  building modules for kernels whose headers ask for BTF
perl                    building modules
procps                  ps, for reports
qemu-system-x86         the guests
qemu-utils              disk images of the guests
sg3-utils               the test of fences
socat                   plays wrong sockets in the migration tests
zlib1g                  the agent
'

die() { echo "system.sh: $*" >&2; exit 1; }

names() { awk 'NF { print $1 }' <<<"$packages"; }

# What it is made of: another list makes another system.
recipe() { names | tr '\n' ' '; }

# In a mount namespace: of one that is killed nothing stays mounted that the next one would remove. What was there before goes when
# the new one is complete.
make_system() {
	local system=$1 new=$1.new suite=$2 compiler=$3 base=${2%-backports} mirror=http://deb.debian.org/debian log=$1.log sources
	[ "$(id -u)" = 0 ] || die "only root can make a system of $suite"
	echo "system.sh: fetching a system of $suite" >&2
	rm -rf --one-file-system "$new"
	sources=("deb $mirror $base main")
	[ "$suite" = "$base" ] || sources+=("deb $mirror $suite main")
	unshare --mount mmdebstrap --quiet --variant=apt --include="$(names | paste -sd,),$compiler" \
		--aptopt="APT::Default-Release \"$suite\"" --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "5"' \
		"$base" "$new" "${sources[@]}" >"$log" 2>&1 || {
		tail -n 10 "$log" >&2
		die "no system of $suite"
	}
	rm -f "$new"/var/cache/apt/archives/*.deb
	echo "$compiler" >"$new/compiler"
	recipe >"$new/complete"
	rm -rf --one-file-system "$system"
	mv "$new" "$system"
}

# path SUITE [COMPILER]: the file "complete" is written last.
path() {
	local suite=$1 system=$cache/systems/$1 compiler
	mkdir -p "$cache/systems"
	exec 9>"$cache/systems/.lock-$suite"
	flock 9
	compiler=${2:-$(cat "$system/compiler" 2>/dev/null || echo gcc)}
	if [ "$(cat "$system/complete" 2>/dev/null)" != "$(recipe)" ] || [ "$(cat "$system/compiler")" != "$compiler" ]; then
		make_system "$system" "$suite" "$compiler" 9>&-
	fi
	exec 9>&-
	echo "$system"
}

# In a mount namespace of its own, which ends with it.
run() {
	local system
	system=$(path "$1")
	shift
	# shellcheck disable=SC2016 # the inner shell's
	unshare --mount sh -euc '
		system=$1 top=$2 kernels=$3
		shift 3
		for folder in "$top" "$kernels" /proc /dev; do
			mkdir -p "$system$folder"
			mount --bind "$folder" "$system$folder"
		done
		exec chroot "$system" "$@"
	' sh "$system" "$top" "$cache/kernels" "$@"
}

case ${1:-} in
path | run) "$@" ;;
*) die "usage: system.sh path SUITE [COMPILER] | run SUITE COMMAND ARGS..." ;;
esac
