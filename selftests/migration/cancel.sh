#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Disk requests that are cancelled at the source and sent again by the target. The source's storage says nothing for
# minutes, and then carries out what it was told long ago (guest_disk_delay): whatever is not held back meanwhile would
# be overwritten by it. The guest's disk finds that (../guest/disk.c).
# shellcheck disable=SC2086 # $from and $to are a and b
set -eu
# shellcheck source=SCRIPTDIR/disk-scene.sh
. "$(dirname "$0")/disk-scene.sh"

GUEST_DISK=virtio-blk

# Late reads hit memory that nobody looks at any more; there is nothing to guard.
moves_reading() {
	slow_load "mix=reads fsync=0" && guest_await $to && migrate_once $from $to --verify full || return 1
	forget_source $from
	told $from 'done' ".requests_cancelled == $flying and .writes_in_doubt == 0" || return 1
	grep "RAM is not read anew for --verify: $flying cancelled reads" "$GUEST_DIR/$from/send.err" | sed 's/^/# /' |
		grep . || return 1
	storage_wakes $from
	well $to reads && turn
}

# The target's QEMU must not need the disk to run the guest, whatever is guarded of it: all of it here.
moves_guarded() {
	begin_load $from "depth=4 fsync=0" && guest_await $to || return 1
	agent_receive $to --insecure --json
	guest_diskctl guard ferried-$to 1 0 $((guest_disk_mib * 2048))
	agent_send $from $to --insecure --json || { agent_reason $from send; return 1; }
	forget_source $from
	[ "$(guest_status $to)" = running ] && guest_continues $to && guest_until 30 disk_has $to held 1 || return 1
	guest_disk_release
	agent_end $to receive && well $to && turn
}

# What is not cancelled is waited for, which is expected, and check says why. drains RESULT REASON ARGS...
drains() {
	local result=$1 reason=$2
	shift 2
	begin_load $from "depth=4 mix=writes fsync=8" && works $from writes 20 || return 1
	guest_disk_delay $from 500 500
	ask check --qmp "$GUEST_DIR/$from/qmp.agent" | grep "^$result  disks .*$reason" | sed 's/^/# /' | grep . || return 1
	guest_await $to && migrate_once $from $to "$@" || return 1
	forget_source $from
	ktap_note "$(sent_event $from decision | jq -r '"expected: \(.overhead_ms) ms that are not RAM"')"
	told $from decision '.overhead_ms >= 400' || return 1
	told $from 'done' '.requests_cancelled == 0' && guest_disk_delay $from 0 0 && well $to && turn
}

# Nor can anything be cancelled here if the target cannot guard it there.
unguarded() {
	begin_load $from "depth=4 mix=writes fsync=8" && works $from writes 20 || return 1
	guest_disk_delay $from 500 500
	GUEST_DISK_OVER=delay guest_await $to && migrate_once $from $to || return 1
	forget_source $from
	grep 'the target cannot guard it' "$GUEST_DIR/$from/send.err" | sed 's/^/# /' | grep . || return 1
	told $from 'done' '.requests_cancelled == 0' && guest_disk_delay $from 0 0 && well $to
}

# The control: with a blind guard a late write lands on newer data, and that is noticed.
blind() {
	slow_load "mix=writes fsync=0" || return 1
	echo guard-blind >/sys/module/kvmferry/parameters/fault
	depart && works $to writes 2000 || return 1
	echo "" >/sys/module/kvmferry/parameters/fault
	storage_wakes $from
	arrive 0 0 || return 1
	! guest_disk_verify $to | sed 's/^/# /' | grep ' 0 errors' && [ "$(guest_errors $to)" != 0 ]
}

ktap_plan 10
scene_open
guest_disk_open
guest_start a || ktap_bail "no guest"
attempt "moved with writes, flushes and discards in flight" moves "mix=writes fsync=5 discard=3"
attempt "and back" moves "mix=writes fsync=5 discard=3"
attempt "moved with reads in flight" moves_reading
attempt "to a disk of which everything is guarded" moves_guarded
attempt "--storage drain" drains pass 'can be cancelled' --storage drain
attempt "the target has no target ferry" unguarded
GUEST_DISK=virtio-scsi
anew
attempt "virtio-scsi: moved with requests in flight" moves "mix=writes fsync=5"
GUEST_DISK=virtio-blk GUEST_DISK_ERRORS=rerror=report,werror=report
anew
attempt "other error policies: its requests are waited for" drains warn 'rerror=stop and werror=stop'
GUEST_DISK_ERRORS=rerror=stop,werror=stop
anew
attempt "control: without the guard the disk is spoilt" blind
guest_kill b
guest_disk_close
ktap_check "the module unloads" host_module_unload
ktap_end
