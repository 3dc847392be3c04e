# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What the tests of migrations with a disk share: a load on it, and the questions asked afterwards. Sourced, with set -eu.

# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "${BASH_SOURCE[0]}")/scene.sh"
# shellcheck source=SCRIPTDIR/../lib/guest-disk.sh
. "$here/../lib/guest-disk.sh"

small_vm

# begin_load HOST WORDS: the guest's disk under load
begin_load() { guest_say "$1" "disk $(guest_disk_device) mib=16 $2"; }

# told_of HOST WHAT: how many reads, writes, flushes, discards ... its disk has done
told_of() {
	local line
	line=$(guest_disk_tell "$1") || return 1
	sed -nE "s/.* ([0-9]+) $2.*/\1/p" <<<"$line"
}

does_more() { [ "$(told_of "$1" "$2")" -ge "$3" ]; }

# works HOST WHAT N: until N of them are done
works() {
	guest_until 60 does_more "$@" && return
	ktap_note "$(guest_disk_tell "$1")"
	return 1
}

# goes_on HOST WHAT N: N more of them
goes_on() {
	local before
	before=$(told_of "$1" "$2") && works "$1" "$2" $((before + $3))
}

# right HOST: the disk holds what it should, the guest is well
right() {
	guest_disk_verify "$1" | sed 's/^/# /' && ktap_note "$(guest_disk_tell "$1")" && healthy "$1"
}

# Another QEMU, from the state that was kept, on storage that is blank again.
start_anew() {
	guest_kill a
	guest_kill b
	guest_disk_close
	guest_disk_open
	guest_start a
}

# disk_count HOST WHAT: in_flight, in_doubt, held or guarded, as the agent there shows it
disk_count() {
	"$GUEST_DIR/kvmferry" disk --disk "ferried-$1" --json |
		jq -r --arg what "$2" '.[$what] | if type == "array" then length else . end'
}

# disk_has HOST WHAT N: N of them at least
disk_has() { [ "$(disk_count "$1" "$2")" -ge "$3" ]; }
