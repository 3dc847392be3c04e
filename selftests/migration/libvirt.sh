#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# VMs that libvirt has. Two hosts, each with a libvirtd, run folders and a configuration of its own: a domain goes there, by
# the commands that docs/operating.md has for emptying a host, and comes back; libvirt's view of both ends is right, also of
# moves that fail or whose agent is killed, and of one with disk requests that are cancelled; and a domain that cannot be moved is
# refused with the XML that it lacks.
set -eu
# shellcheck source=SCRIPTDIR/disk-scene.sh
. "$(dirname "$0")/disk-scene.sh"
# shellcheck source=SCRIPTDIR/libvirt-scene.sh
. "$(dirname "$0")/libvirt-scene.sh"

GUEST_DISK=virtio-blk

# ------------------------------------------------------------------------
# Commands and domains
# ------------------------------------------------------------------------

# The commands that the shell of the documentation finds: an ssh that goes to the other host, and a kvmferry that has patience
# and does without TLS, which is the subject of tls.sh: interpreted, a handshake may take longer than a target waits for it.
write_commands() {
	mkdir "$GUEST_DIR/bin"
	cat >"$GUEST_DIR/bin/ssh" <<-END
		#!/bin/sh
		shift
		exec nsenter --target "$(cat "$GUEST_DIR/b/libvirtd.pid")" --mount --net "\$@"
	END
	cat >"$GUEST_DIR/bin/kvmferry" <<-END
		#!/bin/bash
		set -o pipefail
		command=\$1 words=(--insecure --timeout $GUEST_TIMEOUT)
		shift
		while [ \$# -gt 0 ]; do
			if [ "\$1" = --tls-psk ]; then shift; else words+=("\$1"); fi
			shift
		done
		$GUEST_DIR/kvmferry "\$command" "\${words[@]}" 2>"$GUEST_DIR/\$command.err" | tee -p "$GUEST_DIR/\$command.out"
	END
	chmod +x "$GUEST_DIR/bin"/*
}

define() {
	domain_xml private 6b766d66-6572-7279-0000-0000000000ff private "" "" >"$GUEST_DIR/a/private.xml"
	domain_xml vm1 "$GUEST_UUID" shared "$qmp_arguments" "$console$disk" >"$GUEST_DIR/a/vm1.xml"
	virsh_on a define /run/ferry/private.xml && virsh_on a define /run/ferry/vm1.xml
}

# ------------------------------------------------------------------------
# Tests
# ------------------------------------------------------------------------

lacks() { grep -qF -- "$1" "$GUEST_DIR/a/check.out" || { ktap_note "no: $1"; return 1; }; }

# The negative control: all of it is well, but its RAM is mapped privately, and there is no socket. It is not started, which
# takes long here.
refused() {
	local status=0
	check_on private || status=$?
	sed 's/^/# check: /' "$GUEST_DIR/a/check.out"
	[ "$status" = 1 ] || { ktap_note "status of check: $status"; return 1; }
	lacks "<access mode='shared'/>" && lacks "<qemu:arg value='-qmp'/>" && lacks "it does not run" || return 1
	! grep -q '^FAIL  XML: RAM' "$GUEST_DIR/a/check.out" || { ktap_note "its RAM is in a file"; return 1; }
}

# Neither does a target take it.
not_taken() {
	local status=0
	cp "$GUEST_DIR/a/private.xml" "$GUEST_DIR/b/come.xml"
	receive_on b >/dev/null 2>&1 && return 1
	agent_end b receive || status=$?
	[ "$status" = 1 ] && grep -qF "<access mode='shared'/>" "$GUEST_DIR/b/receive.err" && [ "$(view b private)" = unknown ]
}

# Elsewhere the emulator kills some guests (init.sh).
on_guest_cpus() {
	local pid
	pid=$(qemu_of a)
	[ "$(awk '$1 == "Cpus_allowed_list:" { print $2 }' "/proc/$pid/status")" = "$KVMFERRY_GUEST_CPUS" ] && return
	taskset -acp "$pid" | sed 's/^/# /'
	return 1
}

# Nobody listens there: nothing is changed here, autostart has been put back.
nobody_there() {
	local status=0
	virsh_on a autostart vm1 >/dev/null
	send_on a b
	agent_end a send || status=$?
	[ "$status" = 1 ] && [ "$(view a)" = "running, defined, autostart" ]
}

# No domain is left of a target that nobody came to.
nobody_comes() {
	local status=0
	take_xml a b
	receive_on b --wait 10 || return 1
	[ "$(view b)" = paused ] || { ktap_note "while it waits: $(view b)"; return 1; }
	agent_end b receive || status=$?
	[ "$status" = 1 ] && says b receive "no source has come" && [ "$(view b)" = unknown ]
}

# The guest runs on. Its autostart is off until somebody has looked, and what waited for it is gone.
agent_killed() {
	local status=0
	take_xml a b
	receive_on b && send_on a b && in_mid_pass a || return 1
	host_signal a send -KILL
	agent_end a send || true
	agent_end b receive || status=$?
	guest_until 60 grep -q 'do not resume or start domain vm1 before kvmferry recover' "$GUEST_DIR/a/send.err" || return 1
	ktap_note "receive's status is $status; here: $(view a), there: $(view b)"
	[ "$status" = 1 ] && [ "$(view a)" = "running, defined" ] && [ "$(view b)" = unknown ] && guest_continues a &&
		virsh_on a autostart vm1 >/dev/null
}

there() {
	documented >"$GUEST_DIR/empty.sh"
	[ "$(wc -l <"$GUEST_DIR/empty.sh")" -gt 5 ] || return 1
	inside a env PATH="$GUEST_DIR/bin:$PATH" to=192.0.2.2 bash "$GUEST_DIR/empty.sh"
	sed 's/^/# send: /' "$GUEST_DIR/send.err"
	sed 's/^/# receive: /' "$GUEST_DIR/receive.err"
	jq -r 'select(.event == "message") | "# receive: " + .text' "$GUEST_DIR/receive.out"
	[ "$(view b)" != "running, defined, autostart" ] || return 0
	source_looks
	return 1
}

# Begun anew, it must not wait for a VM.
definition_there() { ! virsh_on b dumpxml --inactive vm1 | grep -e -incoming -e "'defer'"; }

# It is paused by libvirt, stays so, and is resumed by libvirt; a has a definition of it still. Whoever resumes it while it is
# waited for does not begin it.
back() {
	local status=0
	virsh_on b suspend vm1 >/dev/null
	take_xml b a
	receive_on a && virsh_on a resume vm1 || return 1
	ktap_note "resumed while it is waited for: $(view a)"
	send_on b a || return 1
	agent_end b send || status=$?
	agent_end a receive || status=$?
	[ "$status" = 0 ] || sed 's/^/#   /' "$GUEST_DIR"/{a/receive.err,b/send.err}
	return "$status"
}

resumed() { virsh_on a resume vm1 >/dev/null && [ "$(view a)" = "running, defined" ] && guest_continues a; }

# Its disk's requests stay with the storage here, while libvirt has the guest run there.
with_requests() {
	slow_load "mix=writes fsync=5" && take_xml a b && receive_on b && send_on a b && at_stage a disks || return 1
	if [ "$(view b)" != "running, defined" ] || ! guest_continues b || ! disk_has b guarded 1; then
		ktap_note "there: $(view b), $(guest_disk_status b)"
		return 1
	fi
	storage_wakes a
	arrive 0 0 && told a 'done' ".requests_cancelled >= $flying and .writes_in_doubt >= 1 and .held == false"
}

ktap_plan 23
scene_open
trap libvirt_close EXIT
guest_disk_open
disk_nodes
write_configuration
libvirtd_start a
libvirtd_start b
write_commands
console_open a
console_open b
ktap_check "two domains are defined" define
ktap_check "one with private RAM and no socket is refused, with the XML to put in" refused
ktap_check "nor does a target take it" not_taken
ktap_check "libvirt starts it" boot
ktap_check "it runs on no CPU but those for guests" on_guest_cpus
ktap_check "it can be moved" good
ktap_check "with nobody there, it stays, and is started with the host" nobody_there
ktap_check "a target that nobody came to leaves no domain" nobody_comes
ktap_check "an agent that is killed: the guest stays" agent_killed
ktap_check "the host is emptied as the documentation says" there
is "libvirt there" "$(view b)" "running, defined, autostart"
is "libvirt here, which does not start it by itself" "$(view a)" "shut off, defined"
ktap_check "what is defined there does not wait for a VM" definition_there
ktap_check "the guest continues" guest_continues b
ktap_check "it comes back, paused" back
is "libvirt where it was" "$(view b)" "shut off, defined"
is "libvirt here" "$(view a)" "paused, defined"
ktap_check "libvirt resumes it, and it continues" resumed
ktap_check "it goes with its disk's requests in flight" with_requests
is "libvirt there" "$(view b)" "running, defined"
ktap_check "its disk is right" works b writes 100
ktap_check "all its memory is right" right b
is "no errors" "$(($(guest_errors a) + $(guest_errors b)))" 0
ktap_end
