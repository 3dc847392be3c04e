#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Controls: what is broken on purpose must be found out. Were one of these to pass unnoticed, no other test could be
# believed.
set -eu
# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "$0")/scene.sh"

small_vm
arm() { echo "$1" >/sys/module/kvmferry/parameters/fault; }

# attempt FAULT ARGS...: a migration with the fault armed. Its status is the sender's.
attempt() {
	local status=0 fault=$1
	shift
	guest_await b
	agent_receive b --insecure --json || return 9
	arm "$fault"
	agent_send a b --insecure --json "$@" || status=$?
	arm ""
	agent_end b receive || true
	return "$status"
}

# refused STATUS WORDS: that was the sender's status, these its words, and the guest has not noticed
refused() {
	guest_kill b
	[ "$1" = 1 ] || { ktap_note "send's status is $1"; return 1; }
	says a send "$2" || return 1
	ktap_note "$(agent_reason a send)"
	healthy a
}

# caught FAULT WORDS ARGS...: the migration fails with these words
caught() {
	local status=0 fault=$1 expected=$2
	shift 2
	attempt "$fault" "$@" || status=$?
	refused "$status" "$expected"
}

# The same where the fault needs the right moment: some migrations may come through whole.
caught_at_last() {
	local status go fault=$1 expected=$2
	shift 2
	for go in 1 2 3 4 5 6; do
		status=0
		attempt "$fault" "$@" || status=$?
		[ "$status" = 0 ] || break
		ktap_note "$fault has done no harm that lasted, attempt $go"
		forget_source a
		move_back || return 1
	done
	refused "$status" "$expected"
}

# Damage a page of the target's memory behind everybody's back, once it has arrived. Takes one of the workload's own,
# which begin with "kvmferry" in little-endian.
damage() {
	local end=$((SECONDS + 60))
	at=''
	while [ -z "$at" ] && [ "$SECONDS" -lt "$end" ]; do
		guest_nap 0.5
		at=$(LC_ALL=C grep --line-buffered -abo yrrefmvk "$GUEST_DIR/b/ram/vm" |
			awk -F: '$1 % 4096 == 0 { print $1; exit }')
	done
	[ -n "$at" ] || { ktap_note "no page of the workload has arrived"; return 1; }
	at=$((at + 2048))
	printf damage | dd of="$GUEST_DIR/b/ram/vm" bs=1 seek="$at" conv=notrunc status=none
	ktap_note "damaged the page at $at while $(host_runs a send && echo the migration is under way || echo nothing goes on)"
}

# so slow that there is time to find a page and to damage it
slow_link() {
	modprobe -q sch_tbf || true
	on_host a tc qdisc add dev ferry-a root tbf rate 30mbit burst 64kb latency 100ms
}

is_damaged() { [ "$(dd if="$GUEST_DIR/b/ram/vm" bs=1 skip="$at" count=6 status=none)" = damage ]; }

# with_damage ARGS...: a migration with a page that was damaged while the guest was still running on the source. Should the
# guest use it anew meanwhile, it is sent again, and whole. The status is the sender's.
with_damage() {
	local status go early
	for go in 1 2 3 4 5 6; do
		status=0
		guest_await b
		agent_receive b --insecure --json || return 9
		agent_start_send a b --insecure --json "$@"
		damage || return 9
		early=$(guest_status a)
		agent_end a send || status=$?
		agent_end b receive || true
		[ "$status" = 0 ] || return "$status"
		if [ "$early" = running ] && is_damaged; then return 0; fi
		ktap_note "the page was damaged too late ($early) or was sent anew, attempt $go"
		forget_source a
		move_back || return 9
	done
	return 9
}

found_by_verify() {
	local status=0
	with_damage --verify full || status=$?
	refused "$status" "differs on the target"
}

# Without --verify full nobody looks at what lies there; the guest will.
found_by_guest() {
	local status=0
	with_damage || status=$?
	[ "$status" = 0 ] || { ktap_note "send's status is $status: $(agent_reason a send)"; return 1; }
	forget_source a
	guest_report b
	grep '^guest: error' "$GUEST_DIR/b/console" | sed 's/^/# /'
	[ "$(guest_errors b)" = 1 ]
}

# quiet HOST: the guest writes nothing, so that no damaged page is sent anew. It obeys in order: a report says that it has
# stopped.
quiet() { guest_say "$1" stop && guest_report "$1" >/dev/null; }

ktap_plan 6
scene_open
guest_start a
guest_say a "rate 4000"
# no groups: a page that is opened again is sent again, and what was lost with it; and several passes, as in the first one
# every page is taken
ktap_check "a module that loses writes is found out by --verify full" \
	caught_at_last protect-all "differs on the target" --verify full --group off --downtime 1 --max-passes 6 --max-slowdown 0
guest_say a "rate 1000"
ktap_check "records damaged on their way are found out" caught crc-wrong "checksum"
ktap_check "a page that cannot be read ends the migration" caught read-error "could not be read back"
quiet a
slow_link
ktap_check "a page damaged on the target is found out by --verify full" found_by_verify
ktap_check "and by the guest" found_by_guest
guest_kill b
ktap_check "the module unloads" host_module_unload
ktap_end
