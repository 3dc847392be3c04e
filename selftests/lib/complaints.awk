# SPDX-License-Identifier: GPL-2.0-or-later
# Print the lines of a kernel log that no test may leave behind.
#
#	dmesg | awk -v after="MARK" -f complaints.awk
#
# Only what follows the line that contains MARK counts, if one is given; lines between kernel_expects_begin and
# kernel_expects_end (ktap.sh) do not.
BEGIN { counts = (after == "") }
after != "" && index($0, after) { counts = 1 }
/kvmferry-test: expect begin/ { expected = 1 }
/kvmferry-test: expect end/ { expected = 0 }
!counts || expected { next }
/WARNING:|BUG:|KASAN|KCSAN|UBSAN|KFENCE|Oops|general protection fault|Call Trace:/ ||
/possible recursive locking|possible circular locking|inconsistent lock state|suspicious RCU usage/ ||
/INFO: lockdep|DEBUG_LOCKS|held lock freed|bad unlock balance|invalid context|scheduling while atomic/ ||
/blocked for more than|soft lockup|hard LOCKUP|detected stall|workqueue lockup/ ||
/ODEBUG|list_(add|del) corruption|refcount_t:|Bad page (state|map)|kmemleak:.*suspected|Memory cgroup out of memory|Out of memory:/ {
	print
}
