#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest that writes to its memory faster than the link carries it. Left alone, it is switched over with a blackout
# longer than asked for; slowed down, it converges, within the number of passes that userspace-agent/converge.h states.
set -eu
# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "$0")/scene.sh"

# 600 pages a second on the link, several times as many in the guest, and nothing is compressed.
LINK=20mbit
GUEST_RAM=128
GUEST_ORDERS="ws=16 rate=4000 verify=1000"
GUEST_PATIENCE=500

shape() {
	local host
	modprobe -q sch_tbf || true
	for host in a b; do
		on_host "$host" tc qdisc add dev "ferry-$host" root tbf rate "$LINK" burst 64kb latency 100ms
	done
}

# tell_passes HOST: how the sender decided, pass by pass, as diagnostics
tell_passes() {
	jq -r 'if .event == "slowdown" then "from now on \(.pages_per_s) pages/s" elif .event == "decision" then
		"pass \(.pass): \(.pending_pages) pages pending, floor \(.floor_pages), blackout \(.expected_blackout_ms) ms: \(.reason)"
		else empty end' "$GUEST_DIR/$1/send.out" | sed 's/^/# /'
}

# Passes from the one in which the slowdown began: at most the binary logarithm of pending / floor, rounded up, and one
# more for each time that the limit was halved.
# shellcheck disable=SC2016 # the dollars are of jq
within_bound() {
	holds "$1" 'def log: if . <= 1 then 0 else log2 | ceil end;
		[.[] | select(.event == "slowdown")] as $slow | [.[] | select(.event == "decision" and .pass >= $slow[0].pass)] |
		(map(.floor_pages) | min) as $floor | length - 1 <= (.[0].pending_pages / $floor | log) + ($slow | length) - 1'
}

left_alone() {
	ktap_check "a guest that outruns the link is moved, with --max-slowdown 0" move a b --codec none --max-slowdown 0
	tell_passes a
	ktap_check "but the blackout did not come below the limit" \
		told a decision '.decision == "switch" and .expected_blackout_ms > 300'
	is "and the guest was not slowed down" "$(sent_event a slowdown)$(sent_event a "done" | jq .throttled_us)" 0
}

slowed() {
	local out=$GUEST_DIR/b/send.out
	ktap_check "the same guest is moved back, slowed down" move b a --codec none
	tell_passes b
	ktap_note "its vCPUs waited $(sent_event b "done" | jq .throttled_us) us"
	ktap_check "the blackout comes below the limit" \
		told b decision '.decision == "switch" and .expected_blackout_ms <= 300'
	ktap_check "after no more passes than stated" within_bound "$out"
	ktap_check "vCPUs have waited" told b "done" '.throttled_us > 0'
	is "the user was told once" "$(grep -c 'its vCPUs wait when they write' "$GUEST_DIR/b/send.err")" 1
}

ktap_plan 9
scene_open
shape
guest_start a
left_alone
slowed
ktap_check "the module unloads" host_module_unload
ktap_end
