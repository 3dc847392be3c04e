#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the policies for groups of pages bring and cost, in an emulated host: a table, build/bench/group.json, and a
# verdict on each thing that must hold. Everything has been built (make bench-group does).
#
#   bench-group.sh [options]
#     --kernel NAME        a name of vm/kernels.list, 6.1 if not given
#     --patterns A,B...    all if not given; "none" for no runs on the tests' own VMM (see bench-patterns.c)
#     --policies A,B...    those of bench-tracker.c; all but "single" and "none" if not given
#     --seconds N          for each policy on the Linux guest that sorts, 24; 0: no such runs
#     --interval MS        of its rounds, 500
#     --traces             instead of all that, record traces of the patterns (and of the guest that sorts) for the
#                          simulator: build/bench/PATTERN.trace
#
# The counts are exact on the tests' own VMM: they depend on no clock. On the Linux guest only ratios within one run
# mean something, and only if all policies had the same number of rounds.
#
# Exit status: 0 only if everything that must hold was measured and holds.
set -eu -o pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
out=$top/build/bench
policies=dynamic,contiguous,static:1,static:8,static:32,static:128,static:512,off,kvm-dirty-log

kernel=6.1 patterns=all seconds=24 interval=500 traces=0
while [ $# -gt 0 ]; do
	case $1 in
	--kernel) kernel=$2; shift ;;
	--patterns) patterns=$2; shift ;;
	--policies) policies=$2; shift ;;
	--seconds) seconds=$2; shift ;;
	--interval) interval=$2; shift ;;
	--traces) traces=1 ;;
	*) echo "bench-group.sh: unknown option $1" >&2; exit 2 ;;
	esac
	shift
done

# inside SECONDS ARGS...: in the emulated host, the results into $raw as well
inside() {
	local limit=$1
	shift
	"$top/selftests/vm/host.sh" --kernel "$kernel" --timeout "$limit" -- selftests/perf/bench-group-inside.sh "$@" | tee -a "$raw"
}

# Live, a row for each result.
rows() { jq -Rr --unbuffered -L "$here" 'include "bench-group"; row'; }

mkdir -p "$out"
raw=$out/group-$kernel.out
if [ $traces = 1 ]; then
	[ "$patterns" != all ] || patterns=sequential,random-dense,strided-2,strided-16,sparse-same,sparse-new,zipf,hot-and-sweep
	sort=()
	[ "$seconds" = 0 ] || sort=("$seconds" "$interval")
	raw=/dev/null
	inside 1800 trace "$out" "$patterns" "${sort[@]}"
	exit
fi

: >"$raw"
jq -nr -L "$here" 'include "bench-group"; header'
[ "$patterns" = none ] || inside 3600 vmm "$patterns" "$policies" | rows
# The two that are judged take turns: how far runs of one kind are apart tells how steady the machine was.
turns=()
for _ in 1 2 3; do turns+=(kvm-dirty-log dynamic); done
mapfile -t others < <(tr , '\n' <<<"$policies" | grep -vxE 'dynamic|kvm-dirty-log')
[ "$seconds" = 0 ] || inside 3600 qemu "$seconds" "$interval" "${turns[@]}" "${others[@]}" none | rows
jq -Rn '[inputs | fromjson?]' "$raw" >"$out/group-$kernel.json"
jq -s add "$out"/group-*.json >"$out/group.json"
echo
jq -r -L "$here" --arg kernel "$kernel" 'include "bench-group"; verdicts' "$out/group-$kernel.json" | tee "$out/group-$kernel.verdicts"
echo
echo "all numbers: build/bench/group.json"
! grep -q '^not ok' "$out/group-$kernel.verdicts"
