# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What the demos share: how they show what happens. Sourced in the emulated machine, with set -eu.

lib=$(dirname "${BASH_SOURCE[0]}")/../lib
# shellcheck source=SCRIPTDIR/../lib/ktap.sh
. "$lib/ktap.sh"
# shellcheck source=SCRIPTDIR/../lib/guest.sh
. "$lib/guest.sh"

title() { printf '\n--- %s\n\n' "$*"; }
say() { printf '       | %s\n' "$*"; }

fail() {
	printf '\nDEMO FAILED: %s\n' "$*"
	for file in a/send.err b/receive.err a/qemu.err b/qemu.err; do
		[ ! -s "$GUEST_DIR/$file" ] || sed "s|^|$file: |" "$GUEST_DIR/$file"
	done
	exit 1
}

# follow FILE PREFIX [FILTER...]: its lines as they come
watchers=''
follow() {
	local file=$1 prefix=$2
	shift 2
	[ $# -gt 0 ] || set -- cat
	: >>"$file"
	tail -q -n +1 -s 0.2 -f "$file" | "$@" | while IFS= read -r line; do echo "$prefix | ${line%$'\r'}"; done &
	watchers+=" $(pgrep -n -x tail)"
}

end_watchers() {
	sleep 0.5
	# shellcheck disable=SC2086 # a list
	[ -z "$watchers" ] || kill $watchers 2>/dev/null || true
	watchers=''
}

close() {
	end_watchers
	guest_close
}

# The sender's events as sentences.
# shellcheck disable=SC2016,SC2034 # jq's own variables; used by who sources this
sentences='
	def mb: . / 1e6 * 10 | round / 10;
	if .event == "stage" then .doing
	elif .event == "pass" and .ended then
		"pass \(.pass): \(.sent_pages) pages, \(.bytes_wire | mb) MB on the wire; \(.pending_pages) pages were written meanwhile"
	elif .event == "decision" then "\(.decision == "switch" | if . then "switch over" else "once more" end): \(.reason)"
	elif .event == "failed" then "FAILED: \(.reason)"
	elif .event == "message" and .level != "debug" then .text
	else empty end'

# keep_run HOST NAME: what the agent there has told of the migration, and a page with pictures of it
keep_run() {
	cp "$GUEST_DIR/$1/send.out" "$KVMFERRY_BUILD/$2-run.json"
	"$GUEST_DIR/kvmferry" report "$KVMFERRY_BUILD/$2-run.json" >"$KVMFERRY_BUILD/$2.html" || fail "kvmferry report failed"
}
