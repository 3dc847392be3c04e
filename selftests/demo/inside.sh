#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The demo itself, run in the emulated machine: a guest on host A is moved to host B by kvmferry while it runs. Shows the
# guest's own console on both hosts, and what the agents say, as it happens.
set -eu
# shellcheck source=SCRIPTDIR/show.sh
. "$(dirname "${BASH_SOURCE[0]}")/show.sh"

migrate() {
	agent_receive b --insecure --json || fail "the receiving agent does not listen"
	agent_start_send a b --insecure --json
	follow "$GUEST_DIR/a/send.out" "kvmferry" jq --unbuffered -r "$sentences"
	agent_end a send || fail "kvmferry send ended with status $?"
	agent_end b receive || fail "kvmferry receive ended with status $?"
}

last_round() { sed -n 's/^guest: round \([0-9]*\),.*/\1/p' "$GUEST_DIR/$1/console" | tail -n 1; }
first_round() { sed -n 's/^guest: round \([0-9]*\),.*/\1/p' "$GUEST_DIR/$1/console" | head -n 1; }

# The guest must have gone on where it was, not begun anew.
check_rounds() {
	local left arrived
	left=$(last_round a) arrived=$(first_round b)
	if [ "$arrived" -le "$left" ] || [ "$arrived" -gt $((left + 2)) ]; then
		fail "the guest counted to $left on host A and from $arrived on host B"
	fi
	say "it counted to $left on host A and goes on with $arrived on host B"
}

# Often it is moved in the middle of a line.
check_last_words() {
	local begun finished
	begun=$(tail -n 1 "$GUEST_DIR/a/console")
	finished=$(head -n 1 "$GUEST_DIR/b/console")
	[[ $finished == guest:* ]] ||
		say "the line that it had begun on host A, \"$begun\", it finished on host B: \"${finished%$'\r'}\""
}

write_json() {
	jq --argjson errors "$1" --arg kernel "$(uname -r)" '{passes, pages_sent, pages_zero, bytes_raw, bytes_wire,
		blackout_ms, guest_errors: $errors, kernel: $kernel, qemu}' <<<"$2" >"$KVMFERRY_BUILD/demo.json"
}

summary() {
	jq -r --arg report "$1" '
		"passes over RAM            \(.passes)",
		"pages sent                 \(.pages_sent), of which \(.pages_zero) were zero",
		"bytes of these pages       \(.bytes_raw)",
		"bytes on the wire          \(.bytes_wire)  (1:\(.bytes_raw / .bytes_wire * 10 | round / 10))",
		"blackout                   \(.blackout_ms | round) ms",
		"errors seen by the guest   \(.guest_errors)   (\($report))",
		"kernel, QEMU               \(.kernel), \(.qemu)",
		"",
		"Every instruction was interpreted, so the times above mean nothing. The counts do."' "$KVMFERRY_BUILD/demo.json"
}

title "Two hosts, A and B, with a network between them"
host_module_load
guest_open
trap close EXIT
say "kernel $(uname -r), $(qemu-system-x86_64 --version | head -n 1 | cut -d'(' -f1), both as Debian ships them"
say "kvmferry.ko is loaded; each host has its own network namespace"

title "Host A boots a Linux guest: 256 MiB, 2 CPUs, it writes to 96 MiB of it all the time and checks every byte"
guest_launch a || fail "QEMU does not start"
follow "$GUEST_DIR/a/console" "host A  "
guest_wait a '^guest: up' 600 || fail "the guest does not boot"
guest_wait a '^guest: round 4,' 120 || fail "the guest does not work"

title "Host B starts the same QEMU, told to wait (-incoming defer); kvmferry takes the guest there while it runs"
guest_await b || fail "QEMU does not start"
follow "$GUEST_DIR/b/console" "host B  "
migrate
done_event=$(jq -c 'select(.event == "done")' "$GUEST_DIR/a/send.out")

title "The guest is on host B now"
guest_until 30 host_idle a qemu || fail "QEMU on host A is still there"
say "QEMU on host A has ended"
guest_continues b 120 || fail "the guest does not continue on host B"
check_rounds
check_last_words
report=$(guest_report b 120) || fail "the guest does not answer on host B"
guest_continues b 60 || fail "the guest does not continue on host B"
errors=$(guest_errors b)
end_watchers

title "What it took"
report=${report#guest: report: }
write_json "$errors" "$done_event"
keep_run a demo
summary "${report%,*}"
if [ "$errors" != 0 ] || [[ $report != *" 0 errors,"* ]]; then
	fail "the guest has seen errors: $errors"
fi
[ "$(guest_status b)" = running ] || fail "QEMU on host B is $(guest_status b)"
