#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The part of bench-group.sh that runs inside the emulated host. Prints what bench-group prints: a JSON object a line,
# and notes.
#
#   bench-group-inside.sh vmm PATTERNS POLICIES
#   bench-group-inside.sh qemu SECONDS INTERVAL-MS POLICY...
#   bench-group-inside.sh trace FOLDER PATTERNS [SECONDS INTERVAL-MS]
#       record traces (see bench-trace.awk) of these patterns, and of the guest that sorts if seconds are given,
#       with one page a fault, reads included
set -eu

cd "$(dirname "$0")/../.."
bench=$KVMFERRY_BUILD/perf/bench-group
tracing=/sys/kernel/tracing

# A guest that does nothing but sort. What it writes in a round must be sent in less than a round, by interpreted CPUs.
export GUEST_RAM=${GUEST_RAM:-96}
export GUEST_ORDERS="ws=1 rate=0 verify=0 threads=2 sort=${SORT_MIB:-8}"

qemu_open() {
	# shellcheck source=../lib/guest.sh
	. selftests/lib/guest.sh
	guest_open
	trap guest_close EXIT
	export BENCH_LOG_SOCKET=$GUEST_DIR/log.sock LD_PRELOAD=$KVMFERRY_BUILD/perf/bench-preload.so
	if ! guest_start a || ! guest_wait a '^guest: sorted [1-9]'; then
		unset LD_PRELOAD
		echo "# no guest that sorts; QEMU's status: $(cat "$GUEST_DIR/a/qemu.status" 2>/dev/null || echo running)"
		cat "$GUEST_DIR"/a/{qemu.err,console} | tail -n 20 | sed 's/^/# /'
		exit 1
	fi
	unset LD_PRELOAD
}

qemu_close() {
	local errors
	guest_continues a
	errors=$(guest_errors a)
	trap - EXIT
	guest_close
	[ "$errors" = 0 ] || { echo "# the guest found $errors errors in its memory"; exit 1; }
}

# qemu_run SECONDS INTERVAL-MS POLICY...
qemu_run() {
	"$bench" qemu "$(cat "$GUEST_DIR/a/qemu.pid")" "$GUEST_DIR/a/ram/vm" "$BENCH_LOG_SOCKET" "$@"
}

# trace_to FILE COMMAND...: everything that the module traces while the command runs
trace_to() {
	local file=$1
	shift
	echo 65536 >$tracing/buffer_size_kb
	# one clock for all CPUs: the order of events is what matters
	echo mono >$tracing/trace_clock
	echo >$tracing/trace
	echo 1 >$tracing/events/kvmferry/enable
	"$@"
	echo 0 >$tracing/events/kvmferry/enable
	awk -f selftests/perf/bench-trace.awk $tracing/trace >"$file.new"
	mv "$file.new" "$file"
	echo "# $file: $(wc -l <"$file") lines"
	echo 1408 >$tracing/buffer_size_kb
}

trace() {
	local folder=$1 pattern
	mkdir -p "$folder"
	# shellcheck source=../lib/ktap.sh
	. selftests/lib/ktap.sh
	host_module_load
	for pattern in ${2//,/ }; do
		trace_to "$folder/$pattern.trace" "$bench" vmm "$pattern" single
	done
	[ $# -gt 2 ] || return 0
	qemu_open
	trace_to "$folder/linux-sort.trace" qemu_run "$3" "$4" single
	qemu_close
}

what=$1
shift
case $what in
vmm) "$bench" vmm "$@" ;;
qemu)
	qemu_open
	qemu_run "$@"
	qemu_close
	;;
trace) trace "$@" ;;
esac
