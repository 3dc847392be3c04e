#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Build everything, run the unit tests and those of machine.list, then boot each kernel of the matrix and run the tests of
# tests.list in it.
#
#   check.sh [--kernel NAME]... [--only PATTERN] [--list FILE] [--no-build] [--results FOLDER]
#     --kernel NAME     of vm/kernels.list; all if not given (the debug kernel is built the first time: a quarter of an hour)
#     --only PATTERN    only tests whose name matches this extended regular expression
#     --list FILE       another list than tests.list, and nothing else
#     --no-build        the caller has built everything
#     --results FOLDER  where check.json and the full outputs go, build/check if not given
#
# The last line is "N passed, N failed", with ", N skipped" if any were. Exit status: 0 only if something ran and
# nothing failed. A test counts as failed unless it is known to have passed or been skipped: if the host dies, so have
# all tests that were still to run in it. Nothing is ever run a second time.
#
# Emulated hosts disturb each other: a CPU of theirs that waits for another one spins, and the other one may not be running. Two
# that share two CPUs take two to five times as long. So there are two lanes. What runs guests has both CPUs, but waits for
# timers half of the time; all else takes, at nice 10, what that leaves, and is the only one that is slower for it. No test of
# the second lane may mind how long something takes.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(dirname "$here")
cd "$top"

kernels='' only='' list='' build=1 results=build/check whole=1
while [ $# -gt 0 ]; do
	case $1 in
	--kernel) kernels+=" $2" whole=0; shift ;;
	--only) only=$2 whole=0; shift ;;
	--list) list=$2 whole=0; shift ;;
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
planned=$results/planned
: >"$verdicts"
: >"$planned"

lanes=$(awk -v cpus="$(nproc)" '/^MemAvailable/ { print (cpus > 1 && $2 > 8 * 1024 * 1024 ? 2 : 1) }' /proc/meminfo)
# Whatever runs does not outlive us.
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

# plan KERNEL NAME: it has to have a verdict in the end
plan() { echo "$1 $2" >>"$planned"; }

# Whatever ended without one, and why ever.
miss() {
	jq -r '"\(.kernel) \(.test)"' "$verdicts" | sort | comm -13 - <(sort -u "$planned") |
		while read -r kernel name; do
			record "$kernel" "$name" fail 0 "it has no verdict"
		done
}

# counted RESULT: how many tests had it
counted() { jq -n --arg result "$1" '[inputs | select(.result == $result)] | length' "$verdicts"; }

finish() {
	local passed failed skipped
	wait
	miss
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

wanted() { [[ -z $only || $1 =~ $only ]]; }

# on_machine NAME COMMAND...: a test that runs here, not in an emulated host. Its output is shown only if it fails.
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
			on_machine "unit/${program##*/}" timeout -k 5 300 "$program"
	done
}

# has_kernels A,B: all of these are to be tested
has_kernels() {
	local kernel
	for kernel in ${1//,/ }; do
		[[ $kernel = - || " ${kernels//$'\n'/ } " = *" $kernel "* ]] || return 1
	done
}

# machine_tests [LANE]: those of machine.list that are to run, a line each: name, limit, command
machine_tests() {
	local name needs seconds lane command
	sed -e 's/#.*//' "$machine_list" | while read -r name needs seconds lane command; do
		if [ -n "$name" ] && wanted "$name" && has_kernels "$needs" && [ "$lane" = "${1:-$lane}" ]; then
			echo "$name $seconds $command"
		fi
	done
}

run_machine_tests() {
	local name seconds command
	while read -r name seconds command; do
		# shellcheck disable=SC2086 # a command and its arguments
		on_machine "$name" timeout -k 30 "$seconds" $command
	done < <(machine_tests "$1")
}

# rows KERNEL: the tests that are to run on it, as the list has them
rows() {
	sed -e 's/#.*//' "$list" | awk -v kernel="$1" 'NF && ($3 == "all" || index("," $3 ",", "," kernel ","))' |
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

# tests KERNEL MIB LANE: those of one boot, a line each: name, limit, executable
tests() {
	local name program seconds mib lane
	while read -r name program _ seconds mib lane; do
		[ "$mib $lane" != "$2 $3" ] || echo "$name $(limit "$1" "$seconds") $program"
	done < <(rows "$1")
}

# boot KERNEL MIB LANE: all its tests that ask for this
boot() {
	local kernel=$1 memory=$2 lane=$3 name total status=0 started=$SECONDS log run pipe host
	local reported last_words
	log=$results/$kernel-$memory-$lane.log
	run=$results/$kernel-$memory-$lane.list
	pipe=$results/$kernel-$memory-$lane.pipe
	: >"$log"
	tests "$kernel" "$memory" "$lane" >"$run"
	total=$(awk '{ sum += $2 } END { print 300 + sum }' "$run")
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
		record "$kernel" "host-$memory-$lane" pass $((SECONDS - started)) "kernel log clean, no leaks"
	else
		record "$kernel" "host-$memory-$lane" fail $((SECONDS - started)) "host.sh status $status" "$last_words"
	fi
}

run_kernels() {
	local kernel memory
	for kernel in $kernels; do
		for memory in $(rows "$kernel" | awk -v lane="$1" '$6 == lane { print $5 }' | sort -nu); do
			boot "$kernel" "$memory" "$1" </dev/null
		done
	done
}

run_lane() {
	[ "$1" = guests ] || renice -n 10 "$BASHPID" >/dev/null
	run_machine_tests "$1"
	run_kernels "$1"
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
for kernel in $kernels; do
	# a whole run without a test would pass for lack of failures
	[ $whole = 0 ] || [ -n "$(rows "$kernel")" ] || record "$kernel" all fail 0 "no test is listed"
	rows "$kernel" | while read -r name _; do plan "$kernel" "$name"; done
done
machine_tests | while read -r name _; do plan - "$name"; done
for lane in guests rest; do
	run_lane $lane &
	[ "$lanes" -gt 1 ] || wait $! || true
done
finish
