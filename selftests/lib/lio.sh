# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# A SCSI disk that two hosts share, made of the kernel's own target: two loopback HBAs, which it takes for two initiators,
# so that each has registrations of its own. Sourced; in the emulated host only.
#
#   lio_available           does this kernel have all that it takes?
#   lio_open KIND WHERE MIB the disk, on a file (KIND fileio) or on a block device (KIND iblock)
#   lio_device a|b          the block device of that host's way to it
#   lio_attribute NAME VALUE    of the disk, as emulate_pr
#   lio_close               undo all

lio_config=/sys/kernel/config/target

lio_available() {
	modprobe -qa sd_mod target_core_mod target_core_file target_core_iblock tcm_loop 2>/dev/null
}

# lio_port HOST: its folder
lio_port() { echo "$lio_config/loopback/naa.500140500000000$1/tpgt_1"; }

lio_open() {
	local host port
	mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
	# where the target keeps registrations, which Linux wants to outlive a loss of power
	mkdir -p /var/target/pr /etc/target/pr
	lio_disk=$lio_config/core/$1_0/ferry
	mkdir -p "$lio_disk"
	case $1 in
	fileio) echo "fd_dev_name=$2,fd_dev_size=$(($3 << 20)),fd_buffered_io=1" >"$lio_disk/control" ;;
	iblock) echo "udev_path=$2" >"$lio_disk/control" ;;
	esac
	echo ferry >"$lio_disk/wwn/vpd_unit_serial"
	echo 1 >"$lio_disk/enable"
	for host in a b; do
		port=$(lio_port "$host")
		mkdir -p "$port/lun/lun_0"
		echo "naa.500140500000001$host" >"$port/nexus"
		ln -s "$lio_disk" "$port/lun/lun_0/ferry"
	done
	for host in a b; do
		for _ in {1..100}; do
			[ ! -b "$(lio_device "$host")" ] || continue 2
			sleep 0.1
		done
		return 1
	done
}

lio_device() {
	local address
	address=$(cat "$(lio_port "$1")/address")
	set -- "/sys/class/scsi_device/$address:0/device/block/"sd*
	echo "/dev/${1##*/}"
}

lio_attribute() { echo "$2" >"$lio_disk/attrib/$1"; }

lio_close() {
	local host port
	for host in a b; do
		port=$(lio_port "$host")
		[ -d "$port" ] || continue
		rm -f "$port/lun/lun_0/ferry"
		rmdir "$port/lun/lun_0" "$port" "${port%/*}"
	done
	[ ! -d "${lio_disk:-}" ] || rmdir "$lio_disk" "${lio_disk%/*}"
}
