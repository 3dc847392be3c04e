#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs inside the emulated host: run the tests of a list one after the other, print nested KTAP.
#
#   run-tests.sh FILE      FILE's lines: NAME SECONDS EXECUTABLE (relative to the project's folder)
#
# A test fails if its KTAP says so, if it gives no verdict, takes longer than its limit, or leaves behind complaints in
# the kernel's log or a module that does not unload. Processes that it leaves behind are killed, and named; the network
# namespaces and mounts of a test that was killed go with them.
set -u

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
lib=selftests/lib
list=$1
output=/tmp/test-output # /tmp is the host's own
results=build/check/$KVMFERRY_KERNEL


# pids of user processes (kernel threads have no exe), in the form " 1 2 3 "
processes() {
	local dir all=' '
	for dir in /proc/[0-9]*; do
		[ -e "$dir/exe" ] && all+="${dir#/proc/} "
	done
	echo "$all"
}

kill_new_processes() {
	local before=$1 pid name
	for pid in $(processes); do
		[[ $before != *" $pid "* ]] || continue
		read -r name <"/proc/$pid/comm" || continue
		kill -9 "$pid" 2>/dev/null && echo "  # left behind, killed: $name ($pid)"
	done
}

# lib/guest.sh makes these, and cannot unmake them if it is killed.
remove_new_hosts() {
	local name
	for name in a b; do
		[ ! -e "/run/netns/ferry-$name" ] || ip netns del "ferry-$name"
	done
	awk '$2 ~ "^/tmp/ferry" { print $2 }' /proc/mounts | xargs -r umount
}

# Nor these, of lib/guest-disk.sh. A QEMU that was killed ends only when nothing is guarded or delayed any more; to
# suspend a delay is to let go what it has.
remove_new_disks() {
	local name diskctl=build/storage/diskctl
	compgen -G "/tmp/ferry.*/disk" >/dev/null || return
	for name in a b; do
		[ -e "/dev/mapper/ferried-$name" ] || continue
		$diskctl unguard "ferried-$name"
		dmsetup suspend "delay-$name"
		dmsetup resume "delay-$name"
		$diskctl remove "ferried-$name"
		$diskctl remove "delay-$name"
	done
	losetup -D
	rm -f /tmp/ferry.*/disk
}

# What everybody was doing when a test ran out of time; the lines are not the kernel's complaints.
dump_tasks() {
	echo "kvmferry-test: expect begin" >/dev/kmsg
	echo w >/proc/sysrq-trigger
	echo l >/proc/sysrq-trigger
	echo t >/proc/sysrq-trigger
	echo "kvmferry-test: expect end" >/dev/kmsg
	mkdir -p "$(dirname "$results/$1")"
	dmesg >"$results/$1.dmesg"
	echo "  # all tasks' states: $results/$1.dmesg"
}

# Tests may leave the module loaded, but not so that it cannot be unloaded.
unload() {
	[ ! -d /sys/module/kvmferry ] || rmmod kvmferry
}

# A test that is late: note it, keep the state of all tasks while the test still hangs, then end it.
watch() {
	local name=$1 limit=$2 test=$3
	# sleeps without a process that could be taken for one of the test's
	read -rt "$limit" <>/tmp/never && return
	: >/tmp/late
	dump_tasks "$name"
	kill "$test"
	read -rt 5 <>/tmp/never
	kill -9 "$test"
}

# Run the test with its output going out indented, and into a file. Sets status.
run_limited() {
	local name=$1 limit=$2 program=$3 reader before watcher test
	rm -f /tmp/late
	# not a plain pipeline: that would wait for whatever the test leaves behind with its output open
	tee "$output" </tmp/pipe | sed -u 's/^/  /' &
	reader=$!
	exec 4>/tmp/pipe
	before=$(processes)
	"$program" </dev/null >&4 2>&4 4>&- &
	test=$!
	watch "$name" "$limit" $test 4>&- 2>/dev/null &
	watcher=$!
	wait $test
	status=$?
	kill $watcher
	wait $watcher
	[ ! -e /tmp/late ] || status=124
	kill_new_processes "$before"
	remove_new_disks
	remove_new_hosts
	exec 4>&-
	wait $reader
} 2>/dev/null

run_one() {
	local number=$1 name=$2 limit=$3 program=$4 mark started status verdict bad
	mark="kvmferry-test: begin $name"
	echo "$mark" >/dev/kmsg
	started=$SECONDS
	echo "  # Subtest: $name"
	run_limited "$name" "$limit" "$program"
	verdict=$(awk -v status="$status" -f $lib/verdict.awk "$output")
	unload || verdict="fail the module does not unload"
	bad=$(dmesg | awk -v after="$mark" -f $lib/complaints.awk)
	if [ -n "$bad" ]; then
		echo "  # ${bad//$'\n'/$'\n'  # }"
		verdict="fail the kernel complained"
	fi
	case $verdict in
	pass) echo "ok $number - $name # time=$((SECONDS - started))" ;;
	skip*) echo "ok $number - $name # SKIP ${verdict#skip } # time=$((SECONDS - started))" ;;
	*) echo "not ok $number - $name # ${verdict#fail } # time=$((SECONDS - started))" ;;
	esac
	[[ $verdict != fail* ]]
}

mkfifo /tmp/pipe /tmp/never
[ -s "$list" ] || { echo "Bail out! no list of tests: $list"; exit 1; }
echo "KTAP version 1"
echo "1..$(wc -l <"$list")"
number=0 failed=0
while read -r name limit program <&3; do
	number=$((number + 1))
	run_one $number "$name" "$limit" "$program" 3<&- || failed=1
done 3<"$list"
exit $failed
