# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# Sourced by tests that are shell scripts: print KTAP, end with kselftest's exit status, load and unload the module.
#
#	. "$(dirname "$0")/../lib/ktap.sh"
#	ktap_plan 2
#	ktap_check "the device is there" test -c /dev/kvmferry
#	if ...; then ktap_ok "name"; else ktap_fail "name" "why"; fi
#	ktap_end

ktap_planned=0 ktap_done=0 ktap_failed=0 ktap_skipped=0

# ktap_plan N: how many results will follow. A test that gives another number of them has failed.
ktap_plan() {
	ktap_planned=$1
	echo "TAP version 13"
	echo "1..$1"
}

# ktap_note TEXT: a diagnostic line.
ktap_note() {
	echo "# $*"
}

# ktap_ok NAME
ktap_ok() {
	ktap_done=$((ktap_done + 1))
	echo "ok $ktap_done - $1"
}

# ktap_fail NAME [WHY]
ktap_fail() {
	ktap_done=$((ktap_done + 1))
	ktap_failed=$((ktap_failed + 1))
	[ -z "${2:-}" ] || ktap_note "$2"
	echo "not ok $ktap_done - $1"
}

# ktap_skip NAME REASON
ktap_skip() {
	ktap_done=$((ktap_done + 1))
	ktap_skipped=$((ktap_skipped + 1))
	echo "ok $ktap_done - $1 # SKIP $2"
}

# ktap_check NAME COMMAND ARGS...: passes if the command does.
ktap_check() {
	ktap_name=$1
	shift
	if "$@"; then ktap_ok "$ktap_name"; else ktap_fail "$ktap_name" "status $? of: $*"; fi
}

# ktap_skip_all REASON: the whole test makes no sense here.
ktap_skip_all() {
	echo "TAP version 13"
	echo "1..0 # SKIP $1"
	exit 4
}

# ktap_bail REASON: nothing more can be tested. What is missing of the plan makes it a failure.
ktap_bail() {
	echo "Bail out! $1"
	exit 1
}

# ktap_end: the last line of a test.
ktap_end() {
	if [ "$ktap_done" -ne "$ktap_planned" ]; then
		ktap_note "planned $ktap_planned results, gave $ktap_done"
		exit 1
	fi
	[ "$ktap_failed" -eq 0 ] || exit 1
	[ "$ktap_skipped" -lt "$ktap_done" ] || exit 4
	exit 0
}

# host_module_load [PARAMETERS]: load the module under test. Never outside an emulated host.
# KVMFERRY_BACKEND: its parameter backend, the module's choice if not set.
host_module_load() {
	[ "${KVMFERRY_IN_HOST:-}" = 1 ] || ktap_bail "not in an emulated host"
	[ ! -d /sys/module/kvmferry ] || return 0
	# what it is linked against (crypto, dm ...) comes with modprobe only, and the module is not in its tree
	for ktap_dep in $(modinfo -F depends "$KVMFERRY_KO" | tr , ' '); do
		modprobe -q "$ktap_dep" || ktap_bail "cannot load $ktap_dep"
	done
	insmod "$KVMFERRY_KO" ${KVMFERRY_BACKEND:+"backend=$KVMFERRY_BACKEND"} "$@" || ktap_bail "the module does not load"
}

# host_module_unload: unload it; fails if it is in use, or stays.
host_module_unload() {
	[ -d /sys/module/kvmferry ] || return 0
	rmmod kvmferry && [ ! -d /sys/module/kvmferry ]
}

# Kernel log lines between these two count as provoked: the checks of the log skip them.
kernel_expects_begin() {
	echo "kvmferry-test: expect begin" >/dev/kmsg
}

kernel_expects_end() {
	echo "kvmferry-test: expect end" >/dev/kmsg
}
