#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest with a disk on slow storage that the hosts share (see ../lib/guest-disk.sh): what its disk holds is what it
# wrote, and it would be noticed if it were not.
set -eu
# shellcheck source=SCRIPTDIR/disk-scene.sh
. "$(dirname "$0")/disk-scene.sh"

under_load() {
	begin_load a "depth=8 fsync=32 discard=24" || return 1
	works a reads 200 && works a writes 200 && works a flushes 10 && works a discards 10 && right a
}

all_kinds() {
	for GUEST_DISK in virtio-blk virtio-scsi; do
		ktap_check "$GUEST_DISK: the guest starts" guest_start a
		ktap_check "$GUEST_DISK: under load" under_load
		for GUEST_AIO in io_uring threads native; do
			ktap_check "$GUEST_DISK, $GUEST_AIO: the guest starts again" start_anew
			ktap_check "$GUEST_DISK, $GUEST_AIO: under load" under_load
		done
		guest_kill a
		guest_disk_close
		guest_disk_open
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
	works a writes $((before + 20)) && right a
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
	! guest_disk_verify "$1" && [ "$(guest_errors "$1")" = $((before + 1)) ] || return 1
	grep '^guest: error: disk block 77: ' "$GUEST_DIR/$1/console"
}

ktap_plan 20
scene_open
guest_disk_open
all_kinds
guest_start a
ktap_check "storage that takes 30 s" slow
ktap_check "moved under load" moved_under_load
ktap_check "a block that was overwritten behind its back is found" spoiled b
guest_kill b
guest_disk_close
ktap_check "the module unloads" host_module_unload
ktap_end
