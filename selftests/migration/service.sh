#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A target that is a service: kvmferry-receive@.service and .socket as they are in packaging/, with all of their hardening,
# receive a VM. What starts them is a real systemd, process 1 of a PID namespace in the emulated host; the part of the test
# that asks the questions is a unit of it, too. Added to the units is only the network of host b, and, before the agent
# is started, a look at what the service may do.
# Masked are services that prepare a system at boot (most would be skipped in a container anyway): in here they take minutes.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)

# --- outside: a systemd, and its end

units=/run/systemd/system

test_unit() {
	cat <<-END
		[Unit]
		SuccessAction=exit-force
		FailureAction=exit-force
		[Service]
		Type=oneshot
		ExecStart=$top/selftests/migration/service.sh inside
		WorkingDirectory=$top
		EnvironmentFile=/run/environment
		StandardOutput=file:/tmp/service.out
		StandardError=inherit
		LimitMEMLOCK=infinity
	END
}

mask() {
	local name
	for name; do
		ln -s /dev/null "$units/$name"
	done
}

# In namespaces of its own: becomes systemd.
become_systemd() {
	local files=(/lib/systemd/system/sysinit.target.wants/* /lib/systemd/system/local-fs.target.wants/* /etc/systemd/system/sysinit.target.wants/*)
	mount -t proc proc /proc
	umount /sys/fs/cgroup
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mount -t tmpfs tmpfs /run
	mount -t tmpfs tmpfs /usr/local/sbin
	mkdir -p "$units" /run/systemd/system-generators
	env | grep ^KVMFERRY_ >/run/environment
	printf 'PATH=%s\nHOME=/root\nTERM=dumb\nLC_ALL=C.UTF-8\n' "$PATH" >>/run/environment
	# the journal is what is left of them
	for name in "${files[@]##*/}"; do
		[[ $name == \* || $name == systemd-journal* || $name == systemd-ask-password* ]] || mask "$name"
	done
	mask systemd-journal-flush.service systemd-journal-catalog-update.service
	test_unit >"$units/ferry-test.service"
	cp packaging/systemd/* "$units"
	cp "$KVMFERRY_AGENT" /usr/local/sbin/kvmferry
	exec env -i PATH="$PATH" container=kvmferry-test /lib/systemd/systemd --system --unit=ferry-test.service
}

if [ "${1:-}" = systemd ]; then become_systemd; fi

if [ "${1:-}" != inside ]; then
	if [ "${KVMFERRY_IN_HOST:-}" != 1 ]; then
		echo "1..0 # SKIP runs in the emulated host only: selftests/vm/host.sh --kernel 6.12 -- $0"
		exit 4
	fi
	cd "$top"
	mkdir /sys/fs/cgroup/ferry-systemd
	mkfifo /tmp/service.out
	cat /tmp/service.out &
	status=0
	# (the shell in between is in the control group, not this one)
	sh -c 'echo $$ >/sys/fs/cgroup/ferry-systemd/cgroup.procs; exec unshare --pid --mount --cgroup --fork --kill-child "$0" systemd' "$0" || status=$?
	: <>/tmp/service.out # nobody may have begun to write
	wait
	rm -rf /tmp/service.out /etc/kvmferry
	exit $status
fi

# --- inside: a unit of it

# shellcheck source=SCRIPTDIR/scene.sh
. "$top/selftests/migration/scene.sh"

small_vm
settings=/etc/kvmferry
ended=f8f8c3a06d164d92b1a7d6f7d2f3f0b4 # JOURNALD_ENDED

# What a process may do that has this unit's hardening, one word for each thing that worked. Run by the unit itself.
look() {
	cat <<-'END'
		try() { name=$1; shift; "$@" 2>/dev/null && echo "$name"; }
		try module sh -c ': <>/dev/kvmferry'
		try kvm sh -c ': <>/dev/kvm'
		try usr mkdir /usr/ferried
		try etc mkdir /etc/ferried
		try state mkdir /var/lib/kvmferry/ferried
		try sysctl sh -c 'echo 0 >/proc/sys/vm/overcommit_memory'
		try cgroup mkdir /sys/fs/cgroup/ferried
		try hostname hostname ferried
		try privileges grep -q "NoNewPrivs:.0" /proc/self/status
		try unfiltered grep -q "Seccomp:.0" /proc/self/status
		rmdir /usr/ferried /etc/ferried /var/lib/kvmferry/ferried /sys/fs/cgroup/ferried 2>/dev/null
		hostname kvmferry 2>/dev/null || true
	END
}

# Both units are in host b's network.
write_units() {
	look >"$GUEST_DIR/look"
	for kind in service socket; do
		mkdir -p "$units/kvmferry-receive@.$kind.d"
		printf '[%s]\nNetworkNamespacePath=/run/netns/ferry-b\n' "${kind^}" >"$units/kvmferry-receive@.$kind.d/network.conf"
	done
	echo "ExecStartPre=sh -c 'sh $GUEST_DIR/look >$GUEST_DIR/looked'" >>"$units/kvmferry-receive@.service.d/network.conf"
	systemctl daemon-reload
}

# configure NAME OPTIONS...: of kvmferry-receive@NAME.service
configure() {
	local name=$1
	shift
	mkdir -p "$settings"
	[ -e "$settings/psk" ] || (umask 077; openssl rand -hex 32 >"$settings/psk")
	echo "OPTIONS=--qmp $GUEST_DIR/b/qmp.agent --tls-psk $settings/psk --timeout $GUEST_TIMEOUT $*" >"$settings/$name.conf"
}

property() { systemctl show --value -p "$2" "$1"; }
unit_ended() { [[ $(property "$1" ActiveState) =~ ^(inactive|failed)$ ]]; }

# ends UNIT RESULT STATUS: systemd's verdict on it
ends() {
	guest_until 60 unit_ended "$1" || { ktap_note "$1 does not end"; return 1; }
	[ "$(property "$1" Result) $(property "$1" ExecMainStatus)" = "$2 $3" ] || { systemctl status "$1" | sed 's/^/#   /'; return 1; }
}

send() {
	local status=0
	agent_send a b --tls-psk "$settings/psk" --json || status=$?
	[ "$status" = 0 ] || { sed 's/^/# send: /' "$GUEST_DIR/a/send.err"; journalctl -q -o cat | tail -n 5 | sed 's/^/# journal: /'; return 1; }
}

# journal CONDITION MATCHES...: these entries, as an array, meet a condition of jq
journal() {
	local condition=$1
	shift
	journalctl -q -o json "$@" | jq -es "$condition" >/dev/null && return
	ktap_note "not $condition: $*"
	journalctl -q -o json "$@" | tail -n 3 | jq -c '{MESSAGE, MIGRATION_ID, VM, ROLE, RESULT, _SYSTEMD_UNIT}' | sed 's/^/#   /'
	return 1
}

# Of the last migration, and only of it, by the three ways that docs/operating.md names.
journal_tells() {
	local unit=$1 result=$2 id
	id=$(journalctl -q -o json -u "$unit" "MESSAGE_ID=$ended" | jq -rs 'last | .MIGRATION_ID')
	journal "length > 0 and all(.RESULT == \"$result\" and ._SYSTEMD_UNIT == \"$unit\" and .ROLE == \"target\")" "MESSAGE_ID=$ended" "MIGRATION_ID=$id" &&
		journal 'length > 0' "MIGRATION_ID=$id" && journal 'length > 1' VM="$GUEST_UUID"
}

arrived() {
	guest_until 20 host_idle a qemu && guest_reap a && healthy b && tidy a && tidy b
}

listens() { agent_listens b && [ "$(property "$1" ActiveState)" = active ]; }

by_service() {
	guest_await b
	configure vm1 --listen "$(guest_address b):$GUEST_PORT"
	systemctl start kvmferry-receive@vm1.service
}

by_socket() {
	guest_await b
	configure $GUEST_PORT
	systemctl start "kvmferry-receive@$GUEST_PORT.socket"
}

idle_socket() { listens "kvmferry-receive@$1.socket" && [ "$(property "kvmferry-receive@$1.service" ActiveState)" = inactive ]; }

interrupted_source() {
	agent_start_send a b --tls-psk "$settings/psk" --json --bandwidth 20
	in_mid_pass a || return 1
	host_signal a send -INT
	agent_end a send || true
	[ "$(guest_status a)" = running ]
}

ktap_plan 16
systemd=$(ps -o comm= 1)
ktap_note "process 1 is $systemd, $(systemctl --version | head -n 1)"
scene_open
write_units
guest_start a

ktap_check "a service has started when a source can connect" by_service
ktap_check "it listens" listens kvmferry-receive@vm1.service
is "all that it may do of what was tried" "$(paste -sd' ' "$GUEST_DIR/looked")" "module state"
is "without the unit, all of that works" "$(sh "$GUEST_DIR/look" | paste -sd' ')" \
	"module kvm usr etc state sysctl cgroup hostname privileges unfiltered"
ktap_check "a source that is interrupted" interrupted_source
ktap_check "makes the service fail" ends kvmferry-receive@vm1.service exit-code 1
ktap_check "and the journal says so" journal_tells kvmferry-receive@vm1.service nothing-runs
guest_kill b

by_service
ktap_check "the next one comes by the service" send
ktap_check "which has succeeded" ends kvmferry-receive@vm1.service success 0
ktap_check "the guest runs there" arrived
ktap_check "the journal tells of it by VM, migration and message" journal_tells kvmferry-receive@vm1.service running
guest_kill b
guest_start a

by_socket
ktap_check "a socket listens, and nothing runs" idle_socket $GUEST_PORT
ktap_check "a source comes by the socket" send
ktap_check "its service has succeeded" ends "kvmferry-receive@$GUEST_PORT.service" success 0
systemctl stop "kvmferry-receive@$GUEST_PORT.socket"
ktap_check "the guest runs there" arrived
ktap_check "the journal has it" journal_tells "kvmferry-receive@$GUEST_PORT.service" running
ktap_end
