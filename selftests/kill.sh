#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The kill matrix: every part of a migration, killed at every point of it (see migration/kill-cells.sh). Writes build/kill.json:
#
#   cells        how many there are, and how many have no result (missing)
#   died         in how many the VM's own QEMU, or its host, was the victim, and was all that had it
#   lost, twice, wrong_bytes, debris   sums over all of them; each must be 0
#   results      the cells
#
#   kill.sh [--only REGEX] [--resume]
#     --only REGEX   only cells that match; the results of others stay
#     --resume       only cells that have no good result yet
#
# Exit status: 0 if the cells that it was asked for have results, and nothing was lost, run twice, wrong or left behind.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."
# shellcheck source=SCRIPTDIR/migration/kill-cells.sh
. "$here/migration/kill-cells.sh"

results=build/kill only=. resume=0
while [ $# -gt 0 ]; do
	case $1 in
	--only) only=$2; shift ;;
	--resume) resume=1 ;;
	*) echo "kill.sh: unknown option $1" >&2; exit 2 ;;
	esac
	shift
done
mkdir -p $results
kill_cells agent qemu link host | grep -qE "$only" || { echo "kill.sh: no cell is called $only" >&2; exit 2; }

is_good() { [ -s "$results/$(kill_file "$1")" ] && jq -e '.lost + .twice + .wrong_bytes + .debris == 0' "$results/$(kill_file "$1")" >/dev/null; }

# cells VICTIM...: those that are to run; what they said before is forgotten
cells() {
	local cell
	kill_cells "$@" | { grep -E "$only" || true; } | while read -r cell; do
		if [ $resume = 0 ] || ! is_good "$cell"; then
			rm -f "$results/$(kill_file "$cell")"
			echo "$cell"
		fi
	done
}

# as_regex CELL...: all of them, and no other
as_regex() {
	local IFS='|'
	echo "^($*)\$"
}

# Not all in one boot: should the host die, no more than these are without a result.
in_one_host() {
	local part=20
	while [ $# -gt 0 ]; do
		selftests/vm/host.sh --kernel 6.12 --timeout 2400 -- selftests/migration/kill-matrix.sh \
			--results "$PWD/$results" --only "$(as_regex "${@:1:part}")" || true
		shift $(($# < part ? $# : part))
	done
}

in_two_hosts() {
	[ $# = 0 ] || selftests/migration/two-hosts.sh kill --results "$PWD/$results" --only "$(as_regex "$@")" || true
}

summary() {
	local all
	all=$(kill_cells agent qemu link host | wc -l)
	# shellcheck disable=SC2016 # jq's
	find $results -name '*.json' -exec cat {} + | jq -s --argjson cells "$all" '{ $cells, missing: ($cells - length),
		died: (map(.died) | add // 0),
		lost: (map(.lost) | add // 0), twice: (map(.twice) | add // 0), wrong_bytes: (map(.wrong_bytes) | add // 0),
		debris: (map(.debris) | add // 0), results: . }' >build/kill.json
	jq -r '"\(.cells) cells, \(.missing) without a result; died \(.died), lost \(.lost), twice \(.twice), wrong bytes \(.wrong_bytes), debris \(.debris)"' \
		build/kill.json
}

mapfile -t inside < <(cells agent qemu link)
mapfile -t hosts < <(cells host)
in_one_host "${inside[@]}"
in_two_hosts "${hosts[@]}"
summary
for cell in "${inside[@]}" "${hosts[@]}"; do
	is_good "$cell" || { echo "not well: $cell"; exit 1; }
done
