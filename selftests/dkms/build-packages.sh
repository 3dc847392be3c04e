#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What life.sh installs, below build/dkms/packages/: the packages of this version in now/, and in newer/ those of one to
# upgrade to. Built only if something has changed that goes into them.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top"
into=build/dkms/packages
version=$(cat VERSION)

sources() { find CHANGELOG.md COPYING Kbuild Makefile README.md VERSION dkms.conf docs kmod packaging uapi userspace-agent -type f | sort; }
stamp=$({ sources; sources | xargs cat; } | sha256sum)
[ "$(cat $into/stamp 2>/dev/null)" != "$stamp" ] || exit 0
rm -rf $into
# the unit tests have a place of their own
export DEB_BUILD_OPTIONS="nocheck noautodbgsym"
packaging/deb.sh --into $into/now >/dev/null
packaging/deb.sh --into $into/newer --version "$version.1" >/dev/null
echo "$stamp" >$into/stamp
