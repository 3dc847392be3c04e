#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The part of bench-storage.sh that moves a guest whose storage is slow. Runs inside the emulated host; prints a JSON
# object a line, and notes.
#
#   bench-storage-inside.sh "LATENCIES" "DEPTHS" "LOADS" "METHODS"     words, see bench-storage.sh
#
# Every method is seen by the same outside observer, who only listens to both QEMUs: the blackout lasts from STOP at the
# source to RESUME at the target, by the time stamps of these events, which come from one clock here.
# shellcheck disable=SC2154 # variables of the scene
set -eu

cd "$(dirname "$0")/../.."
# shellcheck source=../migration/disk-scene.sh
. selftests/migration/disk-scene.sh

GUEST_DISK=virtio-blk
# shellcheck disable=SC2034 # the scene's
GUEST_TIMEOUT=300 GUEST_PATIENCE=400
QEMU_PORT=7071
note() { echo "# $latency s, depth $depth, $load, $method: $*" >&2; }

# --- the observer

# watch HOST SOCKET: what the QEMU there tells from now on, into its folder. (The pipe stays open: an end of input would
# be an end of the connection.)
watch() {
	local dir=$GUEST_DIR/$1
	rm -f "$dir/watch.in"
	mkfifo "$dir/watch.in"
	: >"$dir/events"
	socat STDIO "UNIX-CONNECT:$dir/$2" <>"$dir/watch.in" >>"$dir/events" &
	echo $! >"$dir/watch.pid"
	echo '{"execute": "qmp_capabilities"}' >"$dir/watch.in"
	guest_until 20 heard "$1" '"return"'
}

unwatch() {
	local file pid
	for file in "$GUEST_DIR"/*/watch.pid; do
		[ -e "$file" ] || continue
		read -r pid <"$file"
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
		rm "$file"
	done
}

# heard HOST REGEX, without a process: this is asked while the guest moves
heard() {
	local said
	IFS= read -r -d '' said <"$GUEST_DIR/$1/events" || true
	[[ $said =~ $2 ]]
}

# moment HOST EVENT: the first one's milliseconds
moment() {
	jq -R 'fromjson? // empty' "$GUEST_DIR/$1/events" | jq -s --arg event "$2" '
		map(select(.event == $event) | .timestamp)[0] | (.seconds * 1e3 + .microseconds / 1e3)'
}

blackout() { jq -n "$(moment b RESUME) - $(moment a STOP) | round"; }

# --- the methods: each moves the guest, and tells in $figures what it says of itself

# From what kvmferry's sender said.
ferry_figures() {
	jq -cs '
		[.[] | select(.event == "stage")] as $stages | (map(select(.event == "done"))[0]) as $done |
		([range($stages | length - 1) as $i | {key: $stages[$i].name,
			value: (1000 * ($stages[$i + 1].time - $stages[$i].time) | round)}] | from_entries) as $ms |
		{own_ms: ($done.blackout_ms | round), ram_ms: ($ms.settle + $ms.resettle),
		requests_cancelled: $done.requests_cancelled, writes_in_doubt: $done.writes_in_doubt,
		stages_ms: ($ms | {stop, drain, handover, settle, device, resettle, guard, commit, running})}' "$GUEST_DIR/a/send.out"
}

arrived() { heard b '"RESUME"' || host_idle a send; }

# ferry STORAGE
ferry() {
	local status=0
	guest_await b
	watch a qmp.test
	watch b qmp.test
	agent_receive b --insecure --json
	agent_start_send a b --insecure --json --storage "$1"
	guest_until $GUEST_PATIENCE arrived || true
	storage_wakes a
	agent_end a send || status=$?
	[ $status = 0 ] || { note "$(agent_reason a send)"; return 1; }
	agent_end b receive || return 1
	figures=$(ferry_figures)
}

came() { heard b '"RESUME"' || heard a '"status": "failed"'; }
source_ended() { [ "$(guest_qmp a '{"execute": "query-migrate"}' | jq -r .status)" = completed ]; }

stock() {
	local uri
	uri='{"uri": "tcp:'"$(guest_address b):$QEMU_PORT"'"}'
	guest_launch b -incoming defer
	watch a qmp.agent
	watch b qmp.agent
	guest_qmp a '{"execute": "migrate-set-capabilities", "arguments": {"capabilities": [{"capability": "events", "state": true}]}}'
	guest_qmp a '{"execute": "migrate-set-parameters", "arguments": {"downtime-limit": 300, "max-bandwidth": 100000000000}}'
	guest_qmp b '{"execute": "migrate-incoming", "arguments": '"$uri"'}'
	guest_qmp a '{"execute": "migrate", "arguments": '"$uri"'}'
	guest_until $GUEST_PATIENCE came || { note "did not come"; return 1; }
	storage_wakes a
	guest_until 60 source_ended || { note "$(guest_qmp a '{"execute": "query-migrate"}' | jq -c .)"; return 1; }
	figures=$(guest_qmp a '{"execute": "query-migrate"}' | jq -c '{own_ms: .downtime}')
} >/dev/null

move_by() {
	case $method in
	qemu) stock ;;
	cancel | drain) ferry "$method" ;;
	*) echo "bench-storage-inside.sh: unknown method $method" >&2; exit 2 ;;
	esac
}

# --- one migration

all_out() { [ "$(told_of a outstanding)" = "$depth" ]; }

# All workers of the guest have a request with the storage, or with QEMU.
load_up() {
	begin_load a "depth=$depth mix=$load rest=0 fsync=0"
	guest_until 30 is_under_load || return 1
	[ "$latency" != 0 ] || return 0
	guest_disk_delay a $((latency * 1000)) $((latency * 1000))
	guest_disk_delay b $((latency * 1000)) $((latency * 1000))
	guest_until 60 all_out
}

# The target's guest is well, and its disk is what it should be.
errors_of() {
	local verdict
	storage_wakes b
	if guest_continues b >&2 && verdict=$(guest_disk_verify b 120); then
		guest_errors b
	else
		note "${verdict:-the guest does not go on}"
		echo 1
	fi
}

# report STATUS FIGURES BLACKOUT ERRORS
report() {
	jq -cn --arg kernel "$KVMFERRY_KERNEL" --argjson latency "$latency" --argjson depth "$depth" --arg load "$load" \
		--arg method "$method" --arg status "$1" --argjson figures "$2" --argjson blackout "$3" --argjson errors "$4" \
		'{part: "blackout", $kernel, latency_s: $latency, $depth, $load, $method, $status, blackout_ms: $blackout} +
		$figures + {guest_errors: $errors}'
}

one_run() {
	local figures='{}'
	GUEST_DISK_OVER=ferried
	[ "$method" != qemu ] || GUEST_DISK_OVER=delay
	guest_disk_release
	start_anew >/dev/null
	rm -f "$GUEST_DIR"/*/state/* "$GUEST_DIR"/*/events
	if load_up && move_by; then
		unwatch
		report moved "$figures" "$(blackout)" "$(errors_of)"
	else
		unwatch
		report failed "$figures" null null
	fi
}

host_module_load
guest_open
trap guest_close EXIT
guest_disk_open
for load in $3; do
	for depth in $2; do
		for method in $4; do
			for latency in $1; do
				one_run
			done
		done
	done
done
