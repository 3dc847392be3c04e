#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The part of bench-storage.sh that asks what the target "ferry" costs in normal life: fio through it, and through
# dm-linear, on a disk that answers at once (null_blk). Runs inside the emulated host; prints a JSON object a line, and
# notes.
#
#   bench-fio-inside.sh time ROUNDS SECONDS "SHAPES" "DEPTHS"      how many requests a second; the devices take turns
#   bench-fio-inside.sh count ROUNDS REQUESTS "SHAPES" "DEPTHS"    in a host with --icount 1, where a nanosecond is an
#                                                                  instruction: how many instructions a request takes
set -eu

cd "$(dirname "$0")/../.."
# shellcheck source=../lib/ktap.sh
. selftests/lib/ktap.sh

measure=$1 rounds=$2 amount=$3 shapes=$4 depths=$5
MIB=65536

diskctl() { "$KVMFERRY_BUILD/storage/diskctl" "$@"; }

devices_open() {
	modprobe -a null_blk dm-mod
	[ -e /dev/nullb0 ] || { echo "no null_blk"; exit 1; }
	diskctl make bench-linear $MIB linear "/dev/nullb0 0"
	diskctl make bench-ferry $MIB ferry /dev/nullb0
}

devices_close() {
	diskctl remove bench-linear
	diskctl remove bench-ferry
}

device() {
	case $1 in
	none) echo /dev/nullb0 ;;
	*) echo "/dev/mapper/bench-$1" ;;
	esac
}

# What a shape means to fio.
words_of() {
	case $1 in
	read) echo --rw=randread --bs=4k ;;
	write) echo --rw=randwrite --bs=4k ;;
	sequential) echo --rw=read --bs=128k --iomem=mmaphuge ;;
	scattered) echo --rw=read --bs=128k --iomem=mmap ;;
	*) echo "bench-fio-inside.sh: unknown shape $1" >&2; exit 2 ;;
	esac
}

amount_words() {
	case $measure in
	time) echo --time_based "--runtime=$amount" --ramp_time=500ms ;;
	count) echo "--number_ios=$amount" ;;
	esac
}

# run_fio TARGET SHAPE DEPTH. One job, so that there is as little as possible of fio itself.
run_fio() {
	# shellcheck disable=SC2046 # words
	fio --name=bench --filename="$(device "$1")" --size=$((MIB / 2))m --direct=1 --ioengine=io_uring --thread \
		--gtod_reduce=1 --allrandrepeat=1 --norandommap $(words_of "$2") --iodepth="$3" $(amount_words) \
		--output-format=json --eta=never
}

# result TARGET SHAPE DEPTH ROUND. In "count" the time is in instructions, told in thousandths of a second.
result() {
	run_fio "$1" "$2" "$3" | jq -c --arg kernel "$KVMFERRY_KERNEL" --arg measure "$measure" --arg target "$1" \
		--arg shape "$2" --argjson depth "$3" --argjson round "$4" '
		.jobs[0] as $job | ($job.read.total_ios + $job.write.total_ios) as $requests |
		($job.read.runtime + $job.write.runtime) as $ms |
		{part: "fio", $kernel, $measure, $target, $shape, $depth, $round, $requests, ms: $ms} +
		if $job.error != 0 then {error: $job.error}
		elif $measure == "time" then {iops: ($requests * 1000 / $ms | floor)}
		else {instructions: ($ms * 1e6 / $requests | floor)} end'
}

# a request of 128 KiB is one: the default is half a KiB too small for it
modprobe null_blk queue_mode=2 irqmode=0 nr_devices=1 submit_queues=2 gb=64 bs=512 no_sched=1 max_sectors=1024
# buffers are huge pages or small ones as we say, not as it happens
echo never >/sys/kernel/mm/transparent_hugepage/enabled
echo 8 >/proc/sys/vm/nr_hugepages
host_module_load
devices_open
for shape in $shapes; do
	for depth in $depths; do
		for round in $(seq "$rounds"); do
			[ "$measure" != count ] || result none "$shape" "$depth" "$round"
			result linear "$shape" "$depth" "$round"
			result ferry "$shape" "$depth" "$round"
		done
	done
done
devices_close
host_module_unload
