#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# All benchmarks in one run, and what has become of their figures since the run before.
#
#   bench.sh [options]
#     --kernel NAME       a name of vm/kernels.list, 6.1 if not given
#     --parts "A B..."    group, channel, storage; all if not given
#     --quick 0|1         1: a few cells of each, a quarter of an hour; 0 (hours) if not given
#
# Results go to build/bench/bench.json, those of the run before to bench-before.json. Everything has been built (make bench
# does). Exit status: 0 only if every part ran and everything that must hold does; a quick run leaves out some of that, and
# has only to run. Figures that have changed are told, and change nothing: on another day the machine is another one.
set -eu -o pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
out=$top/build/bench

kernel=6.1 parts="group channel storage" quick=0
while [ $# -gt 0 ]; do
	case $1 in
	--kernel) kernel=$2 ;;
	--parts) parts=$2 ;;
	--quick) quick=$2 ;;
	*) echo "bench.sh: unknown option $1" >&2; exit 2 ;;
	esac
	shift 2
done

# The cells of a quick run, options of each part's script. They are few, and the same each time.
few() {
	case $1 in
	group) printf '%s\n' --patterns sequential,random-dense,reads --policies dynamic,static:32,kvm-dirty-log --seconds 0 ;;
	channel) printf '%s\n' --rates "40mbit unlimited" --guests idle --methods "auto lz4 zstd qemu-plain qemu-zstd" ;;
	storage) printf '%s\n' --parts "count blackout" --latencies "0 1" --depths 32 --loads both --methods "qemu cancel" \
		--shapes "read write" --queues 32 ;;
	esac
}

run_part() {
	local options=()
	[ "$quick" = 0 ] || mapfile -t options < <(few "$1")
	echo "=== $1"
	"$here/bench-$1.sh" --kernel "$kernel" "${options[@]}" || { [ "$quick" = 1 ] && [ -s "$out/$1-$kernel.json" ]; } || failed+=" $1"
	echo
}

# One object of everything: what was measured where, and what was found of what must hold.
collect() {
	local part
	for part in $parts; do
		[ -s "$out/$part-$kernel.json" ] || continue
		jq -n --arg part "$part" --slurpfile results "$out/$part-$kernel.json" --rawfile verdicts "$out/$part-$kernel.verdicts" \
			'{($part): {results: $results[0], verdicts: ($verdicts | split("\n") | map(select(test("^(not )?ok "))))}}'
	done | jq -s --arg version "$(cat "$top/VERSION")" --arg kernel "$kernel" --arg date "$(date -u +%FT%TZ)" \
		--argjson quick "$quick" --arg cpu "$(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -n 1)" --argjson cpus "$(nproc)" \
		'{$version, $kernel, $date, quick: ($quick == 1), machine: {$cpu, $cpus}, parts: add}'
}

mkdir -p "$out"
failed=''
for part in $parts; do
	rm -f "$out/$part-$kernel".{json,verdicts}
	run_part "$part"
done
[ ! -e "$out/bench.json" ] || mv "$out/bench.json" "$out/bench-before.json"
collect >"$out/bench.json"
if [ -e "$out/bench-before.json" ]; then
	jq -nr -L "$here" --slurpfile before "$out/bench-before.json" --slurpfile now "$out/bench.json" \
		'include "bench"; compare($before[0]; $now[0])'
else
	echo "no run before to compare with"
fi
echo
echo "all numbers: build/bench/bench.json"
[ -z "$failed" ] || { echo "something does not hold, or did not run, in:$failed"; exit 1; }
