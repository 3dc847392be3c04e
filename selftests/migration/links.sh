#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Links that are not what they should be: late, lossy, out of order, still for a while, slowed to a trickle, dead in part
# or cut. What can be waited out is waited out, and told; else the guest runs on where it was. And links that are not to
# be filled: --bandwidth, --cpu-limit, --nice.
set -eu
# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "$0")/scene.sh"

small_vm
LINK="tbf rate 40mbit burst 64kb latency 100ms" # slow enough that there is time to break it

shape() {
	# shellcheck disable=SC2086 # words
	on_host a tc qdisc replace dev ferry-a root ${1:-$LINK}
}

# The migration that was begun comes to its good end.
arrives() {
	agent_end a send || return 1
	agent_end b receive || return 1
	tell_done a
	forget_source a
	healthy b && tidy a && tidy b && move_back && healthy a
}

# --- waited out

disordered() {
	shape "netem delay 2ms 1ms loss 0.2% reorder 10% 50%"
	move a b --channels 4 --verify full && move_back
}

# What a long way adds to the blackout is expected, and how large the device state was is remembered for the next time.
far() {
	local bytes
	shape "netem delay 20ms"
	move a b || return 1
	told a decision '.overhead_ms >= 30 + 8 * 20 and .expected_blackout_ms >= .overhead_ms' || return 1
	bytes=$(sed -n 's/^device-bytes //p' "$GUEST_DIR"/b/state/*.target)
	ktap_note "$(sent_event a decision | jq -r '"expected \(.expected_blackout_ms) ms, of which \(.overhead_ms) are not RAM"')"
	ktap_note "$(sent_event a "done" | jq .blackout_ms) ms it was; $bytes bytes of device state came, $(sent_event a "done" |
		jq .device_bytes) left"
	[ "$bytes" -gt 100000 ] && move_back
}

at_rest() {
	shape
	begin --codec none
	in_mid_pass a || return 1
	shape "netem loss 100%"
	sender_tells a "no byte of RAM has moved for 3 s" || return 1
	[ "$(guest_status a)" = running ] && guest_continues a || return 1
	shape pfifo
	sender_tells a "RAM moves again" && arrives
}

trickle() {
	shape
	begin --codec none
	# only what has been told can turn out wrong
	sender_tells a '"left_ms":[0-9]' || return 1
	shape "tbf rate 100kbit burst 16kb latency 1s"
	sender_tells a "it takes longer than it looked|no end is in sight" || return 1
	[ "$(guest_status a)" = running ] && guest_continues a || return 1
	shape pfifo
	arrives
}

# Each half of the streams leaves from an address of its own.
two_sources() {
	local second=192.0.2.11 from
	on_host a ip address add "$second/24" dev ferry-a
	shape
	begin --channels 4 --from "$(guest_address a),$second"
	in_mid_pass a || return 1
	from=$(on_host a ss -Htn "dport = :$GUEST_PORT" | awk '{ sub(/:[0-9]*$/, "", $4); print $4 }' | sort | uniq -c | xargs)
	ktap_note "connections from: $from"
	shape "pfifo"
	arrives && [ "$from" = "3 $(guest_address a) 2 $second" ]
}

# --- given up

# The port, on host a, of the stream on which most waits.
busiest_port() {
	on_host a ss -Htn "dport = :$GUEST_PORT" | sort -k 3,3n | tail -n 1 | awk '{ sub(/.*:/, "", $4); print $4 }'
}

one_silent() {
	local port
	local GUEST_TIMEOUT=8
	shape
	begin --codec none --channels 4
	in_mid_pass a || return 1
	port=$(busiest_port)
	on_host a tc qdisc add dev ferry-a clsact
	on_host a tc filter add dev ferry-a egress protocol ip u32 match ip sport "$port" 0xffff action drop
	stays_here 1 1 "a data stream broke: Connection timed out|no byte of RAM has moved" || return 1
	on_host a tc qdisc del dev ferry-a clsact
}

one_reset() {
	shape
	begin --codec none --channels 4
	in_mid_pass a || return 1
	on_host a ss -K "sport = :$(busiest_port)" >/dev/null
	stays_here 1 1 "a data stream broke|closed a data stream"
}

severed() {
	local GUEST_TIMEOUT=8
	shape
	begin --codec none
	in_mid_pass a || return 1
	on_host a ip link set ferry-a down
	stays_here 1 1 "no byte of RAM has moved|within 8 s|broke" || return 1
	on_host a ip link set ferry-a up
}

# --- not filled

# No pass that took a while was faster, headers and what the sockets hold included.
paced() {
	on_host a tc qdisc del dev ferry-a root
	move a b --codec none --bandwidth 40 || return 1
	holds "$GUEST_DIR/a/send.out" 'map(select(.event == "pass" and .ended and .bytes_wire > 4000000)) |
		length > 0 and all(.rate_mb_s < 1.1 * 40 / 8)' && move_back
}

# The kernel's threads, which would work most of the time here, take no more CPU time than a third of the time, what each of
# the two may have saved (100 ms, see kmod/budget.h), and a blackout in which they are free.
frugal() {
	move a b --cpu-limit 33 || return 1
	told a "done" '.worker_cpu_ms <= 0.33 * .total_ms + 2 * 100 + .blackout_ms' || return 1
	ktap_note "$(sent_event a "done" | jq -r '"\(.worker_cpu_ms) ms of CPU time in \(.total_ms | floor) ms"')" && move_back
}

nice_workers() {
	local nices
	shape
	begin --codec none --channels 2 --nice 7
	in_mid_pass a || return 1
	nices=$(ps -eo comm=,nice= | awk '$1 ~ /^kvmferry\/[0-9]/ { print $2 }' | tr '\n' ' ')
	host_signal a send -INT
	ktap_note "nice values of the kernel's threads: $nices"
	stays_here 1 1 "interrupted" && [ "$nices" = "7 7 " ]
}

ktap_plan 12
scene_open
for module in sch_tbf sch_netem sch_ingress cls_u32 act_gact tcp_diag; do
	modprobe -q "$module" || true
done
guest_start a
ktap_check "late, lossy and out of order: the VM arrives" disordered
ktap_check "a long way: its part of the blackout is expected" far
ktap_check "still for a while: told, and the VM arrives" at_rest
ktap_check "slowed to a trickle: told, and the VM arrives" trickle
ktap_check "from two addresses" two_sources
ktap_check "one stream of four falls silent: given up" one_silent
ktap_check "one stream of four is reset: given up" one_reset
ktap_check "cut: given up" severed
ktap_check "--bandwidth is kept" paced
ktap_check "--cpu-limit is kept" frugal
ktap_check "--nice is kept" nice_workers
guest_kill b
ktap_check "the module unloads" host_module_unload
ktap_end
