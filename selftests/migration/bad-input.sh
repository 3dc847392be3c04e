#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Whatever comes in at an agent's sockets: strangers, peers that break the protocol, QEMUs that are not what they should
# be. Each time one clear line, the right exit status, nothing left behind, and a source guest that has noticed nothing.
set -eu
# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "$0")/scene.sh"

small_vm
hostile=$KVMFERRY_BUILD/migration/hostile
ram_bytes=$((GUEST_RAM << 20))

# play SIDE HOST AT CASE: the peer runs on HOST and talks to (or waits at) AT's address
play() {
	on_host "$2" timeout 200 "$hostile" "$1" "$(guest_address "$3"):$GUEST_PORT" "$4" ram0 $ram_bytes 2>&1
}

# --- strangers: no reason to stop waiting

strangers="nothing noise http half_preamble slow version kind reserved stream_first frame_magic frame_type frame_huge
	hello_cut hello_short hello_never hello_many codec commit_first device_first"

test_strangers() {
	local name said played=1
	guest_await b
	agent_receive b --insecure --json
	for name in $strangers; do
		said=$(play source a b "$name") || { played=0; ktap_note "$name: status $?"; }
		ktap_note "$name: ${said//$'\n'/, }"
	done
	is "19 strangers are turned away in time" $played 1
	ktap_check "the receiver still waits" host_runs b receive
	is "it has a line for each but the one that said nothing" \
		"$(cat "$GUEST_DIR"/b/receive.{err,out} | grep -cE 'dropped a connection|refused a connection' | awk '{ print ($1 >= 17) }')" 1
	ktap_check "and receives a VM after all" after_strangers
}

after_strangers() {
	agent_send a b --insecure --json --verify full || return 1
	agent_end b receive || return 1
	forget_source a
	# everything below has its guest on host a
	healthy b && move_back
}

# --- peers that begin well: the receiver gives up, with its QEMU

# hostile_source CASE WORDS
hostile_source() {
	local said status=0
	guest_await b
	agent_receive b --insecure --json || return 1
	said=$(play source a b "$1") || { ktap_note "played: status $?"; return 1; }
	agent_end b receive || status=$?
	[ "$status" = 1 ] || { ktap_note "receive's status is $status"; return 1; }
	says b receive "$2" || return 1
	ktap_note "$(agent_reason b receive)"
	guest_until 20 host_idle b qemu || { ktap_note "the target's QEMU is still there"; return 1; }
	guest_reap b
	tidy b && no_records b
}

no_records() {
	[ -z "$(ls "$GUEST_DIR/$1/state")" ] || { ktap_note "records: $(ls "$GUEST_DIR/$1/state")"; return 1; }
}

sources="
ram_size|bytes at the source
ram_name|does not have
stream_noise|stream 0, record 0
record_crc|checksum
record_block|no RAM block 9
record_page|beyond the end of RAM block
record_wrap|beyond the end of RAM block|record 0
record_stream|belongs to stream 1
record_sequence|it says that it is record 5
record_huge|stream 0, record 0
record_lz4|not lz4
record_cut|closed it in the middle of a record
middle|stream 0, record 100
commit_early|before all of the VM is here
verify_early|at the wrong time
doubt_early|a disk that was not offered
disks_twice|names its disks twice
target_frame|the target's
stream_99|stream 9 is not expected
stream_twice|stream 0 is not expected
hang_up|closed
abort|the source gave up: no.*way"

test_hostile_sources() {
	local line
	rm -f "$GUEST_DIR"/b/state/*
	while IFS='|' read -r name words; do
		[ -z "$name" ] || ktap_check "receive: $name" hostile_source "$name" "$words" <<<''
	done <<<"$sources"
	GUEST_TIMEOUT=5
	ktap_check "receive: silent" hostile_source silent "no sign of life"
	ktap_check "receive: device_noise" hostile_source device_noise "QEMU"
	GUEST_TIMEOUT=60
}

# --- peers that are waited upon: the sender gives up, and the guest runs on

# hostile_target CASE WORDS
hostile_target() {
	local status=0 player
	play target b b "$1" >"$GUEST_DIR/played" &
	player=$!
	guest_until 10 agent_listens b
	agent_send a b --insecure --json || status=$?
	wait "$player" || { ktap_note "played: $(cat "$GUEST_DIR/played")"; return 1; }
	[ "$status" = 1 ] || { ktap_note "send's status is $status"; return 1; }
	says a send "$2" || return 1
	ktap_note "$(agent_reason a send)"
	guest_continues a && tidy a && told a failed '.status == "runs-on"'
}

targets="
close|closed the connection
noise|broke the protocol
abort|the target gave up: go.*away
frame_type|broke the protocol
frame_huge|broke the protocol
running|out of place
ready_twice|out of place
digest|differs on the target
digest_early|a pass that was not made
digest_rams|digests of 3 RAM blocks
verified_early|not asked to read its RAM anew
guarded_early|out of place
stream_close|closed a data stream|data stream broke
hang_up|data stream|closed the connection|connection to the other side broke"

test_hostile_targets() {
	rm -f "$GUEST_DIR"/a/state/*
	while IFS='|' read -r name words; do
		[ -z "$name" ] || ktap_check "send: $name" hostile_target "$name" "$words" <<<''
	done <<<"$targets"
	GUEST_TIMEOUT=5
	ktap_check "send: silent" hostile_target silent "did not get ready"
	ktap_check "send: stall" hostile_target stall "no byte of RAM has moved"
	GUEST_TIMEOUT=60
	ktap_check "the guest is well after all of them" healthy a
	ktap_check "no record stays" no_records a
}

# --- sockets that are no QMP

# wrong_socket COMMAND PATH WORDS
wrong_socket() {
	local status=0
	case $1 in
	send) host_start a send "$GUEST_DIR/kvmferry" send --qmp "$2" --to 192.0.2.2:7070 --insecure --timeout 5 ;;
	*) host_start a send "$GUEST_DIR/kvmferry" receive --qmp "$2" --listen 192.0.2.1:7070 --insecure --timeout 5 ;;
	esac
	agent_end a send || status=$?
	[ "$status" = 1 ] || { ktap_note "status $status"; return 1; }
	says a send "$3" && ktap_note "$(agent_reason a send)"
}

test_wrong_sockets() {
	local dir=$GUEST_DIR/a
	ktap_check "send: a human monitor" wrong_socket send "$dir/hmp.sock" "human monitor, not QMP"
	ktap_check "receive: a human monitor" wrong_socket receive "$dir/hmp.sock" "human monitor, not QMP"
	ktap_check "send: nothing there" wrong_socket send "$dir/nothing" "cannot connect to QEMU"
	ktap_check "send: a plain file" wrong_socket send "$dir/console" "cannot connect to QEMU"
	socat -u UNIX-LISTEN:"$dir/dead" /dev/null & # a socket whose server has gone leaves its name
	guest_until 10 test -S "$dir/dead"
	kill -9 $!
	wait $! 2>/dev/null || true
	ktap_check "send: nobody behind it any more" wrong_socket send "$dir/dead" "cannot connect to QEMU"
	rm -f "$dir/dead"
	socat UNIX-LISTEN:"$dir/console.sock" SYSTEM:"echo 'Debian GNU/Linux 12 guest ttyS0'; sleep 20" &
	guest_until 10 test -S "$dir/console.sock"
	ktap_check "send: a guest's console" wrong_socket send "$dir/console.sock" "not a QMP socket|not JSON"
	kill $! 2>/dev/null || true
	wait $! 2>/dev/null || true
	rm -f "$dir/console.sock"
	host_start a keeper socat -u UNIX-CONNECT:"$dir/qmp.agent" STDOUT
	guest_until 10 grep -q QMP "$dir/keeper.out"
	ktap_check "send: a QMP socket that somebody else uses" wrong_socket send "$dir/qmp.agent" "one client per socket"
	host_kill a keeper
	ktap_check "the guest has not noticed" guest_continues a
}

# --- QEMUs that do not match

# mismatch WORDS: what this target's QEMU is asked to take, it cannot
mismatch() {
	local status=0
	agent_receive b --insecure --json || return 1
	agent_send a b --insecure --json || status=$?
	[ "$status" = 1 ] || { ktap_note "send's status is $status"; return 1; }
	says a send "$1" || return 1
	ktap_note "$(agent_reason a send)"
	status=0
	agent_end b receive || status=$?
	[ "$status" = 1 ] || { ktap_note "receive's status is $status"; return 1; }
	guest_kill b
	[ "$(guest_status a)" = running ] && guest_continues a && tidy a && tidy b && no_records b
}

# not_waiting WORDS: receive refuses this QEMU before anybody has called
not_waiting() {
	local status=0
	agent_receive b --insecure && return 1
	agent_end b receive || status=$?
	guest_kill b
	[ "$status" = 1 ] && says b receive "$1" && ktap_note "$(agent_reason b receive)"
}

test_mismatches() {
	GUEST_RAM=96 guest_await b
	ktap_check "a target with less RAM" mismatch "bytes at the source"
	guest_launch b -object "memory-backend-file,id=more,size=16M,mem-path=$GUEST_DIR/b/ram/more,share=on" \
		-device pc-dimm,memdev=more -m "${GUEST_RAM}M,slots=2,maxmem=512M" -incoming defer -S
	ktap_check "a target with one more RAM block" mismatch "RAM blocks"
	guest_launch b -smp 1 -incoming defer -S
	ktap_check "a target with one CPU less" mismatch "could not load the device state|Unknown|target gave up"
	GUEST_MACHINE=pc guest_await b
	ktap_check "a target of another machine type" mismatch "could not load the device state|Machine type|target gave up"
	guest_launch b -S
	ktap_check "a target that is not told to wait" not_waiting "does not wait for a migration"
	guest_launch b
	ktap_check "a target that runs already" not_waiting "does not wait for a migration"
	guest_launch b -incoming "tcp:127.0.0.1:0" -S
	ktap_check "a target that waits for somebody else" mismatch "already|QEMU refused|target gave up"
	guest_await b
	mount -o remount,size=100m "$GUEST_DIR/b/ram"
	ktap_check "no room for the RAM at the target" mismatch "has room for"
	mount -o "remount,$GUEST_TMPFS" "$GUEST_DIR/b/ram"
}

ktap_plan $((4 + 22 + 2 + 14 + 2 + 2 + 8 + 8 + 2))
scene_open
guest_start a
test_strangers
test_hostile_sources
test_hostile_targets
test_wrong_sockets
test_mismatches
ktap_check "after all that, a migration succeeds" move a b --verify full
guest_kill b
ktap_check "the module unloads" host_module_unload
ktap_end
