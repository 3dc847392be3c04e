#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Least privilege, seen from outside in the middle of migrations: what the decoder and both agents may still do, and what
# happens to a decoder that tries more, lies, or dies. Each time the guest runs on at the source, and the next migration works.
set -eu
# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "$0")/scene.sh"

small_vm
GUEST_TIMEOUT=$((GUEST_TIMEOUT * 2)) # one that stands still is not to be given up

# status_of PID FIELD: of /proc/PID/status
status_of() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }

# The first thread of a process, and all others, have this: each PID FIELD VALUE
each() {
	local task
	for task in "/proc/$1/task"/*; do
		grep -qxE "$2:[[:space:]]*$3" "$task/status" || { ktap_note "$task: $(grep "^$2:" "$task/status") instead of $3"; return 1; }
	done
}

# The process that receives, or sends, on a host; and its decoder. nsenter becomes the agent, so it is the same process.
agent_of() { cat "$GUEST_DIR/$1/$2.pid"; }
decoder_of() { cat "/proc/$(agent_of "$1" receive)/task"/*/children; }

has_decoder() {
	decoder=$(decoder_of "$1" 2>/dev/null) && decoder=${decoder// /} && [ -n "$decoder" ] &&
		[ "$(status_of "$decoder" Seccomp)" = 2 ]
}

# A migration in the middle of RAM, with $decoder, that stands still while it is looked at.
under_way() {
	begin --bandwidth 20
	in_mid_pass a || return 1
	host_signal a send -STOP
	guest_until 30 has_decoder b
}

# interrupted: it goes on, to be given up
interrupted() {
	host_signal a send -CONT
	host_signal a send -INT
	stays_here 1 1 "interrupted"
}

# --- what it has

powerless() { each "$1" CapEff 0+ && each "$1" CapPrm 0+ && each "$1" CapInh 0+ && each "$1" CapBnd 0+ && each "$1" CapAmb 0+; }
filtered() { each "$1" NoNewPrivs 1 && each "$1" Seccomp 2; }
sealed() { filtered "$1" && each "$1" Seccomp_filters 2; } # its parent's and its own
nobody() { each "$1" Uid '65534\s+65534\s+65534\s+65534' && each "$1" Gid '65534\s+65534\s+65534\s+65534' && each "$1" Groups ' *'; }

# other_namespaces NAMES...: the decoder's are not its parent's
other_namespaces() {
	local name parent
	parent=$(agent_of b receive)
	for name in "$@"; do
		[ "$(readlink "/proc/$decoder/ns/$name")" != "$(readlink "/proc/$parent/ns/$name")" ] || { ktap_note "$name: the same"; return 1; }
	done
}

empty_places() {
	[ -z "$(ls -A "/proc/$decoder/root/")" ] || { ktap_note "root: $(ls "/proc/$decoder/root/")"; return 1; }
	[ "$(wc -l <"/proc/$decoder/mountinfo")" = 1 ] || { cat "/proc/$decoder/mountinfo"; return 1; }
	[ "$(tail -n +3 "/proc/$decoder/net/dev" | wc -l)" = 1 ] || { cat "/proc/$decoder/net/dev"; return 1; }
}

# Two streams, the pair, an eventfd, one file of RAM; nothing else.
files_of_decoder() {
	local fd
	for fd in "/proc/$decoder/fd"/*; do
		readlink "$fd"
	done | sed -E 's/:\[.*//; s|^/.*/ram/|ram/|' | sort | uniq -c | awk '{ printf("%s%s %s", (NR > 1 ? ", " : ""), $1, $2) }'
}

tcp_sockets() {
	local fd count=0
	for fd in "/proc/$decoder/fd"/*; do
		[[ $(readlink "$fd") =~ socket:\[(.*)\] ]] || continue
		! on_host b grep -qE " ${BASH_REMATCH[1]} " /proc/self/net/tcp || count=$((count + 1))
	done
	echo $count
}

limits() {
	local size
	size=$(awk '/Max file size/ { print $4, $5 }' "/proc/$decoder/limits")
	[ "$size" = "$((GUEST_RAM << 20)) $((GUEST_RAM << 20))" ] || { ktap_note "file size: $size"; return 1; }
	awk '/Max core file size/ && $5 != 0 { exit 1 } /Max data size/ && $4 == "unlimited" { exit 1 }' "/proc/$decoder/limits"
}

test_from_outside() {
	under_way || true
	ktap_check "a decoder is at work" test -n "${decoder:-}"
	ktap_check "no thread of it has a capability, or can have one" powerless "$decoder"
	ktap_check "all are filtered, and gain no privileges" sealed "$decoder"
	ktap_check "it is nobody" nobody "$decoder"
	ktap_check "its namespaces are its own" other_namespaces user mnt net pid ipc uts
	ktap_check "there is nothing in them" empty_places
	is "its files" "$(files_of_decoder)" "1 anon_inode, 1 ram/vm, 3 socket"
	is "of the sockets, two are the streams" "$(tcp_sockets)" 2
	ktap_check "its limits" limits
	ktap_check "send has no capability left" powerless "$(agent_of a send)"
	ktap_check "send is filtered" filtered "$(agent_of a send)"
	is "receive has one: it ends its decoder" "$(status_of "$(agent_of b receive)" CapEff)" 0000000000000020
	ktap_check "receive is filtered" filtered "$(agent_of b receive)"
	ktap_check "the migration is given up, and the decoder is gone" given_up
}

given_up() { interrupted && [ ! -e "/proc/$decoder" ]; }

# --- a decoder that is not as it should be

# armed FAULTS COMMAND...: with an agent that has faults at the target
armed() {
	local status=0 plain=$GUEST_DIR/kvmferry.plain
	mv "$GUEST_DIR/kvmferry" "$plain"
	cp "$KVMFERRY_BUILD/kvmferry-fault" "$GUEST_DIR/kvmferry"
	export KVMFERRY_FAULT=$1
	shift
	"$@" || status=$?
	unset KVMFERRY_FAULT
	mv "$plain" "$GUEST_DIR/kvmferry"
	return "$status"
}

# ends_with WORDS: a migration that fails with these words, at both ends
ends_with() {
	begin
	stays_here 1 1 "target gave up: .*$1" && says b receive "$1"
}

killed_by_hand() {
	under_way || return 1
	kill -9 "$decoder"
	host_signal a send -CONT
	stays_here 1 1 "target gave up: the decoder was killed by signal 9"
}

# The parent dies, and has no time to end it.
orphaned() {
	under_way || return 1
	host_signal b receive -9
	host_signal a send -CONT
	stays_here 1 - "closed|broke" || return 1
	decoder_gone() { ! grep -qs '^State:[[:space:]]*[^Z[:space:]]' "/proc/$decoder/status"; } # or waits to be reaped
	guest_until 10 decoder_gone
}

test_attempts() {
	local attempt
	for attempt in open exec connect ptrace; do
		ktap_check "a decoder that tries to $attempt is killed" armed "decoder-$attempt" ends_with "killed by its sandbox"
		ktap_check "and would not be without the filter" armed "decoder-unsealed,decoder-$attempt" ends_with "the decoder was let: $attempt"
	done
	ktap_check "a decoder that lies is not believed" armed decoder-lies ends_with "cannot be trusted: it sent a pass that is not the next one"
	ktap_check "a decoder is killed in the middle" killed_by_hand
	ktap_check "receive is killed: its decoder does not outlive it" orphaned
}

# --- hosts that allow less

without_user_namespaces() {
	local status=0 before
	before=$(cat /proc/sys/user/max_user_namespaces)
	echo 0 >/proc/sys/user/max_user_namespaces
	under_way || status=1
	powerless "$decoder" && sealed "$decoder" && nobody "$decoder" && other_namespaces mnt net pid ipc uts || status=1
	interrupted || status=1
	echo "$before" >/proc/sys/user/max_user_namespaces
	return "$status"
}

# One namespace that cannot be made is enough: nothing is decoded outside of a sandbox.
without_network_namespaces() {
	local status=0 before
	before=$(cat /proc/sys/user/max_net_namespaces)
	echo 0 >/proc/sys/user/max_net_namespaces
	ends_with "cannot enter the sandbox: cannot make namespaces" || status=$?
	echo "$before" >/proc/sys/user/max_net_namespaces
	return "$status"
}

ktap_plan $((14 + 11 + 2 + 2))
scene_open
guest_start a
test_from_outside
test_attempts
ktap_check "a host without user namespaces: one layer less" without_user_namespaces
ktap_check "a host without network namespaces: no migration" without_network_namespaces
ktap_check "after all that, a migration succeeds" move a b --verify full
guest_kill b
ktap_check "the module unloads" host_module_unload
ktap_end
