# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Two hosts, as in scene.sh, each with a libvirtd, run folders and a configuration of its own. Sourced, with set -eu, after scene.sh.
#
#   write_configuration [DRIVER]  what both read; DRIVER confines QEMU, "none" if not given
#   libvirtd_start HOST         wait until it answers
#   console_open HOST           for the guest of the domain there
#   disk_nodes                  after guest_disk_open: /run/ferry/disk, the same name on both, is each host's way to it
#   domain_xml NAME UUID ACCESS ARGUMENTS DEVICES
#   view HOST [DOMAIN]          how libvirt there sees it
#   inside HOST COMMAND...      run it where that libvirtd runs; virsh_on HOST ARGS... is that for virsh
#   agent_on HOST NAME ARGS...  an agent where that libvirtd runs, in the background; its words are in NAME.out and NAME.err
#   send_on FROM TO [ARGS...]   such a one, that sends vm1
#   receive_on HOST [ARGS...]   such a one, that waits for the domain of come.xml; returns when it listens
#   take_xml FROM TO            that come.xml
#   check_on DOMAIN             kvmferry check on host a: its lines are in check.out; its status
#   qemu_of HOST                the process id of vm1's QEMU there
#   documented                  the indented lines that docs/operating.md has after a comment that begins with this test's path
#   boot                        vm1 on host a, by libvirt
#   good                        vm1 on host a can be moved
#   libvirt_close               the end of all of it: call it from a trap

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
	local driver=${1:-none}
	cp "$KVMFERRY_VMLINUZ_61" "$GUEST_DIR/vmlinuz"
	cp "$GUEST_INITRD" "$GUEST_DIR/initrd"
	chmod 644 "$GUEST_DIR"/{vmlinuz,initrd}
	chmod 666 /dev/kvm
	cat >"$GUEST_DIR/qemu.conf" <<-END
		user = "nobody"
		group = "nogroup"
		remember_owner = 0
		security_driver = "$driver"
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
# slowly, both may know. But neither may see the other's control groups: libvirt ends whatever is in a domain's, and both give a
# domain the same number and name.
libvirtd_start() {
	local host=$1
	mkdir -p "$GUEST_DIR/cache" "/sys/fs/cgroup/ferry-$host"
	# shellcheck disable=SC2016 # of that shell
	host_start "$host" libvirtd bash -euc '
		echo $$ >"/sys/fs/cgroup/ferry-$2/cgroup.procs"
		exec unshare --mount --cgroup bash -euc "$0" - "$@"' '
		mount --make-rprivate /
		umount /sys/fs/cgroup
		mount -t cgroup2 own /sys/fs/cgroup
		for dir in /etc/libvirt /run/libvirt /var/lib/libvirt /var/log/libvirt /var/lib/kvmferry; do
			mkdir -p "$dir"
			mount -t tmpfs own "$dir"
		done
		mkdir -p /run/ferry /var/cache/libvirt
		mount --rbind "$1/$2" /run/ferry
		mount --bind "$1/cache" /var/cache/libvirt
		cp "$1/qemu.conf" "$1/libvirtd.conf" /etc/libvirt
		exec libvirtd --pid-file /run/libvirt/libvirtd.pid' "$GUEST_DIR" "$host"
	libvirtd_answers() { virsh_on "$host" uri >"$GUEST_DIR/$host/uri" 2>&1; }
	guest_until 60 libvirtd_answers || { cat "$GUEST_DIR/$host"/{uri,libvirtd.err}; return 1; }
}

agent_on() {
	local host=$1 name=$2
	shift 2
	host_start "$host" "$name" nsenter --target "$(cat "$GUEST_DIR/$host/libvirtd.pid")" --mount --net \
		"$GUEST_DIR/kvmferry" "$@"
}

send_on() {
	local from=$1 to=$2
	shift 2
	# shellcheck disable=SC2086 # GUEST_LINK is words
	agent_on "$from" send send --domain vm1 --to "$(guest_address "$to"):$GUEST_PORT" $GUEST_LINK --json \
		--timeout "$GUEST_TIMEOUT" "$@"
}

receive_on() {
	local host=$1 dir=$GUEST_DIR/$1
	shift
	# shellcheck disable=SC2086 # GUEST_LINK is words
	agent_on "$host" receive receive --domain-xml /run/ferry/come.xml --listen "$(guest_address "$host"):$GUEST_PORT" \
		$GUEST_LINK --timeout "$GUEST_TIMEOUT" "$@"
	agent_ready() { agent_listens "$host" || host_idle "$host" receive; }
	guest_until 60 agent_ready
	agent_listens "$host" || { sed 's/^/#   /' "$dir/receive.err"; return 1; }
}

take_xml() { virsh_on "$1" dumpxml --migratable --security-info vm1 >"$GUEST_DIR/$2/come.xml"; }

check_on() {
	agent_on a check check --domain "$1" --state-dir /run/ferry/state
	agent_end a check
}

qemu_of() { inside "$1" cat /run/libvirt/qemu/vm1.pid; }

documented() {
	awk -v begin="<!-- selftests/migration/${0##*/} " 'index($0, begin) == 1 { on = 1; next }
		on && /^    / { print substr($0, 5); seen = 1; next }
		on && seen { exit }' docs/operating.md
}

source_looks() {
	virsh_on a domstate --reason vm1 | sed 's/^/# at the source: /'
	inside a tail -n 5 /var/log/libvirt/qemu/vm1.log | sed 's/^/# its QEMU: /'
	tail -n 20 "$GUEST_DIR/a/console" | sed 's/^/# console: /'
}

boot() {
	virsh_on a start vm1 >/dev/null && guest_until 200 guest_has a '^guest: up' 0 && guest_continues a && return
	source_looks
	return 1
}

good() {
	local status=0
	check_on vm1 || status=$?
	[ "$status" = 0 ] || sed 's/^/#   /' "$GUEST_DIR/a/check.out"
	return "$status"
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

disk_nodes() {
	local host
	for host in a b; do
		# shellcheck disable=SC2046 # two numbers
		mknod -m 666 "$GUEST_DIR/$host/disk" b $(stat -L -c '0x%t 0x%T' "/dev/mapper/ferried-$host")
	done
}

libvirt_close() {
	local host
	for host in a b; do
		host_runs "$host" libvirtd || continue
		virsh_on "$host" list --name | while read -r name; do
			[ -z "$name" ] || virsh_on "$host" destroy "$name" || true
		done
		rm -rf "$GUEST_DIR/$host/ram"/*
		host_kill "$host" libvirtd
		find "/sys/fs/cgroup/ferry-$host" -depth -type d -exec rmdir {} +
	done
	guest_close
}

domain_xml() {
	cat <<-END
		<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
		  <name>$1</name>
		  <uuid>$2</uuid>
		  <memory unit='MiB'>$GUEST_RAM</memory>
		  <memoryBacking><source type='file'/><access mode='$3'/></memoryBacking>
		  <vcpu cpuset='$KVMFERRY_GUEST_CPUS'>2</vcpu>
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

# shellcheck disable=SC2034 # for who sources this
qmp_arguments="<qemu:arg value='-qmp'/><qemu:arg value='unix:/var/lib/libvirt/qemu/vm1.kvmferry,server=on,wait=off'/>"
# shellcheck disable=SC2034
disk="<disk type='block' device='disk'>
	<driver name='qemu' type='raw' cache='none' io='native' discard='unmap' error_policy='stop' rerror_policy='stop'/>
	<source dev='/run/ferry/disk'/><target dev='vda' bus='virtio'/>
	</disk>"
# shellcheck disable=SC2034
console="<serial type='pipe'><source path='/run/ferry/console'/></serial>"

# view HOST [DOMAIN]: how libvirt sees it, in words; one call, as each takes a second here
view() {
	virsh_on "$1" dominfo "${2:-vm1}" 2>/dev/null | awk -F ':  *' '
		$1 == "State" { state = $2 }
		$1 == "Persistent" { defined = $2 == "yes" ? ", defined" : "" }
		$1 == "Autostart" { autostart = $2 == "enable" ? ", autostart" : "" }
		END { print (state == "" ? "unknown" : state) defined autostart }'
}
