#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Build everything, run the unit tests and those of machine.list, then boot each kernel of the matrix and run the tests of
# tests.list in it.
#
#   check.sh [--kernel NAME]... [--only PATTERN] [--list FILE] [--jobs N] [--no-build] [--results FOLDER]
#     --kernel NAME     of vm/kernels.list; all if not given (the debug kernel is built the first time: a quarter of an hour)
#     --only PATTERN    only tests whose name matches this extended regular expression
#     --list FILE       another list than tests.list, and nothing else
#     --jobs N          how many places there are for tests that run at the same time; if not given, one for each CPU, if there
#                       is memory for them
#     --no-build        the caller has built everything
#     --results FOLDER  where check.json and the full outputs go, build/check if not given
#
# The last line is "N passed, N failed", with ", N skipped" if any were. Exit status: 0 only if something ran and
# nothing failed. A test counts as failed unless it is known to have passed or been skipped: if the host dies, so have
# all tests that were still to run in it. Nothing is ever run a second time.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(dirname "$here")
cd "$top"

kernels='' only='' list='' build=1 results=build/check whole=1 at_once=''
while [ $# -gt 0 ]; do
	case $1 in
	--kernel) kernels+=" $2" whole=0; shift ;;
	--only) only=$2 whole=0; shift ;;
	--list) list=$2 whole=0; shift ;;
	--jobs) at_once=$2; shift ;;
	--results) results=$2; shift ;;
	--no-build) build=0 ;;
	*) echo "check.sh: unknown option $1" >&2; exit 2 ;;
	esac
	shift
done
machine_list=$here/machine.list
[ -z "$list" ] || machine_list=/dev/null
list=${list:-$here/tests.list}
[ -e "$list" ] || { echo "check.sh: no such list: $list" >&2; exit 2; }
mkdir -p "$results"

verdicts=$results/verdicts
: >"$verdicts"

# A host that runs guests keeps two CPUs busy and takes two places. Beside another host on the same two CPUs everything in it
# takes up to three times as long: those of its CPUs that wait for a lock, or for each other, spin. Whatever runs does not
# outlive us.
[ -n "$at_once" ] || at_once=$(awk -v cpus="$(nproc)" '/^MemAvailable/ {
	places = int($2 / (4 * 1024 * 1024))
	print places < 1 ? 1 : places < cpus ? places : cpus
}' /proc/meminfo)
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# record KERNEL NAME RESULT SECONDS [WHY] [SAID]: one verdict, one line for the reader, after what a failed test said;
# one object for check.json. Jobs that run at the same time take turns.
record() {
	local mark
	case $3 in
	pass) mark='ok     ' ;;
	skip) mark='skipped' ;;
	*) mark='FAILED ' ;;
	esac
	{
		flock 9
		printf '%s%s %-6s %-32s %4s s  %s\n' "${6:-}" "$mark" "$1" "$2" "$4" "${5:-}"
		jq -cn --arg kernel "$1" --arg test "$2" --arg result "$3" --argjson seconds "$4" --arg why "${5:-}" \
			'{$kernel, $test, $result, $seconds, $why}' >&9
	} 9>>"$verdicts"
}

# counted RESULT: how many tests had it
counted() { jq -n --arg result "$1" '[inputs | select(.result == $result)] | length' "$verdicts"; }

finish() {
	local passed failed skipped
	wait
	passed=$(counted pass) failed=$(counted fail) skipped=$(counted skip)
	jq -s . "$verdicts" >"$results/check.json"
	[ "$results" != build/check ] || cp "$results/check.json" build/check.json
	if [ "$skipped" -gt 0 ]; then
		echo "$passed passed, $failed failed, $skipped skipped"
	else
		echo "$passed passed, $failed failed"
	fi
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
	exit
}

declare -A places_of # by process id

# in_use: how many places the jobs take that run
in_use() {
	local pid sum=0
	for pid in $(jobs -rp); do
		sum=$((sum + places_of[$pid]))
	done
	echo $sum
}

# start PLACES COMMAND...: run it as a job, as soon as there is room for it
start() {
	local places=$(($1 < at_once ? $1 : at_once))
	shift
	while [ $(($(in_use) + places)) -gt "$at_once" ]; do
		wait -n || true # what came of it stands in the verdicts
	done
	"$@" &
	places_of[$!]=$places
}

wanted() { [[ -z $only || $1 =~ $only ]]; }

# on_machine NAME COMMAND...: a test that runs here, not in an emulated host. Its output is shown only if it fails. A job.
on_machine() {
	local name=$1 log started=$SECONDS status=0
	shift
	wanted "$name" || return 0
	log=$results/$name.log
	mkdir -p "$(dirname "$log")"
	"$@" >"$log" 2>&1 </dev/null &
	trap 'kill $!; exit 143' TERM
	wait $! || status=$?
	case $status in
	0) record - "$name" pass $((SECONDS - started)) ;;
	4) record - "$name" skip $((SECONDS - started)) "$(sed -n 's/.*# SKIP //p' "$log" | head -n 1)" ;;
	*) record - "$name" fail $((SECONDS - started)) "exit status $status" "$(tail -n 60 "$log")"$'\n' ;;
	esac
}

# A build that fails is a failure of its own, and everything that needed it fails after it.
build_step() {
	local log=$results/build-${*//[^a-zA-Z0-9.]/-}.log
	if ! make -j"$(nproc)" "$@" >"$log" 2>&1 </dev/null; then
		record - "make $*" fail 0 "does not build" "$(tail -n 40 "$log")"$'\n'
		return 1
	fi
}

run_unit_tests() {
	local program
	for program in build/unit/*; do
		[ ! -x "$program" ] || [ -d "$program" ] ||
			start 1 on_machine "unit/${program##*/}" timeout -k 5 300 "$program"
	done
}

# has_kernels A,B: all of these are to be tested
has_kernels() {
	local kernel
	for kernel in ${1//,/ }; do
		[[ $kernel = - || " ${kernels//$'\n'/ } " = *" $kernel "* ]] || return 1
	done
}

run_machine_tests() {
	local name needs seconds places command
	while read -r name needs seconds places command; do
		# shellcheck disable=SC2086 # a command and its arguments
		! wanted "$name" || ! has_kernels "$needs" || start "$places" on_machine "$name" timeout -k 30 "$seconds" $command
	done < <(sed -e 's/#.*//' "$machine_list" | awk NF)
}

# rows KERNEL: the tests that are to run on it, as the list has them
rows() {
	sed -e 's/#.*//' "$list" | awk -v kernel="$1" 'NF >= 6 && ($3 == "all" || index("," $3 ",", "," kernel ","))' |
		while read -r name rest; do
			! wanted "$name" || echo "$name $rest"
		done
}

# Seconds are for an idle machine and Debian's kernels.
limit() {
	if [ "$1" = debug ]; then echo $(($2 * 3)); else echo "$2"; fi
}

# Tell apart the lines of run-tests.sh, which comes in through host.sh; keep all, show what a failed test said.
# Sets reported to the names that had a verdict.
read_results() {
	local kernel=$1 log=$2 line said='' name why seconds
	reported=' '
	while IFS= read -r line; do
		printf '%s\n' "$line" >>"$log"
		if [[ $line =~ ^(ok|not\ ok)\ [0-9]+\ -\ ([^\ ]+)(\ (.*))?\ \#\ time=([0-9]+)$ ]]; then
			name=${BASH_REMATCH[2]} why=${BASH_REMATCH[4]#\# } seconds=${BASH_REMATCH[5]}
			reported+="$name "
			if [ "${BASH_REMATCH[1]}" = "not ok" ]; then
				record "$kernel" "$name" fail "$seconds" "$why" "$said"
			elif [[ $why == SKIP* ]]; then
				record "$kernel" "$name" skip "$seconds" "${why#SKIP }"
			else
				record "$kernel" "$name" pass "$seconds"
			fi
			said=''
		else
			said+="    $line"$'\n'
		fi
	done
	# whatever the host said in the end, after the last verdict
	last_words=$said
}

# tests KERNEL MIB PLACES: those of one boot, a line each: name, limit, executable
tests() {
	local name program seconds mib places
	while read -r name program _ seconds mib places; do
		[ "$mib $places" != "$2 $3" ] || echo "$name $(limit "$1" "$seconds") $program"
	done < <(rows "$1")
}

# limits KERNEL MIB PLACES: all their limits together
limits() { tests "$@" | awk '{ sum += $2 } END { print sum }'; }

# One boot: all tests of this kernel that ask for this much memory and this many places. A job.
boot() {
	local kernel=$1 memory=$2 places=$3 name total status=0 started=$SECONDS log run pipe host
	local reported last_words
	log=$results/$kernel-$memory-$places.log
	run=$results/$kernel-$memory-$places.list
	pipe=$results/$kernel-$memory-$places.pipe
	: >"$log"
	tests "$kernel" "$memory" "$places" >"$run"
	total=$((300 + $(limits "$kernel" "$memory" "$places")))
	rm -f "$pipe"
	mkfifo "$pipe"
	"$here/vm/host.sh" --kernel "$kernel" --memory "$memory" --timeout "$total" --console "$log.console" -- \
		selftests/vm/run-tests.sh "$run" >"$pipe" 2>&1 &
	host=$!
	trap 'kill "$host"; exit 143' TERM
	read_results "$kernel" "$log" <"$pipe"
	wait "$host" || status=$?
	rm "$pipe"
	while read -r name _; do
		[[ $reported != *" $name "* ]] || continue
		record "$kernel" "$name" fail 0 "the host ended (status $status) before this test had a verdict" "$last_words"
		last_words=''
	done <"$run"
	# the host's own verdict: what came after the tests, such as leaks
	if [[ $status -le 1 && $last_words != *"host.sh: the kernel complained"* ]]; then
		record "$kernel" "host-$memory-$places" pass $((SECONDS - started)) "kernel log clean, no leaks"
	else
		record "$kernel" "host-$memory-$places" fail $((SECONDS - started)) "host.sh status $status" "$last_words"
	fi
}

# boots KERNEL: what its tests need, a line each: the sum of the limits, the kernel, MiB, places
boots() {
	local memory places
	rows "$1" | awk '{ print $5, $6 }' | sort -u | while read -r memory places; do
		echo "$(limits "$1" "$memory" "$places") $1 $memory $places"
	done
}

# All boots of all kernels, the longest first, so that none of them is left to run alone in the end.
run_kernels() {
	local kernel memory places
	for kernel in $kernels; do
		# a whole run without a test would pass for lack of failures
		[ $whole = 0 ] || [ -n "$(rows "$kernel")" ] || record "$kernel" all fail 0 "no test is listed"
	done
	while read -r _ kernel memory places; do
		start "$places" boot "$kernel" "$memory" "$places" </dev/null
	done < <(for kernel in $kernels; do boots "$kernel"; done | sort -rn)
}

[ -n "$kernels" ] || kernels=$("$here/vm/kernel.sh" list)
if [ $build = 1 ]; then
	build_step agent || true
	build_step unit || true
	build_step selftests || true
	for kernel in $kernels; do
		build_step modules KERNEL="$kernel" || true
	done
	run_unit_tests
fi
run_machine_tests
run_kernels
finish
