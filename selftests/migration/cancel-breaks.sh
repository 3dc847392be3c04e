#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Agents that end while disk requests are cancelled (see cancel.sh): nothing is lost, nothing lands late, and where somebody
# has to decide he is told.
# shellcheck disable=SC2086 # $from and $to are a and b
set -eu
# shellcheck source=SCRIPTDIR/disk-scene.sh
. "$(dirname "$0")/disk-scene.sh"

GUEST_DISK=virtio-blk

# After a failure, without the target's QEMU: the guest runs here, and what it does to its disk waits for the storage.
stays() {
	guest_kill $to
	[ "$(guest_status $from)" = running ] && guest_continues $from || return 1
	ktap_note "here: $(guest_disk_status $from)"
	disk_has $from in_doubt "$flying" && guest_until 30 disk_has $from held 1 || return 1
	storage_wakes $from
	works $from writes 100
}

# The target gives up: the guards go with it.
target_stops() {
	stuck || return 1
	host_signal $to receive -TERM
	host_signal $to qemu -CONT
	arrive 1 1 && disk_has $to guarded 0 && stays && well $from
}

# The target's agent dies: its guards stay, until it is tried again.
target_dies() {
	stuck || return 1
	host_signal $to receive -KILL
	arrive 1 137 && disk_has $to guarded "$flying" && stays && right $from &&
		moves "mix=writes fsync=0" &&
		grep -q 'guarded for a migration that did not come' "$GUEST_DIR/$from/receive.out"
}

# The source's agent dies before the commit: the kernel settles the disk, and the operator continues the VM.
source_dies() {
	stuck || return 1
	host_signal $from send -KILL
	host_signal $to qemu -CONT
	arrive 137 1 || return 1
	guest_qmp $from '{"execute": "cont"}' >/dev/null
	rm -f "$GUEST_DIR"/*/state/*
	stays && well $from
}

# After the commit: nobody tells the target any more. It holds on, and the operator opens it.
source_dies_late() {
	slow_load "mix=writes fsync=0" && depart || return 1
	host_signal $from send -KILL
	arrive 137 4 || return 1
	ask disk --disk ferried-$to | sed 's/^/# /'
	disk_has $to guarded "$flying" && disk_has $from in_doubt "$flying" || return 1
	storage_wakes $from
	guest_until 30 calm $from && disk_has $to guarded "$flying" || return 1
	ask disk --disk ferried-$to --open >/dev/null
	well $to && turn
}

# The target's agent dies after the commit: the source tells its operator when it is safe. Until then the VM does not leave.
target_dies_late() {
	slow_load "mix=writes fsync=0" && depart || return 1
	host_signal $to receive -KILL
	guest_until 30 host_idle $to receive
	storage_wakes $from
	arrive 4 137 && grep 'safe to open what is held there' "$GUEST_DIR/$from/send.err" | sed 's/^/# /' | grep . || return 1
	disk_has $to guarded "$flying" || return 1
	ask check --qmp "$GUEST_DIR/$to/qmp.agent" | grep '^FAIL  disks .* are guarded' | sed 's/^/# /' | grep . || return 1
	ask disk --disk ferried-$to --open >/dev/null
	well $to && turn
}

ktap_plan 6
scene_open
guest_disk_open
guest_start a || ktap_bail "no guest"
attempt "the target gives up when all is guarded" target_stops
attempt "the target's agent is killed when all is guarded" target_dies
attempt "the source's agent is killed when all is guarded" source_dies
attempt "the source's agent is killed after the commit" source_dies_late
attempt "the target's agent is killed after the commit" target_dies_late
guest_kill $from
guest_disk_close
ktap_check "the module unloads" host_module_unload
ktap_end
