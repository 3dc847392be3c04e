#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# bench-send over three ways, in a host with --icount 1 --link 1: an object of JSON for each, nanoseconds being instructions.
#
#   loopback   the kernel hands over what was sent, and copies what was not to be copied
#   veth       two namespaces: likewise
#   card       two network cards: the kernel sends pages from where they are
set -eu

cd "$(dirname "$0")/../.."

# join CARD PEER: the other end in a namespace, both with addresses
join() {
	ip netns add reader
	ip link set "$2" netns reader
	ip address add 192.0.2.1/24 dev "$1"
	ip link set "$1" up
	ip -n reader address add 192.0.2.2/24 dev "$2"
	ip -n reader link set "$2" up
}

# measure WAY [NETNS ADDRESS]
measure() {
	local way=$1
	shift
	"$KVMFERRY_BUILD/perf/bench-send" "$@" | jq -c --arg way "$way" '{$way} + .'
}

modprobe -qa virtio_net veth || true
ip link set lo up
measure loopback
ip link add veth0 type veth peer name veth1
join veth0 veth1
measure veth /run/netns/reader 192.0.2.2
ip netns delete reader
join eth0 eth1
ethtool -k eth0 2>/dev/null | grep -E '^(scatter-gather|tcp-segmentation-offload):' | sed 's/^/# /' || true
measure card /run/netns/reader 192.0.2.2
