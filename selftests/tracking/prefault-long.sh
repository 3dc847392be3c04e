#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# KVM_PRE_FAULT_MEMORY for as long as is wanted: a Linux guest under QEMU, followed with each policy of grouping in turn
# (see oracle.c), and asked after each whether it still runs and how its memory is. In no list: an hour is the least.
#
#   selftests/vm/host.sh --kernel 7.3 --timeout 8000 -- selftests/tracking/prefault-long.sh MINUTES
set -u

cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=../lib/ktap.sh
. selftests/lib/ktap.sh
export GUEST_RAM=192 KVMFERRY_BACKEND=prefault
# shellcheck source=../lib/guest.sh
. selftests/lib/guest.sh

minutes=$1 seconds=120
out=/tmp/prefault-long

# follow POLICY: not one page differs, and the control finds some
follow() {
	ORACLE_POLICY=$1 guest_oracle a $seconds >$out 2>&1
	grep '^policy' $out | sed "s/^/# $SECONDS s, /"
	grep -qE '^policy .* differ 0 control_differ [1-9]' $out || { sed 's/^/# /' $out; return 1; }
}

is_well() {
	guest_continues a || return 1
	[ "$(guest_errors a)" != 0 ] || return 0
	grep -aE "$guest_trouble" "$GUEST_DIR/a/console" | head -n 20 | sed 's/^/# /'
	return 1
}

ktap_plan 3
host_module_load
guest_open
trap guest_close EXIT
guest_start a || ktap_bail "no guest"
followed=1 well=1
while [ $SECONDS -lt $((minutes * 60)) ] && [ $well = 1 ]; do
	for policy in dynamic "static 32" contiguous "static 512"; do
		follow "$policy" || followed=0
		is_well || { well=0; break; }
	done
done
ktap_check "no page differs, and every control finds some" test $followed = 1
ktap_check "the guest runs on, and finds no error in its memory" test $well = 1
trap - EXIT
guest_close
ktap_check "the module unloads" host_module_unload
ktap_end
