# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # $from and $to are of who sources it
# The kill matrix: who is killed when, and what is written down of it. Sourced.
#
# A cell is POINT/VICTIM. The point is one of userspace-agent/fault.h; the victim an agent, a QEMU or a host, each at the
# source or at the target, or the link between the hosts. One file with an object for each cell:
#
#   cell     its name
#   died     1: the VM's own QEMU, or its host, was the victim: the VM is gone, and begins anew
#   owner    source, target, or nobody
#   verdict  what kvmferry recover said
#   lost     1: nobody runs the VM, although what had it lives; or the hosts' records do not agree
#   twice    1: it ran on both hosts
#   wrong_bytes  errors that the guest found in its memory, or on its disk
#   debris   things left behind: processes, files, device-mapper devices, pins of the module
#   seconds

kill_points="source:check source:connect source:record source:attach source:passes source:stop source:drain source:handover
	source:settle source:device source:resettle source:guard source:commit source:committed source:running source:retire
	source:disks target:incoming target:commit target:owns target:runs target:told"

# Where a host has to boot anew for each cell: one point for each state of the two records and of the guest.
kill_points_host="source:passes source:handover source:commit source:committed source:running source:retire
	target:incoming target:commit target:owns target:runs target:told"

# kill_cells VICTIM...: the cells of these victims (agent, qemu, link, host), one a line
kill_cells() {
	local point points victim side
	for victim; do
		points=$kill_points
		[ "$victim" != host ] || points=$kill_points_host
		for point in $points; do
			if [ "$victim" = link ]; then
				echo "$point/link"
				continue
			fi
			for side in source target; do
				# by then it has ended
				[ "$point/$victim-$side" != source:disks/qemu-source ] || continue
				echo "$point/$victim-$side"
			done
		done
	done
}

kill_file() { echo "${1//[:\/]/-}.json"; }

# Sets what is written down of a cell.
cell_begin() {
	started=$SECONDS
	owner=nobody verdict=none died=0 lost=0 twice=0 wrong_bytes=0 debris=0
}

# cell_end NAME: write it down below $results, if that is set; fails unless all is well
cell_end() {
	local side
	side=$(side_of "$owner")
	echo "# $1: the VM is with $side, by verdict $verdict; lost $lost, twice $twice, wrong bytes $wrong_bytes, debris $debris; $((SECONDS - started)) s"
	[ -z "$results" ] || jq -cn --arg cell "$1" --argjson died "$died" --arg owner "$side" --arg verdict "$verdict" --argjson lost "$lost" \
		--argjson twice "$twice" --argjson wrong_bytes "${wrong_bytes:-1}" --argjson debris "$debris" --argjson seconds $((SECONDS - started)) \
		'{$cell, $died, $owner, $verdict, $lost, $twice, $wrong_bytes, $debris, $seconds}' >"$results/$(kill_file "$1")"
	[ "$lost$twice$wrong_bytes$debris" = 0000 ]
}

# run_cells NAME...: each is a test, by the caller's cell NAME; then its next_cell STATUS makes ready for the next
run_cells() {
	local name status
	for name; do
		status=0
		cell "$name" || status=$?
		if [ $status = 0 ]; then ktap_ok "$name"; else ktap_fail "$name"; fi
		next_cell $status
	done
}

# The hosts are a and b; the source is $from, the target $to.
other_host() { case $1 in a) echo b ;; b) echo a ;; esac; }
side_of() { case $1 in "$from") echo source ;; "$to") echo target ;; *) echo "$1" ;; esac; }

# place HOST JSON: the host that may run the VM by what recover says on this one, or: either, nobody, none
place() {
	local ours
	ours=$(jq -r 'if .verdict == .side then "here" elif .verdict == "source" or .verdict == "target" then "there" else .verdict end' <<<"$2")
	case $ours in here) echo "$1" ;; there) other_host "$1" ;; *) echo "$ours" ;; esac
}

# is_less ALONE TOGETHER: alone a host may say less than with the other, never something else. (Should the VM be left to
# either, the target may know of it only as the VM that it gave to the source before.)
is_less() { [ "$1" = "$2" ] || [ "$1" = nobody ] || [ "$1" = none ] || [ "$1/$2" = "$from/either" ]; }

# agree HERE THERE ALONE_HERE ALONE_THERE: what the source and the target say, as lines of JSON, with the other's records and
# without. Sets verdict.
agree() {
	local here there alone
	here=$(place "$from" "$1") there=$(place "$to" "$2")
	verdict=$(side_of "$here")
	if [ "$here" != "$there" ]; then echo "# the source says $here, the target $there"; return 1; fi
	for alone in "$(place "$from" "$3")" "$(place "$to" "$4")"; do
		is_less "$alone" "$here" || { echo "# alone, a host says $alone, not $here"; return 1; }
	done
}

# may_be_gone VICTIM: did what had the VM, by the verdict, die with it? A source that may have it back has it; a target that
# may take it has ended its QEMU if its agent gave up.
may_be_gone() {
	case $1/$verdict in
	qemu-source/source | qemu-source/none | qemu-source/either | qemu-target/target) died=1 ;;
	host-source/source | host-source/none | host-source/either | host-target/target) died=1 ;;
	*) return 1 ;;
	esac
}
