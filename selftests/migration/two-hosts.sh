#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Two emulated hosts, each with a kernel, an owner record and an agent of its own, on a network of their own. A guest crosses
# from one kernel to another; or one of the hosts loses its power at a point of the migration. Runs on this machine; see
# pair-host.sh for what runs in the hosts.
#
#   two-hosts.sh [--kernels A,B] cross              there and back
#   two-hosts.sh [--kernels A,B] kill [--only REGEX] [--results FOLDER]
#                                                   the cells of kill-cells.sh whose victims are hosts
# The kernels are 6.1 and 7.3 if not given.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
# shellcheck source=SCRIPTDIR/../lib/ktap.sh
. "$here/../lib/ktap.sh"
# shellcheck source=SCRIPTDIR/../lib/qemu.sh
. "$here/../lib/qemu.sh"
# shellcheck source=SCRIPTDIR/kill-cells.sh
. "$here/kill-cells.sh"

kernel_a=6.1 kernel_b=7.3 only=. results='' what=''
while [ $# -gt 0 ]; do
	case $1 in
	--kernels) kernel_a=${2%,*} kernel_b=${2#*,}; shift ;;
	--only) only=$2; shift ;;
	--results) results=$2; shift ;;
	cross | kill) what=$1 ;;
	*) echo "two-hosts.sh: unknown option $1" >&2; exit 2 ;;
	esac
	shift
done

qemu=$(qemu_version qemu-system-x86_64)
mkdir -p "$top/build/vm"
folder=$(mktemp -d "$top/build/vm/pair.XXXXXX")
trap clean_up EXIT
trap 'exit 143' INT TERM HUP

clean_up() {
	plug_pulled a
	plug_pulled b
	wait
	rm -rf "$folder"
}

# --- the hosts

# start HOST: it boots, and answers when it is up
start() {
	local kernel=kernel_$1 input output script
	rm -f "$folder/$1".{in,out}
	mkfifo "$folder/$1".{in,out}
	"$top/selftests/vm/host.sh" --kernel "${!kernel}" --pair "$folder/$1" --input --smp 1 --memory 1536 --timeout 3000 \
		--console "$top/build/vm/pair-$1.log" -- selftests/migration/pair-host.sh <"$folder/$1.in" >"$folder/$1.out" 2>"$folder/$1.err" &
	script=$!
	exec {input}>"$folder/$1.in" {output}<"$folder/$1.out"
	eval "in_$1=$input out_$1=$output script_$1=$script"
}

# hear_from HOST SECONDS: what it says until its next answer, into $answer; its status
hear_from() {
	local output=out_$1 line
	answer=''
	while IFS= read -r -t "$2" -u "${!output}" line; do
		case $line in
		=up) return 0 ;;
		=[0-9]*) return "${line#=}" ;;
		*) answer+=${answer:+$'\n'}$line ;;
		esac
	done
	ktap_note "host $1 does not answer; it said last: $answer"
	tail -n 5 "$folder/$1.err" | sed 's/^/#   /'
	return 255
}

# is_up HOST: wait for it. It may have a newer QEMU than this machine (vm/system.sh): both know the machine type of the older one.
is_up() { hear_from "$1" 180 && order "$1" "GUEST_MACHINE=pc-q35-$qemu"; }

boot() {
	start "$1"
	is_up "$1"
}

# order HOST COMMAND...: it does this; what it says comes into $answer, remarks come out
order() {
	local host=$1 input=in_$1 status=0
	shift
	printf '%s\n' "$*" >&"${!input}"
	hear_from "$host" 300 || status=$?
	grep '^#' <<<"$answer" || true
	answer=$(grep -v '^#' <<<"$answer" || true)
	return $status
}

# Without a warning. What it had not made durable is gone.
plug_pulled() {
	local input=in_$1 output=out_$1 script=script_$1
	[ ! -e "$folder/$1.pid" ] || kill -9 "$(cat "$folder/$1.pid")" 2>/dev/null || true
	rm -f "$folder/$1.pid"
	[ -n "${!input:-}" ] || return 0
	wait "${!script}" 2>/dev/null || true
	eval "exec ${!input}>&- ${!output}<&-"
	unset "$input" "$output"
}

# Both go down as they should, with a clean kernel log.
down() {
	order a pair_close && order b pair_close || return 1
	wait && ! grep -h "host.sh:" "$folder"/?.err
}

# --- a migration

# begin POINT: both agents, one of which stops itself at the point; none: neither does
begin() {
	order "$to" take_part receive "$1" && order "$from" take_part send "$1" || return 1
	case $1 in
	source:*) order "$from" await_point "$from" send ;;
	target:*) order "$to" await_point "$to" receive ;;
	esac
}

crosses() {
	begin none || return 1
	order "$from" end_agent "$from" send && order "$to" end_agent "$to" receive || return 1
	owner=$to
	look_at_guest
	order "$from" guest_reap "$from"
	clean_host "$from"
	clean_host "$to"
	[ "$lost$wrong_bytes$debris" = 000 ] || return 1
	from=$owner to=$(other_host "$owner")
}

look_at_guest() {
	order "$owner" open_guards "$owner"
	order "$owner" examine "$owner" || { lost=1; return; }
	wrong_bytes=$answer
}

clean_host() {
	# shellcheck disable=SC2016 # it is the host's
	order "$1" count_debris "$1" '$pins'
	debris=$((debris + answer))
}

# --- a cell

# agent_of HOST
agent_of() { case $1 in "$from") echo send ;; *) echo receive ;; esac; }

# told HOST [JSON]: what recover says there, given what the other host has said
told() {
	# shellcheck disable=SC2016
	if [ $# = 1 ]; then order "$1" recover_says "$1"; else order "$1" "hear $(printf %q "$2"); recover_says $1 --peer \"\$GUEST_DIR/heard\""; fi
}

# Both records, with one of them that of a host that has just booted.
ask_both() {
	local here there
	told "$from" && here=$answer
	told "$to" && there=$answer
	told "$from" "$there" && here_knows=$answer
	told "$to" "$here" && agree "$here_knows" "$answer" "$here" "$there"
}

# obey_on HOST: it hears what the other one says now
obey_on() {
	told "$(other_host "$1")"
	order "$1" "hear $(printf %q "$answer"); obey $1 \"\$GUEST_DIR/heard\""
}

# settle SURVIVOR
settle() {
	ask_both || lost=1
	[ "$1" = "$from" ] || order "$1" void_claim "$1"
	obey_on "$1"
	if order "$1" runs_on "$1"; then
		owner=$1
	else
		may_be_gone "$victim" || lost=1
		order "$1" end_guest "$1" || true
	fi
}

# cell POINT/host-SIDE
cell() {
	local point=${1%/*} dead survivor
	victim=${1#*/}
	cell_begin
	case $victim in host-source) dead=$from survivor=$to ;; *) dead=$to survivor=$from ;; esac
	begin "$point" || return 1
	plug_pulled "$dead"
	boot "$dead" &&
		order "$survivor" end_agent "$survivor" "$(agent_of "$survivor")" || return 1
	settle "$survivor"
	if [ "$owner" != nobody ]; then
		look_at_guest
	fi
	clean_host a
	clean_host b
	cell_end "$1"
}

# next_cell STATUS: from where the VM is; or begins anew, on a disk of zeros
next_cell() {
	if [ "$1" = 0 ] && [ "$owner" != nobody ]; then
		from=$owner to=$(other_host "$owner")
		return
	fi
	from=a to=b
	for host in a b; do
		if ! order $host "host_kill $host send; host_kill $host receive; guest_kill $host; rm -f \$GUEST_DIR/$host/state/*"; then
			plug_pulled $host
			boot $host || ktap_bail "host $host does not boot"
		fi
	done
	truncate -s 0 "$folder/shared"
	truncate -s 64M "$folder/shared"
	order a begin_guest a
}

kill_hosts() {
	mapfile -t cells < <(kill_cells host | grep -E "$only")
	[ ${#cells[@]} -gt 0 ] || ktap_bail "no cell is called $only"
	ktap_plan $((${#cells[@]} + 2))
	open_scene
	run_cells "${cells[@]}"
	ktap_check "both hosts go down, without a complaint" down
	ktap_end
}

open_scene() {
	start a
	start b
	ktap_check "a guest runs on one of two hosts ($kernel_a, $kernel_b)" scene_is_open
}

scene_is_open() {
	is_up a && is_up b && from=a to=b && order a begin_guest a
}

cross() {
	ktap_plan 4
	open_scene
	cell_begin
	ktap_check "it goes from $kernel_a to $kernel_b" crosses
	ktap_check "and back" crosses
	ktap_check "both hosts go down, without a complaint" down
	ktap_end
}

case $what in
cross) cross ;;
kill) kill_hosts ;;
*) echo "two-hosts.sh: cross or kill?" >&2; exit 2 ;;
esac
