#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# VMs that libvirt has. Two hosts, each with a libvirtd, run folders and a configuration of its own: a domain goes there, by
# the commands that docs/operating.md has for emptying a host, and comes back; libvirt's view of both ends is right, also of
# moves that fail, and a domain that cannot be moved is refused with the XML that it lacks.
set -eu
# shellcheck source=SCRIPTDIR/scene.sh
. "$(dirname "$0")/scene.sh"

small_vm

# ------------------------------------------------------------------------
# The hosts: a mount namespace more than those of guest.sh
# ------------------------------------------------------------------------

inside() {
	local host=$1
	shift
	nsenter --target "$(cat "$GUEST_DIR/$host/libvirtd.pid")" --mount --net "$@"
}

virsh_on() {
	local host=$1
	shift
	inside "$host" virsh -q "$@"
}

# QEMU runs as another user than the agents, as is usual.
write_configuration() {
	cp "$KVMFERRY_VMLINUZ_61" "$GUEST_DIR/vmlinuz"
	cp "$GUEST_INITRD" "$GUEST_DIR/initrd"
	chmod 644 "$GUEST_DIR"/{vmlinuz,initrd}
	chmod 666 /dev/kvm
	cat >"$GUEST_DIR/qemu.conf" <<-END
		user = "nobody"
		group = "nogroup"
		remember_owner = 0
		security_driver = "none"
		namespaces = []
		cgroup_controllers = []
		stdio_handler = "file"
		memory_backing_dir = "/run/ferry/ram"
	END
	cat >"$GUEST_DIR/libvirtd.conf" <<-END
		auth_unix_rw = "none"
		log_outputs = "3:stderr"
	END
}

# What each of them calls /run/ferry is its folder; the domain's XML has these names. What libvirt finds out about QEMU,
# slowly, both may know.
libvirtd_start() {
	local host=$1
	mkdir -p "$GUEST_DIR/cache"
	# shellcheck disable=SC2016 # of that shell
	host_start "$host" libvirtd unshare --mount bash -euc '
		mount --make-rprivate /
		for dir in /etc/libvirt /run/libvirt /var/lib/libvirt /var/log/libvirt /var/lib/kvmferry; do
			mkdir -p "$dir"
			mount -t tmpfs own "$dir"
		done
		mkdir -p /run/ferry /var/cache/libvirt
		mount --rbind "$1/$2" /run/ferry
		mount --bind "$1/cache" /var/cache/libvirt
		cp "$1/qemu.conf" "$1/libvirtd.conf" /etc/libvirt
		exec libvirtd --pid-file /run/libvirt/libvirtd.pid' - "$GUEST_DIR" "$host"
	libvirtd_answers() { virsh_on "$host" uri >"$GUEST_DIR/$host/uri" 2>&1; }
	guest_until 60 libvirtd_answers || { cat "$GUEST_DIR/$host"/{uri,libvirtd.err}; return 1; }
}

# As in guest_launch, for a QEMU that libvirt starts.
console_open() {
	local host=$1 dir=$GUEST_DIR/$1
	mkfifo "$dir/console.in" "$dir/console.out"
	exec {guest_input}<>"$dir/console.in"
	eval "guest_input_$host=$guest_input"
	: >"$dir/console"
	cat <>"$dir/console.out" >>"$dir/console" 2>/dev/null &
	echo $! >"$dir/cat.pid"
}

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

finish() {
	local host
	for host in a b; do
		host_runs "$host" libvirtd || continue
		virsh_on "$host" list --name | while read -r name; do
			[ -z "$name" ] || virsh_on "$host" destroy "$name" || true
		done
		rm -rf "$GUEST_DIR/$host/ram"/*
		host_kill "$host" libvirtd
	done
	guest_close
}

# domain_xml NAME UUID ACCESS ARGUMENTS
domain_xml() {
	cat <<-END
		<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
		  <name>$1</name>
		  <uuid>$2</uuid>
		  <memory unit='MiB'>$GUEST_RAM</memory>
		  <memoryBacking><source type='file'/><access mode='$3'/></memoryBacking>
		  <vcpu>2</vcpu>
		  <os>
		    <type arch='x86_64' machine='q35'>hvm</type>
		    <kernel>$GUEST_DIR/vmlinuz</kernel>
		    <initrd>$GUEST_DIR/initrd</initrd>
		    <cmdline>console=ttyS0 quiet mitigations=off panic=-1 no_timer_check $GUEST_ORDERS</cmdline>
		  </os>
		  <features><acpi/><apic/></features>
		  <cpu mode='host-passthrough' check='none'/>
		  <on_reboot>destroy</on_reboot>
		  <devices>
		    <emulator>/usr/bin/qemu-system-x86_64</emulator>
		    <controller type='usb' model='none'/>
		    <memballoon model='none'/>
		    $5
		  </devices>
		  <qemu:commandline>$4</qemu:commandline>
		</domain>
	END
}

qmp_arguments="<qemu:arg value='-qmp'/><qemu:arg value='unix:/var/lib/libvirt/qemu/vm1.kvmferry,server=on,wait=off'/>"
console="<serial type='pipe'><source path='/run/ferry/console'/></serial>"

define() {
	domain_xml private 6b766d66-6572-7279-0000-0000000000ff private "" "" >"$GUEST_DIR/a/private.xml"
	domain_xml vm1 "$GUEST_UUID" shared "$qmp_arguments" "$console" >"$GUEST_DIR/a/vm1.xml"
	virsh_on a define /run/ferry/private.xml && virsh_on a define /run/ferry/vm1.xml
}

# ------------------------------------------------------------------------
# Questions
# ------------------------------------------------------------------------

# view HOST [DOMAIN]: how libvirt sees it, in words; one call, as each takes a second here
view() {
	virsh_on "$1" dominfo "${2:-vm1}" 2>/dev/null | awk -F ':  *' '
		$1 == "State" { state = $2 }
		$1 == "Persistent" { defined = $2 == "yes" ? ", defined" : "" }
		$1 == "Autostart" { autostart = $2 == "enable" ? ", autostart" : "" }
		END { print (state == "" ? "unknown" : state) defined autostart }'
}

# agent_on HOST NAME ARGS...: in the background; its words are in NAME.out and NAME.err
agent_on() {
	local host=$1 name=$2
	shift 2
	host_start "$host" "$name" nsenter --target "$(cat "$GUEST_DIR/$host/libvirtd.pid")" --mount --net \
		"$GUEST_DIR/kvmferry" "$@"
}

send_on() {
	local from=$1 to=$2
	shift 2
	agent_on "$from" send send --domain vm1 --to "$(guest_address "$to"):$GUEST_PORT" --insecure --json \
		--timeout "$GUEST_TIMEOUT" "$@"
}

receive_on() {
	local host=$1 dir=$GUEST_DIR/$1
	shift
	agent_on "$host" receive receive --domain-xml /run/ferry/come.xml --listen "$(guest_address "$host"):$GUEST_PORT" \
		--insecure --timeout "$GUEST_TIMEOUT" "$@"
	agent_ready() { agent_listens "$host" || host_idle "$host" receive; }
	guest_until 60 agent_ready
	agent_listens "$host" || { sed 's/^/#   /' "$dir/receive.err"; return 1; }
}

# check_on DOMAIN: its lines, its status
check_on() {
	agent_on a check check --domain "$1" --state-dir /run/ferry/state
	agent_end a check
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

boot() {
	virsh_on a start vm1 >/dev/null && guest_until 200 guest_has a '^guest: up' 0 && guest_continues a
}

good() {
	local status=0
	check_on vm1 || status=$?
	[ "$status" = 0 ] || sed 's/^/#   /' "$GUEST_DIR/a/check.out"
	return "$status"
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
	virsh_on a dumpxml --migratable --security-info vm1 >"$GUEST_DIR/b/come.xml"
	receive_on b --wait 10 || return 1
	[ "$(view b)" = paused ] || { ktap_note "while it waits: $(view b)"; return 1; }
	agent_end b receive || status=$?
	[ "$status" = 1 ] && says b receive "no source has come" && [ "$(view b)" = unknown ]
}

# What docs/operating.md says.
documented() {
	awk '/selftests\/migration\/libvirt.sh runs this/ { on = 1; next }
		on && /^    / { print substr($0, 5); seen = 1; next }
		on && seen { exit }' docs/operating.md
}

there() {
	documented >"$GUEST_DIR/empty.sh"
	[ "$(wc -l <"$GUEST_DIR/empty.sh")" -gt 5 ] || return 1
	inside a env PATH="$GUEST_DIR/bin:$PATH" to=192.0.2.2 bash "$GUEST_DIR/empty.sh"
	sed 's/^/# send: /' "$GUEST_DIR/send.err"
	sed 's/^/# receive: /' "$GUEST_DIR/receive.err"
	jq -r 'select(.event == "message") | "# receive: " + .text' "$GUEST_DIR/receive.out"
	[ "$(view b)" != "running, defined, autostart" ] || return 0
	virsh_on a domstate --reason vm1 | sed 's/^/# at the source: /'
	inside a tail -n 5 /var/log/libvirt/qemu/vm1.log | sed 's/^/# its QEMU: /'
	tail -n 5 "$GUEST_DIR/a/console" | sed 's/^/# console: /'
	return 1
}

# Begun anew, it must not wait for a VM.
definition_there() { ! virsh_on b dumpxml --inactive vm1 | grep -e -incoming -e "'defer'"; }

# It is paused by libvirt, stays so, and is resumed by libvirt; a has a definition of it still. Whoever resumes it while it is
# waited for does not begin it.
back() {
	local status=0
	virsh_on b suspend vm1 >/dev/null
	virsh_on b dumpxml --migratable --security-info vm1 >"$GUEST_DIR/a/come.xml"
	receive_on a && virsh_on a resume vm1 || return 1
	ktap_note "resumed while it is waited for: $(view a)"
	send_on b a || return 1
	agent_end b send || status=$?
	agent_end a receive || status=$?
	[ "$status" = 0 ] || sed 's/^/#   /' "$GUEST_DIR"/{a/receive.err,b/send.err}
	return "$status"
}

resumed() { virsh_on a resume vm1 >/dev/null && [ "$(view a)" = "running, defined" ] && guest_continues a; }

ktap_plan 18
scene_open
trap finish EXIT
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
ktap_check "it can be moved" good
ktap_check "with nobody there, it stays, and is started with the host" nobody_there
ktap_check "a target that nobody came to leaves no domain" nobody_comes
ktap_check "the host is emptied as the documentation says" there
is "libvirt there" "$(view b)" "running, defined, autostart"
is "libvirt here, which does not start it by itself" "$(view a)" "shut off, defined"
ktap_check "what is defined there does not wait for a VM" definition_there
ktap_check "the guest continues" guest_continues b
ktap_check "it comes back, paused" back
is "libvirt where it was" "$(view b)" "shut off, defined"
is "libvirt here" "$(view a)" "paused, defined"
ktap_check "libvirt resumes it, and it continues" resumed
report=$(guest_report a)
ktap_note "$report"
is "all its memory is right" "$(grep -c ' 0 errors' <<<"$report")" 1
is "no errors" "$(($(guest_errors a) + $(guest_errors b)))" 0
ktap_end
