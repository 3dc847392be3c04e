#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# bench-send over the ways that are given, in a host with --icount 1 --link 1: an object of JSON for each, nanoseconds
# being instructions.
#
#   bench-send-inside.sh [loopback] [veth] [card]
#
#   loopback   the kernel hands over what was sent, and copies what was not to be copied
#   veth       two namespaces: likewise
#   card       two network cards: the driver sends pages from where they are
set -eu

cd "$(dirname "$0")/../.."

# join CARD PEER: the other end in a namespace, both with addresses
join() {
	ip netns add reader
	ip link set "$2" netns reader
	ip address add 192.0.2.1/24 dev "$1"
	ip link set "$1" mtu 9000 up
	ip -n reader address add 192.0.2.2/24 dev "$2"
	ip -n reader link set "$2" mtu 9000 up
}

# measure WAY [NETNS ADDRESS]
measure() {
	local way=$1
	shift
	"$KVMFERRY_BUILD/perf/bench-send" "$@" | jq -c --arg way "$way" '{$way} + .'
}

loopback() {
	ip link set lo up
	measure loopback
}

veth() {
	modprobe -q veth || true
	ip link add veth0 type veth peer name veth1
	join veth0 veth1
	measure veth /run/netns/reader 192.0.2.2
	ip netns delete reader
}

card() {
	modprobe e1000e
	join eth0 eth1
	measure card /run/netns/reader 192.0.2.2
}

for way; do
	"$way"
done
