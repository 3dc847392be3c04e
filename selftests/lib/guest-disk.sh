# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # variables that are guest.sh's
# A disk for the guest, on slow storage that the two hosts share. Sourced after guest.sh; the module must be loaded.
#
#	ferried-a -- delay-a -- loop device --+-- file in memory
#	ferried-b -- delay-b -- loop device --+
#
# The loop devices read and write the file's own pages, which are all that there is of it, so the hosts never see anything
# different. (Direct I/O would add nothing, and files in memory have it not.)
#
#   guest_disk_open [MIB]       the storage (64 MiB of zeros) and both hosts' way to it, without delay
#   guest_disk_delay HOST READ_MS WRITE_MS [FLUSH_MS]
#                               how long requests of that host take from now on; a flush as long as a write if not given.
#                               What was delayed is carried out now, at once
#   guest_disk_fail HOST        from now on, storage answers that host with errors; until the next guest_disk_delay
#   guest_disk_release          no delay, no guarded range: nothing waits any more
#   guest_disk_close            undo all. guest_close does so itself, with a release before it kills the QEMUs
#   guest_disk_status HOST      what the target ferry says of itself (see kmod/disk_target.c), and how many requests of
#                               that host are delayed: "pass 8 in flight, 0 in doubt, 0 held, 0 guarded; delayed: 3 5 0"
#                               (reads, writes, flushes)
#   guest_disk_spoil BLOCK      overwrite one block of 4 KiB of the storage itself, behind all hosts' backs
#   guest_disk_device           its name in the guest
#   guest_disk_tell HOST        the guest's line on its disk (see guest/disk.c)
#   guest_disk_verify HOST [S]  the guest reads all of it; prints its answer, fails if there was an error
#
# For a QEMU on host H the disk is /dev/mapper/ferried-H, for the agent and in QMP its ids are "disk0".
# Variables that change the next QEMU, besides GUEST_DISK:
GUEST_AIO=${GUEST_AIO:-native}          # native, threads, io_uring
GUEST_DISK_ERRORS=${GUEST_DISK_ERRORS:-rerror=stop,werror=stop}
GUEST_DISK_OVER=${GUEST_DISK_OVER:-ferried}     # what QEMU opens: delay for a disk without the target ferry

guest_diskctl() { "$KVMFERRY_BUILD/storage/diskctl" "$@"; }

guest_disk_open() {
	local host
	guest_disk_mib=${1:-64}
	GUEST_INITRD=$KVMFERRY_BUILD/guest/initrd-disk.gz
	modprobe -qa loop dm-mod dm-delay
	truncate -s "${guest_disk_mib}M" "$GUEST_DIR/disk"
	for host in a b; do
		losetup --find --show "$GUEST_DIR/disk" >"$GUEST_DIR/$host/loop"
		guest_diskctl make "delay-$host" "$guest_disk_mib" delay "$(guest_disk_delays "$host" 0 0)"
		guest_diskctl make "ferried-$host" "$guest_disk_mib" ferry "/dev/mapper/delay-$host"
	done
}

# The table of a delay device, for guest_disk_delay's arguments.
guest_disk_delays() {
	local loop
	loop=$(cat "$GUEST_DIR/$1/loop")
	echo "$loop 0 $2 $loop 0 $3 $loop 0 ${4:-$3}"
}

guest_disk_delay() {
	guest_diskctl reload "delay-$1" "$guest_disk_mib" delay "$(guest_disk_delays "$@")"
}

guest_disk_fail() { guest_diskctl reload "delay-$1" "$guest_disk_mib" error ""; }

guest_disk_release() {
	local host
	for host in a b; do
		[ ! -e "/dev/mapper/delay-$host" ] || guest_disk_delay "$host" 0 0
		[ ! -e "/dev/mapper/ferried-$host" ] || guest_diskctl unguard "ferried-$host"
	done
}

guest_disk_close() {
	local host device
	guest_disk_release
	for host in a b; do
		for device in "ferried-$host" "delay-$host"; do
			[ ! -e "/dev/mapper/$device" ] || guest_diskctl remove "$device"
		done
		[ ! -s "$GUEST_DIR/$host/loop" ] || losetup --detach "$(cat "$GUEST_DIR/$host/loop")"
		rm -f "$GUEST_DIR/$host/loop"
	done
	rm -f "$GUEST_DIR/disk"
}

guest_disk_status() {
	echo "$(guest_diskctl status "ferried-$1"); delayed: $(guest_diskctl status "delay-$1")"
}

# What of the disk is part of the guest's state: nothing of the host's.
guest_disk_kind() { echo "$GUEST_DISK $guest_disk_mib"; }

# The disk's part of QEMU's command line, one word a line.
guest_disk_words() {
	local node="driver=host_device,node-name=disk0,filename=/dev/mapper/$GUEST_DISK_OVER-$1,cache.direct=on,aio=$GUEST_AIO,discard=unmap"
	printf '%s\n' -blockdev "$node"
	case $GUEST_DISK in
	virtio-blk) printf '%s\n' -device "virtio-blk-pci,id=disk0,drive=disk0,$GUEST_DISK_ERRORS" ;;
	virtio-scsi)
		printf '%s\n' -device virtio-scsi-pci,id=scsi0 -device "scsi-hd,id=disk0,drive=disk0,bus=scsi0.0,$GUEST_DISK_ERRORS"
		;;
	esac
}

guest_disk_device() {
	case $GUEST_DISK in
	virtio-blk) echo /dev/vda ;;
	virtio-scsi) echo /dev/sda ;;
	esac
}

guest_disk_spoil() {
	head -c 4096 /dev/zero | tr '\0' '\125' | dd of="$GUEST_DIR/disk" bs=4096 seek="$1" conv=notrunc status=none
}

# guest_disk_answer HOST COMMAND REGEX SECONDS: the line that comes after it
guest_disk_answer() {
	guest_answer "$1" "$4" "$3" "disk $2" || { guest_note "its disk: $(guest_disk_status "$1")"; return 1; }
}

guest_disk_tell() { guest_disk_answer "$1" tell '^guest: disk /dev/' 20; }

guest_disk_verify() {
	local answer
	answer=$(guest_disk_answer "$1" verify '^guest: disk verified' "${2:-60}") || { echo "$answer"; return 1; }
	echo "$answer"
	[[ $answer == *" 0 errors"* ]]
}
