#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Build the guest that migrates: one static program as /init of an initramfs.
#
#   build.sh        makes, in build/guest/,
#                     initrd.gz        the guest
#                     initrd-disk.gz   the same with the drivers of virtual disks, and ext4
#                     workload         the program alone
#                     programs.ext4    a disk with Debian's fio, what it needs, and its orders (*.fio)
#
# The guest's kernel is Debian's, unmodified; the serial console and what it needs are built into it, disks are not.
# The kernel's own initramfs has /dev/console.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${KVMFERRY_BUILD:-$here/../../build}/guest
drivers="virtio_pci virtio_blk virtio_scsi sd_mod ext4"
modules=$("$here/../vm/kernel.sh" modules 6.1)
release=$("$here/../vm/kernel.sh" release 6.1)
mkdir -p "$out"

if [ -e "$out/initrd.gz" ] && [ -e "$out/initrd-disk.gz" ] &&
	[ -z "$(find "$here" "$modules/lib/modules/$release/modules.dep" -type f -newer "$out/initrd-disk.gz" -print -quit)" ]; then
	exit
fi
"${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -static -pthread -o "$out/workload" "$here"/*.c

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# pack FOLDER: as an initramfs, to stdout
pack() { (cd "$1" && find . | cpio -o -H newc --quiet --owner 0:0 | gzip -6 -n); }

mkdir -p "$root"/guest/{dev,proc}
cp "$out/workload" "$root/guest/init"
strip "$root/guest/init"
pack "$root/guest" >"$out/initrd.gz.new"

# The drivers and all that they depend on, named so that the order of names is the order of loading.
mkdir -p "$root/disk/modules"
number=100
# shellcheck disable=SC2086 # a list
modprobe -d "$modules" -S "$release" -a --show-depends $drivers | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
	while read -r module; do
		cp "$module" "$root/disk/modules/$number-${module##*/}"
		number=$((number + 1))
	done
# two archives in a row are one initramfs
{ cat "$out/initrd.gz.new"; pack "$root/disk"; } >"$out/initrd-disk.gz.new"

# The loader, and each library under the name by which it is looked for.
mkdir -p "$root"/programs/{dev,proc,tmp}
cp "$here"/*.fio "$root/programs/"
{ command -v fio; ldd "$(command -v fio)" | grep -o '/[^ ]*'; } | while read -r file; do
	install -D "$file" "$root/programs/$file"
done
rm -f "$out/programs.ext4"
truncate -s $(($(du -sm "$root/programs" | cut -f1) + 16))M "$out/programs.ext4"
mkfs.ext4 -q -d "$root/programs" -O ^has_journal -m 0 "$out/programs.ext4"

mv "$out/initrd.gz.new" "$out/initrd.gz"
mv "$out/initrd-disk.gz.new" "$out/initrd-disk.gz"
