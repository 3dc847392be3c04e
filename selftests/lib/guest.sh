# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Two hosts, "a" and "b", each a network namespace with a QEMU and an agent of its own: what the migration tests and the
# demo are made of. Sourced; works in the emulated host only.
#
#   guest_open                  make the hosts: folders, tmpfs, namespaces joined by a veth pair
#   guest_close                 undo all of it; call it from a trap
#   guest_start HOST            a guest that runs there, restored from a state that was kept when it was first booted
#   guest_boot HOST             a guest that has booted there
#   guest_await HOST            a QEMU that waits for the guest (-incoming defer -S)
#   guest_kill HOST             end the QEMU there at once, and forget it
#   guest_qmp HOST JSON         one QMP command on the tests' own socket
#   guest_status HOST           what query-status says: running, paused, inmigrate, postmigrate, gone ...
#   guest_say HOST LINE         a command to the guest (see guest/workload.c)
#   guest_wait HOST REGEX [S]   until its console has a line like this; S seconds at most (120)
#   guest_answer HOST SECONDS REGEX LINE  the same, and wait; prints the line like REGEX that comes after it
#   guest_continues HOST [S]    until it has printed two more rounds
#   guest_report HOST [S]       let it check all its memory; prints its answer
#   guest_errors HOST           number of errors that it ever told there, a crash being one
#   agent_receive HOST ARGS...  start `kvmferry receive` there; returns when it listens
#   agent_send FROM TO ARGS...  run `kvmferry send` from there to the other; its exit status
#   agent_start_send FROM TO ARGS...  the same in the background
#   agent_end HOST send|receive wait for the agent there to end; its exit status, 99 if it did not end in time
#   migrate_once FROM TO ARGS...  receive, send, wait for both; ARGS go to send
#
# Each host has a folder $GUEST_DIR/HOST:
#   ram/          the tmpfs that holds the guest's memory
#   console       what the guest printed since this QEMU was started
#   qmp.agent     QMP socket for the agent; qmp.test one for the tests
#   hmp.sock      a human monitor, for tests that take the wrong socket
#   {qemu,send,receive}.{pid,status,out,err}, state/
#
# Variables, all with a default, that change the next QEMU:
GUEST_QEMU=${GUEST_QEMU:-qemu-system-x86_64}    # the program, words
GUEST_RAM=${GUEST_RAM:-256}             # MiB
GUEST_ORDERS=${GUEST_ORDERS:-}          # for the workload: "ws=96 rate=1000"
GUEST_BACKEND=${GUEST_BACKEND:-file}    # file, numa (two files), anonymous, private, memfd, hugetlbfs
GUEST_MACHINE=${GUEST_MACHINE:-q35}
GUEST_INITRD=${GUEST_INITRD:-$KVMFERRY_BUILD/guest/initrd.gz}
GUEST_DISK=${GUEST_DISK:-}              # virtio-blk, virtio-scsi: see guest-disk.sh, which must have been sourced
GUEST_EXTRA=${GUEST_EXTRA:-}            # more words for QEMU
GUEST_TMPFS=${GUEST_TMPFS:-size=600m}   # mount options of ram/
GUEST_LINK=${GUEST_LINK:---insecure}    # words for both agents of migrate_once: what may pass between them
GUEST_PORT=7070
GUEST_UUID=6b766d66-6572-7279-0000-000000000001
GUEST_PATIENCE=${GUEST_PATIENCE:-180}   # seconds that an agent may take in all
GUEST_TIMEOUT=${GUEST_TIMEOUT:-60}      # and for one step: interpreted CPUs are slow

if [ "${KVMFERRY_IN_HOST:-}" != 1 ]; then
	echo "1..0 # SKIP runs in the emulated host only: selftests/vm/host.sh --kernel 6.1 -- $0"
	exit 4
fi
guest_slowness=1
[ "$KVMFERRY_KERNEL" != debug ] || guest_slowness=3
GUEST_TIMEOUT=$((GUEST_TIMEOUT * guest_slowness))

guest_address() { case $1 in a) echo 192.0.2.1 ;; b) echo 192.0.2.2 ;; esac; }
guest_note() { echo "# $*"; }

# Run a command on a host. Not with "ip netns exec": that would hide this /sys.
on_host() {
	local host=$1
	shift
	nsenter --net="/run/netns/ferry-$host" "$@"
}

guest_open() {
	local host
	GUEST_DIR=$(mktemp -d /tmp/ferry.XXXXXX)
	chmod 755 "$GUEST_DIR"
	# of our own: whoever builds in the meantime does not disturb us
	cp "$KVMFERRY_AGENT" "$GUEST_DIR/kvmferry"
	cp "$KVMFERRY_BUILD/migration/qmp" "$GUEST_DIR/qmp"
	ip link add ferry-a type veth peer name ferry-b
	for host in a b; do
		mkdir -p "$GUEST_DIR/$host"/{ram,state}
		chmod 700 "$GUEST_DIR/$host/state"
		mount -t tmpfs -o "$GUEST_TMPFS" ram "$GUEST_DIR/$host/ram"
		ip netns add "ferry-$host"
		ip link set "ferry-$host" netns "ferry-$host"
		on_host "$host" ip link set lo up
		on_host "$host" ip address add "$(guest_address "$host")/24" dev "ferry-$host"
		on_host "$host" ip link set "ferry-$host" up
	done
}

guest_close() {
	local host
	for host in a b; do
		host_kill "$host" send
		host_kill "$host" receive
	done
	# a QEMU does not end while the storage has requests of it
	[ ! -e "$GUEST_DIR/disk" ] || guest_disk_release
	for host in a b; do
		guest_kill "$host"
	done
	[ ! -e "$GUEST_DIR/disk" ] || guest_disk_close
	for host in a b; do
		umount "$GUEST_DIR/$host/ram"
		ip netns del "ferry-$host"
	done
	rm -rf "$GUEST_DIR"
}

# host_start HOST NAME COMMAND...: in the background there. NAME.pid is its process, NAME.out and NAME.err what it says,
# NAME.status its exit status once it has ended. The shell in between reaps it, and keeps quiet about how it died.
host_start() {
	local host=$1 name=$2 at=$GUEST_DIR/$1/$2
	shift 2
	rm -f "$at".{pid,status}
	{
		nsenter --net="/run/netns/ferry-$host" "$@" </dev/null >"$at.out" 2>"$at.err" &
		echo $! >"$at.pid.new"
		mv "$at.pid.new" "$at.pid"
		wait $! || status=$?
		echo "${status:-0}" >"$at.status"
	} 2>/dev/null &
	guest_until 10 test -e "$at.pid"
}

# host_signal HOST NAME SIGNAL
host_signal() {
	host_runs "$1" "$2" || return 0
	kill "$3" "$(cat "$GUEST_DIR/$1/$2.pid")" 2>/dev/null || true
}

host_runs() { [ -e "$GUEST_DIR/$1/$2.pid" ] && [ ! -e "$GUEST_DIR/$1/$2.status" ]; }
host_idle() { ! host_runs "$1" "$2"; }

# The memory part of QEMU's command line, one word a line.
guest_memory_words() {
	local dir=$GUEST_DIR/$1/ram half=$((GUEST_RAM / 2)) node
	echo -m
	echo "${GUEST_RAM}M"
	case $GUEST_BACKEND in
	numa)
		for node in 0 1; do
			printf '%s\n' -object "memory-backend-file,id=ram$node,size=${half}M,mem-path=$dir/node$node,share=on"
			printf '%s\n' -numa "node,nodeid=$node,memdev=ram$node,cpus=$node"
		done
		return ;;
	file) printf '%s\n' -object "memory-backend-file,id=ram0,size=${GUEST_RAM}M,mem-path=$dir/vm,share=on" ;;
	private) printf '%s\n' -object "memory-backend-file,id=ram0,size=${GUEST_RAM}M,mem-path=$dir/vm,share=off" ;;
	anonymous) printf '%s\n' -object "memory-backend-ram,id=ram0,size=${GUEST_RAM}M" ;;
	memfd) printf '%s\n' -object "memory-backend-memfd,id=ram0,size=${GUEST_RAM}M,share=on" ;;
	hugetlbfs) printf '%s\n' -object "memory-backend-file,id=ram0,size=${GUEST_RAM}M,mem-path=$GUEST_DIR/huge,share=on" ;;
	esac
	printf '%s\n' -machine memory-backend=ram0
}

# guest_launch HOST WORDS...
guest_launch() {
	local host=$1 dir=$GUEST_DIR/$1 words
	shift
	host_idle "$host" qemu || return 1
	guest_reap "$host"
	mkfifo "$dir/console.in" "$dir/console.out"
	: >"$dir/console"
	mapfile -t words < <(guest_memory_words "$host"; [ -z "$GUEST_DISK" ] || guest_disk_words "$host")
	# shellcheck disable=SC2086 # GUEST_QEMU and GUEST_EXTRA are words
	host_start "$host" qemu $GUEST_QEMU -name ferried,debug-threads=on -uuid "$GUEST_UUID" -machine "$GUEST_MACHINE" -accel kvm -cpu host \
		-smp 2 "${words[@]}" -nodefaults -no-user-config -display none -no-reboot \
		-chardev pipe,id=console,path="$dir/console" -serial chardev:console \
		-qmp "unix:$dir/qmp.agent,server=on,wait=off" -qmp "unix:$dir/qmp.test,server=on,wait=off" \
		-monitor "unix:$dir/hmp.sock,server=on,wait=off" \
		-kernel "$KVMFERRY_VMLINUZ_61" -initrd "$GUEST_INITRD" \
		-append "console=ttyS0 quiet mitigations=off panic=-1 no_timer_check $GUEST_ORDERS" \
		$GUEST_EXTRA "$@"
	# whoever holds an end open keeps the other from ending too soon
	exec {guest_input}<>"$dir/console.in"
	eval "guest_input_$host=$guest_input"
	cat <>"$dir/console.out" >>"$dir/console" 2>/dev/null &
	echo $! >"$dir/cat.pid"
	guest_ready() { [ -S "$dir/hmp.sock" ] || host_idle "$host" qemu; }
	guest_until 30 guest_ready && host_runs "$host" qemu && return
	cat "$dir/qemu.err" >&2
	return 1
}

guest_await() { guest_launch "$1" -incoming defer -S; }

# To boot takes up to a minute here, so the guest is booted once for each kind of machine, and its state kept as files
# (by QEMU's own means, while it is stopped). What makes the state unfit for another run is part of its name.
guest_checkpoint() {
	local key
	key=$(cat "$GUEST_INITRD" "$KVMFERRY_VMLINUZ_61" <($GUEST_QEMU --version) \
		<(echo "$GUEST_RAM $GUEST_BACKEND $GUEST_MACHINE $GUEST_EXTRA $GUEST_ORDERS${GUEST_DISK:+ $(guest_disk_kind)}") | sha256sum | cut -c1-12)
	echo "$KVMFERRY_BUILD/guest/state-$KVMFERRY_KERNEL-$key"
}

guest_ignore_shared() {
	guest_qmp "$1" '{"execute": "migrate-set-capabilities", "arguments": {"capabilities":
		[{"capability": "x-ignore-shared", "state": '"$2"'}]}}' | grep -v '^{}$' || true
}

# No migration holds the VM there, or QEMU would refuse to continue it. guest_free HOST
guest_free() {
	guest_qmp "$1" '{"execute": "query-migrate"}' |
		jq -e '.status // "none" | IN("none", "completed", "failed", "cancelled")' >/dev/null
}
guest_migrated() { [ "$(guest_qmp "$1" '{"execute": "query-migrate"}' | jq -r .status)" = completed ]; }
guest_loaded() { [ "$(guest_status "$1")" = paused ]; }
# In place, because QEMU has the files mapped already; only what is not zero.
guest_copy() {
	local file
	for file in "$1"/*; do
		dd if="$file" of="$2/${file##*/}" bs=1M conv=notrunc,sparse status=none
		truncate -s "$(stat -c %s "$file")" "$2/${file##*/}"
	done
}

# guest_boot HOST: as anybody would, and wait for it
guest_boot() {
	guest_launch "$1" && guest_wait "$1" '^guest: up' 400 && guest_continues "$1"
}

# Another emulated host may do the same at this moment: the first one's is kept.
guest_save() {
	local host=$1 kept=$2 new
	new=$(mktemp -d "$kept.XXXXXX")
	mkdir "$new/ram"
	guest_ignore_shared "$host" true
	guest_qmp "$host" '{"execute": "stop"}' >/dev/null
	guest_copy "$GUEST_DIR/$host/ram" "$new/ram"
	guest_qmp "$host" '{"execute": "migrate", "arguments": {"uri": "exec:cat >'"$new"'/state"}}' >/dev/null
	guest_until 60 guest_migrated "$host"
	guest_qmp "$host" '{"execute": "cont"}' >/dev/null
	guest_ignore_shared "$host" false
	mv -T "$new" "$kept" 2>/dev/null || rm -rf "$new"
}

guest_restore() {
	local host=$1 kept=$2
	guest_await "$host"
	guest_copy "$kept/ram" "$GUEST_DIR/$host/ram"
	guest_ignore_shared "$host" true
	guest_qmp "$host" '{"execute": "migrate-incoming", "arguments": {"uri": "exec:cat '"$kept"'/state"}}' >/dev/null
	guest_until 60 guest_loaded "$host"
	guest_ignore_shared "$host" false
	guest_qmp "$host" '{"execute": "cont"}' >/dev/null
	guest_continues "$host"
}

guest_start() {
	local kept
	kept=$(guest_checkpoint)
	if [ -d "$kept" ]; then
		guest_restore "$1" "$kept"
	else
		guest_boot "$1" && guest_save "$1" "$kept"
	fi
}

host_kill() {
	host_signal "$1" "$2" -9
	guest_until 30 host_idle "$1" "$2"
	rm -f "$GUEST_DIR/$1/$2".{pid,status}
}

# Nothing of an ended QEMU stays but its console's text, for whoever looks at it still.
guest_reap() {
	local dir=$GUEST_DIR/$1 name=guest_input_$1
	if [ -n "${!name:-}" ]; then
		exec {guest_input}<&"${!name}" {guest_input}<&-
		eval "exec ${!name}<&-"
		unset "$name"
		kill "$(cat "$dir/cat.pid")"
		wait "$(cat "$dir/cat.pid")" || true
	fi
	rm -f "$dir"/ram/* "$dir"/{cat.pid,console.in,console.out,qmp.agent,qmp.test,hmp.sock}
}

guest_kill() {
	host_kill "$1" qemu
	guest_reap "$1"
}

# Wait without a process: in the emulated host each one costs more than what is waited for.
exec {guest_never}<> <(:)
guest_nap() { read -r -t "$1" -u "$guest_never" || true; }

# guest_until SECONDS COMMAND...: until it succeeds; the debug kernel gets three times as long
guest_until() {
	local end=$((SECONDS + $1 * guest_slowness))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		guest_nap 0.2
	done
}

guest_qmp() { "$GUEST_DIR/qmp" "$GUEST_DIR/$1/qmp.test" "$2"; }

# guest_oracle HOST SECONDS: build/tracking/oracle follows the guest there
guest_oracle() {
	local dir=$GUEST_DIR/$1 qmp
	qmp="'$GUEST_DIR/qmp' '$dir/qmp.test'"
	"$KVMFERRY_BUILD/tracking/oracle" process "$2" "$(cat "$dir/qemu.pid")" "$qmp '{\"execute\": \"stop\"}' >/dev/null" \
		"$qmp '{\"execute\": \"cont\"}' >/dev/null" "$dir/ram/vm"
}

guest_status() {
	local answer
	answer=$(guest_qmp "$1" '{"execute": "query-status"}' 2>/dev/null) || { echo gone; return; }
	jq -r .status <<<"$answer"
}

guest_say() {
	local fd=guest_input_$1
	printf '%s\n' "$2" >&"${!fd}"
}

# guest_count HOST REGEX: how many lines of its console match, into $guest_counted
guest_count() {
	local lines line
	mapfile -t lines <"$GUEST_DIR/$1/console"
	guest_counted=0
	for line in "${lines[@]}"; do
		[[ ! $line =~ $2 ]] || guest_counted=$((guest_counted + 1))
	done
}

# guest_has HOST REGEX N: more than N such lines
guest_has() {
	guest_count "$1" "$2"
	[ "$guest_counted" -gt "$3" ]
}

guest_monitor() {
	guest_qmp "$1" '{"execute": "human-monitor-command", "arguments": {"command-line": "'"$2"'"}}' | jq -r .return
}

# host_threads HOST NAME: where the threads of what was started there are
host_threads() {
	local task
	for task in "/proc/$(cat "$GUEST_DIR/$1/$2.pid")/task"/*; do
		echo "$(cat "$task/comm") $(cut -d ' ' -f 3,14,15 "$task/stat"): $(head -n 4 "$task/stack" | tr '\n' ' ')"
	done
}

# guest_dump HOST: what there is to say of a guest that hangs: its last words, where its CPUs and QEMU's threads are
guest_dump() {
	tail -n 15 "$GUEST_DIR/$1/console" "$GUEST_DIR/$1/qemu.err"
	host_runs "$1" qemu || { echo "its QEMU has ended"; return; }
	for _ in 1 2 3; do
		guest_monitor "$1" "info registers -a" | grep -E '^(CPU#|RIP|CR[0-4]=)' | cut -c 1-120
		sleep 0.3
	done
	guest_monitor "$1" "info lapic" | grep -E 'LVTT|Timer|IRR|ISR'
	host_threads "$1" qemu
}

# It has such a line, or will never have one.
guest_decided() { guest_has "$1" "$2" 0 || host_idle "$1" qemu; }

guest_wait() {
	guest_until "${3:-120}" guest_decided "$1" "$2" || true
	! guest_has "$1" "$2" 0 || return 0
	guest_note "no line like '$2' on the console of host $1:"
	guest_dump "$1" 2>&1 | sed 's/^/#   /'
	return 1
}

guest_continues() {
	local before
	guest_count "$1" '^guest: round'
	before=$guest_counted
	guest_until "${2:-60}" guest_has "$1" '^guest: round' $((before + 1)) && return
	guest_note "the guest on host $1 does not continue; its status is $(guest_status "$1"):"
	guest_dump "$1" 2>&1 | sed 's/^/#   /'
	return 1
}

guest_answer() {
	local before
	guest_count "$1" "$3"
	before=$guest_counted
	guest_say "$1" "$4"
	guest_until "$2" guest_has "$1" "$3" "$before" || {
		guest_note "no answer to '$4' from the guest on host $1"
		return 1
	}
	grep -E "$3" "$GUEST_DIR/$1/console" | tail -n 1
}

guest_report() { guest_answer "$1" "${2:-60}" '^guest: report' report; }

# Both what the guest says of its memory and what its kernel says when it dies of it.
guest_trouble='^guest: error|Kernel panic|Oops|BUG:|general protection|segfault|traps:|Call Trace|soft lockup'
guest_errors() {
	guest_count "$1" "$guest_trouble"
	echo "$guest_counted"
}

agent_listens() { [ -n "$(on_host "$1" ss -Hltn "sport = :$GUEST_PORT")" ]; }

agent_receive() {
	local host=$1 dir=$GUEST_DIR/$1
	shift
	host_start "$host" receive "$GUEST_DIR/kvmferry" receive --qmp "$dir/qmp.agent" \
		--listen "$(guest_address "$host"):$GUEST_PORT" --state-dir "$dir/state" --timeout "$GUEST_TIMEOUT" "$@"
	agent_ready() { agent_listens "$host" || host_idle "$host" receive; }
	guest_until 30 agent_ready
	agent_listens "$host" && return
	guest_note "the agent on host $host does not listen; it said last:"
	tail -n 5 "$dir/receive.err" | sed 's/^/#   /'
	return 1
}

agent_start_send() {
	local from=$1 to=$2 dir=$GUEST_DIR/$1
	shift 2
	host_start "$from" send "$GUEST_DIR/kvmferry" send --qmp "$dir/qmp.agent" --to "$(guest_address "$to"):$GUEST_PORT" \
		--state-dir "$dir/state" --timeout "$GUEST_TIMEOUT" "$@"
}

agent_end() {
	local at=$GUEST_DIR/$1/$2
	guest_until "$GUEST_PATIENCE" host_idle "$1" "$2" && return "$(cat "$at.status")"
	guest_note "the agent ($2) on host $1 does not end; it said last, and is:"
	{ tail -q -n 5 "$at.err" "$at.out" | cut -c 1-600; host_threads "$1" "$2"; } | sed 's/^/#   /'
	host_kill "$1" "$2"
	return 99
}

agent_send() {
	agent_start_send "$@"
	agent_end "$1" send
}

migrate_once() {
	local from=$1 to=$2 status=0
	shift 2
	# shellcheck disable=SC2086 # GUEST_LINK is words
	agent_receive "$to" $GUEST_LINK --json || return 98
	# shellcheck disable=SC2086
	agent_send "$from" "$to" $GUEST_LINK --json "$@" || status=$?
	if [ "$status" -ne 0 ]; then
		sed "s/^/# send: /" "$GUEST_DIR/$from/send.err"
		sed "s/^/# receive: /" "$GUEST_DIR/$to/receive.err"
	fi
	agent_end "$to" receive || [ "$status" -ne 0 ] || status=$?
	return "$status"
}
