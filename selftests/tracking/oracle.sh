#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The tracking oracle (see oracle.c) on this kernel: on the tests' own VMM with 2 and 4 vCPUs, in peace and
# disturbed, and on QEMU with a Linux guest; with every policy of grouping. Where the kernel has both back ends, the last
# three once more with prefault.
# Writes build/oracle/KERNEL.json and puts together build/oracle.json, an array with one object for each run:
#	{"kernel": , "guest": , "policy": , "pages": , "differ": , "control_differ": }
set -u

cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=../lib/ktap.sh
. selftests/lib/ktap.sh
export GUEST_RAM=192
# shellcheck source=../lib/guest.sh
. selftests/lib/guest.sh

seconds=5 policies=5
oracle=$KVMFERRY_BUILD/tracking/oracle
out=$KVMFERRY_BUILD/oracle
mkdir -p "$out"
rm -f "$out/$KVMFERRY_KERNEL".*

# verdict GUEST OUTPUT: two results for each policy, from the oracle's lines "policy NAME: pages N differ N control_differ N"
verdict() {
	local guest=$1 found=0 line
	sed 's/^/# /' "$2"
	while read -r line; do
		[[ $line =~ ^policy\ (.*):\ pages\ ([0-9]+)\ differ\ ([0-9]+)\ control_differ\ ([0-9]+)$ ]] || continue
		found=$((found + 1))
		ktap_check "$guest, ${BASH_REMATCH[1]}: ${BASH_REMATCH[3]} of ${BASH_REMATCH[2]} pages differ" \
			test "${BASH_REMATCH[3]}" = 0
		ktap_check "$guest, ${BASH_REMATCH[1]}: the control finds ${BASH_REMATCH[4]}" test "${BASH_REMATCH[4]}" != 0
		printf '{"kernel": "%s", "guest": "%s", "policy": "%s", "pages": %s, "differ": %s, "control_differ": %s}\n' \
			"$KVMFERRY_KERNEL" "$guest" "${BASH_REMATCH[@]:1}" >>"$out/$KVMFERRY_KERNEL.$guest"
	done <"$2"
	is_whole() { [ "$found" = "$policies" ] && ! grep -q '^Bail out' "$1"; }
	ktap_check "$guest: all $policies policies were tried, and it came to its end" is_whole "$2"
}

# on_vmm NAME ARGUMENTS: the tests' own VMM
on_vmm() {
	local name=$1
	shift
	"$oracle" vmm "$@" >/tmp/oracle 2>&1
	verdict "$name" /tmp/oracle
}

# on_qemu NAME
on_qemu() {
	guest_open
	trap guest_close EXIT
	guest_start a || ktap_bail "no guest"
	guest_oracle a $seconds >/tmp/oracle 2>&1
	verdict "$1" /tmp/oracle
	ktap_check "$1: the guest runs on" guest_continues a
	ktap_check "$1: and finds no error in its memory" test "$(guest_errors a)" = 0
	trap - EXIT
	guest_close
}

# 7.3 has nothing else to begin with
prefaults=0
[ "$KVMFERRY_KERNEL" != 6.12 ] || prefaults=1
ktap_plan $(((4 + 3 * prefaults) * (2 * policies + 1) + 2 + 1 + 3 * prefaults))
host_module_load
on_vmm vmm-2 192 $seconds 2
on_vmm vmm-4 64 $seconds 4
on_vmm vmm-disturbed 64 $seconds 2 disturbed
on_qemu qemu
if [ $prefaults = 1 ]; then
	ktap_check "the module unloads before it is loaded with another back end" host_module_unload
	export KVMFERRY_BACKEND=prefault
	host_module_load
	on_vmm prefault-vmm-4 64 $seconds 4
	on_vmm prefault-vmm-disturbed 64 $seconds 2 disturbed
	on_qemu prefault-qemu
fi
cat "$out"/* | jq -s . >"$KVMFERRY_BUILD/oracle.json"
ktap_check "the module unloads" host_module_unload
ktap_end
