#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Whole migrations of a guest that checks every byte of its memory.
set -eu
# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "$0")/scene.sh"

# The first one in detail.
first() {
	local status=0 out=$GUEST_DIR/a/send.out
	guest_await b
	migrate_once a b --verify full || status=$?
	is "send and receive succeed" "$status" 0
	tell_done a
	ktap_check "the source's QEMU is gone" guest_until 20 host_idle a qemu
	is "the target's QEMU runs the VM" "$(guest_status b)" running
	ktap_check "the guest is well on the target" healthy b
	ktap_check "every line of JSON is an object with an event and a time" \
		holds "$out" 'all(.event and .time) and length > 5'
	ktap_check "the summary adds up" told a "done" '.status == "moved" and .passes >= 2 and
		.pages_sent >= 65536 and .pages_zero > 0 and .bytes_raw == .pages_sent * 4096 and .bytes_wire < .bytes_raw and
		.blackout_ms > 0'
	ktap_check "the receiver says that it is done" \
		holds "$GUEST_DIR/b/receive.out" '.[-1] | .event == "done" and .running'
	ktap_check "nothing is left on either host but owner records" tidy_both
	guest_reap a
}

tidy_both() { tidy a && tidy b; }

# RAM in clear text must not leave the host by accident. No side may even begin.
unencrypted() {
	local status=0
	guest_await b
	agent_receive b || status=$?
	agent_end b receive || status=$?
	is "receive refuses to listen to other hosts without --insecure" "$status" 1
	ktap_check "and says so" says b receive insecure
	agent_receive b --insecure
	status=0
	agent_send a b || status=$?
	is "send refuses to talk to another host without --insecure" "$status" 1
	ktap_check "and says so" says a send insecure
	host_kill b receive
	guest_kill b
	ktap_check "the guest has not noticed" healthy a
}

# A VM that was paused is paused afterwards, and goes on when it is told to.
paused() {
	local from=$1 to=$2 status=0
	guest_qmp "$from" '{"execute": "stop"}' >/dev/null
	guest_await "$to"
	migrate_once "$from" "$to" --verify full || status=$?
	is "a paused VM is moved" "$status" 0
	is "and is paused on the target" "$(guest_status "$to")" paused
	guest_until 20 host_idle "$from" qemu
	guest_reap "$from"
	guest_qmp "$to" '{"execute": "cont"}' >/dev/null
	ktap_check "and is well when it continues" healthy "$to"
}

# What is sent uncompressed is at least as long as its pages.
plain() {
	ktap_check "without compression" move "$1" "$2" --codec none
	ktap_check "the wire carried every page whole" told "$1" "done" \
		'.bytes_wire >= (.pages_sent - .pages_zero) * 4096'
}

two_blocks() {
	GUEST_BACKEND=numa
	guest_start a
	ktap_check "a VM with two RAM blocks, two NUMA nodes" move a b --verify full
	guest_kill b
}

if [ "$KVMFERRY_KERNEL" = debug ]; then
	ktap_plan 9
	scene_open
	guest_start a
	first
	guest_kill b
	two_blocks
	ktap_end
fi
ktap_plan 22
scene_open
guest_start a
unencrypted
first
ktap_check "over one stream, back" move b a --channels 1
ktap_check "over four streams" move a b --channels 4 --verify full
plain b a
paused a b
guest_kill b
two_blocks
ktap_check "the module unloads" host_module_unload
ktap_end
