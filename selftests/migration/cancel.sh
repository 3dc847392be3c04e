#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Disk requests that are cancelled at the source and sent again by the target. The source's storage says nothing for
# minutes, and then carries out what it was told long ago (guest_disk_delay): whatever is not held back meanwhile would
# be overwritten by it. The guest's disk finds that (../guest/disk.c).
set -eu
# shellcheck source=SCRIPTDIR/disk-scene.sh
. "$(dirname "$0")/disk-scene.sh"

SLOW=200000	# ms: longer than any migration here takes
GUEST_DISK=virtio-blk

# slow_load HOST WORDS: requests of every worker of the guest are with the storage there, and stay
slow_load() {
	begin_load "$1" "depth=8 rest=0 $2"
	works "$1" outstanding 1 || return 1
	guest_nap 1
	guest_disk_delay "$1" "$SLOW" "$SLOW"
	guest_until 60 disk_has "$1" in_flight 8 && return
	ktap_note "$(guest_disk_status "$1")"
	return 1
}

# The storage carries out all that it has. storage_wakes HOST
storage_wakes() { guest_disk_delay "$1" 0 0; }

# depart FROM TO: until the VM runs there, with requests still in the storage here
depart() {
	guest_await "$2"
	agent_receive "$2" --insecure --json
	agent_start_send "$1" "$2" --insecure --json
	at_stage "$1" disks || { agent_reason "$1" send; return 1; }
	forget_source "$1"
	[ "$(guest_status "$2")" = running ] && guest_continues "$2"
}

# arrive FROM TO SEND RECEIVE: the agents' exit statuses
arrive() {
	local sent=0 received=0
	agent_end "$1" send || sent=$?
	agent_end "$2" receive || received=$?
	[ "$sent" = "$3" ] && [ "$received" = "$4" ] && return
	ktap_note "send's status is $sent, receive's $received; they said:"
	tail -n 4 "$GUEST_DIR/$1/send.err" "$GUEST_DIR/$2/receive.err" | sed 's/^/#   /'
	return 1
}

# calm HOST: nothing of its disk is in doubt, held or guarded
calm() {
	local what
	for what in in_doubt held guarded; do
		[ "$(disk_count "$1" "$what")" = 0 ] || { ktap_note "$(guest_disk_status "$1")"; return 1; }
	done
}

# The blackout does not wait; what is in doubt is held at the target until it has ended; then all is right.
# moves FROM TO WORDS
moves() {
	slow_load "$1" "$3" && depart "$1" "$2" || return 1
	ktap_note "there: $(guest_disk_status "$2")"
	disk_has "$2" guarded 1 && guest_until 30 disk_has "$2" held 1 || return 1
	storage_wakes "$1"
	arrive "$1" "$2" 0 0 || return 1
	tell_done "$1"
	told "$1" 'done' ".requests_cancelled >= 8 and .writes_in_doubt >= 1 and .held == false and
		.blackout_ms < $SLOW / 4" || return 1
	calm "$1" && calm "$2" && goes_on "$2" writes 100 && right "$2" && tidy "$1" && tidy "$2"
}

# Late reads hit memory that nobody looks at any more; there is nothing to guard.
moves_reading() {
	slow_load "$1" "mix=reads fsync=0" && guest_await "$2" && migrate_once "$1" "$2" --verify full || return 1
	forget_source "$1"
	told "$1" 'done' '.requests_cancelled >= 8 and .writes_in_doubt == 0' || return 1
	grep -q 'RAM is not read anew for --verify: 8 cancelled reads' "$GUEST_DIR/$1/send.err" || return 1
	storage_wakes "$1"
	goes_on "$2" reads 100 && right "$2" && calm "$1" && calm "$2"
}

# stuck FROM TO: everything is guarded, and the target's QEMU does not go on: a moment that lasts
stuck() {
	slow_load "$1" "mix=writes fsync=0" && guest_await "$2" || return 1
	agent_receive "$2" --insecure --json
	agent_start_send "$1" "$2" --insecure --json
	in_mid_pass "$1"
	host_signal "$2" qemu -STOP
	at_stage "$1" handover && guest_until 30 disk_has "$2" guarded 8
}

# stays FROM TO: after a failure, with the target's QEMU gone. What the guest does to its disk waits for the storage.
stays() {
	[ "$(guest_status "$1")" = running ] && guest_continues "$1" || return 1
	ktap_note "here: $(guest_disk_status "$1")"
	disk_has "$1" in_doubt 8 && guest_until 30 disk_has "$1" held 8 || return 1
	storage_wakes "$1"
	goes_on "$1" writes 100 && right "$1" && calm "$1"
}

# The target gives up: the guards go with it.
target_stops() {
	stuck a b || return 1
	host_signal b receive -TERM
	host_signal b qemu -CONT
	arrive a b 1 1 && guest_kill b && calm b && stays a b
}

# The target's agent dies: its guards stay, until it is tried again.
target_dies() {
	stuck a b || return 1
	host_signal b receive -KILL
	arrive a b 1 137 && guest_kill b && disk_has b guarded 8 && stays a b && moves a b "mix=writes fsync=0" &&
		grep -q 'guarded for a migration that did not come' "$GUEST_DIR/b/receive.out"
}

# The source's agent dies before the commit: the kernel settles the disk, and the operator continues the VM.
source_dies() {
	stuck a b || return 1
	host_signal a send -KILL
	host_signal b qemu -CONT
	arrive a b 137 1 || return 1
	recover
	[ "$owner" = a ] && stays a b && calm b
}

# After the commit: nobody tells the target any more. It holds on, and the operator opens it.
source_dies_late() {
	slow_load "$1" "mix=writes fsync=0" && depart "$1" "$2" || return 1
	host_signal "$1" send -KILL
	arrive "$1" "$2" 137 4 || return 1
	"$GUEST_DIR/kvmferry" disk --disk "ferried-$2" | sed 's/^/# /'
	disk_has "$2" guarded 8 && disk_has "$1" in_doubt 8 || return 1
	storage_wakes "$1"
	guest_until 30 calm "$1" && disk_has "$2" guarded 8 || return 1
	"$GUEST_DIR/kvmferry" disk --disk "ferried-$2" --open >/dev/null
	goes_on "$2" writes 100 && right "$2" && calm "$2"
}

# The target's agent dies after the commit: the source tells its operator when it is safe.
target_dies_late() {
	slow_load "$1" "mix=writes fsync=0" && depart "$1" "$2" || return 1
	host_signal "$2" receive -KILL
	guest_nap 1
	storage_wakes "$1"
	arrive "$1" "$2" 4 137 && grep -q 'safe to open what is held there' "$GUEST_DIR/$1/send.out" || return 1
	disk_has "$2" guarded 8 || return 1
	# nor does the VM leave while there are guarded ranges of an earlier host
	! "$GUEST_DIR/kvmferry" check --qmp "$GUEST_DIR/$2/qmp.agent" | grep '^FAIL  disks .* are guarded' | sed 's/^/# /' |
		grep . || return 1
	"$GUEST_DIR/kvmferry" disk --disk "ferried-$2" --open >/dev/null
	goes_on "$2" writes 100 && right "$2" && calm "$2"
}

# What is not cancelled is waited for, and check says why. drains RESULT REASON ARGS...
drains() {
	local result=$1 reason=$2
	shift 2
	begin_load a "depth=4 mix=writes fsync=8" && works a writes 20 || return 1
	guest_disk_delay a 500 500
	"$GUEST_DIR/kvmferry" check --qmp "$GUEST_DIR/a/qmp.agent" | grep 'disks' | sed 's/^/# /'
	"$GUEST_DIR/kvmferry" check --qmp "$GUEST_DIR/a/qmp.agent" | grep -qE "^$result  disks .*$reason" || return 1
	guest_await b && migrate_once a b "$@" || return 1
	forget_source a
	told a 'done' '.requests_cancelled == 0' && guest_disk_delay a 0 0 && goes_on b writes 60 && right b
}

# The control: with a blind guard a late write lands on newer data, and that is noticed.
blind() {
	slow_load a "mix=writes fsync=0" || return 1
	echo guard-blind >/sys/module/kvmferry/parameters/fault
	depart a b && goes_on b writes 2000 || return 1
	echo "" >/sys/module/kvmferry/parameters/fault
	storage_wakes a
	arrive a b 0 0 || return 1
	! guest_disk_verify b | sed 's/^/# /' | tail -n 1 && [ "$(guest_errors b)" != 0 ]
}

ktap_plan 15
scene_open
guest_disk_open
guest_start a || ktap_bail "no guest"
ktap_check "moved with requests of every kind in flight" moves a b "fsync=4 discard=16"
ktap_check "and back" moves b a "fsync=4 discard=16"
ktap_check "moved with reads in flight" moves_reading a b
ktap_check "the source's agent is killed after the commit" source_dies_late b a
ktap_check "the target gives up when all is guarded" target_stops
ktap_check "the target's agent is killed when all is guarded" target_dies
ktap_check "the target's agent is killed after the commit" target_dies_late b a
ktap_check "the source's agent is killed when all is guarded" source_dies
ktap_check "--storage drain" drains pass 'can be cancelled' '--storage drain'
guest_kill b
GUEST_DISK=virtio-scsi
ktap_check "virtio-scsi: the guest starts" start_anew
ktap_check "virtio-scsi: moved with requests in flight" moves a b "fsync=4"
GUEST_DISK=virtio-blk GUEST_DISK_ERRORS=rerror=report,werror=report
ktap_check "other error policies: the guest starts" start_anew
ktap_check "other error policies: its requests are waited for" drains warn 'rerror=stop and werror=stop'
GUEST_DISK_ERRORS=rerror=stop,werror=stop
start_anew || ktap_bail "no guest"
ktap_check "control: without the guard the disk is spoilt" blind
guest_kill b
guest_disk_close
ktap_check "the module unloads" host_module_unload
ktap_end
