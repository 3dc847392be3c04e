#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Run one command in an emulated KVM host: a Linux kernel with AMD's virtualization under QEMU's interpreter, so that no
# machine needs /dev/kvm, and no kernel but an emulated one ever loads the module.
#
#   host.sh --kernel NAME [options] -- COMMAND ARGS...
#     --kernel NAME       a name of kernels.list
#     --memory MIB        3072 if not given
#     --smp N             CPUs for the command, 2; there is one more, see init.sh
#     --icount 0|1        1: one CPU in all, whose time stamp counter counts the instructions that it executes, one a
#                         nanosecond; no guests. 0 if not given
#     --link 0|1          1: two network cards, eth0 and eth1, with a cable from one to the other. 0 if not given
#     --timeout SECONDS   600, for all: boot, command, checks
#     --append "..."      more kernel parameters
#     --console FILE      where the kernel's console goes, build/vm/NAME-PID.log if not given
#     --npt 0|1           nested paging for the host's guests, 1; 'none' does not load kvm_amd at all
#     --pair FOLDER/a     this is host a of two, or b: they have a network of their own (interface "pair"), and a disk of
#                         64 MiB that both see. /var/lib/kvmferry is on a disk of this host's, which outlives it. All of that
#                         is in FOLDER, and so is the process id of QEMU: a.pid. To kill it is to pull the plug
#     --input             COMMAND has the standard input of this script
#
# The host's root is this machine's root, or that of the system which the kernel belongs to (kernels.list), with all
# changes kept in the host's memory; build/ is shared and writable.
# COMMAND starts in the project's top folder. Its stdout and stderr come out live on stdout; nothing else does.
#
# Exit status: COMMAND's own, but
#   123  COMMAND succeeded and the kernel complained (warning, lockdep report, leak ...); the lines are on stderr
#   124  time-out; the console file has the state of all tasks (sysrq-t, -w, -l)
#   125  the host panicked, did not boot, or ended without a verdict; the console's tail is on stderr
#   126  bad usage, or the host could not be started
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)

say() { echo "host.sh: $*" >&2; }
die() { say "$*"; exit 126; }

kernel='' memory=3072 smp=2 icount=0 link=0 timeout=600 append='' console='' npt=1 pair='' input=0
while [ $# -gt 0 ]; do
	case $1 in
	--kernel) kernel=$2 ;;
	--memory) memory=$2 ;;
	--smp) smp=$2 ;;
	--icount) icount=$2 ;;
	--link) link=$2 ;;
	--timeout) timeout=$2 ;;
	--append) append=$2 ;;
	--console) console=$2 ;;
	--npt) npt=$2 ;;
	--pair) pair=$2 ;;
	--input) input=1; shift; continue ;;
	--) shift; break ;;
	*) die "unknown option $1" ;;
	esac
	shift 2
done
[ -n "$kernel" ] || die "--kernel is missing"
[ $# -gt 0 ] || die "no command"
[ "$icount" = 0 ] || smp=0 npt=none

mkdir -p "$top/build/vm"
[ -n "$console" ] || console=$top/build/vm/$kernel-$$.log
mkdir -p "$(dirname "$console")"
: >"$console"

vmlinuz=$("$here/kernel.sh" vmlinuz "$kernel") || die "no kernel $kernel"
initrd=$("$here/initramfs.sh" "$kernel") || die "no initramfs for $kernel"
system=$("$here/kernel.sh" system "$kernel") || die "no system for $kernel"
guest=$("$here/kernel.sh" vmlinuz 6.1) || die "no kernel for the guests"
emulator=$("$here/emulator.sh") || die "no emulator"

# A small program says what the host's clock is, and at its head why.
if [ "$top/build/vm/tsc" -ot "$here/tsc.c" ]; then
	gcc -std=gnu11 -O2 -Wall -Wextra -o "$top/build/vm/tsc.$$" "$here/tsc.c" || die "tsc.c does not build"
	mv "$top/build/vm/tsc.$$" "$top/build/vm/tsc"
fi
khz=$([ "$icount" = 0 ] && "$top/build/vm/tsc" || echo 1000000)

run=$(mktemp -d "$top/build/vm/run.XXXXXX")
qemu='' timer='' feeder=''
# a background process has no standard input of its own
exec 6<&0
clean_up() {
	trap - EXIT INT TERM HUP
	[ -z "$qemu" ] || kill -9 "$qemu" 2>/dev/null || true
	[ -z "$timer" ] || kill "$timer" 2>/dev/null || true
	[ -z "$qemu" ] || close_pipes 2>/dev/null
	rm -rf "$run"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# What the inside needs to know; see init.sh.
write_orders() {
	cat >"$run/env" <<-END
		export KVMFERRY_KERNEL=$kernel
		export KVMFERRY_TOP=$top
		export KVMFERRY_BUILD=$top/build
		export KVMFERRY_MODULES=$("$here/kernel.sh" modules "$kernel")
		export KVMFERRY_VMLINUZ_61=$guest
		export KVMFERRY_KO=$top/build/kmod/$kernel/kvmferry.ko
		export KVMFERRY_AGENT=$top/build/kvmferry
		export KVMFERRY_IN_HOST=1
		export KVMFERRY_PAIR=${pair##*/}
		KVMFERRY_INPUT=$input
		KVMFERRY_NPT=$([ "$npt" = 0 ] && echo 0 || echo 1)
		KVMFERRY_MODPROBE=$([ "$npt" = none ] && echo none || echo kvm_amd)
	END
	printf 'exec %s\n' "$(printf '%q ' "$@")" >"$run/command"
}

# Any warning ends the run: nothing after it could be trusted. The watchdogs are slow, because interpreted CPUs on a busy
# machine are.
parameters() {
	printf '%s ' "console=ttyS0 quiet mitigations=off clocksource=tsc tsc=reliable no_timer_check" \
		"panic=-1 oops=panic panic_on_warn=1 unknown_nmi_panic watchdog_thresh=30 softlockup_panic=1" \
		"hung_task_panic=1 rcupdate.rcu_cpu_stall_timeout=60 sysctl.kernel.panic_on_rcu_stall=1" \
		"printk.time=1 log_buf_len=16M sysctl.kernel.sysrq=1 systemd.unified_cgroup_hierarchy=1" \
		"kvmferry.init=/.machine$here/init.sh kvmferry.run=/.machine$run"
	[ "$kernel" != debug ] || printf 'kmemleak=on '
	printf 'tsc_early_khz=%s ' "$khz"
	printf '%s' "$append"
}

# monitor COMMAND: a command for QEMU's human monitor, sent over QMP, which does not echo. (The pipe is opened both ways,
# so that nobody waits for a QEMU that has ended.)
monitor() {
	printf '{"execute": "%s", "arguments": {%s}}\n' qmp_capabilities '' \
		human-monitor-command "\"command-line\": \"$1\"" 1<>"$run/monitor.in"
}

# Keep what the host has to say of itself. The status is its last word: then it may end.
read_verdicts() {
	local line
	while IFS= read -r line; do
		printf '%s\n' "$line" >>"$run/verdicts"
		[[ $line != "status "* ]] || monitor quit
	done
}

# QEMU opens these pipes for reading and writing, so it never waits for us; we read until it ends.
open_pipes() {
	: >"$run/verdicts"
	mkfifo "$run"/{in.in,in.out,out,verdict,serial.in,serial.out,monitor.in,monitor.out}
	cat "$run/serial.out" >>"$console" &
	cat "$run/monitor.out" >"$run/monitor" &
	read_verdicts <"$run/verdict" &
	cat "$run/out" &
	[ $input = 1 ] || return 0
	cat <&6 >"$run/in.in" &
	feeder=$!
}

# A QEMU that did not start has not opened the pipes, and the readers would wait for it for ever.
close_pipes() {
	local pipe
	[ -z "$feeder" ] || kill "$feeder" 2>/dev/null || true
	for pipe in out verdict serial.out monitor.out; do
		exec 8<>"$run/$pipe"
		exec 8>&-
	done
	wait
}

# What a host of a pair has besides. Datagrams need nobody at the other end, so either may come and go; what the disks were
# told to keep is with this machine, whatever becomes of the host.
pair_words() {
	local folder=${pair%/*} me=${pair##*/} other disk
	case $me in a) other=b ;; b) other=a ;; *) die "--pair $pair: its last part is a or b" ;; esac
	[ -e "$folder/$me.disk" ] || { truncate -s 16M "$folder/$me.disk" && mke2fs -q -t ext4 "$folder/$me.disk"; } || die "no disk for $pair"
	[ -e "$folder/shared" ] || truncate -s 64M "$folder/shared"
	printf '%s\n' -netdev "dgram,id=pair,local.type=unix,local.path=$folder/$me.net,remote.type=unix,remote.path=$folder/$other.net" \
		-device "virtio-net-pci,netdev=pair,mac=52:54:00:00:00:0$me"
	for disk in "$me.disk" shared; do
		printf '%s\n' -drive "file=$folder/$disk,format=raw,if=none,id=$disk,file.locking=off" \
			-device "virtio-blk-pci,drive=$disk,serial=${disk#"$me".}"
	done
}

# No cmpxchg16b, which the kernel can do without: QEMU 7.2 may leave rubbish in the flags behind it, the trap flag
# included, and an interrupt that comes just then makes it last. The kernel dies of a debug exception in kmalloc().
start_qemu() {
	local interpreter=(-accel "tcg,thread=multi") devices=()
	[ -z "$pair" ] || mapfile -t devices < <(pair_words)
	[ "$icount" = 0 ] || interpreter=(-accel "tcg,thread=single" -icount "shift=0")
	[ "$link" = 0 ] || devices=(-netdev "hubport,id=n0,hubid=0" -netdev "hubport,id=n1,hubid=0"
		-device "e1000e,netdev=n0,romfile=" -device "e1000e,netdev=n1,romfile=")
	"$emulator" -name "kvmferry-$kernel" -machine q35 "${interpreter[@]}" -cpu EPYC,+svm,+npt,-cx16 \
		-smp $((smp + 1)) -m "$memory" -nodefaults -no-user-config -display none -no-reboot \
		-kernel "$vmlinuz" -initrd "$initrd" -append "$(parameters)" \
		-chardev pipe,id=serial,path="$run/serial" -serial chardev:serial \
		-chardev pipe,id=monitor,path="$run/monitor" -mon chardev=monitor,mode=control \
		-device virtio-serial-pci \
		-chardev file,id=out,path="$run/out",append=on -device virtserialport,chardev=out,name=out \
		-chardev file,id=verdict,path="$run/verdict",append=on -device virtserialport,chardev=verdict,name=verdict \
		-chardev pipe,id=in,path="$run/in" -device virtserialport,chardev=in,name=in \
		-device virtio-rng-pci "${devices[@]}" \
		-fsdev local,id=root,path="$system",security_model=none,readonly=on,multidevs=remap \
		-device virtio-9p-pci,fsdev=root,mount_tag=root \
		-fsdev local,id=machine,path=/,security_model=none,readonly=on,multidevs=remap \
		-device virtio-9p-pci,fsdev=machine,mount_tag=machine \
		-fsdev local,id=build,path="$top/build",security_model=none,multidevs=remap \
		-device virtio-9p-pci,fsdev=build,mount_tag=build \
		</dev/null >"$run/qemu" 2>&1 &
	qemu=$!
	[ -z "$pair" ] || echo "$qemu" >"$pair.pid"
}

running() { kill -0 "$qemu" 2>/dev/null; }

# Wait until the console has been silent for a second, at most so many.
settle() {
	local left=$1 size=-1
	while [ "$left" -gt 0 ]; do
		left=$((left - 1))
		[ "$size" != "$(stat -c %s "$console")" ] || return 0
		size=$(stat -c %s "$console")
		sleep 1
	done
}

# A break on the serial line, then a letter: sysrq without a keyboard.
sysrq() {
	monitor "chardev-send-break serial"
	sleep 0.5
	printf '%s' "$1" >"$run/serial.in"
	settle "$2"
}

# What was everybody doing? A host too dead to answer sysrq gets an NMI, which makes it panic with a trace.
dump_state() {
	say "time-out after $timeout s; asking the host for its state"
	monitor "info registers -a"
	sleep 1
	jq -r '.return | strings' "$run/monitor" >>"$console" || true
	# 9 first: "quiet" would keep the dump off the console
	sysrq 9 3
	sysrq w 10
	sysrq l 10
	sysrq t 60
	if ! grep -q 'sysrq: ' "$console"; then
		say "no answer to sysrq; sending an NMI"
		monitor nmi
		settle 10
	fi
}

show_tail() {
	say "console's last lines (all of it: $console)"
	tail -n "${1:-60}" "$console" >&2
}

# From the dump: where each CPU was, and who waited for what.
show_blocked() {
	grep -E '^CPU#|^RIP=' "$console" >&2
	sed -n '/sysrq: Show Blocked State/,/sysrq: Show backtrace/p' "$console" | head -n 60 >&2
}

# From what was left behind to an exit status.
judge() {
	local status
	status=$(sed -n 's/^status //p' "$run/verdicts")
	if [ -z "$status" ]; then
		if grep -q 'Kernel panic' "$console"; then
			say "the host panicked"
		elif [ -s "$run/verdicts" ]; then
			say "the host ended without a verdict (QEMU's status: $ended)"
			grep -v "TCG doesn't support" "$run/qemu" >&2 || true
		else
			say "the host did not boot"
			grep -v "TCG doesn't support" "$run/qemu" >&2 || true
		fi
		show_tail
		return 125
	fi
	if grep -q '^kernel ' "$run/verdicts"; then
		say "the kernel complained:"
		sed -n 's/^kernel /  /p' "$run/verdicts" >&2
		[ "$status" -ne 0 ] || return 123
	fi
	return "$status"
}

# In a function, so that all of this file has been read before the host runs, and may change meanwhile.
main() {
	local started status=0 ended=0
	write_orders "$@"
	open_pipes
	start_qemu
	started=$SECONDS
	# a background sleep, so that the end of QEMU is noticed at once and a signal is obeyed at once
	sleep "$timeout" &
	timer=$!
	wait -n "$qemu" "$timer" || ended=$?
	if running; then
		show_tail 20
		dump_state
		kill -9 "$qemu"
		close_pipes 2>/dev/null # bash would report the kill
		qemu=''
		show_blocked
		exit 124
	fi
	kill "$timer" 2>/dev/null || true # it may just have ended
	close_pipes
	qemu='' timer=''
	echo "host.sh: $kernel, $((SECONDS - started)) s" >>"$console"
	judge || status=$?
	exit $status
}

main "$@"
