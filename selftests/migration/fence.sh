#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# --fence pr: the source disappears with writes in doubt, and the target fences it off a SCSI disk with persistent
# reservations. From then on nothing of it lands, so the guards open by themselves. ../storage/fence.sh has the rest.
# shellcheck disable=SC2086 # $from and $to are a and b
set -eu
# shellcheck source=SCRIPTDIR/disk-scene.sh
. "$(dirname "$0")/disk-scene.sh"

GUEST_DISK=virtio-blk GUEST_DISK_STORAGE=scsi

# leaves SEND RECEIVE: the source's storage stops answering while RAM is sent, and the VM goes. Words for both agents
leaves() {
	begin_load $from "depth=8 rest=0 mix=writes fsync=0" && works $from writes 20 && guest_await $to || return 1
	agent_receive $to --insecure --json $2
	agent_start_send $from $to --insecure --json --bandwidth 100 $1
	in_mid_pass $from || return 1
	guest_disk_delay $from $SLOW $SLOW
	at_stage $from disks || { agent_reason $from send; return 1; }
	forget_source $from
	[ "$(guest_status $to)" = running ] && guest_continues $to || return 1
	flying=$(disk_count $from in_doubt)
	ktap_note "here: $(guest_disk_status $from); there: $(guest_disk_status $to)"
	[ "$flying" -ge 1 ] && disk_has $to guarded "$flying"
}

# checks RESULT REASON: of host $from
checks() {
	ask check --fence pr --qmp "$GUEST_DIR/$from/qmp.agent" | grep "^$1  fence .*$2" | sed 's/^/# /' | grep .
}

moved() {
	leaves "--fence pr" "--fence pr" || return 1
	storage_wakes $from
	arrive 0 0 && told $from 'done' ".writes_in_doubt >= 1 and .held == false" && well $to && turn
}

# Possible only if nothing is reserved any more.
moved_without() {
	begin_load $from "depth=4 mix=writes" && guest_await $to && migrate_once $from $to || return 1
	forget_source $from
	well $to && turn
}

# The late writes come when the guest has gone on for long, and the storage refuses them.
fenced() {
	leaves "--fence pr" "--fence pr" || return 1
	host_signal $from send -KILL
	arrive 137 0 || return 1
	grep 'fenced off' "$GUEST_DIR/$to/receive.out" | cut -c1-300 | sed 's/^/# /' | grep . || return 1
	holds "$GUEST_DIR/$to/receive.out" 'any(.event == "done" and .fenced and (.held | not))' || return 1
	disk_has $from in_doubt "$flying" && [ "$(disk_count $to guarded)" = 0 ] && works $to writes 1000 || return 1
	ktap_note "before the late writes: $(guest_disk_status $from)"
	storage_wakes $from
	well $to && turn
}

# The fence outlasts the migration, and the next one waits for the operator.
lifted() {
	checks FAIL 'still reserved' || return 1
	ask disk --disk ferried-$from --unfence >/dev/null && checks pass 'can be reserved'
}

# The control: the guards stay closed.
unfenced() {
	leaves "" "" || return 1
	host_signal $from send -KILL
	arrive 137 4 && disk_has $to guarded "$flying" || return 1
	storage_wakes $from
	guest_until 30 calm $from && disk_has $to guarded "$flying" || return 1
	ask disk --disk ferried-$to --open >/dev/null
	well $to && turn
}

# refused SEND RECEIVE WORDS: before anything happens
refused() {
	local sent=0
	begin_load $from "depth=4 mix=writes" && guest_await $to || return 1
	agent_receive $to --insecure --json $2
	agent_send $from $to --insecure --json $1 || sent=$?
	host_signal $to receive -TERM || true
	agent_end $to receive || true
	guest_kill $to
	[ $sent = 1 ] && says $from send "$3" && [ "$(guest_status $from)" = running ] || return 1
	ktap_note "$(agent_reason $from send)"
	well $from
}

without_reservations() {
	local result=0
	lio_attribute emulate_pr 0
	checks FAIL 'no persistent reservations' && refused "--fence pr" "" 'no persistent reservations' || result=1
	lio_attribute emulate_pr 1
	return $result
}

lio_available || { echo "1..0 # SKIP this kernel has no SCSI target"; exit 4; }
ktap_plan 9
scene_open
guest_disk_open || ktap_bail "no SCSI disks"
guest_start a || ktap_bail "no guest"
attempt "a disk with persistent reservations" checks pass 'can be reserved'
attempt "moved, and the source ends what is in doubt" moved
attempt "and back without the option" moved_without
attempt "the source's agent is killed: it is fenced off, late writes are refused" fenced
attempt "the fence is there until it is lifted" lifted
attempt "control: without the option the guards stay closed" unfenced
attempt "refused: the target was not told" refused "--fence pr" "" 'was not told that it may fence'
attempt "refused: a disk without persistent reservations" without_reservations
guest_kill $from
guest_disk_close
ktap_check "the module unloads" host_module_unload
ktap_end
