#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The part of bench-channel.sh that runs inside the emulated host: moves a guest from one namespace to the other, over a
# link of each rate, with each method. Prints a JSON object a line, and notes.
#
#   bench-channel-inside.sh "RATES" "GUESTS" "METHODS"     words, see bench-channel.sh
set -eu

cd "$(dirname "$0")/../.."
GUEST_INITRD=$KVMFERRY_BUILD/bench/initrd
GUEST_PATIENCE=300
# shellcheck source=../migration/scene.sh
. selftests/migration/scene.sh

QEMU_PORT=7071

# Which guest the next QEMU has.
choose_guest() {
	GUEST_RAM=192
	case $1 in
	idle) GUEST_ORDERS="ws=64 rate=0 verify=0 kind=files" ;;
	twice) GUEST_ORDERS="ws=128 rate=0 verify=0 kind=files" GUEST_RAM=384 ;;
	busy) GUEST_ORDERS="ws=64 rate=400 verify=0 kind=files" ;;
	noise) GUEST_ORDERS="ws=64 rate=50 verify=0 kind=noise" ;;
	esac
}

shape() {
	local host
	for host in a b; do
		on_host "$host" tc qdisc del dev "ferry-$host" root 2>/dev/null || true
		[ "$1" = unlimited ] ||
			on_host "$host" tc qdisc add dev "ferry-$host" root tbf rate "$1" burst 64kb latency 50ms
	done
}

# Bytes that host a has sent, headers included.
bytes_sent() { on_host a ip -s -j link show ferry-a | jq '.[0].stats64.tx.bytes'; }

# cpu_of PID...: milliseconds of CPU time of a QEMU so far, without its vCPUs
cpu_of() {
	cat "/proc/$1/stat" "/proc/$1/task"/*/stat 2>/dev/null | awk -v tick="$(getconf CLK_TCK)" '{
		name = $0; sub(/^[0-9]+ \(/, "", name); sub(/\) .*/, "", name); sub(/.*\) /, "")
		if (NR == 1) sum = $12 + $13; else if (name ~ /^CPU /) sum -= $12 + $13
	} END { print int(sum * 1000 / tick) }'
}

qemu_pid() { cat "$GUEST_DIR/$1/qemu.pid"; }

# report STATUS BYTES TOTAL BLACKOUT CPU-SOURCE CPU-TARGET [CODECS MEMORY]
report() {
	jq -cn --arg kernel "$KVMFERRY_KERNEL" --arg rate "$rate" --arg guest "$guest" --arg method "$method" --arg status "$1" \
		--argjson bytes "$2" --argjson total "$3" --argjson blackout "$4" --argjson source "$5" --argjson target "$6" \
		--argjson codecs "${7:-null}" --argjson memory "${8:-null}" --argjson ram "$GUEST_RAM" '{$kernel, $rate, $guest,
		ram_mib: $ram, $method, $status, bytes_wire: $bytes, total_ms: $total, blackout_ms: $blackout,
		cpu_source_ms: $source, cpu_target_ms: $target, $codecs, memory_bytes: $memory}'
}

# --- kvmferry

# ferry CODECS
ferry() {
	local bytes before_a before_b event received status=0
	bytes=$(bytes_sent) before_a=$(cpu_of "$(qemu_pid a)") before_b=$(cpu_of "$(qemu_pid b)")
	migrate_once a b --codec "$1" --keep-source || status=$?
	bytes=$(($(bytes_sent) - bytes))
	if [ $status -ne 0 ]; then
		report "failed: $status" $bytes 0 0 0 0
		return
	fi
	event=$(sent_event a "done")
	received=$(jq -c 'select(.event == "done")' "$GUEST_DIR/b/receive.out")
	report moved $bytes "$(jq '.total_ms | floor' <<<"$event")" "$(jq '.blackout_ms | floor' <<<"$event")" \
		$(($(cpu_of "$(qemu_pid a)") - before_a + $(jq '.cpu_ms + .worker_cpu_ms' <<<"$event"))) \
		$(($(cpu_of "$(qemu_pid b)") - before_b + $(jq .cpu_ms <<<"$received"))) "$(jq -c .codecs <<<"$event")" \
		"$(jq --argjson received "$received" '.memory_bytes + .kernel_memory_bytes + $received.memory_bytes' <<<"$event")"
}

# --- QEMU alone

migrate_parameters() {
	echo '"downtime-limit": 300, "max-bandwidth": 100000000000'
	[ "$1" = plain ] || echo ', "multifd-channels": 2, "multifd-compression": "'"$1"'"'
}

# qemu_prepare HOST COMPRESSION
qemu_prepare() {
	guest_qmp "$1" '{"execute": "migrate-set-capabilities", "arguments": {"capabilities": [
		{"capability": "multifd", "state": '"$([ "$2" = plain ] && echo false || echo true)"'}]}}'
	guest_qmp "$1" '{"execute": "migrate-set-parameters", "arguments": {'"$(migrate_parameters "$2")"'}}'
} >/dev/null

qemu_over() {
	migration=$(guest_qmp a '{"execute": "query-migrate"}')
	[[ $(jq -r .status <<<"$migration") =~ ^(completed|failed|cancelled)$ ]]
}

# qemu COMPRESSION: plain, none, zlib or zstd, all but plain with multifd
qemu() {
	local bytes before_a before_b migration
	bytes=$(bytes_sent) before_a=$(cpu_of "$(qemu_pid a)") before_b=$(cpu_of "$(qemu_pid b)")
	qemu_prepare a "$1"
	qemu_prepare b "$1"
	guest_qmp b '{"execute": "migrate-incoming", "arguments": {"uri": "tcp:'"$(guest_address b):$QEMU_PORT"'"}}' >/dev/null
	guest_qmp a '{"execute": "migrate", "arguments": {"uri": "tcp:'"$(guest_address b):$QEMU_PORT"'"}}' >/dev/null
	guest_until "$GUEST_PATIENCE" qemu_over || true
	bytes=$(($(bytes_sent) - bytes))
	if [ "$(jq -r .status <<<"$migration")" != completed ]; then
		report "$(jq -r .status <<<"$migration") after $GUEST_PATIENCE s" $bytes 0 0 0 0
		return
	fi
	report moved $bytes "$(jq '."total-time"' <<<"$migration")" "$(jq .downtime <<<"$migration")" \
		$(($(cpu_of "$(qemu_pid a)") - before_a)) $(($(cpu_of "$(qemu_pid b)") - before_b))
}

one_run() {
	choose_guest "$guest"
	guest_start a >/dev/null
	guest_await b
	case $method in
	qemu-*) qemu "${method#qemu-}" ;;
	*) ferry "$method" ;;
	esac
	guest_kill a
	guest_kill b
	rm -f "$GUEST_DIR"/*/state/*
}

# Parts alone: an object a line, as "cost".
costs() {
	{
		"$KVMFERRY_BUILD/perf/bench-codec" "$KVMFERRY_BUILD/bench/files"
		"$KVMFERRY_BUILD/perf/bench-send"
	} | jq -c --arg kernel "$KVMFERRY_KERNEL" '{$kernel, cost: .}'
}

modprobe -q sch_tbf || true
host_module_load
costs
guest_open
trap guest_close EXIT
for guest in $2; do
	for rate in $1; do
		shape "$rate"
		for method in $3; do
			# what twice the RAM costs is asked of ourselves alone
			[ "$guest" != twice ] || [ "$method" = auto ] || continue
			one_run
		done
	done
done
