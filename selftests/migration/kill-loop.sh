#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Many migrations, each broken at a random moment. Afterwards the VM is on one host and well, or gone if its QEMU was the
# victim; never on both.
#
#   kill-loop.sh [ROUNDS]       12 on Debian's 6.1, 4 elsewhere. KVMFERRY_SEED=N repeats a run.
set -eu
# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "$0")/scene.sh"
# shellcheck source=SCRIPTDIR/rounds.sh
. "$(dirname "$0")/rounds.sh"

rounds=${1:-}
if [ -z "$rounds" ]; then
	case $KVMFERRY_KERNEL in 6.1) rounds=12 ;; *) rounds=4 ;; esac
fi
small_vm
GUEST_TIMEOUT=20

# one_round FROM TO
one_round() {
	local from=$1 to=$2 victim begun sent=0 received=0
	draw ${#victims[@]}
	victim=${victims[drawn]}
	draw "$took"
	guest_await "$to"
	# a source may die before it has connected
	agent_receive "$to" --insecure --json --wait 60 || return 1
	now_ms
	begun=$now
	agent_start_send "$from" "$to" --insecure --json
	nap_ms "$drawn"
	# shellcheck disable=SC2086 # two words
	strike "$from" "$to" $victim
	agent_end "$from" send || sent=$?
	now_ms
	# the blow came too late, so this was another undisturbed one
	[ "$sent" != 0 ] || took=$(((took + now - begun) / 2))
	agent_end "$to" receive || received=$?
	on_host "$from" ip link set "ferry-$from" up
	ktap_note "after $drawn ms: $victim; send $sent, receive $received"
	rounds_judge "$from" "$to" "$victim" "$sent"
}

ktap_plan 3
ktap_note "seed $seed (KVMFERRY_SEED=$seed repeats this), $rounds rounds"
scene_open
guest_start a
took=0
ktap_check "an undisturbed migration" rounds_measure
ktap_note "it took $took ms"
bad=0
for round in $(seq "$rounds"); do
	from="$home" to=$(other_than "$home")
	ktap_note "round $round, $from to $to"
	one_round "$from" "$to" || { bad=$((bad + 1)); rounds_start_over "$from" "$to"; }
done
is "bad rounds of $rounds" $bad 0
guest_kill "$home"
ktap_check "the module unloads" host_module_unload
ktap_end
