#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Kill an agent, a QEMU or the link, at every point of a migration. Afterwards the operator does what kvmferry recover says,
# and nothing else: the VM runs on one host, with every byte of its memory and its disk, or is gone with its own QEMU; and
# nothing is left behind. (Hosts that lose their power: two-hosts.sh.)
#
#   kill-matrix.sh                    a few cells
#   kill-matrix.sh --only REGEX       those that match; .* for all
#   kill-matrix.sh --results FOLDER   one file for each cell goes there, see kill-cells.sh
set -eu
# shellcheck source=SCRIPTDIR/kill-scene.sh
. "$(dirname "$0")/kill-scene.sh"
# shellcheck source=SCRIPTDIR/kill-cells.sh
. "$here/kill-cells.sh"

only='^(source:handover/agent-source|source:running/link|target:commit/qemu-target)$'
results=''
while [ $# -gt 0 ]; do
	case $1 in
	--only) only=$2 ;;
	--results) results=$2 ;;
	*) ktap_bail "unknown option $1" ;;
	esac
	shift 2
done

strike() {
	case $1 in
	agent-source) host_signal "$from" send -9 ;;
	agent-target) host_signal "$to" receive -9 ;;
	qemu-source) host_signal "$from" qemu -9 ;;
	qemu-target) host_signal "$to" qemu -9 ;;
	link) on_host "$from" ip link set "ferry-$from" down ;;
	esac
}

# migrate POINT VICTIM: to the point, the blow, and until both agents have ended
migrate() {
	receive_to "$to" "$1" || return 1
	send_from "$from" "$to" "$1"
	case $1 in
	source:*) await_point "$from" send ;;
	target:*) await_point "$to" receive ;;
	esac || return 1
	strike "$2"
	case $1 in
	source:*) end_agent "$from" send; end_agent "$to" receive ;;
	target:*) end_agent "$to" receive; end_agent "$from" send ;;
	esac
	on_host "$from" ip link set "ferry-$from" up
}

# What each host says for itself, for the other one to read.
exchange() {
	recover_says a >"$GUEST_DIR/a/told"
	recover_says b >"$GUEST_DIR/b/told"
}

ask_both() {
	local here=$GUEST_DIR/$from/told there=$GUEST_DIR/$to/told
	exchange
	agree "$(recover_says "$from" --peer "$there")" "$(recover_says "$to" --peer "$here")" "$(cat "$here")" "$(cat "$there")"
}

# The operator does what recover says: first at the source, then at the target, which hears what became of that.
settle() {
	ask_both || lost=1
	void_claim "$to"
	exchange
	obey "$from" "$GUEST_DIR/$to/told"
	exchange
	obey "$to" "$GUEST_DIR/$from/told"
	# it waits for a VM that nobody has begun to send
	[ "$(guest_status "$to")" != inmigrate ] || [ "$verdict" != none ] || guest_kill "$to"
}

# find_owner VICTIM: who has the VM in the end
find_owner() {
	if runs_on "$from"; then
		owner=$from
		! runs_on "$to" || twice=1
	elif runs_on "$to"; then
		owner=$to
	else
		may_be_gone "$1" || lost=1
	fi
}

# A QEMU that is left although the VM is elsewhere; and what else is.
clean_up() {
	local host said
	for host in a b; do
		[ "$host" = "$owner" ] || end_guest "$host" || [ "$owner" = nobody ] ||
			{ ktap_note "a QEMU was left on host $host"; debris=$((debris + 1)); }
		said=$(count_debris "$host" "$pins")
		debris=$((debris + ${said##*$'\n'}))
		head -n -1 <<<"$said"
	done
}

look_at_guest() {
	local said
	guest_until 20 rests "$(other_host "$owner")" || { lost=1; return; }
	open_guards "$owner"
	said=$(examine "$owner") || { echo "$said"; lost=1; return; }
	head -n -1 <<<"$said"
	wrong_bytes=${said##*$'\n'}
}

# cell POINT/VICTIM
cell() {
	cell_begin
	pins=$(cat /sys/module/kvmferry/refcnt)
	migrate "${1%/*}" "${1#*/}" || return 1
	ktap_note "$from is $(guest_status "$from"), $to is $(guest_status "$to")"
	if runs_on "$from" && runs_on "$to"; then twice=1; fi
	settle
	find_owner "${1#*/}"
	[ "$owner" = nobody ] || look_at_guest
	clean_up
	cell_end "$1"
}

say_all() {
	sed 's/^/#   send: /' "$GUEST_DIR/$from/send.err"
	sed 's/^/#   receive: /' "$GUEST_DIR/$to/receive.err"
	sed 's/^/#   recover: /' "$GUEST_DIR"/?/recover.err
}

# next_cell STATUS: the next migration begins where the VM is. What was damaged, or is gone, begins anew.
next_cell() {
	if [ "$1" = 0 ] && [ "$owner" != nobody ]; then
		from=$owner to=$(other_host "$owner")
		return
	fi
	[ "$1" = 0 ] || say_all
	host_kill "$from" send
	host_kill "$to" receive
	rm -f "$GUEST_DIR"/*/state/* "$GUEST_DIR"/?/recover.err
	from=a to=b
	guest_kill a
	guest_kill b
	guest_disk_close
	guest_disk_open
	begin_guest a
}

mapfile -t cells < <(kill_cells agent qemu link | grep -E "$only")
[ ${#cells[@]} -gt 0 ] || ktap_bail "no cell is called $only"
ktap_plan $((${#cells[@]} + 1))
scene_open
guest_disk_open
begin_guest a
run_cells "${cells[@]}"
guest_kill a
guest_kill b
guest_disk_close
ktap_check "the module unloads" host_module_unload
ktap_end
