#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Moves with --fence pr, on storage that has persistent reservations: a source that is lost with writes in doubt is cut off, and
# what it had cannot land any more; who is not lost keeps no key; and nothing is moved or opened that must not be.
# shellcheck disable=SC2086 # $from and $to are a and b, $moving is words
set -eu
export KVMFERRY_AGENT=$KVMFERRY_BUILD/kvmferry-fault
# shellcheck source=SCRIPTDIR/disk-scene.sh
. "$(dirname "$0")/disk-scene.sh"
# shellcheck source=SCRIPTDIR/../lib/guest-lun.sh
. "$here/../lib/guest-lun.sh"

GUEST_DISK=virtio-blk
moving="--insecure --json --fence pr"

# disk_on HOST WORDS...: kvmferry disk, of that host's disk
disk_on() {
	local host=$1
	shift
	ask disk --disk "ferried-$host" --state-dir "$GUEST_DIR/$host/state" "$@"
}

fence_of() { disk_on "$1" --json | jq -r .fence; }

# fenced A B: as the two hosts have it in their files
fenced() {
	local now
	now="$(fence_of a) $(fence_of b)"
	[ "$now" = "$1 $2" ] || { ktap_note "fences of a and b: $now"; return 1; }
}

# Nobody has a key, a reservation, or a file of one; both write.
free() {
	if ! fenced none none || [ -n "$(lun_keys)$(lun_holder)" ] || ! lun_writes a || ! lun_writes b; then
		ktap_note "keys: $(lun_keys | tr '\n' ' '); reservation: $(lun_holder | tr '\n' ' ')"
		return 1
	fi
}

is_free() { guest_until 10 free >/dev/null || free; }

# Both are registered, the source has the reservation.
reserved() {
	local keys
	keys=$(lun_keys)
	ktap_note "keys: ${keys//$'\n'/ }; reservation: $(lun_holder | tr '\n' ' ')"
	[ "$(wc -l <<<"$keys")" = 2 ] && fenced ready ready && grep -q '0001$' <(lun_holder) &&
		grep -q 'Write Exclusive, registrants only' <(lun_holder)
}

# Without a loss, a fence leaves nothing.
moves_free() {
	slow_load "mix=writes fsync=0" && depart && reserved || return 1
	disk_has $to guarded 1 || return 1
	storage_wakes any
	arrive 0 0 || return 1
	holds "$GUEST_DIR/$to/receive.out" 'map(select(.event == "done")) | last | .held == false and .fenced == false' || return 1
	well $to && is_free && turn
}

# The storage answers the target's agent only when it has ended what the source sent: until then all stays guarded.
is_cutting() { grep -q 'cutting the source off' "$GUEST_DIR/$to/receive.out"; }

cuts_off() {
	slow_load "mix=writes fsync=0" && depart || return 1
	host_signal $from send -KILL
	guest_until 30 is_cutting || { ktap_note "it does not begin to"; return 1; }
	guest_nap 4
	disk_has $to guarded "$flying" || { ktap_note "opened while the storage has not ended what the source sent"; return 1; }
	storage_wakes any
	arrive 137 0 || return 1
	disk_on $to | sed 's/^/# /'
	[ "$(disk_count $to guarded)" = 0 ] && [ "$(fence_of $to)" = cut ] || return 1
	lun_writes $from && { ktap_note "the source's host still writes"; return 1; }
	ktap_note "keys: $(lun_keys | tr '\n' ' '); reservation: $(lun_holder | tr '\n' ' ')"
	grep -q '0002$' <(lun_holder) && works $to writes 100
}

# may_go HOST: what check says of its VM
may_go() {
	local result=0
	ask check --qmp "$GUEST_DIR/$1/qmp.agent" --state-dir "$GUEST_DIR/$1/state" >"$GUEST_DIR/check.out" || result=$?
	sed -n 's/^FAIL/# &/p' "$GUEST_DIR/check.out"
	return $result
}

# The third host could not write.
stays_fenced() { ! may_go $to && grep -q '^FAIL  disks .* has a fence' "$GUEST_DIR/check.out"; }

# A file that was damaged is not taken for none.
is_damaged() {
	local file=$GUEST_DIR/$from/state/ferried-$from.fence result=0
	echo "source 1234" >"$file"
	! may_go $from && grep -q '^FAIL  disks .* by hand' "$GUEST_DIR/check.out" || result=1
	rm "$file"
	[ "$result" = 0 ] && may_go $from
}

# The operator ends it. The source's file was left behind by the agent that was killed.
is_released() {
	disk_on $to --release >/dev/null && disk_on $from --release >/dev/null && is_free && may_go $to && well $to && turn
}

# Both agents died: the operator cuts the source off.
by_hand() {
	slow_load "mix=writes fsync=0" && depart || return 1
	host_signal $to receive -KILL
	host_signal $from send -KILL
	arrive 137 137 || return 1
	disk_has $to guarded "$flying" || return 1
	storage_wakes any
	disk_on $to --cut-off | sed 's/^/# /'
	[ "$(disk_count $to guarded)" = 0 ] && [ "$(fence_of $to)" = cut ] && ! lun_writes $from && works $to writes 100 &&
		is_released
}

# The VM stays where it is: it writes on, and no key is left.
not_moved() {
	stuck || return 1
	host_signal $to receive -TERM
	host_signal $to qemu -CONT
	arrive 1 1 || return 1
	storage_wakes any
	guest_kill $to
	works $from writes 100 && is_free && well $from
}

# A COMMIT that arrived, and a target that is lost before it has recorded that: nobody was cut off, and the operator lets
# the VM go on here. When the storage has ended what it had, what is guarded there can be opened, and the fence ended.
taken_back() {
	slow_load "mix=writes fsync=0" && guest_await $to || return 1
	KVMFERRY_FAULT=target:commit agent_receive $to $moving
	agent_start_send $from $to $moving
	await_point $to receive && reserved || return 1
	host_signal $to receive -KILL
	arrive 3 137 || return 1
	storage_wakes any
	guest_kill $to
	ask recover --vm "$GUEST_UUID" --state-dir "$GUEST_DIR/$to/state" --json >"$GUEST_DIR/told" || true
	ask recover --qmp "$GUEST_DIR/$from/qmp.agent" --state-dir "$GUEST_DIR/$from/state" --peer "$GUEST_DIR/told" --apply |
		sed 's/^/# /'
	works $from writes 100 && stays_ready && guest_until 30 calm $from && disk_on $to --open >/dev/null &&
		disk_on $to --release >/dev/null && disk_on $from --release >/dev/null && is_free && may_go $from && well $from
}

# The keys are told of, and are in the way of the next move.
stays_ready() { fenced ready ready && ! may_go $from; }

# refused WORDS-OF-SEND WORDS-OF-RECEIVE REGEX: the VM runs on, and send says why
refused() {
	guest_await $to
	agent_receive $to --insecure $2
	agent_start_send $from $to --insecure $1
	arrive 1 1 && says $from send "$3" || return 1
	guest_kill $to
	guest_continues $from && is_free
}

# Its storage refuses such commands.
no_reservations() {
	local attribute=$lun_config/core/iblock_0/disk/attrib/emulate_pr result=0
	echo 0 >"$attribute"
	guest_await $to
	agent_receive $to $moving
	agent_start_send $from $to $moving
	arrive 1 1 && says $from send "has no persistent reservations" || result=1
	echo 1 >"$attribute"
	guest_kill $to
	[ "$result" = 0 ] && guest_continues $from && is_free
}

# A reservation of the unit would be one of others' disks, too.
a_part() {
	guest_diskctl reload "ferried-$from" 32 ferry "$(lun_device $from)"
	refused "--fence pr" "--fence pr" "is not all of" || return 1
	guest_diskctl reload "ferried-$from" "$guest_disk_mib" ferry "$(lun_device $from)"
}

ktap_plan 14
scene_open
trap 'guest_close; lun_close' EXIT
lun_open || ktap_bail "no logical unit"
guest_disk_open
guest_start a || ktap_bail "no guest"
attempt "a move leaves no key and no reservation" moves_free
attempt "it comes back" moves_free
attempt "only one side was started with --fence: the target" refused "" "--fence pr" "the target was started with --fence pr, and the source was not"
attempt "... the source" refused "--fence pr" "" "the source was started with --fence pr, and the target was not"
attempt "a storage without reservations" no_reservations
attempt "a disk that is a part of a unit" a_part
attempt "a file that does not say what is registered" is_damaged
attempt "the VM stays, and so does no key" not_moved
attempt "a source that is lost is cut off, once the storage has ended what it sent" cuts_off
attempt "the VM is not moved on while it is" stays_fenced
attempt "the operator ends it" is_released
attempt "with both agents lost, the operator cuts the source off" by_hand
attempt "committed, and the target lost: the operator takes the VM back, and ends the fence" taken_back
guest_kill $from
guest_disk_close
ktap_check "the module unloads" host_module_unload
ktap_end
