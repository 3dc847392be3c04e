# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034 # what is drawn is for whoever sources this
# Rounds of migrations in which things are left to chance, and the same questions after each. Sourced after scene.sh.
#
# The guest is on host $home, and goes to the other one. All of chance comes from $seed (KVMFERRY_SEED=N repeats it), so what is
# tried can be repeated; in which moment it strikes depends on the machine as well.

seed=${KVMFERRY_SEED:-$((RANDOM * 32768 + RANDOM))}
home=a

# A number below N, into $drawn. The shell's own generator may change with its version.
draw() {
	seed=$(((seed * 1103515245 + 12345) & 0x7fffffff))
	drawn=$(((seed >> 8) % $1))
}

# One of the words, into $picked.
pick() {
	draw $#
	shift $drawn
	picked=$1
}

other_than() { case $1 in a) echo b ;; b) echo a ;; esac; }

now_ms() { now=$((${EPOCHREALTIME/./} / 1000)); }
nap_ms() { guest_nap "$(($1 / 1000)).$(printf %03d $(($1 % 1000)))"; }

# Who is struck, and how. strike FROM TO VICTIM SIGNAL
victims=("send -9" "send -9" "receive -9" "receive -9" "send -INT" "receive -TERM" "source -9" "target -9" "link")
strike() {
	case $3 in
	link) on_host "$1" ip link set "ferry-$1" down ;;
	source) host_signal "$1" qemu "$4" ;;
	target) host_signal "$2" qemu "$4" ;;
	send) host_signal "$1" send "$4" ;;
	receive) host_signal "$2" receive "$4" ;;
	esac
}

# rounds_measure: how long an undisturbed migration takes, into $took, in ms: moments are drawn from that
rounds_measure() {
	local to begun
	to=$(other_than "$home")
	guest_await "$to"
	agent_receive "$to" --insecure --json || return 1
	now_ms
	begun=$now
	agent_send "$home" "$to" --insecure --json || return 1
	now_ms
	took=$((now - begun))
	agent_end "$to" receive
	forget_source "$home"
	home=$to
	healthy "$home"
}

# What send says of itself fits where the VM is. A victim may have said anything. fits SENT FROM TO OWNER
fits() {
	case $1:$4 in
	0:"$2" | 1:"$3" | 2:*) ktap_note "send's status is $1, and the VM is on $4"; return 1 ;;
	esac
}

# Nothing of a migration is left but one QEMU and its host's owner records.
no_debris() {
	local threads
	tidy a && tidy b || return 1
	threads=$(pgrep -c '^kvmferry/[0-9]' || true)
	[ "$threads" = 0 ] || { ktap_note "$threads threads of the module are left"; return 1; }
	[ "$(cat /sys/module/kvmferry/refcnt)" = 0 ] || { ktap_note "the module is still in use"; return 1; }
	if host_runs a qemu && host_runs b qemu; then ktap_note "a QEMU too many"; return 1; fi
}

# rounds_judge FROM TO VICTIM SENT: after both agents have ended. The VM is on one host and well, then $home, or gone if its
# QEMU was the victim: then it is started anew.
rounds_judge() {
	recover "$1" "$2"
	# shellcheck disable=SC2154 # recover sets it
	case $owner in
	twice) return 1 ;;
	nobody)
		case $3 in source* | target*) ;; *) return 1 ;; esac
		home=a
		guest_start a
		;;
	*)
		home=$owner
		healthy "$owner" && fits "$4" "$1" "$2" "$owner"
		;;
	esac && no_debris
}

# rounds_start_over FROM TO: after a bad round; shows what the agents said
rounds_start_over() {
	sed 's/^/#   send: /' "$GUEST_DIR/$1/send.err"
	sed 's/^/#   receive: /' "$GUEST_DIR/$2/receive.err"
	host_kill "$1" send
	host_kill "$2" receive
	guest_kill a
	guest_kill b
	rm -f "$GUEST_DIR"/*/state/*
	home=a
	guest_start a
}
