#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The demo of disks, run in the emulated machine: storage that takes 20 s for each request, and a guest that always waits for
# some. QEMU moves it from host A to host B, kvmferry back from B to A; what differs is how long it stands still.
set -eu
# shellcheck source=SCRIPTDIR/show.sh
. "$(dirname "${BASH_SOURCE[0]}")/show.sh"
# shellcheck source=SCRIPTDIR/../lib/guest-disk.sh
. "$lib/guest-disk.sh"

GUEST_RAM=128
GUEST_ORDERS="ws=40 rate=300"
GUEST_DISK=virtio-blk
LATENCY=20000

# slow_storage HOST: from now on, and the guest there has sent something
slow_storage() {
	guest_disk_delay "$1" $LATENCY $LATENCY
	guest_until 60 waits_for_storage "$1" || fail "the guest does not use its disk"
	say "$(guest_disk_tell "$1")"
}

waits_for_storage() { [[ $(guest_disk_tell "$1") == *" 8 outstanding"* ]]; }

# QEMU's own migration, over TCP, from A to B. Sets stock_ms.
migrate_by_qemu() {
	local uri
	uri=tcp:$(guest_address b):4444
	guest_qmp b '{"execute": "migrate-incoming", "arguments": {"uri": "'"$uri"'"}}' >/dev/null
	guest_qmp a '{"execute": "migrate", "arguments": {"uri": "'"$uri"'"}}' >/dev/null
	guest_until 180 guest_migrated a || fail "QEMU does not get there"
	guest_until 30 guest_loaded b || fail "QEMU on host B has not loaded the guest"
	guest_qmp b '{"execute": "cont"}' >/dev/null
	stock_ms=$(guest_qmp a '{"execute": "query-migrate"}' | jq .downtime)
	guest_kill a
}

migrate_by_kvmferry() {
	agent_receive a --insecure --json || fail "the receiving agent does not listen"
	agent_start_send b a --insecure --json
	follow "$GUEST_DIR/b/send.out" "kvmferry" jq --unbuffered -r "$sentences"
	runs_there() { [ "$(guest_status a)" = running ] || host_idle b send; }
	guest_until 180 runs_there
	host_runs b send || fail "kvmferry send has ended"
}

finish_kvmferry() {
	agent_end b send || fail "kvmferry send ended with status $?"
	agent_end a receive || fail "kvmferry receive ended with status $?"
}

title "Two hosts, A and B, that share a disk; each request of it takes $((LATENCY / 1000)) s"
host_module_load
guest_open
trap close EXIT
guest_disk_open
say "the guest's disk is a device-mapper device with the target \"ferry\" over the shared storage, on both hosts"

title "Host A boots a Linux guest, which reads, writes and checks its disk, 8 requests at a time"
guest_launch a || fail "QEMU does not start"
guest_wait a '^guest: up' 600 || fail "the guest does not boot"
guest_say a "disk $(guest_disk_device) depth=8 mib=16 rest=0 fsync=0"
slow_storage a

title "QEMU moves it to host B by itself: to stop the guest, it waits for all that the storage has"
guest_await b || fail "QEMU does not start"
migrate_by_qemu
guest_continues b 120 || fail "the guest does not continue on host B"
say "the guest stood still for $stock_ms ms"

title "kvmferry moves it back to host A: what the storage has is cancelled, and sent again by host A"
guest_disk_delay a 0 0
slow_storage b
guest_await a || fail "QEMU does not start"
migrate_by_kvmferry
guest_continues a 120 || fail "the guest does not continue on host A"
say "the guest is on host A; what it wants to write where host B's storage may still write waits:"
"$GUEST_DIR/kvmferry" disk --disk ferried-a | head -n 2 | while IFS= read -r line; do say "$line"; done
title "Host B's storage ends what it had, 20 s late"
finish_kvmferry
end_watchers
verdict=$(guest_disk_verify a 120) || fail "the guest has found: $verdict"
say "$verdict"
[ "$(guest_errors a)" = 0 ] || fail "the guest has seen errors"

title "How long the guest stood still"
jq -n --argjson stock "$stock_ms" --argjson ours "$(jq -c 'select(.event == "done")' "$GUEST_DIR/b/send.out")" --argjson latency $LATENCY \
	'{latency_ms: $latency, qemu_ms: $stock, kvmferry_ms: ($ours.blackout_ms | round), cancelled: $ours.requests_cancelled,
	writes_in_doubt: $ours.writes_in_doubt}' >"$KVMFERRY_BUILD/demo-storage.json"
keep_run b demo-storage
jq -r '"QEMU alone      \(.qemu_ms) ms", "kvmferry        \(.kvmferry_ms) ms, with \(.cancelled) requests cancelled", "",
	"Every instruction was interpreted; the storage took its \(.latency_ms / 1000) s by the clock."' "$KVMFERRY_BUILD/demo-storage.json"
