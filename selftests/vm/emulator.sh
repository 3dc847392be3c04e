#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The QEMU that plays the emulated hosts: this machine's if it is new enough, or else that of this machine's backports,
# unpacked into the cache. (The guests in the hosts have the QEMU of their host's Debian, whatever this one is.)
#
#   emulator.sh      print its path; it is fetched if need be
#
# Before 8.1 the interpreter may translate code that another CPU is just writing, and keep what stood there at that moment: a
# breakpoint, where a kernel that patches itself takes it away again. The host dies, or loops for ever, sooner on a busy machine.
# To have a newer one, remove CACHE/emulator.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=SCRIPTDIR/unpack.sh
. "$here/unpack.sh"
oldest=8.1
program=usr/bin/qemu-system-x86_64

die() { echo "emulator.sh: $*" >&2; exit 1; }
say() { echo "emulator.sh: $*" >&2; }

# new_enough PROGRAM: it starts, and says that its version is
new_enough() {
	local version
	version=$("$1" --version 2>/dev/null | sed -n 's/^QEMU emulator version \([0-9.]*\).*/\1/p')
	[ -n "$version" ] && printf '%s\n' "$oldest" "$version" | sort --check=quiet --version-sort
}

# Two callers at once: the second waits, and finds it done.
fetch() {
	local root=$1
	mkdir -p "$cache"
	exec 9>"$cache/.lock-emulator"
	flock 9
	[ ! -e "$root" ] || return 0
	suite=$(. /etc/os-release && echo "$VERSION_CODENAME")-backports
	need_package_lists qemu-system-x86
	say "fetching QEMU $(candidate qemu-system-x86) of $suite"
	rm -rf "$root.new"
	unpack "$root.new" qemu-system-x86 qemu-system-data seabios
	new_enough "$root.new/$program" || die "QEMU of $suite is older than $oldest, or does not start here"
	mv "$root.new" "$root"
	exec 9>&-
}

main() {
	local root=$cache/emulator
	if new_enough qemu-system-x86_64; then
		command -v qemu-system-x86_64
	else
		[ -e "$root" ] || fetch "$root"
		echo "$root/$program"
	fi
}

main
exit
