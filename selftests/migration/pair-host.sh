#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# One of the two machines of two-hosts.sh: does what it is told, a line of shell at a time, and answers each with "=STATUS"
# after whatever there is to say. It says "=up" once it is ready. The functions are those of kill-scene.sh.
set -eu
# shellcheck source=SCRIPTDIR/kill-scene.sh
. "$(dirname "$0")/kill-scene.sh"

me=$KVMFERRY_PAIR
exec {orders}<&0 </dev/null

# What guest_open and guest_disk_open make for two hosts, for this one: the disk is the one that both machines see, and the
# owner records are where they outlast this machine.
pair_open() {
	GUEST_DIR=$(mktemp -d /tmp/ferry.XXXXXX)
	cp "$KVMFERRY_AGENT" "$GUEST_DIR/kvmferry"
	cp "$KVMFERRY_BUILD/migration/qmp" "$GUEST_DIR/qmp"
	mkdir -p "$GUEST_DIR/$me/ram" "/var/lib/kvmferry/state"
	ln -s /var/lib/kvmferry/state "$GUEST_DIR/$me/state"
	mount -t tmpfs -o "$GUEST_TMPFS" ram "$GUEST_DIR/$me/ram"
	ip netns add "ferry-$me"
	ip link set pair netns "ferry-$me" name "ferry-$me"
	on_host "$me" ip link set lo up
	on_host "$me" ip address add "$(guest_address "$me")/24" dev "ferry-$me"
	on_host "$me" ip link set "ferry-$me" up
	GUEST_INITRD=$KVMFERRY_BUILD/guest/initrd-disk.gz
	guest_disk_mib=64
	modprobe -q dm-mod
	guest_diskctl make "ferried-$me" $guest_disk_mib ferry "$KVMFERRY_SHARED"
	pins=$(cat /sys/module/kvmferry/refcnt)
}

pair_close() {
	guest_kill "$me"
	guest_diskctl remove "ferried-$me"
	host_module_unload
}

# What the other host says, into a file whose name comes out.
hear() {
	printf '%s\n' "$1" >"$GUEST_DIR/heard"
}

# take_part send|receive POINT
take_part() {
	case $1 in
	send) send_from "$me" "$(other_of "$me")" "$2" ;;
	receive) receive_to "$me" "$2" ;;
	esac
}

other_of() { case $1 in a) echo b ;; b) echo a ;; esac; }

host_module_load
pair_open
echo "=up"
while IFS= read -r order <&$orders; do
	status=0
	eval "$order" || status=$?
	echo "=$status"
	[ "$order" != pair_close ] || exit $status
done
