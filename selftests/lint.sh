#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Everything that judges the sources without running them. Prints what is wrong; exit status 1 if anything is.
#
#	lint.sh [STEP]...     the steps are the functions below whose names begin with lint_; all if none is named
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
kdir=$(selftests/vm/kernel.sh kdir 6.1)

# Sources of the kernel's dialect, and of user space.
kernel_sources() { git ls-files 'kmod/*.[ch]' 'uapi/*.h' 'selftests/vm/misbehave/*.c'; }
agent_sources() { git ls-files 'userspace-agent/*.c'; }
scripts() { git ls-files '*.sh' .ci/run; }

# checkpatch --strict does not understand TRACE_EVENT: trace.h without it. The kernel's zstd library has names in CamelCase.
lint_checkpatch() {
	# shellcheck disable=SC2046 # one name a word
	checkpatch $(kernel_sources | grep -v -e trace.h -e zstream.c) --strict && checkpatch kmod/trace.h &&
		checkpatch kmod/zstream.c --strict --ignore=CAMELCASE
}

checkpatch() {
	"$(selftests/vm/kernel.sh source debug)/scripts/checkpatch.pl" --no-tree --terse --no-summary \
		--max-line-length=100 --ignore=FILE_PATH_CHANGES -f "$@"
}

lint_kernel_doc() {
	local said
	said=$(kernel_sources | xargs "$kdir/scripts/kernel-doc" -none 2>&1 | grep -v ': warning: no structured comments found' || true)
	[ -z "$said" ] || { echo "$said"; return 1; }
}

# The kernel's own extra warnings, and sparse, in a copy of the sources of their own.
lint_sparse() {
	local log=build/lint.log
	rm -rf build/kmod/lint
	make module-running KDIR="$kdir" KMOD=lint FERRY_FAULT=y MODULE_FLAGS='C=2 W=1' >"$log" 2>&1 ||
		{ cat "$log"; return 1; }
	! grep -E '(warning|error):' "$log"
}

# The header is the manual of the ABI: it has to stand alone, in C and in C++.
lint_uapi() {
	local language
	for language in c c++; do
		gcc -x "$language" -Wall -Wextra -Werror -fsyntax-only -Iuapi -include uapi/linux/kvmferry.h /dev/null || return 1
	done
}

lint_clang_tidy() {
	local -a folders
	read -ra folders < <(pkg-config --cflags libxml-2.0) # the only library whose headers are in a folder of their own
	# one at a time: several in one process make the analyzer lose track of va_list
	agent_sources | xargs -I{} clang-tidy --quiet {} -- -std=gnu11 -D_GNU_SOURCE -DKVMFERRY_VERSION='""' \
		-Iuapi -Iuserspace-agent "${folders[@]}" 2>/dev/null
}

lint_shellcheck() {
	scripts | xargs shellcheck
}

# A licence at the head of every file, or beside what can have none there (FILE.license); and one version everywhere.
lint_headers() {
	local bad
	bad=$(git ls-files | grep -vE '^(COPYING|VERSION|LICENSES/)' | while read -r file; do
		[ ! -f "$file" ] || cat "$file.license" "$file" 2>/dev/null | head -n 4 | grep -aq SPDX-License-Identifier || echo "$file: no SPDX line"
	done)
	grep -qx "PACKAGE_VERSION=\"$(cat VERSION)\"" dkms.conf || bad+=$'\n'"dkms.conf: another version than VERSION"
	head -n 4 packaging/man/kvmferry.8 | grep -qF "\"kvmferry $(cat VERSION)\"" || bad+=$'\n'"kvmferry.8: another version than VERSION"
	[ -z "$bad" ] || { echo "$bad"; return 1; }
}

# Debian's own judge of packages, with all that it has to say.
lint_lintian() {
	DEB_BUILD_OPTIONS=nocheck packaging/deb.sh --into build/lintian >/dev/null &&
		lintian --allow-root --pedantic --display-info --fail-on error,warning,info,pedantic,override build/lintian/*.changes
}

status=0
# shellcheck disable=SC2046 # one name a word
[ $# -gt 0 ] || set -- $(declare -F | awk '$3 ~ /^lint_/ { print substr($3, 6) }')
for step in "$@"; do
	if "lint_$step"; then
		echo "ok      $step"
	else
		echo "FAILED  $step"
		status=1
	fi
done
exit $status
