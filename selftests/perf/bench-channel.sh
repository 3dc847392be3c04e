#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# How a guest moves over links of several rates: kvmferry with each codec alone and with the one that it chooses, and QEMU
# alone. In an emulated host; a table, build/bench/channel.json, and a verdict on each thing that must hold. Everything has
# been built (make bench-channel does).
#
#   bench-channel.sh [options]
#     --kernel NAME      a name of vm/kernels.list, 6.1 if not given
#     --rates "A B..."   of the link, as tc has them, or unlimited
#     --guests "A B..."  idle, busy, twice (idle with twice the RAM; these three have pages of programs and text), noise
#     --methods "A B..." what send --codec takes; qemu-plain, and with multifd qemu-none, qemu-zlib, qemu-zstd
#
# Interpreted CPUs take about five times as long for a codec as this machine's own (docs/benchmarks.md). So the rates are a
# fifth, too: 50 and 200 Mbit/s, 1 Gbit/s. What counts is how times compare at one rate.
set -eu -o pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
out=$top/build/bench

kernel=6.1 rates="10mbit 40mbit 200mbit unlimited" guests="idle twice busy noise"
methods="auto none lz4 zstd qemu-plain qemu-none qemu-zlib qemu-zstd"
while [ $# -gt 0 ]; do
	case $1 in
	--kernel) kernel=$2 ;;
	--rates) rates=$2 ;;
	--guests) guests=$2 ;;
	--methods) methods=$2 ;;
	*) echo "bench-channel.sh: unknown option $1" >&2; exit 2 ;;
	esac
	shift 2
done

# A guest whose memory is as real as can be: programs, libraries, text, one after the other.
make_initrd() {
	local root
	root=$(mktemp -d)
	head -qc 3M /usr/bin/qemu-system-x86_64 /usr/bin/bash /usr/lib/x86_64-linux-gnu/lib{c,crypto}.so.? \
		/usr/bin/perl /var/lib/dpkg/status /var/lib/dpkg/info/*.list >"$root/files.all"
	head -c 16M "$root/files.all" | tee "$root/files" >"$out/files"
	rm "$root/files.all"
	{
		cat "$top/build/guest/initrd.gz"
		(cd "$root" && echo files | cpio -o -H newc --quiet --owner 0:0 | gzip -1 -n)
	} >"$out/initrd.new"
	rm -rf "$root"
	mv "$out/initrd.new" "$out/initrd"
}

mkdir -p "$out"
make_initrd
raw=$out/channel-$kernel.out
jq -nr -L "$here" 'include "bench-channel"; header'
"$top/selftests/vm/host.sh" --kernel "$kernel" --timeout 10800 -- selftests/perf/bench-channel-inside.sh \
	"$rates" "$guests" "$methods" | tee "$raw" | jq -Rr --unbuffered -L "$here" 'include "bench-channel"; row'
jq -Rn '[inputs | fromjson?]' "$raw" >"$out/channel-$kernel.json"
jq -s add "$out"/channel-*.json >"$out/channel.json"
echo
jq -r -L "$here" 'include "bench-channel"; verdicts' "$out/channel-$kernel.json" | tee "$out/channel-$kernel.verdicts"
echo
echo "all numbers: build/bench/channel.json"
! grep -q '^not ok' "$out/channel-$kernel.verdicts"
