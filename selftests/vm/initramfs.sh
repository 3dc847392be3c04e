#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Make the small initramfs that takes an emulated host from its kernel to its root.
#
#   initramfs.sh KERNEL     make it in the cache if it is not there, print its path
#
# It holds busybox, the modules that 9p over virtio and overlayfs need, and initramfs-init.sh.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=$1
root=$("$here/kernel.sh" modules "$name")
release=$("$here/kernel.sh" release "$name")
busybox=$(command -v busybox)
wanted="virtio_pci virtio_console 9pnet_virtio 9p overlay"

# a new name for every change of what goes in, so that concurrent callers never see a half-made one
key=$(cat "$0" "$here/initramfs-init.sh" "$root/lib/modules/$release/modules.dep" "$busybox" | sha256sum | cut -c1-12)
image=$root/initramfs-$key.gz
if [ ! -e "$image" ]; then
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	mkdir -p "$dir"/{bin,dev,proc,sys,lib,lower,upper,root}
	cp "$busybox" "$dir/bin/busybox"
	cp "$here/initramfs-init.sh" "$dir/init"
	chmod 755 "$dir/init"
	# shellcheck disable=SC2086 # a list
	modprobe -d "$root" -S "$release" -a --show-depends $wanted |
		awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$dir/modules.full"
	while read -r module; do
		case $module in
		*.xz) xz -dc "$module" >"$dir/lib/$(basename "$module" .xz)" ;;
		*) cp "$module" "$dir/lib/" ;;
		esac
	done <"$dir/modules.full"
	sed -e 's|.*/||' -e 's|\.xz$||' "$dir/modules.full" >"$dir/lib/order"
	rm "$dir/modules.full"
	(cd "$dir" && find . | cpio -o -H newc --quiet | gzip -1) >"$image.$$"
	mv "$image.$$" "$image"
	# older ones are of no use to anybody who starts now
	find "$root" -maxdepth 1 -name 'initramfs-*.gz' ! -path "$image" -mmin +60 -delete
fi
echo "$image"
