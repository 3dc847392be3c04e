#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Have dkms build the module for a kernel of the matrix, as a user's machine would, but in a tree of its own below build/:
# compiling inside the emulated host would take minutes. install.sh does the rest there.
#
#   build.sh KERNEL
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top"
kernel=$1
version=$(cat VERSION)
work=$top/build/dkms/$kernel
release=$(selftests/vm/kernel.sh release "$kernel")
kdir=$(selftests/vm/kernel.sh kdir "$kernel")

sources() { find Kbuild VERSION dkms.conf kmod uapi -type f | sort; }
stamp=$(sources | xargs cat | sha256sum)
[ "$(cat "$work/stamp" 2>/dev/null)" != "$stamp" ] || exit 0

rm -rf "$work"
mkdir -p "$work/tree"
make -s dkms-source DESTDIR="$work" >/dev/null

# dkms calls make, and this kernel may need another compiler than this machine's
mkdir -p "$work/bin"
cat >"$work/bin/make" <<EOF
#!/bin/sh
PATH='$PATH' exec '$top/selftests/vm/kernel.sh' make $kernel "\$@"
EOF
chmod +x "$work/bin/make"

dkms_in_tree() {
	PATH=$work/bin:$PATH dkms "$1" "kvmferry/$version" -k "$release" --kernelsourcedir "$kdir" --dkmstree "$work/tree" \
		--sourcetree "$work/usr/src" --no-depmod
}

# dkms makes a signing key for itself; this machine is not to keep one that it did not have
if [ ! -e /var/lib/dkms/mok.key ]; then
	trap 'rm -f /var/lib/dkms/mok.key /var/lib/dkms/mok.pub' EXIT
fi
if ! dkms_in_tree build >"$work/log" 2>&1; then
	cat "$work/log" "$work/tree/kvmferry/$version/build/make.log" >&2 2>/dev/null
	exit 1
fi
echo "$stamp" >"$work/stamp"
