#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The harness's own test: everything that must be reported as a failure, made to happen, and looked for in the report.
#
#   selftest.sh [KERNEL]     6.1 if not given; on debug, what only that kernel notices
#
# Prints KTAP. Runs on this machine, and boots emulated hosts.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
kernel=${1:-6.1}
cd "$top" || exit 1
. selftests/lib/ktap.sh

work=build/vm/selftest-$kernel
module=$work/module
rm -rf "$work"
mkdir -p "$module"

# fake NAME SCRIPT [SECONDS [LANE]]: a test of this content, listed
fake() {
	printf '#!/bin/sh\n. selftests/lib/ktap.sh\n%s\n' "$2" >"$work/$1"
	chmod +x "$work/$1"
	echo "$1 $work/$1 all ${3:-20} 1024 ${4:-rest}" >>"$work/list"
}

# host ARGS...: host.sh with a small host; its status is the result, its report lies in $work/report
host() {
	"$here/host.sh" --kernel "$kernel" --memory 1024 --console "$work/console" "$@" >"$work/report" 2>&1
}

# expect STATUS TEXT COMMAND...: it ends with this status and says this
expect() {
	local status=$1 text=$2 got=0
	shift 2
	"$@" || got=$?
	[ "$got" = "$status" ] && grep -Eq -- "$text" "$work/report" "$work/console" && return
	sed 's/^/# /' "$work/report"
	ktap_note "status $got, not $status, or no line like: $text"
	return 1
}

build_module() {
	cp "$here"/misbehave/* "$module"
	make -s -C "$("$here/kernel.sh" kdir "$kernel")" M="$top/$module" modules >"$work/build.log" 2>&1 ||
		ktap_bail "the misbehaving module does not build, see $work/build.log"
}

# One boot of check.sh over fake tests. The last but one ends the host, so that the last never runs.
report_of_fakes() {
	fake good 'ktap_plan 1; ktap_ok a; ktap_end'
	fake skipped 'ktap_skip_all "no reason"'
	fake not-ok 'ktap_plan 2; ktap_ok a; ktap_fail b; ktap_end'
	fake lies 'ktap_plan 1; ktap_fail a; exit 0'
	fake silent 'exit 0'
	fake dies 'ktap_plan 2; ktap_ok a; kill -9 $$'
	fake short 'ktap_plan 2; ktap_ok a; exit 0'
	fake hangs 'ktap_plan 1; sleep 1000; ktap_ok a; ktap_end' 2
	fake missing ''
	rm "$work/missing"
	fake no-lane 'ktap_plan 1; ktap_ok a; ktap_end' 20 nowhere
	fake log 'ktap_plan 1; echo "BUG: on purpose" >/dev/kmsg; ktap_ok a; ktap_end'
	fake expected 'ktap_plan 1; kernel_expects_begin; echo "BUG: on purpose" >/dev/kmsg; kernel_expects_end; ktap_ok a; ktap_end'
	fake warns "ktap_plan 1; insmod $module/misbehave.ko how=warn; ktap_ok a; ktap_end"
	fake never-ran 'ktap_plan 1; ktap_ok a; ktap_end'
	selftests/check.sh --no-build --kernel "$kernel" --list "$work/list" --results "$work" >"$work/fakes"
	ktap_check "a failed run fails" test $? -ne 0
	result_is good ok
	result_is skipped skipped
	result_is expected ok
	for name in not-ok lies silent dies short hangs missing no-lane log warns never-ran host-1024-rest; do
		result_is "$name" FAILED
	done
	ktap_check "the last line counts them" test "$(tail -n 1 "$work/fakes")" = "2 passed, 12 failed, 1 skipped"
	[ "$ktap_failed" = 0 ] || sed 's/^/# /' "$work/fakes"
}

result_is() {
	if grep -Eq "^$2 +$kernel +$1 " "$work/fakes"; then
		ktap_ok "$1: $2"
	else
		ktap_fail "$1: $2" "$(grep -E " $1 " "$work/fakes")"
	fi
}

all_pass() {
	selftests/check.sh --no-build --kernel "$kernel" --list "$work/list" --only '^(good|expected)$' --results "$work/all-pass"
}

nothing_ran() {
	! selftests/check.sh --no-build --kernel "$kernel" --list "$work/list" --only no-such-test --results "$work/none"
}

if [ "$kernel" = debug ]; then
	ktap_plan 3
	build_module
	ktap_check "a leak is reported" \
		expect 123 'kernel .*comm "insmod"|unreferenced object' host -- insmod "$module/misbehave.ko" how=leak
	ktap_check "a write beyond an allocation is reported" \
		expect 125 'KASAN: slab-out-of-bounds' host -- insmod "$module/misbehave.ko" how=overflow
	ktap_check "sleeping under a spinlock is reported" \
		expect 125 'BUG: (sleeping function|scheduling while atomic)' host -- insmod "$module/misbehave.ko" how=atomic
	ktap_end
fi

ktap_plan 22
build_module
report_of_fakes
ktap_check "a run in which all pass succeeds" all_pass
ktap_check "a run without tests fails" nothing_ran
ktap_check "a panic is reported, with the console's tail" expect 125 'Kernel panic.*sysrq' \
	host -- sh -c 'echo c >/proc/sysrq-trigger'
ktap_check "a time-out is reported, with what everybody did" expect 124 'task:sleep' \
	host --timeout 20 -- sleep 1000
ktap_check "the command's exit status and output come back" expect 117 '^out err$' \
	host -- sh -c 'echo -n "out "; sleep 0.1; echo err >&2; exit 117'
ktap_end
