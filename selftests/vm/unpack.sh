# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Debian packages, unpacked into the cache and not installed. Sourced by kernel.sh and emulator.sh, which have "die" and "say".

cache=${KVMFERRY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kvmferry}

# in_suite apt-get|apt-cache ...: for the suite in $suite, or for what this machine has if that is empty
suite=''
in_suite() {
	local command=$1 home=$cache/apt-$suite
	shift
	[ -n "$suite" ] || { "$command" "$@"; return; }
	mkdir -p "$home/lists/partial" "$home/archives/partial"
	: >"$home/status"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $suite main" >"$home/sources.list"
	"$command" -o APT::Sandbox::User=root -o Dir::Etc::sourcelist="$home/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferences=/dev/null \
		-o Dir::Etc::preferencesparts=/dev/null -o Dir::State::lists="$home/lists" -o Dir::State::status="$home/status" \
		-o Dir::Cache="$home" -o Dir::Cache::archives="$home/archives" "$@"
}

# The line "Depends:" of a package (of an exact version: PACKAGE=VERSION), one alternative-free name a line.
depends() {
	in_suite apt-cache show --no-all-versions "$1" |
		sed -n 's/^Depends: //p' | tr ',' '\n' | sed -e 's/|.*//' -e 's/([^)]*)//' -e 's/ //g'
}

candidate() {
	in_suite apt-cache policy "$1" | awk '/Candidate:/ && $2 != "(none)" { print $2 }'
}

# Package lists may be absent (a fresh container) or too old to download from.
need_package_lists() {
	[ -n "$(candidate "$1")" ] && return
	say "updating apt's package lists"
	in_suite apt-get -qq update || die "apt-get update failed"
	[ -n "$(candidate "$1")" ] || die "no package named $1"
}

# Download packages and unpack them below a folder.
unpack() {
	local root=$1 dir deb
	shift
	dir=$(mktemp -d "$cache/download.XXXXXX")
	if ! (cd "$dir" && in_suite apt-get -qq -o APT::Sandbox::User=root download "$@" >&2); then
		say "download failed, trying again with new package lists"
		in_suite apt-get -qq update
		(cd "$dir" && in_suite apt-get -qq -o APT::Sandbox::User=root download "$@" >&2) || {
			rm -rf "$dir"
			die "cannot download $*"
		}
	fi
	for deb in "$dir"/*.deb; do
		dpkg-deb -x "$deb" "$root"
	done
	rm -rf "$dir"
}
