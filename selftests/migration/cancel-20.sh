#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Twenty migrations, back and forth, each with writes, flushes and discards cancelled (see cancel.sh): the disk is read and
# compared after each. CANCEL_ROUNDS: another number.
set -eu
# shellcheck source=SCRIPTDIR/disk-scene.sh
. "$(dirname "$0")/disk-scene.sh"

GUEST_DISK=virtio-blk
rounds=${CANCEL_ROUNDS:-20}

ktap_plan $((rounds + 1))
scene_open
guest_disk_open
guest_start a || ktap_bail "no guest"
for ((round = 1; round <= rounds; round++)); do
	attempt "migration $round" moves "mix=writes fsync=5 discard=3"
done
# shellcheck disable=SC2154 # of disk-scene.sh
guest_kill "$from"
guest_disk_close
ktap_check "the module unloads" host_module_unload
ktap_end
