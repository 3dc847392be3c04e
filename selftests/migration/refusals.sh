#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# VMs that cannot be moved, and hosts that cannot move them: check and send refuse alike, with a remedy, and change
# nothing.
set -eu
# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "$0")/scene.sh"

small_vm

check() {
	host_start a send "$@" "$GUEST_DIR/kvmferry" check --qmp "$GUEST_DIR/a/qmp.agent" --state-dir "$GUEST_DIR/a/state"
	agent_end a send
}

try_send() {
	host_start a send "$@" "$GUEST_DIR/kvmferry" send --qmp "$GUEST_DIR/a/qmp.agent" --state-dir "$GUEST_DIR/a/state" \
		--to 192.0.2.2:7070 --insecure --timeout 20
	agent_end a send
}

# What QEMU would tell anybody who asks.
portrait() {
	guest_qmp a '{"execute": "query-migrate-capabilities"}'
	guest_qmp a '{"execute": "query-migrate"}'
	guest_qmp a '{"execute": "query-status"}'
}

# refused WORDS RUNNER...: by both commands, with status 1, the words and a remedy; QEMU is as it was
refused() {
	local expected=$1 before status
	shift
	before=$(portrait)
	status=0
	check "$@" || status=$?
	[ "$status" = 1 ] || { ktap_note "check's status is $status"; return 1; }
	grep -hE -- "$expected" "$GUEST_DIR"/a/send.{out,err} | sed 's/^/# check: /' | grep . || {
		sed 's/^/#   /' "$GUEST_DIR"/a/send.{out,err}
		return 1
	}
	status=0
	try_send "$@" || status=$?
	[ "$status" = 1 ] || { ktap_note "send's status is $status"; return 1; }
	grep -qE -- "$expected" "$GUEST_DIR/a/send.err" || { sed 's/^/#   /' "$GUEST_DIR/a/send.err"; return 1; }
	[ "$(portrait)" = "$before" ] || { ktap_note "QEMU is not as it was: $(portrait)"; return 1; }
	[ -z "$(ls "$GUEST_DIR/a/state")" ] || { ktap_note "left behind: $(ls "$GUEST_DIR/a/state")"; return 1; }
}

# backend NAME WORDS: a VM that need not run to be refused
backend() {
	GUEST_BACKEND=$1
	guest_launch a -S || return 1
	refused "$2" || return 1
	guest_kill a
	GUEST_BACKEND="file"
}

on_hugetlbfs() {
	local need=$((GUEST_RAM / 2))
	mkdir "$GUEST_DIR/huge"
	echo $need >/proc/sys/vm/nr_hugepages
	if [ "$(cat /proc/sys/vm/nr_hugepages)" -lt $need ] || ! mount -t hugetlbfs none "$GUEST_DIR/huge"; then
		ktap_skip "RAM on hugetlbfs" "no huge pages to be had"
	else
		ktap_check "RAM on hugetlbfs" backend hugetlbfs "hugetlbfs.*tmpfs"
		umount "$GUEST_DIR/huge"
	fi
	echo 0 >/proc/sys/vm/nr_hugepages
}

good() {
	local before status=0
	before=$(portrait)
	check || status=$?
	sed 's/^/# /' "$GUEST_DIR"/a/send.{out,err}
	[ "$status" = 0 ] && [ "$(portrait)" = "$before" ] && [ -z "$(ls "$GUEST_DIR/a/state")" ]
}

# Somebody else with the same file mapped: another QEMU, which is a likely one.
mapped_twice() {
	local status=0
	host_start a second qemu-system-x86_64 -machine none -nodefaults -display none -S -monitor none \
		-object "memory-backend-file,id=x,size=${GUEST_RAM}M,mem-path=$GUEST_DIR/a/ram/vm,share=on"
	guest_until 20 grep -q ram/vm "/proc/$(cat "$GUEST_DIR/a/second.pid")/maps"
	refused "also mapped by process" || status=1
	host_kill a second
	return "$status"
}

without_module() {
	local status=0
	host_module_unload || return 1
	refused "module is not loaded.*modprobe" || status=1
	host_module_load
	return "$status"
}

ktap_plan 9
scene_open
ktap_check "anonymous RAM" backend anonymous "anonymous|share=off|private"
ktap_check "a private mapping of a file" backend private "share=off"
ktap_check "a memfd" backend memfd "memfd"
on_hugetlbfs
guest_launch a -S
ktap_check "a VM that is mapped a second time" mapped_twice
ktap_check "no module" without_module
ktap_check "root without the right to trace" refused "right to trace|run kvmferry as root" \
	setpriv --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace
ktap_check "a VM that can be moved is left alone" good
guest_kill a
ktap_check "the module unloads" host_module_unload
ktap_end
