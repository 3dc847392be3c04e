#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What storage does to a migration, and what the target "ferry" does to storage, in an emulated host; a table,
# build/bench/storage.json, and a verdict on each thing that must hold. Everything has been built (make bench-storage does).
#
#   bench-storage.sh [options]
#     --kernel NAME        a name of vm/kernels.list, 6.1 if not given
#     --parts "A B..."     blackout (moves guests with slow storage), time (requests a second in normal life), count
#                          (instructions a request); all if not given
#     --add 1              to the results of earlier runs, instead of forgetting them
#   of blackout:
#     --latencies "A B..." of the storage, in seconds: 0 1 8 30
#     --depths "A B..."    requests of the guest at a time: 1 32
#     --loads "A B..."     reads, writes, both
#     --methods "A B..."   qemu (its own migration, no kvmferry), cancel (kvmferry), drain (kvmferry --storage drain)
#   of time and count:
#     --shapes "A B..."    read, write: 4 KiB at random; sequential, scattered: 128 KiB, read into one piece of memory,
#                          into single pages
#     --queues "A B..."    requests at a time: 1 32
#     --rounds N           of the devices in turn, 5; count needs but 2
#     --seconds N          of each run, 3
#     --requests N         of each run that is counted, 50000
#
# Times of an emulated host are not those of a machine: what counts is how they compare, and the counts.
set -eu -o pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
out=$top/build/bench

kernel=6.1 parts="count time blackout" add=0
latencies="0 1 8 30" depths="1 32" loads="reads writes both" methods="qemu cancel drain"
shapes="read write sequential scattered" queues="1 32" rounds=5 seconds=3 requests=50000
while [ $# -gt 0 ]; do
	case $1 in
	--kernel) kernel=$2 ;;
	--parts) parts=$2 ;;
	--add) add=$2 ;;
	--latencies) latencies=$2 ;;
	--depths) depths=$2 ;;
	--loads) loads=$2 ;;
	--methods) methods=$2 ;;
	--shapes) shapes=$2 ;;
	--queues) queues=$2 ;;
	--rounds) rounds=$2 ;;
	--seconds) seconds=$2 ;;
	--requests) requests=$2 ;;
	*) echo "bench-storage.sh: unknown option $1" >&2; exit 2 ;;
	esac
	shift 2
done

# inside WORDS FOR HOST.SH -- COMMAND...: the results into $raw, and live as rows
inside() {
	"$top/selftests/vm/host.sh" --kernel "$kernel" "$@" | tee -a "$raw" |
		jq -Rr --unbuffered -L "$here" 'include "bench-storage"; row'
}

run_part() {
	jq -nr -L "$here" --arg part "$1" 'include "bench-storage"; header($part)'
	case $1 in
	blackout)
		inside --timeout 10800 -- selftests/perf/bench-storage-inside.sh "$latencies" "$depths" "$loads" "$methods"
		;;
	time)
		inside --timeout 3600 -- selftests/perf/bench-fio-inside.sh time "$rounds" "$seconds" "$shapes" "$queues"
		;;
	count)
		inside --icount 1 --timeout 3600 -- selftests/perf/bench-fio-inside.sh count 2 "$requests" "$shapes" "$queues"
		;;
	*) echo "bench-storage.sh: unknown part $1" >&2; return 2 ;;
	esac
}

mkdir -p "$out"
raw=$out/storage-$kernel.out
[ "$add" != 0 ] || : >"$raw"
for part in $parts; do
	run_part "$part"
	echo
done
jq -Rn '[inputs | fromjson?]' "$raw" >"$out/storage-$kernel.json"
jq -s add "$out"/storage-*.json >"$out/storage.json"
jq -r -L "$here" 'include "bench-storage"; summary, "", verdicts' "$out/storage-$kernel.json" | tee "$out/storage-$kernel.verdicts"
echo
echo "all numbers: build/bench/storage.json"
! grep -q '^not ok' "$out/storage-$kernel.verdicts"
