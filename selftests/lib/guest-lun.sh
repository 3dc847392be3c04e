# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # variables that are guest.sh's
# The guest's disk on a logical unit that the two hosts share by iSCSI, and that knows persistent reservations. The functions of
# guest-disk.sh, which is sourced before, for such a storage:
#
#	ferried-a --------------- session of a --+
#	                                         +-- LIO -- delay-lun -- loop device -- file in memory
#	ferried-b -- multipath -- session of b --+
#
# Only its writes are slow, as a QEMU that starts reads; for the one host as for the other. LIO (and not its tcm_loop, which stops for ever) is what aborts.
#
#   lun_open, lun_close         the unit and both sessions, for all of a test. guest_disk_open and _close are for one guest
#   lun_device HOST             the SCSI disk that is a host's session
#   lun_keys                    the keys that are registered, one a line, in the order of hosts a, b
#   lun_holder                  the key that has the reservation, and its type; nothing without one
#   lun_writes HOST             can that host write to it? Writes what it has read

lun_config=/sys/kernel/config/target
lun_name=iqn.2026-01.org.kvmferry:disk
lun_portal=$lun_config/iscsi/$lun_name/tpgt_1

# One command waits for whatever the storage has, for as long as it takes.
lun_login() {
	local host=$1 address=$2 device
	iscsistart -i "iqn.2026-01.org.kvmferry:$host" -t "$lun_name" -g 1 -a "$address" -p 3260 \
		-P node.conn[0].timeo.noop_out_interval=0 -P node.conn[0].timeo.noop_out_timeout=0 >/dev/null 2>&1
	lun_came() { [ -n "$(lun_device "$host")" ]; }
	guest_until 20 lun_came || return 1
	device=$(lun_device "$host")
	echo 4000000 >"/sys/block/${device#/dev/}/device/timeout"
}

lun_device() {
	local session device
	for session in /sys/class/iscsi_session/*; do
		[ "$(cat "$session/initiatorname" 2>/dev/null)" = "iqn.2026-01.org.kvmferry:$1" ] || continue
		for device in "$session"/device/target*/*/block/*; do
			[ ! -e "$device" ] || echo "/dev/${device##*/}"
		done
	done
}

lun_open() {
	guest_disk_mib=${1:-64}
	modprobe -qa loop dm-mod dm-delay dm-multipath dm-round-robin sd_mod iscsi_tcp iscsi_target_mod target_core_iblock
	mkdir -p /var/target/pr
	mountpoint -q /sys/kernel/config || mount -t configfs config /sys/kernel/config
	truncate -s "${guest_disk_mib}M" "$GUEST_DIR/disk"
	lun_loop=$(losetup --find --show "$GUEST_DIR/disk")
	guest_diskctl make delay-lun "$guest_disk_mib" delay "$lun_loop 0 0"
	mkdir -p "$lun_config/core/iblock_0/disk" "$lun_portal/np/127.0.0.1:3260" "$lun_portal/np/127.0.0.2:3260" "$lun_portal/lun/lun_0"
	echo "udev_path=$(readlink -f /dev/mapper/delay-lun)" >"$lun_config/core/iblock_0/disk/control"
	echo 1 >"$lun_config/core/iblock_0/disk/enable"
	ln -s "$lun_config/core/iblock_0/disk" "$lun_portal/lun/lun_0/port"
	echo 1 >"$lun_portal/attrib/generate_node_acls"
	echo 1 >"$lun_portal/attrib/cache_dynamic_acls"
	echo 0 >"$lun_portal/attrib/demo_mode_write_protect"
	echo 0 >"$lun_portal/attrib/authentication"
	echo 1 >"$lun_portal/enable"
	lun_login a 127.0.0.1 && lun_login b 127.0.0.2
}

# Without their portal the sessions have nobody to talk to, and are left so.
lun_close() {
	local host device
	for host in a b; do
		device=$(lun_device "$host")
		[ -z "$device" ] || echo 1 >"/sys/block/${device#/dev/}/device/delete"
	done
	echo 0 >"$lun_portal/enable"
	rm -f "$lun_portal/lun/lun_0/port"
	rmdir "$lun_portal/lun/lun_0" "$lun_portal"/np/* "$lun_portal" "$lun_config/iscsi/$lun_name" \
		"$lun_config/core/iblock_0/disk" "$lun_config/core/iblock_0"
	guest_diskctl remove delay-lun
	losetup --detach "$lun_loop"
	rm -f "$GUEST_DIR/disk"
}

lun_keys() { sg_persist --in --read-full-status "$(lun_device "${1:-a}")" | sed -n 's/^ *Key=//p'; }
lun_holder() { sg_persist --in --read-reservation "$(lun_device a)" | sed -nE 's/^ *Key=//p; s/.*scope: .*type: (.*)/\1/p'; }

lun_writes() {
	local device copy=$GUEST_DIR/copy
	device=$(lun_device "$1")
	dd if="$device" of="$copy" bs=4096 skip=16000 count=1 iflag=direct status=none &&
		dd if="$copy" of="$device" bs=4096 seek=16000 count=1 oflag=direct status=none 2>/dev/null
}

guest_disk_open() {
	GUEST_INITRD=$KVMFERRY_BUILD/guest/initrd-disk.gz
	# not through the cache of the loop device, which would write it on top of the guest's data half a minute later
	dd if=/dev/zero of="$lun_loop" bs=1M count="$guest_disk_mib" oflag=direct status=none
	dmsetup create lun-b --uuid mpath-kvmferry-b --table "0 $((guest_disk_mib * 2048)) multipath 0 0 1 1 round-robin 0 1 1 $(lun_device b) 1"
	dmsetup mknodes lun-b
	guest_diskctl make ferried-a "$guest_disk_mib" ferry "$(lun_device a)"
	guest_diskctl make ferried-b "$guest_disk_mib" ferry /dev/mapper/lun-b
}

guest_disk_delay() {
	guest_diskctl reload delay-lun "$guest_disk_mib" delay "$lun_loop 0 0 $lun_loop 0 $3 $lun_loop 0 ${4:-$3}"
}

guest_disk_release() {
	local host
	[ ! -e /dev/mapper/delay-lun ] || guest_disk_delay any 0 0
	for host in a b; do
		[ ! -e "/dev/mapper/ferried-$host" ] || guest_diskctl unguard "ferried-$host"
	done
}

guest_disk_close() {
	local host
	guest_disk_release
	for host in a b; do
		[ ! -e "/dev/mapper/ferried-$host" ] || guest_diskctl remove "ferried-$host"
	done
	! grep -qsx lun-b /sys/block/dm-*/dm/name || dmsetup remove lun-b
}

guest_disk_status() { echo "$(guest_diskctl status "ferried-$1"); delayed: $(guest_diskctl status delay-lun)"; }
