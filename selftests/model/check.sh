#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Search the model of the switchover (switchover.pml) for states that must not be. Needs no emulated host.
#
#   check.sh [--long]      KTAP. --long: two migrations with two faults, not one
#   check.sh --trace RULE  how a broken rule of the model leads to a violation, step by step
#
# A search counts only if it was complete: every state stored whole, none cut off by depth or memory.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$here/../..
model=$here/switchover.pml
agent=$top/userspace-agent
# shellcheck source=selftests/lib/ktap.sh
. "$here/../lib/ktap.sh"

depth=100000 megabytes=4096
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
# next to what it includes: the rule, from the agent
cp "$model" switchover.pml
gcc -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -I"$top/uapi" -I"$agent" -o verdict "$here/verdict.c" "$agent/verdict.c"
./verdict >verdict.pml

# build DEFINE...: pan, the searching program of this variant of the model
build() {
	if ! spin -a "$@" switchover.pml >spin.log || [ -s spin.log ]; then
		cat spin.log
		return 1
	fi
	# COLLAPSE stores all of each state, in less room
	gcc -O1 -w -DSAFETY -DCOLLAPSE -DMEMLIM=$megabytes -o pan pan.c
}

# search DEFINE...: returns what pan returned; its words are in pan.log
search() {
	rm -f ./*.trail
	build "$@" && nice -n 10 ./pan -m$depth -w24 >pan.log 2>&1
}

# number WORDS: the number before, or after, these words of pan's
number() {
	sed -nE "s/^[[:space:]]*([0-9.e+]+)[[:space:]]$1.*/\1/p; s/.*$1 ([0-9]+).*/\1/p" pan.log | head -n 1
}

numbers() {
	echo "$(number 'states, stored') states, $(number transitions) transitions, depth $(number 'depth reached'), $(number 'total actual memory') MB, $(number 'pan: elapsed time') s"
}

is_complete() {
	grep -q '^Full statespace search' pan.log &&
		! grep -qE 'not completed|max search depth too small|out of memory|hash-compact|Bit statespace|interrupted' pan.log
}

# holds NAME DEFINE...: nothing is violated
holds() {
	local name=$1
	shift
	if ! search "$@" || [ "$(number 'errors:')" != 0 ]; then
		tail -n 5 pan.log
		[ ! -e switchover.pml.trail ] || steps "$@" | grep -E 'violated|source:'
		ktap_fail "$name" "spin found a way, or did not run"
	elif ! is_complete; then
		head -n 5 pan.log
		ktap_fail "$name" "the search was not complete"
	else
		ktap_note "complete: $(numbers)"
		ktap_ok "$name"
	fi
}

# steps DEFINE...: the way that pan has found
steps() {
	spin -T -t "${trace[@]}" "$@" switchover.pml 2>&1
}
trace=()

# rules: name, number and wanted properties of each broken rule
rules() {
	sed -nE 's|^#define ([A-Z_]+)\t+([0-9]+)\t/\* ([a-z ]+): .*|\1 \2 \3|p' "$model"
}

# variant NUMBER: one migration is enough to break most rules
variant() {
	if [ "$1" = "$again" ]; then echo "-DFAULTS=1 -DBREAK=$1"; else echo "-DONE_MIGRATION -DBREAK=$1"; fi
}
again=$(rules | awk '$1 == "SEND_AGAIN" { print $2 }')

# is_found NAME NUMBER PROPERTY...
is_found() {
	local name=$1 number=$2 found
	shift 2
	# shellcheck disable=SC2046 # two words
	search $(variant "$number") || true
	# shellcheck disable=SC2046
	[ ! -e switchover.pml.trail ] || found=$(steps $(variant "$number") | sed -n 's/^ *violated: //p')
	if [[ " $* " == *" ${found:-nothing} "* ]]; then
		ktap_note "after $(numbers)"
		ktap_ok "broken $name: found, violates \"$found\""
	else
		ktap_fail "broken $name: found" "found ${found:-nothing}, not $*"
	fi
}

in_step() {
	diff "$2" "$3" >diff.log || { cat diff.log; ktap_fail "$1" "< agent, > model"; return; }
	ktap_ok "$1"
}

if [ "${1:-}" = --trace ]; then
	number=$(rules | awk -v name="$2" '$1 == name { print $2 }')
	[ -n "$number" ] || { echo "check.sh: no such rule: $2" >&2; exit 2; }
	trace=(-p)
	# shellcheck disable=SC2046
	search $(variant "$number") || true
	# shellcheck disable=SC2046
	steps $(variant "$number")
	exit
fi

faults=1
[ "${1:-}" != --long ] || faults=2
command -v spin >/dev/null || { echo "check.sh: there is no spin; see selftests/setup.sh" >&2; exit 1; }

ktap_plan $((5 + $(rules | wc -l)))

sed -nE 's/^\t\{ "([a-z]+)", ".*/\1/p' "$agent/stages.c" >stages
sed -nE 's/^\t+enter\(([a-z]+)\);?$/\1/p' "$model" >model-stages
in_step "the stages are those of stages.c, in its order" stages model-stages

sed -n '/^enum journal_state {/,/^}/p' "$agent/journal.h" | grep -oE 'JOURNAL_[A-Z]+' | sort >states
sed -n '/^mtype:state/,/}/p' "$model" | grep -oE 'JOURNAL_[A-Z]+' | sort >model-states
in_step "the states of records are those of journal.h" states model-states

grep -oE '\bWIRE_[A-Z_]+\b' "$model" | sort -u >model-frames
sed -n '/^enum wire_type {/,/^}/p' "$agent/wire.h" | grep -oE 'WIRE_[A-Z_]+' | sort | comm -12 - model-frames >frames
in_step "the frames are some of wire.h" frames model-frames

holds "one migration, any number of faults" -DONE_MIGRATION
holds "two migrations, at most $faults of them" -DFAULTS=$faults

while read -r name number properties; do
	# shellcheck disable=SC2086 # a list
	is_found "$name" "$number" ${properties// or / }
done < <(rules)
ktap_end
