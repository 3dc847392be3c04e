#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest with a disk on slow storage that the hosts share (see ../lib/guest-disk.sh): what its disk holds is what it
# wrote, and it would be noticed if it were not.
set -eu
# shellcheck source=SCRIPTDIR/disk-scene.sh
. "$(dirname "$0")/disk-scene.sh"

under_load() {
	begin_load a "depth=8 fsync=32 discard=24" || return 1
	works a reads 200 && works a writes 100 && works a flushes 4 && works a discards 4 && right a
}

# kind DEVICE AIO: a guest with such a disk
kind() {
	GUEST_DISK=$1 GUEST_AIO=$2
	start_anew && under_load
}

# With 30 s, nothing ends; without, all of it does.
slow() {
	local before
	begin_load a "depth=8 fsync=0 rest=0"
	works a writes 50 || return 1
	guest_disk_delay a 30000 30000
	guest_nap 3
	before=$(told_of a writes)
	ktap_note "$(guest_disk_status a)"
	guest_nap 3
	ktap_note "$(guest_disk_tell a)"
	[ "$(told_of a writes)" = "$before" ] && [ "$(told_of a outstanding)" = 8 ] || return 1
	guest_disk_delay a 0 0
	works a writes 20 && right a
}

# Requests that fail stop the VM, and are sent again when it is to go on: the guest notices nothing.
failing() {
	begin_load a "depth=8 fsync=16"
	works a writes 20 || return 1
	guest_disk_fail a
	guest_until 30 has_stopped a || return 1
	guest_disk_delay a 0 0
	guest_qmp a '{"execute": "cont"}' >/dev/null
	right a
}

has_stopped() { [ "$(guest_status "$1")" = io-error ]; }

# holds_some HOST: the target ferry holds requests
holds_some() { [[ $(guest_disk_status "$1") != *" 0 held"* ]]; }

guarded() {
	guest_diskctl guard ferried-a 1 0 16384
	begin_load a "depth=8"
	guest_until 20 holds_some a || return 1
	ktap_note "$(guest_disk_status a)"
	guest_disk_release
	right a
}

moved_under_load() {
	guest_disk_delay a 100 200
	guest_disk_delay b 50 50
	begin_load a "depth=8 fsync=32"
	works a writes 20 || return 1
	move a b || return 1
	works b writes 40 && right b
}

# The negative control.
spoiled() {
	local before
	before=$(guest_errors "$1")
	guest_disk_spoil 77
	! guest_disk_verify "$1" >/dev/null && [ "$(guest_errors "$1")" = $((before + 1)) ] || return 1
	grep '^guest: error: disk block 77: ' "$GUEST_DIR/$1/console" | sed 's/^/# /'
}

# The worst that a test may leave behind: requests that are delayed for minutes, others that are held.
ends_at_once() {
	local began=$SECONDS
	guest_disk_delay b 300000 300000
	guest_diskctl guard ferried-b 1 0 16384
	begin_load b "depth=16"
	guest_until 20 holds_some b || return 1
	guest_nap 1
	ktap_note "$(guest_disk_status b)"
	guest_disk_release
	guest_kill b
	guest_disk_close
	[ $((SECONDS - began)) -lt $((60 * guest_slowness)) ]
}

ktap_plan 10
scene_open
ktap_check "virtio-blk, by threads" kind virtio-blk threads
ktap_check "virtio-scsi, by io_uring" kind virtio-scsi io_uring
ktap_check "virtio-blk, by native AIO" kind virtio-blk native
ktap_check "storage that takes 30 s" slow
ktap_check "storage that fails for a while" failing
ktap_check "what a guard holds comes later" guarded
ktap_check "moved under load" moved_under_load
ktap_check "control: a block that was overwritten behind its back is found" spoiled b
ktap_check "the end of a disk that does not answer" ends_at_once
ktap_check "the module unloads" host_module_unload
ktap_end
