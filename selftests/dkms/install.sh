#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What dkms built (build.sh) it also installs where modprobe finds it, and removes without a trace.
. "$(dirname "$0")/../lib/ktap.sh"
. "$(dirname "$0")/small-tree.sh"

# the other tests are to keep their modules, see below
[ "${1:-}" = unshared ] || exec unshare -m "$0" unshared

work=$KVMFERRY_BUILD/dkms/$KVMFERRY_KERNEL
version=$(cat VERSION)
release=$(uname -r)
name=kvmferry/$version

[ -e "$work/stamp" ] || ktap_bail "not built: $work"

ktap_plan 7
small_module_tree /run/modules
mount --bind /run/modules "/lib/modules/$release"
depmod "$release"
cp -r "$work/usr/src/kvmferry-$version" /usr/src/
mkdir -p /var/lib/dkms
cp -a "$work/tree/kvmferry" /var/lib/dkms/
ln -sfn "/usr/src/kvmferry-$version" "/var/lib/dkms/$name/source"

ktap_check "the version is the one that dkms knows" grep -qx "PACKAGE_VERSION=\"$version\"" dkms.conf
ktap_check "dkms says that it is built" sh -c "dkms status $name -k $release | grep -q ': built'"
ktap_check "dkms installs it" dkms install "$name" -k "$release"
ktap_check "modprobe finds it, and what it depends on" modprobe kvmferry
ktap_check "its device is there" test -c /dev/kvmferry
ktap_check "it unloads" rmmod kvmferry
ktap_check "dkms removes it" sh -c "dkms remove $name --all && ! modinfo kvmferry 2>/dev/null"
# other tests have sources of their own
rm -r "/usr/src/kvmferry-$version"
ktap_end
