#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest that checks every byte of its memory crosses: once in every detail, and once with two RAM blocks.
set -eu
# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "$0")/scene.sh"

# The first one in detail.
first() {
	local status=0 out=$GUEST_DIR/a/send.out
	guest_await b
	agent_receive b --insecure --json
	agent_start_send a b --insecure --json --verify full
	ktap_check "kvmferry stat shows the VM while it is being moved" watched
	ktap_check "kvmferry top shows both of its agents" both_on_top
	agent_end a send || status=$?
	agent_end b receive || status=$?
	is "send and receive succeed" "$status" 0
	ktap_check "kvmferry stat and top show none afterwards" unwatched
	tell_done a
	ktap_check "the source's QEMU is gone" guest_until 20 host_idle a qemu
	is "the target's QEMU runs the VM" "$(guest_status b)" running
	ktap_check "the guest is well on the target" healthy b
	ktap_check "every line of JSON is an object with an event and a time" \
		holds "$out" 'all(.event and .time) and length > 5'
	ktap_check "the summary adds up" told a "done" '.status == "moved" and .passes >= 2 and
		.pages_sent >= 65536 and .pages_zero > 0 and .bytes_raw == .pages_sent * 4096 and .bytes_wire < .bytes_raw and
		.blackout_ms > 0'
	ktap_check "its log tells where groups were opened, pass by pass" \
		holds "$out" 'map(select(.event == "groups")) | length > 0 and all(.orders | test("^[.0-9]{1,512}$")) and
			(map(.orders) | join("") | test("[0-9]"))'
	ktap_check "time does not run back in it" holds "$out" 'map(.at_ms) | . == sort'
	ktap_check "the report says what --json says" report_agrees "$out"
	ktap_check "the receiver says that it is done" \
		holds "$GUEST_DIR/b/receive.out" '.[-1] | .event == "done" and .running'
	ktap_check "nothing is left on either host but owner records" tidy_both
	guest_reap a
}

# The agent's view from outside, on host a. onlooker ARGS...
onlooker() { on_host a "$GUEST_DIR/kvmferry" stat "$@"; }

watched() {
	local pid out=$GUEST_DIR/a/stat.out
	pid=$(cat "$GUEST_DIR/a/qemu.pid")
	at_stage a passes || return 1
	onlooker --json >"$out" && holds "$out" "length == 1 and .[0].pid == $pid and .[0].ram_pages == 65536" || return 1
	onlooker --pid "$pid" >"$out" && grep -q "^process $pid: " "$out" || return 1
	! onlooker --pid 1 2>"$out" && grep -q 'is no VM that is being moved' "$out"
}

top() { "$GUEST_DIR/kvmferry" top "$@"; }

both_on_top() {
	local all=$GUEST_DIR/top.out
	in_mid_pass a || return 1
	top --json >"$all" && holds "$all" 'map(.role) == ["source", "target"] and all(.alive) and
		(.[0] | .stage and .pass >= 1 and (.pending_pages | type) == "number" and .ram_bytes == 268435456) and
		.[0].migration == .[1].migration' || return 1
	top --prometheus "$all" && grep -q '^kvmferry_migration_pending_bytes{.*role="source".*} [0-9]' "$all" || return 1
	top >"$all"
	grep -qE ' to +[0-9.]+:[0-9]+ +[a-z]+ +[0-9]' "$all" || { cat "$all"; return 1; }
}

unwatched() {
	onlooker | grep -q '^no VM is being moved' && [ -z "$(onlooker --json)" ] && [ -z "$(top --json)" ]
}

# Every member of the summary, a name and a value a line; numbers as jq has them, wherever they come from.
told_by_json() {
	jq -c 'select(.event == "done")' "$1" | jq -r 'paths(type != "object" and type != "array") as $at |
		"\($at | map(tostring) | join(".")) \(getpath($at) | tojson)"' | sort
}

told_by_page() {
	sed -n '/<table id="result">/,/<\/table>/s/^<tr data-key="\([^"]*\)" data-value="\([^"]*\)">.*/\1 \2/p' "$1" |
		jq -rR 'index(" ") as $at | .[$at + 1:] as $value |
			"\(.[:$at]) \($value | (try fromjson catch $value) | tojson)"' | sort
}

# report_agrees LOG
report_agrees() {
	local page=$GUEST_DIR/report.html json=$GUEST_DIR/report.json
	"$GUEST_DIR/kvmferry" report "$1" --output "$page" || return 1
	told_by_json "$1" >"$json"
	[ "$(wc -l <"$json")" -gt 30 ] || { cat "$json"; return 1; }
	told_by_page "$page" | diff "$json" - | head -n 10 | sed 's/^/#   /'
	[ "${PIPESTATUS[1]}" = 0 ] || return 1
	# and a page that says otherwise would be found out
	sed -i 's/\(data-key="pages_sent" data-value="\)/\19/' "$page"
	! told_by_page "$page" | cmp -s "$json" -
}

tidy_both() { tidy a && tidy b; }

two_blocks() {
	GUEST_BACKEND=numa
	guest_start a
	ktap_check "a VM with two RAM blocks, two NUMA nodes" move a b --verify full
	guest_kill b
}

ktap_plan 16
scene_open
guest_start a
first
guest_kill b
two_blocks
ktap_check "the module unloads" host_module_unload
ktap_end
