#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The same guest, back and forth many times: nothing wears out.
#
#   stress.sh [MIGRATIONS]      20, or 4 on the debug kernel
set -eu
# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "$0")/scene.sh"

count=${1:-20}
[ "$KVMFERRY_KERNEL" != debug ] || count=${1:-4}

# KiB of kernel memory that the module could have leaked: slab that cannot be reclaimed, and vmalloc.
kernel_memory() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	awk '$1 == "SUnreclaim:" || $1 == "VmallocUsed:" { n += $2 } END { print n }' /proc/meminfo
}

# The peak of an agent, in KiB, as long as it lives. watch_peak HOST NAME
watch_peak() {
	local pid=$1 peak=0 now
	while now=$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$pid/status" 2>/dev/null) && [ -n "$now" ]; do
		peak=$now
		echo "$peak" >"$2"
		guest_nap 0.3
	done
}

one() {
	local from=$1 to=$2 status=0
	guest_await "$to"
	agent_receive "$to" --insecure --json || return 1
	agent_start_send "$from" "$to" --insecure --json
	watch_peak "$(cat "$GUEST_DIR/$from/send.pid")" "$GUEST_DIR/peak.send" &
	watch_peak "$(cat "$GUEST_DIR/$to/receive.pid")" "$GUEST_DIR/peak.receive" &
	agent_end "$from" send || status=$?
	agent_end "$to" receive || status=$?
	[ "$status" = 0 ] || { cat "$GUEST_DIR/$from/send.err" "$GUEST_DIR/$to/receive.err"; return 1; }
	tell_done "$from"
	forget_source "$from"
	peak_send=$(($(cat "$GUEST_DIR/peak.send") > peak_send ? $(cat "$GUEST_DIR/peak.send") : peak_send))
	peak_receive=$(($(cat "$GUEST_DIR/peak.receive") > peak_receive ? $(cat "$GUEST_DIR/peak.receive") : peak_receive))
	healthy "$to"
}

ktap_plan $((count + 5))
scene_open
guest_start a
peak_send=0 peak_receive=0 from=a to=b
for n in $(seq "$count"); do
	ktap_check "migration $n, $from to $to" one $from $to
	# the first ones warm caches up
	[ "$n" != 2 ] || before=$(kernel_memory)
	swap=$from from=$to to=$swap
done
after=$(kernel_memory)
ktap_note "kernel memory: $before KiB after the second migration, $after KiB after the last"
ktap_note "peak RSS: send $peak_send KiB (of which rings, mapped twice: 2 x 2 x 16 MiB), receive $peak_receive KiB"
if [ $((after - before)) -lt 4096 ]; then ktap_ok "kernel memory does not grow"; else ktap_fail "kernel memory does not grow"; fi
is "receive needs at most 32 MiB" $((peak_receive <= 32768)) 1
is "send needs at most 32 MiB and its rings" $((peak_send <= 32768 + 2 * 2 * 16384)) 1
is "no record but the last migration's stays" "$(find "$GUEST_DIR"/*/state -type f | wc -l)" 2
guest_kill "$from"
ktap_check "the module unloads" host_module_unload
ktap_end
