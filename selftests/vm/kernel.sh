#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Kernels for the emulated host: fetch or build one, and say where its parts lie.
#
#   kernel.sh list [--ready]    names of the matrix (kernels.list); only those that need no long build
#   kernel.sh fetch NAME        make it available; does nothing, and needs no network, if it is
#   kernel.sh release NAME      what uname -r says under it
#   kernel.sh vmlinuz NAME      path of the bootable image
#   kernel.sh modules NAME      folder that holds lib/modules/RELEASE
#   kernel.sh kdir NAME         KDIR for make -C KDIR M=...
#   kernel.sh source NAME       unpacked sources, of a kernel that is built from them
#   kernel.sh system NAME       root of the Debian that it belongs to: / for this machine's, or a folder of system.sh
#   kernel.sh make NAME ARGS    make, with the compiler that modules of this kernel need
#
# Nothing is installed into this machine: packages are unpacked into the cache folder
# ${KVMFERRY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kvmferry}. To take a newer version of a kernel,
# remove CACHE/kernels/NAME.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=SCRIPTDIR/unpack.sh
. "$here/unpack.sh"

die() { echo "kernel.sh: $*" >&2; exit 1; }
say() { echo "kernel.sh: $*" >&2; }

names() { sed -e 's/#.*//' "$here/kernels.list" | awk 'NF { print $1 }'; }

# field N of the line that describes kernel NAME
field() { sed -e 's/#.*//' "$here/kernels.list" | awk -v name="$1" -v n="$2" '$1 == name { print $n }'; }

# Headers look for each other under /usr/src; let them look where they were unpacked.
relocate_headers() {
	local root=$1 release=$2 link
	find "$root/usr/src" -maxdepth 2 -name Makefile -type f \
		-exec sed -i -E "s#^(include |KBUILD_OUTPUT=)/usr/src/#\\1$root/usr/src/#" {} +
	for link in "$root/lib/modules/$release"/{build,source}; do
		# newer packages have relative ones
		[[ $(readlink "$link") != /* ]] || ln -sfn "$root$(readlink "$link")" "$link"
	done
}

fetch_debian() {
	local name=$1 root=$2 image headers release
	image=$(field "$name" 3)
	headers=$(field "$name" 4)
	need_package_lists "$image"
	image=$(depends "$image" | grep '^linux-image-')
	headers=$(depends "$headers" | grep '^linux-headers-')
	release=${image#linux-image-}
	say "fetching $name: $image $(candidate "$image")"
	# shellcheck disable=SC2046 # one package name a word
	unpack "$root" "$image" $(depends "$image" | grep -E '^linux-(binary|modules|base)-[0-9]') \
		"$headers" $(depends "$headers" | grep -E '^linux-(headers|kbuild)-')
	# newer packages leave it to the system that /lib is a link
	[ -d "$root/lib" ] || ln -s usr/lib "$root/lib"
	relocate_headers "$root" "$release"
	depmod -b "$root" "$release"
	image=boot/vmlinuz-$release
	[ -e "$root/$image" ] || image=lib/modules/$release/vmlinuz
	ln -s "$image" "$root/vmlinuz"
	ln -s "usr/src/linux-headers-$release" "$root/kdir"
	[ -z "$suite" ] || fetch_compiler "$root/usr/src/linux-headers-$release"
	echo "$release" >"$root/release"
}

# The compiler that the kernel was built with comes with a system of its suite.
fetch_compiler() {
	local gcc
	gcc=$(grep -oE 'gcc-[0-9]+' "$1/.kernelvariables" | head -n 1)
	"$here/system.sh" path "$suite" "$gcc" >/dev/null
}

make_in_system() {
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "$here/system.sh" run "$suite" make -j"$(nproc)" "$@"
}

# What the built kernel depends on: if this has not changed, it need not be built again.
source_stamp() {
	cat "$here/kernels/$1.config" "$here/kernels/$1.patch" "$2/source-version" | sha256sum | cut -d' ' -f1
}

configure() {
	make -s x86_64_defconfig
	scripts/kconfig/merge_config.sh -m .config "$1" >/dev/null
	make -s olddefconfig
}

# Unpack the sources if they are not there, print where.
source_tree() {
	local package work
	package=$(field "$1" 3)
	work=$cache/$1
	if [ ! -e "$work/source-version" ]; then
		mkdir -p "$work"
		need_package_lists "$package"
		say "fetching the source of $1: $package $(candidate "$package")"
		unpack "$work/package" "$package"
		tar -C "$work" -xf "$work/package/usr/src/$package.tar.xz"
		rm -rf "$work/package"
		patch -s -d "$work/$package" -p1 <"$here/kernels/$1.patch"
		make -s -C "$work/$package" kernelversion >"$work/source-version"
	fi
	echo "$work/$package"
}

fetch_source() {
	local name=$1 root=$2 tree work=$cache/$1 release
	tree=$(source_tree "$name")
	if [ "$(cat "$work/configured" 2>/dev/null)" != "$(source_stamp "$name" "$work")" ]; then
		(cd "$tree" && configure "$here/kernels/$name.config")
		source_stamp "$name" "$work" >"$work/configured"
	fi
	say "building $name, this takes a quarter of an hour (log: $work/build.log)"
	make -C "$tree" -j"$(nproc)" KBUILD_BUILD_USER=kvmferry KBUILD_BUILD_HOST=kvmferry \
		bzImage modules >"$work/build.log" 2>&1 || {
		tail -n 30 "$work/build.log" >&2
		die "$name does not build"
	}
	release=$(make -s -C "$tree" kernelrelease)
	make -s -C "$tree" INSTALL_MOD_PATH="$root" modules_install >>"$work/build.log" 2>&1
	ln -sfn "$tree" "$root/lib/modules/$release/build"
	cp "$tree/arch/x86/boot/bzImage" "$root/vmlinuz"
	ln -s "$tree" "$root/kdir"
	echo "$release" >"$root/release"
	source_stamp "$name" "$work" >"$root/stamp"
}

complete() {
	local root=$cache/kernels/$1
	[ -e "$root/release" ] || return 1
	[ "$(field "$1" 2)" != source ] || [ "$(cat "$root/stamp")" = "$(source_stamp "$1" "$cache/$1")" ]
}

# A kernel that has to be built takes too long to be built as a side effect.
list() {
	local name
	for name in $(names); do
		[ "$1" != --ready ] || [ "$(field "$name" 2)" = debian ] || complete "$name" || continue
		echo "$name"
	done
}

# The file "release" is written last: without it the folder is half-made, and is made anew.
fetch() {
	local name=$1 root=$cache/kernels/$1
	complete "$name" && return
	mkdir -p "$cache/kernels"
	# two callers at once: the second waits, and finds it done
	exec 9>"$cache/kernels/.lock-$name"
	flock 9
	complete "$name" && return
	rm -rf "$root"
	mkdir "$root"
	case $(field "$name" 2) in
	debian) fetch_debian "$name" "$root" ;;
	suite) fetch_debian "$name" "$root" ;;
	source) fetch_source "$name" "$root" ;;
	*) die "unknown kind of kernel: $(field "$name" 2)" ;;
	esac
	exec 9>&-
}

# In a function, so that all of this file has been read before a long build starts, and may change during it.
main() {
	local verb=${1:-} name=${2:-} root
	case $verb in
	list) list "${2:-}"; exit ;;
	fetch | release | vmlinuz | modules | kdir | source | system | make) ;;
	*) die "usage: kernel.sh list | fetch NAME | release NAME | vmlinuz NAME | modules NAME | kdir NAME | source NAME | system NAME | make NAME ARGS" ;;
	esac
	[ -n "$(field "$name" 2)" ] || die "no kernel named '$name' (there are: $(names | tr '\n' ' '))"
	if [ "$verb" = source ]; then
		[ "$(field "$name" 2)" = source ] || die "$name is not built from sources"
		source_tree "$name"
		exit
	fi
	root=$cache/kernels/$name
	suite=$(field "$name" 5)
	fetch "$name"
	case $verb in
	release) cat "$root/release" ;;
	vmlinuz) echo "$root/vmlinuz" ;;
	modules) echo "$root" ;;
	kdir) readlink -f "$root/kdir" ;;
	system) if [ -n "$suite" ]; then "$here/system.sh" path "$suite"; else echo /; fi ;;
	make)
		shift 2
		if [ -n "$suite" ]; then make_in_system "$@"; else make "$@"; fi ;;
	esac
}

main "$@"
exit
