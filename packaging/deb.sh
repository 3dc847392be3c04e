#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Build the Debian packages, source and binary, in a copy of the tree.
#
#   deb.sh [--version VERSION] [--into FOLDER]
#     --version VERSION   another one than that of the file VERSION, to try an upgrade
#     --into FOLDER       where they go, build/deb if not given
#
# DEB_BUILD_OPTIONS=nocheck leaves the unit tests out.
set -eu -o pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
version=$(cat VERSION) into=build/deb
while [ $# -gt 0 ]; do
	case $1 in
	--version) version=$2 ;;
	--into) into=$2 ;;
	*) echo "deb.sh: unknown option $1" >&2; exit 2 ;;
	esac
	shift 2
done
tree=$into/kvmferry-$version

# In a tree that is no repository everything but build/ is a source.
sources() {
	if [ -e .git ]; then
		git ls-files -z --cached --others --exclude-standard --deduplicate
	else
		find . -path ./build -prune -o -type f -print0
	fi
}

# When these sources were made: of the last commit, else of the last change.
made() {
	[ ! -e .git ] || { git log -1 --format=%ct; return; }
	sources | xargs -0 stat -c %Y | sort -n | tail -n 1
}

# A file may be gone and still known to git.
copy_tree() {
	mkdir -p "$into"
	rm -rf "$into"/kvmferry*
	sources | rsync -a --from0 --files-from=- --ignore-missing-args . "$tree"
	cp -r packaging/debian "$tree"/
}

# The version stands in the file VERSION, and in what cannot read it: dkms.conf (see lint.sh headers).
set_version() {
	local old
	old=$(cat VERSION)
	echo "$version" >"$tree/VERSION"
	sed -i "s/^PACKAGE_VERSION=\"${old//./\\.}\"/PACKAGE_VERSION=\"$version\"/" "$tree/dkms.conf"
}

# What changed, CHANGELOG.md tells, which is in the package.
write_changelog() {
	local maintainer
	maintainer=$(sed -n 's/^Maintainer: //p' packaging/debian/control)
	mkdir -p "$tree/debian/source"
	echo "3.0 (native)" >"$tree/debian/source/format"
	cat >"$tree/debian/changelog" <<-END
		kvmferry ($version) unstable; urgency=medium

		  * See CHANGELOG.md.

		 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
	END
}

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(made)}
export SOURCE_DATE_EPOCH
copy_tree
set_version
write_changelog
log=$into/build.log
# of a make that called us, for the one in there
unset MAKEFLAGS MAKELEVEL MFLAGS
if ! (cd "$tree" && dpkg-buildpackage --build=full --unsigned-source --unsigned-changes) >"$log" 2>&1 </dev/null; then
	tail -n 40 "$log" >&2
	exit 1
fi
ls "$into"/*.deb
