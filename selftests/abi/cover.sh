#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Which of the module's basic blocks ran, from what a module built with FERRY_COVER=y has kept (kmod/cover.h).
#
#   cover.sh MODULE KEPT...     KVMFERRY.KO, and the files that were kept of one or several runs of it
#
# One line for each function of which something did not run, then the sum. What belongs to __init and __exit is not
# looked at.
set -eu

module=$1
shift
reach=$((512 << 10))
origin=$((0x$(nm "$module" | awk '$3 == "__sanitizer_cov_trace_pc" { print $1 }')))

# Where the compiler has put its calls: address behind each, and the function.
blocks() {
	objdump -dr --section=.text --no-show-raw-insn "$module" | awk '
		/^[0-9a-f]+ <.*>:$/ { name = substr($2, 2, length($2) - 3) }
		/R_X86_64_PLT32\t__sanitizer_cov_trace_pc-/ { wanted = 1; next }
		wanted && /^ *[0-9a-f]+:\t[a-z]/ { sub(":", "", $1); print $1, name; wanted = 0 }'
}

# The offsets that ran, in any of the runs.
ran() {
	local kept
	for kept; do
		od -An -v -tu1 -w1 "$kept" | awk -v base=$((origin - reach)) '$1 { print base + NR - 1 }'
	done
}

{ ran "$@"; echo; blocks | while read -r at name; do echo $((0x$at)) "$name"; done; } | awk '
	NF == 0 { blocks = 1; next }
	!blocks { ran[$1] = 1; next }
	{ all[$2]++; total++; if ($1 in ran) { reached[$2]++; sum++ } }
	END {
		for (name in all) {
			functions++
			entered += reached[name] > 0
			if (reached[name] < all[name])
				printf "%4d of %4d  %s\n", reached[name], all[name], name | "sort -k4"
		}
		close("sort -k4")
		printf "%d of %d basic blocks, %d %%; %d of %d functions\n", sum, total, 100 * sum / total, entered, functions
	}'
