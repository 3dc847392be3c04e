#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Fencing by persistent reservation, as the agent does it (userspace-agent/fence.h), on a SCSI disk with two initiators
# (../lib/lio.sh). The disk "source" is one way to it, "target" the other. What is late has been sent to the source's and
# waits: above the SCSI disk ("held", a suspended device), or in the storage itself (on a device with delay).
# shellcheck disable=SC2086 # numbers
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=SCRIPTDIR/../lib/ktap.sh
. "$here/../lib/ktap.sh"
# shellcheck source=SCRIPTDIR/../lib/lio.sh
. "$here/../lib/lio.sh"

dir=$(mktemp -d /tmp/ferry-fence.XXXXXX)
mib=64 blocks=4 salt=0

disk() { "$KVMFERRY_BUILD/storage/diskctl" "$@"; }

# fence VERB DISK WORDS
fence() { "$KVMFERRY_BUILD/storage/fencectl" "$1" "/dev/mapper/$2" "${@:3}"; }

# refuses REGEX COMMAND: it fails, and says so
refuses() {
	local answer
	if answer=$("${@:2}"); then ktap_note "not refused"; return 1; fi
	ktap_note "$answer"
	[[ $answer =~ $1 ]]
}

pattern() { head -c $((blocks * 4096)) /dev/zero | tr '\0' "$1"; }

# put DISK LETTER AT: blocks of this letter, in one request
put() {
	pattern "$2" | dd of="/dev/mapper/$1" bs=$((blocks * 4096)) seek="$(($3 * 4096))" oflag=direct,seek_bytes \
		iflag=fullblock status=none 2>"$dir/put.$1"
}

# It is under way at the source.
is_sent() {
	local tries=100
	until [[ $(disk status source) == *" 1 in flight"* ]]; do
		[ $((tries -= 1)) -gt 0 ] || { ktap_note "$(disk status source)"; return 1; }
		sleep 0.1
	done
}

# stale LETTER AT: how many of the blocks are not of it, as the storage itself has them
stale() {
	local n=0 i
	for ((i = 0; i < blocks; i++)); do
		dd if="$dir/storage" bs=4096 skip=$(($2 + i)) count=1 status=none | cmp -s - <(pattern "$1" | head -c 4096) ||
			n=$((n + 1))
	done
	echo "$n"
}

# none_stale LETTER AT
none_stale() {
	ktap_note "$(stale "$1" "$2") stale blocks of $blocks"
	[ "$(stale "$1" "$2")" = 0 ]
}

open_disks() {
	lio_open "$1" "$2" "$mib" || ktap_bail "no SCSI disks"
	disk make held $mib linear "$(lio_device a) 0"
	disk make source $mib ferry /dev/mapper/held
	disk make target $mib ferry "$(lio_device b)"
}

close_disks() {
	for name in source target held; do disk remove $name; done
	lio_close
}

# A migration under way: reserved, and the target takes part.
begin() {
	salt=$((salt + 1))
	fence reserve source $salt && fence join target $salt
}

# The migration is over, and nothing is in doubt.
finish() { fence leave source source $salt && fence leave target target $salt; }

both_write() { put source s 10 && put target t 20 && none_stale s 10 && none_stale t 20; }

reserved() { begin && both_write && finish && both_write; }

# Late writes at the source, which come when newer data are there. late AT WHAT...: what happens before
late() {
	local at=$1 writer
	shift
	begin && disk suspend held || return 1
	put source o "$at" &
	writer=$!
	is_sent || return 1
	"$@" && put target n "$at" || return 1
	disk resume held
	landed=0
	wait $writer || landed=$?
}

expel() { fence expel target $salt; }

refused() {
	late 100 expel && none_stale n 100 || return 1
	ktap_note "the late write's end: status $landed, $(cat "$dir/put.source")"
	[ $landed != 0 ]
}

# It is refused as long as it is fenced off, and may read.
stays_out() {
	! put source o 100 && none_stale n 100 && put target t 100 && none_stale t 100 &&
		dd if=/dev/mapper/source of=/dev/null bs=4096 count=1 iflag=direct status=none
}

lifted() { fence lift target && both_write; }

# The control: reserved, and nobody was fenced off.
control() {
	late 200 true || return 1
	ktap_note "$(stale n 200) stale blocks of $blocks"
	[ "$(stale n 200)" = $blocks ] && [ $landed = 0 ] && finish
}

# What an agent that died has left is removed: by a source that owns the VM.
swept() { begin && begin && both_write && finish; }

# The target's key alone, after its source went in peace.
swept_target() { begin && fence leave source source $salt && begin && both_write && finish; }

other_key() {
	fence foreign "$1" 0x1234 || return 1
	refuses 'somebody else' fence probe source && refuses 'somebody else' fence reserve source 1 || return 1
	fence foreign "$1" 0 && fence probe source
}

# A target that sees another disk, or another migration.
not_the_same() {
	fence reserve source 77 && refuses 'is it the same storage' fence join target 78 && fence leave source source 77
}

part() {
	local result=0
	disk make half $((mib / 2)) linear "$(lio_device a) 0"
	disk make part $((mib / 2)) ferry /dev/mapper/half
	refuses 'a part of a device' fence probe part || result=1
	disk remove part
	disk remove half
	return $result
}

no_reservations() {
	local result=0
	lio_attribute emulate_pr 0
	refuses 'no persistent reservations' fence probe source || result=1
	lio_attribute emulate_pr 1
	return $result
}

no_scsi() {
	local result=0
	disk make loop $mib ferry "$loop"
	refuses 'no SCSI device' fence probe loop || result=1
	disk remove loop
	return $result
}

# (To make the device fast is to let it carry out what it has, so that comes after the question.)
aborted() {
	begin || return 1
	disk reload slow $mib delay "$loop 0 0 $loop 0 10000"
	put source o 300 &
	is_sent && expel || return 1
	ktap_note "when the target goes on, $(stale o 300) blocks are still to be written"
	[ "$(stale o 300)" = 0 ] || return 1
	disk reload slow $mib delay "$loop 0 0 $loop 0 0"
	wait
	put target n 300 && none_stale n 300 && fence lift target
}

# Why the agent waits for what was sent before it has reserved the disk: this storage does not abort it.
older() {
	disk reload slow $mib delay "$loop 0 0 $loop 0 10000"
	put source o 400 &
	is_sent && begin && expel || return 1
	ktap_note "when the target goes on, $(stale o 400) blocks are still to be written"
	[ "$(stale o 400)" = $blocks ] || return 1
	disk reload slow $mib delay "$loop 0 0 $loop 0 0"
	wait
	fence lift target
}

lio_available || { echo "1..0 # SKIP this kernel has no SCSI target"; exit 4; }
ktap_plan 15
host_module_load
modprobe -qa loop dm-mod dm-delay
truncate -s "${mib}M" "$dir/storage"
open_disks fileio "$dir/storage"
loop=$(losetup --find --show "$dir/storage")

ktap_check "reserved, and both hosts write" reserved
ktap_check "the source is fenced off: its late writes are refused" refused
ktap_check "it is not let in any more" stays_out
ktap_check "until the fence is lifted" lifted
ktap_check "control: without, late writes land on newer data" control
ktap_check "what a source that died has left is removed" swept
ktap_check "and what a target has left" swept_target
ktap_check "somebody else has a key at the source" other_key source
ktap_check "somebody else has a key at the target" other_key target
ktap_check "the target sees another reservation" not_the_same
ktap_check "refused: a part of a device" part
ktap_check "refused: no persistent reservations" no_reservations
ktap_check "refused: no SCSI device" no_scsi
close_disks

disk make slow $mib delay "$loop 0 0 $loop 0 0"
open_disks iblock /dev/mapper/slow
ktap_check "what the storage has itself has ended when the source is fenced off" aborted
ktap_check "control: what it had before it was reserved has not" older
close_disks
disk remove slow
losetup --detach "$loop"
host_module_unload
rm -r "$dir"
ktap_end
