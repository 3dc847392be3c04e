#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Many migrations, each broken at a random moment. Afterwards the VM is on one host and well, or gone if its QEMU was the
# victim; never on both.
#
#   kill-loop.sh [ROUNDS]       12 on Debian's 6.1, 4 elsewhere. KVMFERRY_SEED=N repeats a run.
set -eu
# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "$0")/scene.sh"

rounds=${1:-}
if [ -z "$rounds" ]; then
	case $KVMFERRY_KERNEL in 6.1) rounds=12 ;; *) rounds=4 ;; esac
fi
small_vm
GUEST_TIMEOUT=20

seed=${KVMFERRY_SEED:-$((RANDOM * 32768 + RANDOM))}
# A number below N, into $drawn. The shell's own generator may change with its version.
draw() {
	seed=$(((seed * 1103515245 + 12345) & 0x7fffffff))
	drawn=$(((seed >> 8) % $1))
}

victims=("send -9" "send -9" "receive -9" "receive -9" "send -INT" "receive -TERM" "qemu-a -9" "qemu-b -9" "link")

strike() {
	case $1 in
	link) on_host a ip link set ferry-a down ;;
	qemu-a) host_signal a qemu -9 ;;
	qemu-b) host_signal b qemu -9 ;;
	send) host_signal a send "$2" ;;
	receive) host_signal b receive "$2" ;;
	esac
}

now_ms() { now=$((${EPOCHREALTIME/./} / 1000)); }

# How long the agents take for an undisturbed migration, in ms: the moments are drawn from that.
measure() {
	guest_await b
	agent_receive b --insecure --json || return 1
	now_ms
	took=$now
	agent_send a b --insecure --json || return 1
	now_ms
	took=$((now - took))
	agent_end b receive
	forget_source a
	healthy b && back
}

# The VM to host a, wherever it is.
back() {
	move_back || return 1
	rm -f "$GUEST_DIR"/*/state/*
}

one_round() {
	local victim delay begun sent=0 received=0
	draw ${#victims[@]}
	victim=${victims[drawn]}
	draw "$took"
	delay=$drawn
	guest_await b
	agent_receive b --insecure --json || return 1
	now_ms
	begun=$now
	agent_start_send a b --insecure --json
	guest_nap "$((delay / 1000)).$(printf %03d $((delay % 1000)))"
	# shellcheck disable=SC2086 # two words
	strike $victim
	agent_end a send || sent=$?
	now_ms
	# the blow came too late, so this was another undisturbed one
	[ "$sent" != 0 ] || took=$(((took + now - begun) / 2))
	agent_end b receive || received=$?
	on_host a ip link set ferry-a up
	ktap_note "after $delay ms: $victim; send $sent, receive $received"
	recover
	case $owner in
	twice) return 1 ;;
	nobody)
		[[ $victim == qemu-* ]] || return 1
		guest_start a
		;;
	b)
		healthy b && back
		;;
	a) healthy a ;;
	esac
}

ktap_plan 3
ktap_note "seed $seed (KVMFERRY_SEED=$seed repeats this), $rounds rounds"
scene_open
guest_start a
took=0
ktap_check "an undisturbed migration, there and back" measure
ktap_note "it took $took ms"
bad=0
for round in $(seq "$rounds"); do
	ktap_note "round $round"
	one_round || {
		bad=$((bad + 1))
		sed 's/^/#   send: /' "$GUEST_DIR/a/send.err"
		sed 's/^/#   receive: /' "$GUEST_DIR/b/receive.err"
		host_kill a send
		host_kill b receive
		guest_kill a
		guest_kill b
		rm -f "$GUEST_DIR"/*/state/*
		guest_start a
	}
done
is "bad rounds of $rounds" $bad 0
guest_kill a
ktap_check "the module unloads" host_module_unload
ktap_end
