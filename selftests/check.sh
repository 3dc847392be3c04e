#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Build everything, run the unit tests, then boot each kernel of the matrix and run the listed tests in it.
#
#   check.sh [--kernel NAME]... [--only PATTERN] [--list FILE] [--no-build] [--results FOLDER]
#     --kernel NAME     of vm/kernels.list; all if not given (the debug kernel is built the first time: a quarter of an hour)
#     --only PATTERN    only tests whose name matches this extended regular expression
#     --list FILE       another list than tests.list
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

kernels='' only='' list=$here/tests.list build=1 results=build/check whole=1
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
[ -e "$list" ] || { echo "check.sh: no such list: $list" >&2; exit 2; }
mkdir -p "$results"

passed=0 failed=0 skipped=0 json=''

# the emulated host that runs now; it does not outlive us
host=''
trap '[ -z "$host" ] || kill "$host"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# record KERNEL NAME RESULT SECONDS [WHY]: one verdict, one line for the reader, one object for check.json
record() {
	local mark
	case $3 in
	pass) passed=$((passed + 1)) mark='ok     ' ;;
	skip) skipped=$((skipped + 1)) mark='skipped' ;;
	*) failed=$((failed + 1)) mark='FAILED ' ;;
	esac
	printf '%s %-6s %-32s %4s s  %s\n' "$mark" "$1" "$2" "$4" "${5:-}"
	json+=$(jq -cn --arg kernel "$1" --arg test "$2" --arg result "$3" --argjson seconds "$4" --arg why "${5:-}" \
		'{$kernel, $test, $result, $seconds, $why}')$'\n'
}

finish() {
	jq -s . <<<"$json" >"$results/check.json"
	[ "$results" != build/check ] || cp "$results/check.json" build/check.json
	if [ $skipped -gt 0 ]; then
		echo "$passed passed, $failed failed, $skipped skipped"
	else
		echo "$passed passed, $failed failed"
	fi
	[ $failed -eq 0 ] && [ $passed -gt 0 ]
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
	"$@" >"$log" 2>&1 </dev/null || status=$?
	case $status in
	0) record - "$name" pass $((SECONDS - started)) ;;
	4) record - "$name" skip $((SECONDS - started)) "$(sed -n 's/.*# SKIP //p' "$log" | head -n 1)" ;;
	*) tail -n 60 "$log"; record - "$name" fail $((SECONDS - started)) "exit status $status" ;;
	esac
}

# A build that fails is a failure of its own, and everything that needed it fails after it.
build_step() {
	local log=$results/build-${*//[^a-zA-Z0-9.]/-}.log
	if ! make -j"$(nproc)" "$@" >"$log" 2>&1 </dev/null; then
		tail -n 40 "$log"
		record - "make $*" fail 0 "does not build"
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

# rows KERNEL: the tests that are to run on it, as the list has them
rows() {
	sed -e 's/#.*//' "$list" | awk -v kernel="$1" 'NF >= 5 && ($3 == "all" || index("," $3 ",", "," kernel ","))' |
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
				printf '%s' "$said"
				record "$kernel" "$name" fail "$seconds" "$why"
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

# One boot: all tests of this kernel that ask for this much memory.
boot() {
	local kernel=$1 memory=$2 name program seconds mib total=300 status=0 started=$SECONDS log run reported last_words
	log=$results/$kernel-$memory.log
	run=$results/$kernel-$memory.list
	: >"$log"
	: >"$run"
	while read -r name program _ seconds mib; do
		[ "$mib" = "$memory" ] || continue
		seconds=$(limit "$kernel" "$seconds")
		total=$((total + seconds))
		echo "$name $seconds $program" >>"$run"
	done < <(rows "$kernel")
	rm -f "$results/pipe"
	mkfifo "$results/pipe"
	"$here/vm/host.sh" --kernel "$kernel" --memory "$memory" --timeout $total --console "$log.console" -- \
		selftests/vm/run-tests.sh "$run" >"$results/pipe" 2>&1 &
	host=$!
	read_results "$kernel" "$log" <"$results/pipe"
	wait $host || status=$?
	host=''
	rm "$results/pipe"
	while read -r name _; do
		[[ $reported != *" $name "* ]] || continue
		[ -z "$last_words" ] || printf '%s' "$last_words"
		last_words=''
		record "$kernel" "$name" fail 0 "the host ended (status $status) before this test had a verdict"
	done <"$run"
	# the host's own verdict: what came after the tests, such as leaks
	if [[ $status -le 1 && $last_words != *"host.sh: the kernel complained"* ]]; then
		record "$kernel" "host-$memory" pass $((SECONDS - started)) "kernel log clean, no leaks"
	else
		printf '%s' "$last_words"
		record "$kernel" "host-$memory" fail $((SECONDS - started)) "host.sh status $status"
	fi
}

run_kernel() {
	local kernel=$1 memory
	# a whole run without a test would pass for lack of failures
	[ $whole = 0 ] || [ -n "$(rows "$kernel")" ] || record "$kernel" all fail 0 "no test is listed"
	for memory in $(rows "$kernel" | awk '!seen[$5]++ { print $5 }'); do
		boot "$kernel" "$memory"
	done
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
	on_machine model/switchover timeout -k 5 300 "$here/model/check.sh"
fi
if [ $whole = 1 ]; then
	on_machine fuzz make fuzz SECONDS_EACH=10
	on_machine harness "$here/vm/selftest.sh"
	on_machine migration/two-hosts timeout -k 30 900 "$here/migration/two-hosts.sh" cross
	case " ${kernels//$'\n'/ } " in
	*" debug "*) on_machine harness-debug "$here/vm/selftest.sh" debug ;;
	esac
fi
for kernel in $kernels; do
	run_kernel "$kernel"
done
finish
