#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# After COMMIT the source never runs the VM again, whoever tells its QEMU to: while the agent is there it stops it, later
# kvmferry recover does. And what recover refuses.
set -eu
export KVMFERRY_AGENT=$KVMFERRY_BUILD/kvmferry-fault
# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "$0")/scene.sh"

small_vm

say_cont() { guest_qmp "$1" '{"execute": "cont"}' >/dev/null; }
is_paused() { case $(guest_status "$1") in paused | postmigrate) ;; *) return 1 ;; esac; }

# on HOST ARGS...: kvmferry recover there, for its QEMU; what it says is in $said
recover_on() {
	local host=$1 status=0
	shift
	"$GUEST_DIR/kvmferry" recover --qmp "$GUEST_DIR/$host/qmp.agent" --state-dir "$GUEST_DIR/$host/state" "$@" >"$GUEST_DIR/said" 2>&1 || status=$?
	said=$(cat "$GUEST_DIR/said")
	ktap_note "recover on host $host: status $status, ${said//$'\n'/$'\n'#   }"
	return "$status"
}

records_of() {
	"$GUEST_DIR/kvmferry" recover --vm "$GUEST_UUID" --state-dir "$GUEST_DIR/$1/state" --json >"$GUEST_DIR/$1/told" || true
}

# begin_at POINT: to this point of the target, with the receiver stopped there. --keep-source
begin_at() {
	guest_await b
	KVMFERRY_FAULT=$1 agent_receive b --insecure --json
	agent_start_send a b --insecure --json --keep-source
	await_point b receive
}

# The sender waits for the target's word: its QEMU is told to run.
stopped_by_sender() {
	begin_at target:commit || return 1
	say_cont a
	guest_until 10 is_paused a || { ktap_note "host a is $(guest_status a)"; return 1; }
	grep 'somebody has continued the VM here' "$GUEST_DIR/a/send.out"
}

# An agent is at work.
nothing_decided() {
	local status=0
	records_of b
	"$GUEST_DIR/kvmferry" recover --vm "$GUEST_UUID" --state-dir "$GUEST_DIR/a/state" --peer "$GUEST_DIR/b/told" >"$GUEST_DIR/said" || status=$?
	cat "$GUEST_DIR/said"
	[ "$status" = 3 ] && grep -q 'still at work' "$GUEST_DIR/said"
}

arrives() {
	host_signal b receive -CONT
	agent_end a send && agent_end b receive
}

refused_by_check() {
	local status=0
	say_cont a
	"$GUEST_DIR/kvmferry" check --qmp "$GUEST_DIR/a/qmp.agent" --state-dir "$GUEST_DIR/a/state" >"$GUEST_DIR/said" || status=$?
	grep FAIL "$GUEST_DIR/said"
	[ "$status" = 1 ] && grep -q 'FAIL  owner records .*the VM runs here now' "$GUEST_DIR/said"
}

# Without being asked to apply anything, and without the other host.
stopped_by_recover() {
	[ "$(guest_status a)" = running ] && recover_on a && is_paused a && [[ $said == *"it was stopped"* ]]
}

# The other host's word is there: this QEMU goes, that one stays.
ended_by_recover() {
	records_of b
	recover_on a --peer "$GUEST_DIR/b/told" --apply && guest_until 10 host_idle a qemu
}

# A COMMIT that nobody heard of: alone it is nobody's; the answer of another VM is no answer; the target may not take it while
# the source's QEMU is there.
left_to_either() {
	local status=0
	guest_kill a
	guest_kill b
	rm -f "$GUEST_DIR"/*/state/*
	guest_start a
	guest_await b
	agent_receive b --insecure --json
	KVMFERRY_FAULT=source:committed agent_start_send a b --insecure --json
	await_point a send || return 1
	# the receiver first, so that it does not give up and end its QEMU
	host_signal b receive -9
	host_signal a send -9
	agent_end a send || true
	agent_end b receive || true
	recover_on a --apply || status=$?
	[ "$status" = 3 ] && is_paused a && [[ $said == *"nobody may run it before"* ]] || return 1
	records_of a
	sed 's/"vm":"[^"]*"/"vm":"another"/' "$GUEST_DIR/a/told" >"$GUEST_DIR/b/told"
	status=0
	recover_on a --peer "$GUEST_DIR/b/told" --apply || status=$?
	[ "$status" = 3 ] && is_paused a || return 1
	status=0
	recover_on b --peer "$GUEST_DIR/a/told" --apply || status=$?
	[ "$status" = 3 ] && [[ $said == *"end the source's QEMU"* ]]
}

# Then the source's QEMU is gone, and the target has it.
taken_by_target() {
	guest_kill a
	records_of a
	recover_on b --peer "$GUEST_DIR/a/told" --apply && healthy b && [ "$(record_of b target)" = running ]
}

ktap_plan 9
scene_open
guest_start a
ktap_check "the sender stops a source that somebody continues" stopped_by_sender
ktap_check "nothing is decided while an agent is at work" nothing_decided
ktap_check "the VM arrives" arrives
ktap_check "kvmferry check tells of a source that runs" refused_by_check
ktap_check "kvmferry recover stops it" stopped_by_recover
ktap_check "and ends it once the target has said that it has the VM" ended_by_recover
ktap_check "a lost COMMIT: not decided alone, nor by another VM's records" left_to_either
ktap_check "the target takes the VM once the source's QEMU is gone" taken_by_target
guest_kill b
ktap_check "the module unloads" host_module_unload
ktap_end
