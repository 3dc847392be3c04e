# SPDX-License-Identifier: GPL-2.0-or-later
# Print the lines of a kernel log that no test may leave behind.
/WARNING:|BUG:|KASAN|KCSAN|UBSAN|Oops|general protection fault|kernel BUG at|Call Trace:/ ||
/possible recursive locking|possible circular locking|inconsistent lock state|suspicious RCU usage/ ||
/lockdep|held lock freed|bad unlock balance|sleeping function called from invalid context/ ||
/blocked for more than|soft lockup|hard LOCKUP|rcu.*detected stall|workqueue lockup/ ||
/ODEBUG|list_(add|del) corruption|refcount_t:|Bad page state|slab-out-of-bounds|use-after-free|kmemleak:.*new suspected/ ||
/scheduling while atomic|kvmferry:.*(bug|BUG|leak)/ {
	print
}
