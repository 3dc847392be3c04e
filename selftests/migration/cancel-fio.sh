#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's fio in a guest whose disk requests are cancelled (see cancel.sh), twenty times back and forth: whatever it has written,
# with fsync and without, it reads again and compares (../guest/verify.fio). FIO_ROUNDS: another number.
# shellcheck disable=SC2086 # $from and $to are a and b
set -eu
# shellcheck source=SCRIPTDIR/disk-scene.sh
. "$(dirname "$0")/disk-scene.sh"

GUEST_DISK=virtio-blk
GUEST_RAM=256 GUEST_ORDERS="ws=16 rate=200 verify=1000"
GUEST_EXTRA="-blockdev driver=file,node-name=programs,filename=$KVMFERRY_BUILD/guest/programs.ext4,read-only=on
	-device virtio-blk-pci,id=programs,drive=programs"
rounds=${FIO_ROUNDS:-20}

has_programs() {
	local line
	line=$(guest_answer $from 30 '^guest: programs are there' "programs /dev/vdb") || { echo "$line"; return 1; }
}

fio_says() { grep -E '^guest: run: (verify|fio|[a-z]+: \(g)' "$GUEST_DIR/$1/console" | tail -n 12 | sed 's/^/# /'; }

# ended HOST N: fio's exit status, when it has ended N times
ended() {
	guest_until 300 guest_has "$1" '^guest: run ended' $(($2 - 1)) || { ktap_note "$(guest_disk_status "$1")"; return 1; }
	sed -n 's/^guest: run ended: \([0-9]*\).*/\1/p' "$GUEST_DIR/$1/console" | tail -n 1
}

works_hard() { disk_has $from in_flight 6; }

# Writes are among them: guest_disk_status ends with how many reads, writes and flushes are delayed.
waits_for_writes() { works_hard && [[ $(guest_disk_status $from) =~ delayed:\ [0-9]+\ [1-9] ]]; }

# Once fio is at work, its requests stay with the storage; they are carried out when it works elsewhere. What it says in the end
# is said there. Reads come back, late, so that not all that fio has under way at some moment can be reads for good.
rides() {
	guest_disk_delay $from 30 30
	guest_say $from "run /usr/bin/fio /verify.fio"
	guest_until 120 works_hard || { ktap_note "$(guest_disk_status $from)"; fio_says $from; return 1; }
	guest_nap 1
	guest_disk_delay $from 2000 $SLOW
	guest_until 60 waits_for_writes || { ktap_note "$(guest_disk_status $from)"; return 1; }
	depart || return 1
	ktap_note "$(guest_disk_status $from) there: $(guest_disk_status $to)"
	storage_wakes $from
	arrive 0 0 || return 1
	told $from 'done' ".requests_cancelled >= 6 and .writes_in_doubt >= 1 and .blackout_ms < $SHORT" &&
		is_verified && healthy $to && turn
}

# At the target, whose console begins with the migration.
is_verified() {
	local status
	status=$(ended $to 1) && [ "$status" = 0 ] && ktap_note "fio: all verified" && return
	ktap_note "fio's status: $status"
	fio_says $to
	return 1
}

# fio_at_rest N WORDS: one of its jobs on a storage that is quick; its status is the Nth that is said there
fio_at_rest() {
	local n=$1
	shift
	guest_say $from "run /usr/bin/fio /verify.fio --section=synchronous $*"
	status=$(ended $from "$n")
}

finds_nothing() {
	fio_at_rest 2 && [ "$status" = 0 ] || return 1
	fio_at_rest 3 --verify_only && [ "$status" = 0 ]
}

# The control: one block of what that job wrote is spoilt.
finds_it() {
	guest_disk_spoil 8300
	fio_at_rest 4 --verify_only && fio_says $from && [ "$status" != 0 ]
}

ktap_plan $((rounds + 4))
scene_open
guest_disk_open
guest_start a || ktap_bail "no guest"
ktap_check "a guest with fio" has_programs
for ((round = 1; round <= rounds; round++)); do
	ktap_check "moved with fio's requests in flight, $round" rides
done
ktap_check "what it wrote it finds" finds_nothing
ktap_check "control: a block that was spoilt is found" finds_it
guest_kill $from
guest_disk_close
ktap_check "the module unloads" host_module_unload
ktap_end
