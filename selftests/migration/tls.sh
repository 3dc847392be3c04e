#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Migrations over TLS: with a shared key and with certificates, with somebody who listens, and with peers that are not
# who they should be.
set -eu
# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "$0")/scene.sh"

small_vm
keys=/tmp/keys
TAP_PORT=7072
ec="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"

# certificate NAME ADDRESSES...: one that our authority has signed for them
certificate() {
	local name=$1 list
	shift
	list=$(printf ',IP:%s' "$@")
	# shellcheck disable=SC2086 # words
	openssl req -x509 -CA "$keys/ca.pem" -CAkey "$keys/ca.key" $ec -days 2 -subj "/CN=$name" \
		-addext "subjectAltName=${list#,}" -keyout "$keys/$name.key" -out "$keys/$name.pem" 2>/dev/null
}

make_keys() {
	mkdir -p "$keys"
	(umask 077 && openssl rand -hex 32 >"$keys/ours" && openssl rand -hex 32 >"$keys/another")
	# shellcheck disable=SC2086 # words
	openssl req -x509 $ec -days 2 -subj "/CN=authority" -keyout "$keys/ca.key" -out "$keys/ca.pem" 2>/dev/null
	certificate hosts "$(guest_address a)" "$(guest_address b)"
	certificate elsewhere 192.0.2.99
}

shared_key() { echo "--tls-psk $keys/$1"; }
certificates() { echo "--tls-cert $keys/$1.pem --tls-key $keys/$1.key --tls-ca $keys/ca.pem"; }

# over LINK FROM TO ARGS...: a whole migration
over() {
	local GUEST_LINK=$1
	shift
	move "$@"
}

# heard FROM TO: how many of the workload's pages somebody on the way can read, into $heard. Each begins with the same
# word; nothing is compressed, which would hide it.
heard() {
	local from=$1 to=$2 tap=$GUEST_DIR/tap status=0
	host_start "$to" socat socat -r "$tap" "TCP-LISTEN:$TAP_PORT,bind=$(guest_address "$to"),reuseaddr,fork" \
		"TCP:$(guest_address "$to"):$GUEST_PORT"
	tap_listens() { [ -n "$(on_host "$to" ss -Hltn "sport = :$TAP_PORT")" ]; }
	guest_until 10 tap_listens
	move "$from" "$to" --codec none --to "$(guest_address "$to"):$TAP_PORT" || status=$?
	host_kill "$to" socat
	heard=$(LC_ALL=C grep -aoc yrrefmvk "$tap" || true)
	ktap_note "$(stat -c %s "$tap") bytes were heard"
	rm -f "$tap"
	return "$status"
}

# encrypted_by kernel|openssl: who encrypted the last migration from a, and whether the kernel agrees
encrypted_by() {
	local kernel
	kernel=$(on_host a sed -n 's/^TlsTxSw[[:space:]]*//p' /proc/net/tls_stat 2>/dev/null || true)
	ktap_note "encrypted by $(sent_event a "done" | jq -r .tls); sockets that the kernel has encrypted so far: ${kernel:-none}"
	told a "done" ".tls == \"$1\"" && says_so "$1" && case $1 in
	kernel) [ "${kernel:-0}" -gt "$encrypted" ] ;;
	openssl) [ "${kernel:-0}" = "$encrypted" ] ;;
	esac || return 1
	encrypted=${kernel:-0}
}

says_so() { grep -q "the data streams are encrypted by: $1" "$GUEST_DIR/a/send.out"; }

# As on a kernel without it. Its counters go with it.
without_ktls() {
	rmmod tls || return 1
	echo "install tls /bin/false" >/etc/modprobe.d/no-tls.conf
	encrypted=0
}

with_ktls() { rm /etc/modprobe.d/no-tls.conf; }

in_secret() {
	local GUEST_LINK
	GUEST_LINK=$(shared_key ours)
	heard "$@" && [ "$heard" = 0 ]
}

in_public() { heard "$@" && ktap_note "$heard lines with pages" && [ "$heard" -gt 100 ]; }

# turned_away WORDS LINK: this sender is not let in, or does not go in; the guest and the receiver do not mind
turned_away() {
	local status=0
	# shellcheck disable=SC2086 # words
	agent_send a b $2 --json || status=$?
	[ "$status" = 1 ] || { ktap_note "send's status is $status"; return 1; }
	says a send "$1" || return 1
	ktap_note "$(agent_reason a send)"
	tail -n 1 "$GUEST_DIR/b/receive.err" | sed 's/^/# /'
	host_runs b receive && [ "$(guest_status a)" = running ] && guest_continues a
}

# A receiver LINK that turns everybody away but the last.
strangers() {
	guest_await b
	# shellcheck disable=SC2086 # words
	agent_receive b $1 --json
}

# The right one comes after all of them.
welcome() {
	# shellcheck disable=SC2086 # words
	agent_send a b $1 --json || return 1
	agent_end b receive || return 1
	forget_source a
	healthy b && tidy a && tidy b
}

# unusable WORDS LINK: said before anything begins
unusable() {
	local status=0
	# shellcheck disable=SC2086 # words
	agent_send a b $2 --json || status=$?
	[ "$status" = 1 ] && says a send "$1" && ktap_note "$(agent_reason a send)"
}

# The kernel tests a cipher when it is first used. Interpreted, that can take longer than a peer may take to say who it is.
test_ciphers() { modprobe -q aesni_intel || true; }

ktap_plan 15
encrypted=0
scene_open
test_ciphers
make_keys
guest_start a
ktap_check "with a shared key" over "$(shared_key ours)" a b --verify full
ktap_check "the kernel has encrypted it" encrypted_by kernel
ktap_check "with certificates, back, over four streams" over "$(certificates hosts)" b a --channels 4 --verify full
without_ktls
ktap_check "nobody on the way can read it" in_secret a b
ktap_check "without the kernel's help OpenSSL encrypts" encrypted_by openssl
with_ktls
ktap_check "but without TLS" in_public b a

strangers "$(shared_key ours)"
ktap_check "another key is turned away" turned_away "does not trust us.*the same key" "$(shared_key another)"
ktap_check "certificates instead of the key, too" turned_away "the target" "$(certificates hosts)"
ktap_check "clear text, too" turned_away "the target.*speaks TLS alone" --insecure
ktap_check "the right key is let in" welcome "$(shared_key ours)"
move_back

strangers "$(certificates elsewhere)"
ktap_check "a target whose certificate is for another host is not trusted" \
	turned_away "not trusted.*mismatch" "$(certificates hosts)"
host_kill b receive
guest_kill b

strangers --insecure
ktap_check "nor one that does not speak TLS" turned_away "no TLS with the target.*does it use TLS" "$(shared_key ours)"
ktap_check "a certificate without its key" unusable "all three" "--tls-cert $keys/hosts.pem"
chmod 644 "$keys/ours"
ktap_check "a key that everybody can read" unusable "chmod 600" "$(shared_key ours)"
host_kill b receive
guest_kill b
ktap_check "the module unloads" host_module_unload
ktap_end
