#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Build the guest that migrates: one static program as /init of an initramfs.
#
#   build.sh        makes build/guest/initrd.gz (and build/guest/workload, the program alone)
#
# The guest's kernel is Debian's, unmodified; the serial console and what it needs are built into it, so no module goes in.
# The kernel's own initramfs has /dev/console.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${KVMFERRY_BUILD:-$here/../../build}/guest
mkdir -p "$out"

if [ -e "$out/initrd.gz" ] && [ -z "$(find "$here" -type f -newer "$out/initrd.gz" -print -quit)" ]; then
	exit
fi
"${CC:-gcc}" -std=gnu11 -O2 -Wall -Wextra -Werror -static -pthread -o "$out/workload" "$here"/*.c

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{dev,proc}
cp "$out/workload" "$root/init"
strip "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet --owner 0:0 | gzip -6 -n) >"$out/initrd.gz.new"
mv "$out/initrd.gz.new" "$out/initrd.gz"
