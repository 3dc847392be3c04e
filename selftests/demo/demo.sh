#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# make demo: migrate a running guest between two hosts, and show it. Needs no hardware virtualization and loads nothing
# into this machine's kernel: what is shown happens in an emulated machine.
#
#   demo.sh inside      a guest is moved; the numbers are in build/demo.json, pictures in build/demo.html
#   demo.sh storage     a guest on slow storage is moved; build/demo-storage.json and .html
set -eu

case ${1:-} in
inside) name=demo ;;
storage) name=demo-storage ;;
*) sed -n '7,8s/^#   /usage: /p' "$0" >&2; exit 2 ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mkdir -p build
log=build/demo-build.log
rm -f build/$name.json build/$name.html

say() { echo "demo: $*"; }

# step WHAT COMMAND...: one line for the reader, the rest into the log
step() {
	local what=$1 begin=$SECONDS
	shift
	printf 'demo: %s ... ' "$what"
	if ! "$@" >>"$log" 2>&1 </dev/null; then
		echo FAILED
		tail -n 30 "$log"
		exit 1
	fi
	echo "done ($((SECONDS - begin)) s)"
}

: >"$log"
step "installing what is missing of Debian's packages" selftests/setup.sh
step "getting Debian's kernel 6.1" selftests/vm/kernel.sh fetch 6.1
step "getting an emulator" selftests/vm/emulator.sh
step "building the agent" make agent
step "building the module" make modules KERNEL=6.1
step "building the guest" make selftests-migration selftests-storage
say "booting an emulated machine with AMD virtualization"
status=0
selftests/vm/host.sh --kernel 6.1 --timeout 900 --console build/demo.console -- "selftests/demo/$1.sh" || status=$?
if [ $status -ne 0 ]; then
	say "FAILED (status $status); the machine's kernel log is in build/demo.console"
	exit 1
fi
for file in "build/$name.json" "build/$name.html"; do
	[ -s "$file" ] || { say "FAILED: there is no $file"; exit 1; }
done
say "the numbers are in build/$name.json, and build/$name.html is the page that kvmferry report makes of build/$name-run.json"
