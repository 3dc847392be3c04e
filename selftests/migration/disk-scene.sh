# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2086 # $from and $to are a and b, $moving is words
# What the tests of migrations with a disk share: a load on it, and the questions asked afterwards. Sourced, with set -eu.

# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "${BASH_SOURCE[0]}")/scene.sh"
# shellcheck source=SCRIPTDIR/../lib/guest-disk.sh
. "$here/../lib/guest-disk.sh"

small_vm

# begin_load HOST WORDS: the guest's disk under load
begin_load() { guest_say "$1" "disk $(guest_disk_device) mib=16 $2"; }

# told_of HOST WHAT: how many reads, writes, flushes, discards ... its disk has done
told_of() {
	local line
	line=$(guest_disk_tell "$1") || return 1
	sed -nE "s/.* ([0-9]+) $2.*/\1/p" <<<"$line"
}

does_more() { [ "$(told_of "$1" "$2")" -ge "$3" ]; }

# works HOST WHAT N: until N more of them are done
works() {
	local before
	before=$(told_of "$1" "$2") || return 1
	guest_until 60 does_more "$1" "$2" $((before + $3)) && return
	ktap_note "$(guest_disk_tell "$1")"
	return 1
}

# right HOST: the disk holds what it should, the guest is well
right() {
	local verdict
	verdict=$(guest_disk_verify "$1") || {
		echo "# ${verdict//$'\n'/$'\n'# }"
		grep 'error: disk' "$GUEST_DIR/$1/console" | head -n 8 | sed 's/^/# /'
		return 1
	}
	ktap_note "$(guest_disk_tell "$1")"
	healthy "$1"
}

# Another QEMU, from the state that was kept, on storage that is blank again.
start_anew() {
	guest_kill a
	guest_kill b
	guest_disk_close
	guest_disk_open
	guest_start a
}

# disk_count HOST WHAT: in_flight, in_doubt, held or guarded, as the agent there shows it
disk_count() {
	"$GUEST_DIR/kvmferry" disk --disk "ferried-$1" --json |
		jq -r --arg what "$2" '.[$what] | if type == "array" then length else . end'
}

# disk_has HOST WHAT N: N of them at least
disk_has() { [ "$(disk_count "$1" "$2")" -ge "$3" ]; }

# Requests that are with the storage for longer than a test waits for anything, on a busy machine, too: ms. And a blackout that has
# not waited for one of them.
SLOW=2000000
SHORT=50000

# Where the VM is, and where it goes next. Words for both agents.
from=a to=b
moving="--insecure --json"

# slow_load WORDS: requests of every worker of the guest are with the storage, and stay there
slow_load() {
	begin_load $from "depth=8 rest=0 $1"
	guest_until 30 is_under_load || { ktap_note "no load"; return 1; }
	guest_disk_delay $from $SLOW $SLOW
	guest_until 60 all_wait || { ktap_note "$(guest_disk_status $from)"; return 1; }
	flying=$(disk_count $from in_flight)
	[ "$flying" -ge 1 ] && return
	ktap_note "$(guest_disk_status $from)"
	return 1
}

is_under_load() { [ "$(told_of $from outstanding)" -gt 0 ]; }

# Some may wait above the disk: the guest sends one flush at a time, its QEMU's host one discard.
all_wait() { [ "$(told_of $from outstanding)" = 8 ]; }

# The storage carries out all that it has. storage_wakes HOST
storage_wakes() { guest_disk_delay "$1" 0 0; }

# The VM runs at the target, with requests still in the storage here.
depart() {
	guest_await $to
	agent_receive $to $moving
	agent_start_send $from $to $moving
	at_stage $from disks || { agent_reason $from send; return 1; }
	forget_source $from
	[ "$(guest_status $to)" = running ] || { ktap_note "there it is $(guest_status $to)"; return 1; }
	guest_continues $to
}

# Everything is guarded, and the target's QEMU does not go on: a moment that lasts.
stuck() {
	slow_load "mix=writes fsync=0" && guest_await $to || return 1
	agent_receive $to $moving
	agent_start_send $from $to $moving
	in_mid_pass $from
	host_signal $to qemu -STOP
	at_stage $from handover && guest_until 30 disk_has $to guarded "$flying"
}

# arrive SEND RECEIVE: the agents' exit statuses
arrive() {
	local sent=0 received=0
	agent_end $from send || sent=$?
	agent_end $to receive || received=$?
	[ "$sent" = "$1" ] && [ "$received" = "$2" ] && return
	ktap_note "send's status is $sent, receive's $received; they said:"
	tail -n 4 "$GUEST_DIR/$from/send.err" "$GUEST_DIR/$to/receive.err" | sed 's/^/#   /'
	return 1
}

# calm HOST: nothing of its disk is in doubt, held or guarded
calm() {
	local what
	for what in in_doubt held guarded; do
		[ "$(disk_count "$1" "$what")" = 0 ] || return 1
	done
}

# Both disks come to rest, the guest uses its own and finds nothing wrong. well HOST
well() {
	if ! guest_until 30 calm a || ! guest_until 30 calm b; then
		ktap_note "a: $(guest_disk_status a); b: $(guest_disk_status b)"
		return 1
	fi
	works "$1" "${2:-writes}" 100 && right "$1" && tidy a && tidy b
}

# It has come; the next one goes back.
turn() {
	local was=$from
	from=$to to=$was
}

# ask ARGS...: the agent that the tests use
ask() { "$GUEST_DIR/kvmferry" "$@"; }

# The blackout does not wait; what is in doubt is held at the target until it has ended; then all is right.
moves() {
	slow_load "$1" && depart || return 1
	ktap_note "there: $(guest_disk_status $to)"
	if ! disk_has $to guarded 1 || ! guest_until 30 disk_has $to held 1; then
		ktap_note "there: $(guest_disk_status $to)"
		return 1
	fi
	storage_wakes $from
	arrive 0 0 || return 1
	tell_done $from
	told $from 'done' ".requests_cancelled >= $flying and .writes_in_doubt >= 1 and .held == false and
		.blackout_ms < $SHORT" && well $to && turn
}

# anew: a guest on host a, with a blank disk
anew() {
	from=a to=b
	start_anew || ktap_bail "no guest"
}

# attempt NAME COMMAND...: one result. After a failure the next one begins anew
attempt() {
	local name=$1
	shift
	if "$@"; then ktap_ok "$name"; else ktap_fail "$name" "status $? of: $*"; anew; fi
}
