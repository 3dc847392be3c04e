# SPDX-License-Identifier: GPL-2.0-or-later
# How the results of bench-storage are shown and judged; used by bench-storage.sh.

def pad($n): tostring | . + " " * ([$n - length, 0] | max);
def lpad($n): tostring | " " * ([$n - length, 0] | max) + .;
def or_dash: if . == null then "-" else . end;
def digits($n): pow(10; $n) as $f | . * $f | round / $f;
def median: sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;

def header($part):
	if $part == "blackout" then
		("latency s" | lpad(9)) + ("depth" | lpad(6)) + "  " + ("load" | pad(7)) + ("method" | pad(7)) +
		("blackout ms" | lpad(12)) + ("own figure" | lpad(11)) + ("RAM" | lpad(6)) + ("rest" | lpad(7)) +
		("cancelled" | lpad(10)) + ("in doubt" | lpad(9)) + ("errors" | lpad(7))
	else
		("shape" | pad(17)) + ("depth" | lpad(6)) + "  " + ("target" | pad(8)) + ("round" | lpad(6)) +
		(if $part == "time" then "requests/s" else "instructions" end | lpad(13))
	end;

# A blackout without its RAM part; QEMU does not tell how much of its own that is.
def rest: .blackout_ms - (.ram_ms // 0);

# A line from inside: a result becomes a row, anything else stays.
def row:
	. as $line | (fromjson? // null) as $r |
	if ($r | type) != "object" then $line
	elif $r.part == "blackout" then $r |
		(.latency_s | lpad(9)) + (.depth | lpad(6)) + "  " + (.load | pad(7)) + (.method | pad(7)) +
		(if .status != "moved" then "  " + .status else
			(.blackout_ms | lpad(12)) + (.own_ms | lpad(11)) + (.ram_ms | or_dash | lpad(6)) + (rest | lpad(7)) +
			(.requests_cancelled | or_dash | lpad(10)) + (.writes_in_doubt | or_dash | lpad(9)) + (.guest_errors | lpad(7))
		end)
	else $r |
		(.shape | pad(17)) + (.depth | lpad(6)) + "  " + (.target | pad(8)) + (.round | lpad(6)) +
		((.iops // .instructions // "error \(.error)") | lpad(13))
	end;

def verdict($ok; $text): (if $ok then "ok      " else "not ok  " end) + $text;
def case: "\(.load), depth \(.depth)";

# --- slow storage

# Of each method, what it is like at this latency compared to none.
def ratios:
	map(select(.part == "blackout" and .status == "moved")) |
	group_by([.method, .load, .depth])[] |
	(map(select(.latency_s == 0))[0]) as $none |
	select($none != null) | map(select(.latency_s != 0)) | sort_by(.latency_s)[] |
	. + {times: ((rest / ($none | rest)) | digits(2)), none: ($none | rest)};

def blackouts:
	(map(select(.part == "blackout" and (.status != "moved" or .guest_errors != 0)) |
		"\(.method), \(case), \(.latency_s) s")) as $bad |
	(map(select(.part == "blackout")) | length) as $all |
	if $all == 0 then empty else
		verdict($bad == []; "every guest came, and its disk held what it should" + ($bad | map(": " + .) | add // "")),
		(ratios | select(.method == "cancel") |
			"\(case): kvmferry's blackout without RAM is at \(.latency_s) s no more than 2 times that at 0 s, or 150 ms" as $text |
			verdict(.times <= 2 or rest <= 150; "\($text): \(.times) times, \(rest) ms"))
	end;

# --- normal life

def pairs($measure; value):
	map(select(.part == "fio" and .measure == $measure)) | group_by([.shape, .depth])[] |
	group_by(.round) as $rounds | .[0] as $first |
	[$rounds[] | (map(select(.target == "linear"))[0]) as $l | (map(select(.target == "ferry"))[0]) as $f |
		select($l != null and $f != null) | {linear: ($l | value), ferry: ($f | value), none: (map(select(.target == "none"))[0] | value?)}] |
	select(length > 0) |
	{shape: $first.shape, depth: $first.depth, rounds: length, linear: (map(.linear) | median), ferry: (map(.ferry) | median),
	none: (map(.none // empty) | if length > 0 then median else null end),
	ratio: (map(.ferry / .linear) | median), least: (map(.ferry / .linear) | min), most: (map(.ferry / .linear) | max)};

def iops: pairs("time"; .iops);
def counts: pairs("count"; .instructions);

def normal_life:
	(iops |
		"\(.shape), depth \(.depth): ferry has no less than 0.97 of dm-linear's requests a second" as $text |
		verdict(.ratio >= 0.97; "\($text): \(.ratio | digits(3)), in \(.rounds) rounds \(.least | digits(3)) to \(.most | digits(3))")),
	(counts |
		"\(.shape), depth \(.depth): ferry needs no more than 1.03 times dm-linear's instructions" as $text |
		verdict(.ratio <= 1.03; "\($text): \(.ratio | digits(3)), \(.ferry - .linear) more")),
	(map(select(.part == "fio" and .error) | "\(.target), \(.shape)") | if . == [] then empty else verdict(false; "fio failed: \(.)") end);

# --- tables

def summary:
	(if any(.[]; .part == "blackout") then
		"", "Blackout without its RAM part (QEMU's: all of it), compared to that without latency",
		(ratios | (.method | pad(8)) + (case | pad(20)) + "\(.latency_s) s: " + ("\(rest)" | lpad(7)) + " ms, " +
			("\(.none)" | lpad(6)) + " ms at 0 s: \(.times) times")
	else empty end),
	(if any(.[]; .measure == "time") then
		"", "Requests a second, medians", (iops | (.shape | pad(17)) + "depth " + (.depth | pad(4)) +
			"dm-linear " + (.linear | lpad(8)) + ", ferry " + (.ferry | lpad(8)) + ": \(.ratio | digits(3)) (\(.least | digits(3)) to \(.most | digits(3)))")
	else empty end),
	(if any(.[]; .measure == "count") then
		"", "Instructions a request, fio's own included", (counts | (.shape | pad(17)) + "depth " + (.depth | pad(4)) +
			"null_blk " + (.none | or_dash | lpad(6)) + ", dm-linear " + (.linear | lpad(6)) + ", ferry " + (.ferry | lpad(6)) +
			": \(.ratio | digits(3)), \(.ferry - .linear | round) more")
	else empty end);

# All that must hold.
def verdicts: blackouts, normal_life;
