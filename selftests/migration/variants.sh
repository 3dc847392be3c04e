#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Migrations of other kinds: one stream and four, with each codec and none, of a paused VM, and none in clear text by
# accident.
set -eu
# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "$0")/scene.sh"

# RAM in clear text must not leave the host by accident. No side may even begin.
unencrypted() {
	local status=0
	guest_await b
	agent_receive b || status=$?
	agent_end b receive || status=$?
	is "receive refuses to listen to other hosts without --insecure" "$status" 1
	ktap_check "and says so" says b receive insecure
	agent_receive b --insecure
	status=0
	agent_send a b || status=$?
	is "send refuses to talk to another host without --insecure" "$status" 1
	ktap_check "and says so" says a send insecure
	host_kill b receive
	guest_kill b
	ktap_check "the guest has not noticed" healthy a
}

# A VM that was paused is paused afterwards, and goes on when it is told to.
paused() {
	local from=$1 to=$2 status=0
	guest_qmp "$from" '{"execute": "stop"}' >/dev/null
	guest_await "$to"
	migrate_once "$from" "$to" --verify full || status=$?
	is "a paused VM is moved" "$status" 0
	is "and is paused on the target" "$(guest_status "$to")" paused
	forget_source "$from"
	guest_qmp "$to" '{"execute": "cont"}' >/dev/null
	ktap_check "and is well when it continues" healthy "$to"
}

# Whatever the kernel compresses with, the target decodes.
codecs() {
	local from=$1 to=$2 codec swap
	for codec in lz4hc zstd deflate; do
		ktap_check "compressed with $codec" move "$from" "$to" --codec "$codec" --verify full
		ktap_check "which made it smaller" told "$from" "done" '.bytes_wire < (.pages_sent - .pages_zero) * 3500'
		swap=$from from=$to to=$swap
	done
}

# What is sent uncompressed is at least as long as its pages.
plain() {
	ktap_check "without compression" move "$1" "$2" --codec none
	ktap_check "the wire carried every page whole" told "$1" "done" \
		'.bytes_wire >= (.pages_sent - .pages_zero) * 4096'
}

small_vm
ktap_plan 19
scene_open
guest_start a
unencrypted
ktap_check "over one stream" move a b --channels 1
ktap_check "over four streams, back" move b a --channels 4 --verify full
plain a b
codecs b a
paused a b
ktap_check "the module unloads" host_module_unload
ktap_end
