#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Whatever breaks in the middle of a migration: processes, the room at the target. The guest is unharmed, or
# gone if it was its own QEMU that was killed; never twice; and the next migration works.
set -eu
# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "$0")/scene.sh"

small_vm

target_qemu_killed() {
	begin
	in_mid_pass a || return 1
	host_signal b qemu -9
	stays_here 1 1 "target gave up|QEMU|stream"
}

receive_killed() {
	begin
	in_mid_pass a || return 1
	host_signal b receive -9
	stays_here 1 - "closed|broke"
}

receive_terminated() {
	begin
	in_mid_pass a || return 1
	host_signal b receive -TERM
	stays_here 1 1 "target gave up: stopped by signal"
}

send_killed() {
	begin
	in_mid_pass a || return 1
	host_signal a send -9
	stays_here - 1 ""
}

send_interrupted() {
	begin
	in_mid_pass a || return 1
	host_signal a send -INT
	stays_here 1 1 "interrupted by Interrupt"
}

no_room() {
	guest_await b
	agent_receive b --insecure --json
	# between the look at the room and the use of it
	agent_start_send a b --insecure --json
	in_mid_pass a || return 1
	mount -o remount,size=40m "$GUEST_DIR/b/ram" || mount -o "remount,size=$(df -m --output=used "$GUEST_DIR/b/ram" | tail -n 1 | tr -d ' ')m" "$GUEST_DIR/b/ram"
	stays_here 1 1 "no room left"
}

room_back() { mount -o "remount,$GUEST_TMPFS" "$GUEST_DIR/b/ram"; }

# The VM itself is gone; nothing else may be.
source_qemu_killed() {
	local sent=0 received=0
	begin
	in_mid_pass a || return 1
	host_signal a qemu -9
	agent_end a send || sent=$?
	agent_end b receive || received=$?
	ktap_note "send: $sent, $(agent_reason a send); receive: $received, $(agent_reason b receive)"
	if [ "$sent" = 0 ] || [ "$received" != 1 ]; then return 1; fi
	guest_kill a
	guest_kill b
	rm -f "$GUEST_DIR"/*/state/*
	tidy a && tidy b && guest_start a
}

# At each stage of the switchover: the receiver is killed without a word. Whoever owns the VM by the records, runs it.
receive_killed_at() {
	local sent=0
	begin
	at_stage a "$1" || return 1
	host_signal b receive -9
	agent_end a send || sent=$?
	agent_end b receive || true
	ktap_note "send's status is $sent: $(agent_reason a send)"
	recover
	case $sent:$owner in
	0:b | 1:a | 3:[ab]) ;;
	*) ktap_note "the VM is on: $owner"; return 1 ;;
	esac
	healthy "$owner" && bring_back
}

send_killed_at() {
	local received=0
	begin
	at_stage a "$1" || return 1
	host_signal a send -9
	agent_end a send || true
	agent_end b receive || received=$?
	recover
	ktap_note "receive's status is $received"
	case $received:$owner in
	0:b | 1:a) ;;
	*) ktap_note "the VM is on: $owner"; return 1 ;;
	esac
	healthy "$owner" && bring_back
}

bring_back() {
	[ "$owner" = b ] || return 0
	move_back || return 1
	rm -f "$GUEST_DIR"/*/state/*
}

stages="connect attach stop handover settle device resettle commit running"
# shellcheck disable=SC2086 # a list
ktap_plan $((7 + $(echo $stages | wc -w) + 3 + 2))
scene_open
guest_start a
ktap_check "the target's QEMU is killed" target_qemu_killed
ktap_check "receive is killed" receive_killed
ktap_check "receive is told to end" receive_terminated
ktap_check "send is killed" send_killed
ktap_check "send is interrupted" send_interrupted
ktap_check "the target's tmpfs becomes full" no_room
room_back
ktap_check "the source's QEMU is killed" source_qemu_killed
for stage in $stages; do
	ktap_check "receive is killed at the stage $stage" receive_killed_at "$stage"
done
for stage in settle device commit; do
	ktap_check "send is killed at the stage $stage" send_killed_at "$stage"
done
ktap_check "after all that, a migration succeeds" move a b --verify full
guest_kill b
ktap_check "the module unloads" host_module_unload
ktap_end
