#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The tracking oracle (see oracle.c) on this kernel: on the tests' own VMM, and on QEMU with a Linux guest.
# Writes build/oracle/KERNEL.json and puts together build/oracle.json, an array with one object for each run:
#	{"kernel": , "guest": "vmm" or "qemu", "policy": "none", "pages": , "differ": , "control_differ": }
set -u

cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=../lib/ktap.sh
. selftests/lib/ktap.sh
export GUEST_RAM=192
# shellcheck source=../lib/guest.sh
. selftests/lib/guest.sh

seconds=5
oracle=$KVMFERRY_BUILD/tracking/oracle
out=$KVMFERRY_BUILD/oracle
mkdir -p "$out"
rm -f "$out/$KVMFERRY_KERNEL".*

# verdict GUEST OUTPUT: two results from the oracle's last line
verdict() {
	local guest=$1 words
	sed 's/^/# /' "$2"
	read -r -a words < <(tail -n 1 "$2")
	if [ "${words[0]:-}" != pages ]; then
		ktap_fail "$guest: no page differs" "the oracle said nothing"
		ktap_fail "$guest: the control does its work"
		return
	fi
	ktap_check "$guest: ${words[3]} of ${words[1]} pages differ" test "${words[3]}" = 0
	ktap_check "$guest: the control finds ${words[5]}" test "${words[5]}" != 0
	printf '{"kernel": "%s", "guest": "%s", "policy": "none", "pages": %s, "differ": %s, "control_differ": %s}\n' \
		"$KVMFERRY_KERNEL" "$guest" "${words[1]}" "${words[3]}" "${words[5]}" >"$out/$KVMFERRY_KERNEL.$guest"
}

on_vmm() {
	"$oracle" vmm 192 $seconds >/tmp/oracle 2>&1
	verdict vmm /tmp/oracle
}

qmp_command() { echo "'$GUEST_DIR/qmp' '$GUEST_DIR/a/qmp.test' '{\"execute\": \"$1\"}' >/dev/null"; }

on_qemu() {
	guest_open
	trap guest_close EXIT
	guest_start a || ktap_bail "no guest"
	"$oracle" process $seconds "$(cat "$GUEST_DIR/a/qemu.pid")" "$(qmp_command stop)" "$(qmp_command cont)" \
		"$GUEST_DIR/a/ram/vm" >/tmp/oracle 2>&1
	verdict qemu /tmp/oracle
	ktap_check "qemu: the guest runs on" guest_continues a
	ktap_check "qemu: and finds no error in its memory" test "$(guest_errors a)" = 0
}

ktap_plan 7
host_module_load
on_vmm
on_qemu
trap - EXIT
guest_close
cat "$out"/* | jq -s . >"$KVMFERRY_BUILD/oracle.json"
ktap_check "the module unloads" host_module_unload
ktap_end
