# SPDX-License-Identifier: GPL-2.0-or-later
# The module's trace, recorded with one page a fault, as a trace of writes for the simulator. A line each:
#
#	p                a pass begins
#	t BLOCK CHUNK    a chunk of 512 pages was scanned, and what was pending in it taken and protected
#	w BLOCK PAGE     a page is written for the first time since it was last protected
#	# TEXT           a comment
#
# A write between the protecting of its page and the line "t" comes a moment too early here.

BEGIN {
	print "# recorded by bench-trace.awk"
}

# name=value pairs of the event are words here: "block 0 page 12 write: 0 more"
function value(name,    i) {
	for (i = 1; i < NF; i++)
		if ($i == name)
			return $(i + 1) + 0
	return -1
}

/ ferry_pass: / { print "p" }

/ ferry_turn: / {
	block = value("block")
	chunk = value("chunk")
	taken[block, chunk]++
	print "t", block, chunk
}

# Two vCPUs may fault on one page, and KVM may handle a fault twice.
/ ferry_group: .* write: / {
	block = value("block")
	page = value("page")
	turn = taken[block, int(page / 512)] + 1
	if (written[block, page] != turn)
		print "w", block, page
	written[block, page] = turn
}

/LOST [0-9]+ EVENTS/ { print "# " $0; lost = 1 }

END {
	if (lost)
		print "events were lost" >"/dev/stderr"
	exit lost
}
