#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The fuzzer of the kernel's ABI at length, with a module that notes what of it ran.
#
#   long.sh KERNEL MINUTES [SEED]
#
# The module is built for this into build/cover/. Prints the functions of which something never ran, and the sum.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
kernel=$1 minutes=$2 seed=${3:-}
module=$top/build/cover/kmod/$kernel/kvmferry.ko kept=$top/build/abi/cover

make -C "$top" modules KERNEL="$kernel" BUILD="$top/build/cover" MODULE_FLAGS=FERRY_COVER=y
rm -f "$kept"
status=0
"$top/selftests/vm/host.sh" --kernel "$kernel" --timeout $((minutes * 60 + 600)) -- \
	env KVMFERRY_KO="$module" KVMFERRY_COVER="$kept" ${seed:+"KVMFERRY_SEED=$seed"} build/abi/fuzz $((minutes * 60)) || status=$?
[ ! -s "$kept" ] || "$here/cover.sh" "$module" "$kept"
exit $status
