#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A file system on a disk whose requests are cancelled (see cancel.sh), back and forth; then the power goes. Every file that
# the guest had made durable is there, and the file system is clean once its journal was replayed. EXT4_ROUNDS: how often.
# shellcheck disable=SC2086 # $from and $to are a and b
set -eu
# shellcheck source=SCRIPTDIR/disk-scene.sh
. "$(dirname "$0")/disk-scene.sh"

GUEST_DISK=virtio-blk
threads=6 rounds=${EXT4_ROUNDS:-2}

# synced HOST: the numbers of the last files that are durable, one for each thread
synced() {
	local line
	line=$(guest_answer "$1" 20 '^guest: files synced' "files tell") || return 1
	line=${line#*:*:}
	echo "${line//[!0-9 ]/}"
}

# sum HOST: of these
sum() {
	local n total=0
	for n in $(synced "$1"); do total=$((total + n)); done
	echo $total
}

has_synced() { [ "$(sum "$1")" -ge "$2" ]; }

# goes_on HOST N: until so many more files are durable
goes_on() {
	local before
	before=$(sum "$1")
	guest_until 60 has_synced "$1" $((before + $2)) || { ktap_note "$(guest_disk_status "$1")"; return 1; }
}

begins() { guest_say $from "files $(guest_disk_device) $threads" && goes_on $from 40; }

has_writes() { disk_has $from in_flight 2; }

# The guest's journal and data are with the storage when it leaves; they are carried out when it has gone on elsewhere.
rides() {
	guest_disk_delay $from $SLOW $SLOW
	guest_until 30 has_writes || { ktap_note "$(guest_disk_status $from)"; return 1; }
	depart || return 1
	ktap_note "$(guest_disk_status $from) there: $(guest_disk_status $to)"
	disk_has $to guarded 1 || return 1
	storage_wakes $from
	arrive 0 0 && told $from 'done' '.requests_cancelled >= 2 and .writes_in_doubt >= 1' || return 1
	goes_on $to 40 && healthy $to && turn
}

# The guest ends as if its host had lost power, in the middle of it all. What the storage has been sent may still come.
power_cut() {
	ledger=$(synced $from) || return 1
	guest_kill $from
	guest_until 30 calm $from
}

# recovered IMAGE: the journal is replayed, after which nothing is wrong, and the files are in folder IMAGE.files
recovered() {
	local status=0
	e2fsck -p "$1" | sed 's/^/# /' || true
	e2fsck -fn "$1" >"$1.log" 2>&1 || status=$?
	tail -n 1 "$1.log" | sed 's/^/# /'
	rm -rf "$1.files"
	mkdir "$1.files"
	debugfs -R "rdump / $1.files" "$1" >/dev/null 2>&1
	return $status
}

# looks_for NUMBERS: are these files there, and whole?
looks_for() {
	# shellcheck disable=SC2048 # numbers
	"$KVMFERRY_BUILD/migration/files-check" "$GUEST_DIR/image.files" $*
}

survives() { cp "$GUEST_DIR/disk" "$GUEST_DIR/image" && recovered "$GUEST_DIR/image" && looks_for $ledger; }

# The controls: one file more than there can be; a disk that has lost a part.
misses() {
	local n numbers=
	for n in $ledger; do numbers+=" $((n + 1000))"; done
	! looks_for $numbers >"$GUEST_DIR/misses" && tail -n 1 "$GUEST_DIR/misses"
}

spoilt() {
	head -c 60M /dev/zero | tr '\0' U | dd of="$GUEST_DIR/disk" bs=1M seek=2 conv=notrunc iflag=fullblock status=none
	! survives >"$GUEST_DIR/spoilt" && tail -n 2 "$GUEST_DIR/spoilt"
}

ktap_plan $((rounds + 6))
scene_open
guest_disk_open
mkfs.ext4 -q -F -b 4096 "$GUEST_DIR/disk"
guest_start a || ktap_bail "no guest"
ktap_check "files on ext4" begins
for ((round = 1; round <= rounds; round++)); do
	ktap_check "moved with the file system's requests in flight, $round" rides
done
ktap_check "the power goes" power_cut
ktap_check "the file system is clean, and what was durable is there" survives
ktap_check "control: a file that was never written is missed" misses
ktap_check "control: a disk that was spoilt is found" spoilt
guest_disk_close
ktap_check "the module unloads" host_module_unload
ktap_end
