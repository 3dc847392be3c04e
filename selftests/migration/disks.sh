#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest with a disk on slow storage that the hosts share (see ../lib/guest-disk.sh): what its disk holds is what it
# wrote, and it would be noticed if it were not.
set -eu
# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "$0")/scene.sh"
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

# works HOST WHAT N: until N more of them are done
works() {
	local before
	before=$(told_of "$1" "$2") || return 1
	guest_until 60 does_more "$1" "$2" $((before + $3)) && return
	ktap_note "$(guest_disk_tell "$1")"
	return 1
}

# right HOST: the disk holds what it should, the guest is well
right() {
	local verdict
	verdict=$(guest_disk_verify "$1") || { echo "# ${verdict//$'\n'/$'\n'# }"; return 1; }
	ktap_note "$(guest_disk_tell "$1")"
	healthy "$1"
}

under_load() {
	begin_load a "depth=8 fsync=32 discard=24" || return 1
	works a reads 200 && works a writes 100 && works a flushes 4 && works a discards 4 && right a
}

# Another QEMU, on storage that is blank again.
start_anew() {
	guest_kill a
	guest_disk_close
	guest_disk_open
	guest_start a
}

every_kind() {
	for GUEST_DISK in virtio-blk virtio-scsi; do
		for GUEST_AIO in threads io_uring native; do
			ktap_check "$GUEST_DISK, $GUEST_AIO: the guest starts" start_anew
			ktap_check "$GUEST_DISK, $GUEST_AIO: under load" under_load
		done
	done
	GUEST_DISK=virtio-blk
}

# With 30 s, nothing ends; without, all of it does.
slow() {
	local before
	begin_load a "depth=8 fsync=0 rest=0"
	works a writes 50 || return 1
	guest_disk_delay a 30000 30000
	guest_nap 3
	before=$(told_of a writes)
	ktap_note "$(guest_disk_status a)"
	guest_nap 3
	ktap_note "$(guest_disk_tell a)"
	[ "$(told_of a writes)" = "$before" ] && [ "$(told_of a outstanding)" = 8 ] || return 1
	guest_disk_delay a 0 0
	works a writes 20 && right a
}

# Requests that fail stop the VM, and are sent again when it is to go on: the guest notices nothing.
failing() {
	begin_load a "depth=8 fsync=16"
	works a writes 20 || return 1
	guest_disk_fail a
	guest_until 30 has_stopped a || return 1
	guest_disk_delay a 0 0
	guest_qmp a '{"execute": "cont"}' >/dev/null
	right a
}

has_stopped() { [ "$(guest_status "$1")" = io-error ]; }

# holds_some HOST: the target ferry holds requests
holds_some() { [[ $(guest_disk_status "$1") != *" 0 held"* ]]; }

guarded() {
	guest_diskctl guard ferried-a 1 0 16384
	begin_load a "depth=8"
	guest_until 20 holds_some a || return 1
	ktap_note "$(guest_disk_status a)"
	guest_disk_release
	right a
}

moved_under_load() {
	guest_disk_delay a 100 200
	guest_disk_delay b 50 50
	begin_load a "depth=8 fsync=32"
	works a writes 20 || return 1
	move a b || return 1
	works b writes 40 && right b
}

# The negative control.
spoiled() {
	local before
	before=$(guest_errors "$1")
	guest_disk_spoil 77
	! guest_disk_verify "$1" >/dev/null && [ "$(guest_errors "$1")" = $((before + 1)) ] || return 1
	grep '^guest: error: disk block 77: ' "$GUEST_DIR/$1/console" | sed 's/^/# /'
}

# The worst that a test may leave behind: requests that are delayed for minutes, others that are held.
ends_at_once() {
	local began=$SECONDS
	guest_disk_delay b 300000 300000
	guest_diskctl guard ferried-b 1 0 16384
	begin_load b "depth=16"
	guest_until 20 holds_some b || return 1
	guest_nap 1
	ktap_note "$(guest_disk_status b)"
	guest_disk_release
	guest_kill b
	guest_disk_close
	[ $((SECONDS - began)) -lt $((60 * guest_slowness)) ]
}

ktap_plan 20
scene_open
every_kind
ktap_check "virtio-blk: the guest starts" start_anew
ktap_check "storage that takes 30 s" slow
ktap_check "storage that fails for a while" failing
ktap_check "what a guard holds comes later" guarded
ktap_check "moved under load" moved_under_load
ktap_check "control: a block that was overwritten behind its back is found" spoiled b
ktap_check "the end of a disk that does not answer" ends_at_once
ktap_check "the module unloads" host_module_unload
ktap_end
