# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
# What is done on a host of the kill matrix, whether it is a network namespace or a machine. Sourced, with set -eu.

export KVMFERRY_AGENT=$KVMFERRY_BUILD/kvmferry-fault
# shellcheck source=SCRIPTDIR/disk-scene.sh
. "$(dirname "${BASH_SOURCE[0]}")/disk-scene.sh"

GUEST_DISK=virtio-blk
GUEST_TIMEOUT=$((12 * guest_slowness))

# A guest that writes to its disk, too.
begin_guest() {
	guest_start "$1"
	begin_load "$1" "depth=4 fsync=32 discard=24 rest=20"
}

# receive_to HOST POINT, send_from HOST TO POINT: an agent that stops itself at this point, if it is one of its own
receive_to() {
	guest_await "$1" || return 1
	KVMFERRY_FAULT=$2 agent_receive "$1" --insecure --json
}

send_from() {
	KVMFERRY_FAULT=$3 agent_start_send "$1" "$2" --insecure --json
}

# end_agent HOST send|receive: let it go on to its end, but a receiver to whom nobody came, which is told to end
end_agent() {
	host_signal "$1" "$2" -CONT
	[ "$2" = send ] || grep -q '"event":"receiving"' "$GUEST_DIR/$1/receive.out" || host_signal "$1" "$2" -TERM
	agent_end "$1" "$2" || echo "# $2's status is $?"
}

# recover_says HOST ARGS...: one line of JSON
recover_says() {
	local host=$1
	shift
	ask recover --vm "$GUEST_UUID" --state-dir "$GUEST_DIR/$host/state" --json "$@" 2>>"$GUEST_DIR/$host/recover.err" || true
}

# obey HOST PEER: do there what recover says, if there is a QEMU. PEER is a file with what the other host says
obey() {
	host_runs "$1" qemu || return 0
	recover_says "$1" --qmp "$GUEST_DIR/$1/qmp.agent" --peer "$2" --apply |
		jq -r '"\(.side): \(.here), \(.there); \(.run_state); \(.text)"' | sed "s/^/# host $1: /"
}

# void_claim HOST: if its agent has said that QEMU, which is gone, never ran the VM, then its record goes
void_claim() {
	local record
	record=$(sed -nE 's/.*it never ran here: .* once this is deleted: //p' "$GUEST_DIR/$1/receive.err")
	if [ -z "$record" ] || host_runs "$1" qemu; then return 0; fi
	ktap_note "the target's claim is void"
	rm -f "$record"
}

runs_on() { [ "$(guest_status "$1")" = running ]; }

rests() { [ "$(disk_count "$1" in_doubt)" = 0 ]; }

# open_guards HOST: what is still guarded there, once the storage has ended all of the other host
open_guards() {
	! disk_has "$1" guarded 1 || ask disk --disk "ferried-$1" --open >/dev/null
}

# errors_in TEXT: the number before the word "errors"
errors_in() { sed -nE 's/.* ([0-9]+) errors.*/\1/p' <<<"$1"; }

# examine HOST: does the guest go on? The last line is the number of errors that it finds
examine() {
	local memory disk errors
	guest_continues "$1" && memory=$(guest_report "$1") || return 1
	disk=$(guest_disk_verify "$1" | tail -n 1)
	ktap_note "$memory; $disk"
	errors=$(($(errors_in "$memory") + $(errors_in "$disk")))
	[ "$errors" != 0 ] || errors=$(guest_errors "$1")
	echo "$errors"
}

# count_debris HOST PINS: what is left of a migration, besides the VM, its notes, and the last line their number
count_debris() {
	local debris=0 pins
	tidy "$1" || debris=$((debris + 1))
	calm "$1" || { ktap_note "host $1: $(guest_disk_status "$1")"; debris=$((debris + 1)); }
	pins=$(cat /sys/module/kvmferry/refcnt)
	if [ "$pins" != "$2" ] || [ -n "$(pgrep '^kvmferry/')" ]; then
		ktap_note "the module has $pins pins, not $2; threads: $(pgrep -l '^kvmferry/' | xargs)"
		debris=$((debris + 1))
	fi
	echo $debris
}

# end_guest HOST: its QEMU, if it has one that nobody needs; fails if there was one
end_guest() {
	local status=0
	! host_runs "$1" qemu || status=1
	guest_kill "$1"
	return $status
}
