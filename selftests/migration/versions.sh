#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest crosses from an older QEMU to a newer one and back. In a host whose system is a newer Debian than the machine's:
# both systems' QEMUs are there, and know the machine type of the older one.
set -eu
# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "$0")/scene.sh"
# shellcheck source=SCRIPTDIR/../lib/qemu.sh
. "$here/../lib/qemu.sh"

newer=qemu-system-x86_64

# The machine's, with its own libraries and firmware; they lie elsewhere here.
older=/.machine/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2
older+=" --library-path /.machine/usr/lib/x86_64-linux-gnu"
older+=" /.machine/usr/bin/qemu-system-x86_64 -L /.machine/usr/share/qemu -L /.machine/usr/share/seabios"

# runs_version HOST VERSION: what QEMU itself says
runs_version() {
	[ "$(guest_qmp "$1" '{"execute": "query-version"}' | jq -r '.qemu | "\(.major).\(.minor)"')" = "$2" ]
}

# onto FROM TO VERSION
onto() { move "$1" "$2" --verify full && runs_version "$2" "$3"; }

# shellcheck disable=SC2086 # words
from=$(qemu_version $older) to=$(qemu_version $newer)
[ "$from" != "$to" ] || ktap_skip_all "there is one QEMU here, $from"
GUEST_MACHINE=pc-q35-$from

ktap_plan 3
scene_open
GUEST_QEMU=$older
guest_start a
GUEST_QEMU=$newer
ktap_check "from QEMU $from to $to" onto a b "$to"
GUEST_QEMU=$older
ktap_check "back from QEMU $to to $from" onto b a "$from"
guest_kill a
ktap_check "the module unloads" host_module_unload
ktap_end
