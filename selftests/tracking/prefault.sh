#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The tests of groups once more, with the module's other way to open pages: KVM_PRE_FAULT_MEMORY.
set -eu
# shellcheck source=../lib/ktap.sh
. "$(dirname "$0")/../lib/ktap.sh"

export KVMFERRY_BACKEND=prefault

# nested PROGRAM: a test of its own; what it says becomes diagnostics
nested() {
	local status=0
	"$KVMFERRY_BUILD/tracking/$1" >"/tmp/prefault.$1" 2>&1 || status=$?
	sed 's/^/# /' "/tmp/prefault.$1"
	return "$status"
}

ktap_plan 5
for program in groups group_rules limit; do
	ktap_check "$program" nested "$program"
done
host_module_unload
# in a shell of its own, which bails out
refuses() { ! (KVMFERRY_BACKEND=$1 host_module_load) >/dev/null 2>&1; }
ktap_check "a back end that is unknown is refused" refuses magic
ktap_check "the module unloads" host_module_unload
ktap_end
