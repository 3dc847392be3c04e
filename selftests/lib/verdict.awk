# SPDX-License-Identifier: GPL-2.0-or-later
# Judge one test by its KTAP output and its exit status: print "pass", "skip REASON" or "fail REASON".
#
#	awk -v status=N -f verdict.awk OUTPUT
#
# A test has passed only if it said how many results it would give, gave that many, and none was "not ok".
/^1\.\.[0-9]+/ {
	planned = substr($1, 4) + 0
	plans++
	if (/# *SKIP/) { sub(/.*# *SKIP */, ""); reason = $0 }
}
/^ok [0-9]+/ { done++ }
/^ok [0-9]+.*# *SKIP/ { skipped++; line = $0; sub(/.*# *SKIP */, "", line); if (!reason) reason = line }
/^not ok [0-9]+/ { done++; failed++; if (!first) first = $0 }
/^Bail out!/ { bailed = $0 }
END {
	if (status == 124) print "fail time-out"
	else if (bailed) print "fail " bailed
	else if (failed) print "fail " failed " of " done " (" first ")"
	else if (status != 0 && status != 4) print "fail exit status " status
	else if (plans != 1) print "fail no verdict"
	else if (done != planned) print "fail planned " planned " results, gave " done + 0
	else if (status == 4 || (done && skipped == done)) print (reason ? "skip " reason : "fail skipped without a reason")
	else if (!done) print "fail no results"
	else print "pass"
}
