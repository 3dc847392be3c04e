# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What the migration tests share: KTAP, the two hosts, and the questions asked after a migration. Sourced, with set -eu.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=SCRIPTDIR/../lib/ktap.sh
. "$here/../lib/ktap.sh"
# shellcheck source=SCRIPTDIR/../lib/guest.sh
. "$here/../lib/guest.sh"

# is NAME GOT WANTED: one result
is() {
	if [ "$2" = "$3" ]; then ktap_ok "$1"; else ktap_fail "$1" "got '$2' instead of '$3'"; fi
}

# A VM for tests in which moments count, not megabytes.
small_vm() {
	GUEST_RAM=128
	GUEST_ORDERS="ws=40 rate=500 verify=1500"
}

# scene_open: the module, the hosts, and their end. A test that ends early says why: its plan stays unfulfilled.
scene_open() {
	host_module_load
	guest_open
	trap guest_close EXIT
}

# The last event of this name that the sender wrote with --json. sent_event HOST NAME
sent_event() { jq -c --arg name "$2" 'select(.event == $name)' "$GUEST_DIR/$1/send.out" | tail -n 1; }

# holds FILE CONDITION: the objects in it, as an array, meet a condition of jq
holds() { jq -es "$2" "$1" >/dev/null || { tail -n 2 "$1" | cut -c1-400 | sed 's/^/#   /'; return 1; }; }

# told HOST EVENT CONDITION: the sender's last event of this name meets a condition of jq
told() {
	local event
	event=$(sent_event "$1" "$2")
	jq -e "$3" <<<"$event" >/dev/null || { ktap_note "the event: ${event:-none}"; return 1; }
}

# tell_done HOST: the sender's summary, as a diagnostic
tell_done() {
	ktap_note "$(sent_event "$1" "done" | jq -r '"\(.passes) passes, \(.pages_sent) pages sent, \(.pages_zero) zero, " +
		"\(.bytes_wire) bytes on the wire (1:\(.ratio * 10 | floor / 10)), blackout \(.blackout_ms | floor) ms"')"
}

# The one sentence with which the agent ended. agent_reason HOST send|receive
agent_reason() { grep -E '^kvmferry: error: ' "$GUEST_DIR/$1/$2.err" | tail -n 1; }

# says HOST send|receive REGEX: it ended with one error line, which has these words
says() {
	local lines
	lines=$(grep -cE '^kvmferry: error: ' "$GUEST_DIR/$1/$2.err" || true)
	if [ "$lines" != 1 ] || ! agent_reason "$1" "$2" | grep -qE -- "$3"; then
		ktap_note "expected one error line with '$3' from $2 on host $1, got:"
		sed 's/^/#   /' "$GUEST_DIR/$1/$2.err"
		return 1
	fi
}

# The guest is unharmed: it goes on, and all of its memory is what it should be. healthy HOST
healthy() {
	local report
	guest_continues "$1" || return 1
	report=$(guest_report "$1") || { echo "$report"; return 1; }
	ktap_note "host $1: $report"
	[[ $report == *" 0 errors,"* ]] || return 1
	[ "$(guest_errors "$1")" = 0 ] || {
		ktap_note "the guest's console on host $1 tells of trouble:"
		grep -nE 'error:|panic|Oops|BUG|Call Trace' "$GUEST_DIR/$1/console" | head -n 20 | sed 's/^/#   /'
		return 1
	}
}

# What a migration may leave on a host besides a QEMU: owner records, and nothing else.
# tidy HOST: no agent, no listener, no file in ram/ that QEMU did not make, no stranger in the state folder
tidy() {
	local dir=$GUEST_DIR/$1 file
	if host_runs "$1" send || host_runs "$1" receive; then ktap_note "an agent still runs on host $1"; return 1; fi
	if agent_listens "$1"; then ktap_note "something still listens on host $1"; return 1; fi
	for file in "$dir"/ram/*; do
		case $file in
		*/\* | */vm | */node0 | */node1) ;;
		*) ktap_note "left behind: $file"; return 1 ;;
		esac
	done
	for file in "$dir"/state/*; do
		case $file in
		*/\* | *.source | *.target) ;;
		*) ktap_note "left behind: $file"; return 1 ;;
		esac
	done
}

# move FROM TO ARGS...: a whole migration to a QEMU started for it; fails loudly if the guest is not well afterwards
move() {
	local from=$1 to=$2
	guest_await "$to" || return 1
	migrate_once "$@" || { ktap_note "exit status $?"; return 1; }
	tell_done "$from"
	guest_until 20 host_idle "$from" qemu || { ktap_note "the source's QEMU is still there"; return 1; }
	guest_reap "$from"
	healthy "$to" && tidy "$from" && tidy "$to"
}

# begin ARGS...: a migration from a to b under way; ARGS go to send
begin() {
	guest_await b
	agent_receive b --insecure --json
	agent_start_send a b --insecure --json "$@"
}

# After begin. stays_here SEND RECEIVE WORDS: their exit statuses (- for killed), what the sender says; the guest is on a, and well
stays_here() {
	local sent=0 received=0
	agent_end a send || sent=$?
	agent_end b receive || received=$?
	[ "$1" = - ] || [ "$sent" = "$1" ] || { ktap_note "send's status is $sent"; return 1; }
	[ "$2" = - ] || [ "$received" = "$2" ] || { ktap_note "receive's status is $received"; return 1; }
	if [ "$1" != - ]; then
		says a send "$3" || return 1
		ktap_note "$(agent_reason a send)"
		[ "$(guest_status a)" = running ] || { ktap_note "the VM is $(guest_status a)"; return 1; }
		[ "$(record_of a source)" = none ] || { ktap_note "record: $(record_of a source)"; return 1; }
	fi
	recover
	[ "$owner" = a ] || { ktap_note "the VM is on: $owner"; return 1; }
	healthy a && tidy a && tidy b && [ "$(cat /sys/module/kvmferry/refcnt)" = 0 ]
}

# forget_source HOST: it has handed the VM over, its QEMU ends
forget_source() {
	guest_until 20 host_idle "$1" qemu
	guest_reap "$1"
}

# The VM goes back to host a, where it began.
move_back() {
	guest_await a && migrate_once b a >/dev/null || return 1
	forget_source b
}

# The state in the owner record of a host: owns, committed ..., or none. record_of HOST source|target
record_of() {
	local file
	for file in "$GUEST_DIR/$1/state"/*."$2"; do
		if [ -e "$file" ]; then
			sed -n 's/^state //p' "$file"
			return
		fi
	done
	echo none
}

# After something broke in the middle of a migration from a to b, or FROM TO: who owns the VM by the rule of the owner
# records? Does what an operator would do, and sets owner to the host, to nobody (its QEMU was killed), or to twice: then
# kvmferry has failed.
# shellcheck disable=SC2120 # rounds.sh gives the two
recover() {
	local from=${1:-a} to=${2:-b} here there source target
	here=$(guest_status "$from") there=$(guest_status "$to")
	source=$(record_of "$from" source) target=$(record_of "$to" target)
	ktap_note "afterwards: $from is $here, with record $source; $to is $there, with record $target"
	if [ "$here" = running ] && [ "$there" = running ]; then
		owner=twice
	elif [ "$here" = running ]; then
		owner=$from
	elif [ "$there" = running ]; then
		owner=$to
	elif [ "$source" = gone ] || { [ "$source" = committed ] && { [ "$target" = owns ] || [ "$target" = running ]; }; }; then
		owner=$to
	else
		owner=$from
	fi
	case $owner in
	"$from") recover_on "$from" "$here" "$to" ;;
	"$to") recover_on "$to" "$there" "$from" ;;
	esac
}

# recover_on HOST STATUS OTHER
recover_on() {
	if [ "$2" = gone ]; then
		owner=nobody
		guest_kill "$1"
	elif [ "$2" != running ]; then
		if ! guest_free "$1"; then
			guest_qmp "$1" '{"execute": "migrate_cancel"}' >/dev/null || true
			guest_until 10 guest_free "$1" || ktap_note "QEMU's migration on host $1 does not end"
		fi
		guest_qmp "$1" '{"execute": "cont"}' >/dev/null || true
	fi
	guest_kill "$3"
	rm -f "$GUEST_DIR"/*/state/*
}

# Wait until the sender has begun this stage (see userspace-agent/stages.c), or has ended. at_stage HOST NAME
at_stage() { sender_tells "$1" "\"name\":\"$2\""; }

# Wait until RAM is under way: in the middle of everything. in_mid_pass HOST
in_mid_pass() { sender_tells "$1" '"event":"pass"'; }

# sender_comes_to HOST REGEX: wait until it has written something like this, while it runs
sender_comes_to() {
	local end=$((SECONDS + GUEST_PATIENCE)) said
	while host_runs "$1" send && [ "$SECONDS" -lt "$end" ]; do
		IFS= read -r -d '' said <"$GUEST_DIR/$1/send.out" || true
		[[ ! $said =~ $2 ]] || return 0
		guest_nap 0.02
	done
	return 1
}

# The same where it must come to that. sender_tells HOST REGEX
sender_tells() {
	! sender_comes_to "$@" || return 0
	ktap_note "the sender has not come to $2; its end:"
	tail -n 3 "$GUEST_DIR/$1/send.out" "$GUEST_DIR/$1/send.err" | cut -c1-300 | sed 's/^/#   /'
	return 1
}

# is_stopped HOST send|receive: at the fault point that KVMFERRY_FAULT named (see userspace-agent/fault.h)
is_stopped() {
	local stat
	read -r stat 2>/dev/null <"/proc/$(cat "$GUEST_DIR/$1/$2.pid")/stat" && [[ ${stat##*) } == T* ]]
}

# await_point HOST send|receive: until it has stopped itself
await_point() {
	guest_until 90 is_stopped "$1" "$2" && return
	ktap_note "the point was not reached; the agent said last:"
	tail -n 3 "$GUEST_DIR/$1/$2.err" | sed 's/^/#   /'
	return 1
}
