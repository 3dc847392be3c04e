#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Many migrations of one guest with everything left to chance: its load, the link, how RAM is tracked and compressed, and
# whether, when and how it is broken. After each the guest is on one host, has all of its memory as it should be, and nothing
# of the migration is left over.
#
#   soak.sh [MIGRATIONS]        10, or 4 on the debug kernel. KVMFERRY_SEED=N repeats a run.
set -eu
# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "$0")/scene.sh"
# shellcheck source=SCRIPTDIR/rounds.sh
. "$(dirname "$0")/rounds.sh"

count=${1:-10} slowness=1
[ "$KVMFERRY_KERNEL" != debug ] || count=${1:-4} slowness=5
small_vm
GUEST_TIMEOUT=20

stages=(connect record attach passes stop drain handover settle device resettle guard commit running retire)

# Pages a second. The debug kernel sends a fifth of what others do.
choose_load() {
	pick 0 100 500 1000 3000
	load=$((picked / slowness))
}

# Words for send.
choose_policy() {
	pick off contiguous dynamic dynamic static:8 static:512
	policy="--group $picked"
	pick auto auto none lz4 lz4hc,zstd zstd-stream none,lz4,deflate
	policy+=" --codec $picked"
	pick 1 2 4
	policy+=" --channels $picked"
	pick 1 4 16
	policy+=" --ring $picked"
	pick "" "" "--read-group 1" "--resend-unchanged" "--cpu-limit 50" "--verify full" "--max-slowdown 50" "--downtime 1000"
	policy+=${picked:+ $picked}
}

# Words for tc: late, lossy, slow, or none.
choose_link() {
	local rate
	draw 4
	case $drawn in
	0) link='' ;;
	1)
		draw 20
		link="netem delay ${drawn}ms 1ms"
		draw 3
		link+=" loss 0.$drawn%"
		;;
	*)
		draw 400
		rate=$((60 + drawn))
		draw 10
		link="netem rate ${rate}mbit delay ${drawn}ms"
		;;
	esac
}

# Two of three migrations are broken: at a stage, or at any moment. Sometimes the link is but cut for a while.
choose_blow() {
	victim='' moment=''
	draw 3
	[ "$drawn" != 0 ] || return 0
	draw $((${#victims[@]} + 2))
	victim=${victims[drawn]:-cut}
	draw 2
	if [ "$drawn" = 0 ]; then
		pick "${stages[@]}"
		moment=$picked
	else
		draw "$took"
		moment=$drawn
	fi
	draw 4000
	cut_ms=$drawn
}

shape() {
	on_host "$1" tc qdisc del dev "ferry-$1" root 2>/dev/null || true
	# shellcheck disable=SC2086 # words
	[ -z "$link" ] || on_host "$1" tc qdisc add dev "ferry-$1" root $link
}

# Waits for the moment, and strikes. blow FROM TO
blow() {
	case $moment in
	[0-9]*) nap_ms "$moment" ;;
	*) sender_comes_to "$1" "\"name\":\"$moment\"" || true ;;
	esac
	if [ "$victim" = cut ]; then
		strike "$1" "$2" link
		nap_ms "$cut_ms"
		on_host "$1" ip link set "ferry-$1" up
		return
	fi
	# shellcheck disable=SC2086 # two words
	strike "$1" "$2" $victim
}

# one_round FROM TO
one_round() {
	local from=$1 to=$2 sent=0 received=0
	guest_say "$from" "rate $load"
	shape "$from"
	guest_await "$to"
	# a source may die before it has connected
	agent_receive "$to" --insecure --json --wait 60 || return 1
	# shellcheck disable=SC2086 # words
	agent_start_send "$from" "$to" --insecure --json $policy
	[ -z "$victim" ] || blow "$from" "$to"
	agent_end "$from" send || sent=$?
	agent_end "$to" receive || received=$?
	on_host "$from" ip link set "ferry-$from" up
	ktap_note "send $sent, receive $received"
	[ -n "$victim" ] || [ "$sent" = 0 ] || { ktap_note "nothing was broken, and it did not arrive"; return 1; }
	[ "$sent" != 0 ] || arrived=$((arrived + 1))
	rounds_judge "$from" "$to" "$victim" "$sent"
}

ktap_plan 3
ktap_note "seed $seed (KVMFERRY_SEED=$seed repeats this), $count migrations"
scene_open
modprobe -q sch_netem || true
guest_start a
took=0
ktap_check "an undisturbed migration" rounds_measure
ktap_note "it took $took ms"
bad=0 arrived=0
for round in $(seq "$count"); do
	from="$home" to=$(other_than "$home")
	choose_load
	choose_policy
	choose_link
	choose_blow
	ktap_note "migration $round, $from to $to: $load pages/s; $policy; link ${link:-as it is}; ${victim:-nothing} ${moment:+at $moment}"
	one_round "$from" "$to" || { bad=$((bad + 1)); rounds_start_over "$from" "$to"; }
done
ktap_note "$arrived of $count arrived, $((count - arrived - bad)) were broken and $bad were bad"
is "bad migrations of $count" $bad 0
guest_kill "$home"
ktap_check "the module unloads" host_module_unload
ktap_end
