# SPDX-License-Identifier: GPL-2.0-or-later
# How the results of bench-channel are shown and judged; used by bench-channel.sh.

def pad($n): tostring | . + " " * ([$n - length, 0] | max);
def lpad($n): tostring | " " * ([$n - length, 0] | max) + .;

def header:
	("guest" | pad(7)) + ("rate" | pad(11)) + ("method" | pad(12)) + ("MB sent" | lpad(8)) + ("seconds" | lpad(9)) +
	("blackout ms" | lpad(13)) + ("CPU s source" | lpad(14)) + ("target" | lpad(8)) + "  pages by codec";

def codecs: if . == null then "" else [to_entries[] | "\(.key) \(.value)"] | join(", ") end;

# A line of bench-channel-inside's output: a result becomes a row, anything else stays.
def row:
	. as $line | (fromjson? // null) as $r |
	if ($r | type) != "object" then $line
	elif $r.cost then $r.cost | [to_entries[] | "\(.key) \(.value)"] | join(", ")
	else $r |
		(.guest | pad(7)) + (.rate | pad(11)) + (.method | pad(12)) + (.bytes_wire / 1e5 | floor / 10 | lpad(8)) +
		(if .status != "moved" then "  " + .status else
			(.total_ms / 100 | floor / 10 | lpad(9)) + (.blackout_ms | lpad(13)) +
			(.cpu_source_ms / 100 | floor / 10 | lpad(14)) + (.cpu_target_ms / 100 | floor / 10 | lpad(8)) +
			"  " + (.codecs | codecs) end)
	end;

def two_digits: . * 100 | round / 100;
def verdict($ok; $text): (if $ok then "ok      " else "not ok  " end) + $text;
def missing($text): "not ok  " + $text + ": not measured";
def moved: map(select(.status == "moved"));
def is_qemu: .method | startswith("qemu-");
def case: "\(.guest) at \(.rate)";
def slow: .rate != "unlimited";

def adaptive:
	group_by([.guest, .rate])[] | select(.[0].guest != "twice") |
	(map(select(.method == "auto")) | moved | .[0]) as $auto |
	(map(select((is_qemu | not) and .method != "auto")) | moved | min_by(.total_ms)) as $best |
	"\(.[0] | case): auto takes no more than 1.05 times the best codec alone" as $text |
	if $auto == null or $best == null then missing($text)
	else ($auto.total_ms / $best.total_ms) as $ratio |
		verdict($ratio <= 1.05; "\($text): \($ratio | two_digits) times \($best.method)") end;

def against_qemu:
	group_by([.guest, .rate])[] | select(.[0] | slow and .guest != "noise" and .guest != "twice") |
	(map(select(.method == "auto")) | moved | .[0]) as $auto |
	(map(select(is_qemu)) | moved | min_by(.total_ms)) as $best |
	(map(select(.method == "qemu-plain")) | .[0]) as $plain |
	"\(.[0] | case): auto takes no more than 0.7 times as long as QEMU's best" as $time |
	"\(.[0] | case): and sends no more than half of QEMU's bytes without compression" as $bytes |
	(if $auto == null or $best == null then missing($time)
	else ($auto.total_ms / $best.total_ms) as $ratio |
		verdict($ratio <= 0.7; "\($time): \($ratio | two_digits) times \($best.method)") end),
	(if $auto == null or $plain == null then missing($bytes)
	else ($auto.bytes_wire / $plain.bytes_wire) as $ratio |
		verdict($ratio <= 0.5; "\($bytes): \($ratio | two_digits) of them") end);

def all_moved:
	(map(select((is_qemu | not) and .status != "moved") | "\(case), \(.method)")) as $bad |
	verdict($bad == []; "every migration of kvmferry succeeded" + ($bad | map(": " + .) | add // ""));

# Twice the RAM: twice the CPU time, and no memory but the module's 17 bytes a page and the like.
def twice:
	group_by(.rate)[] | .[0].rate as $rate | map(select(.method == "auto")) |
	(map(select(.guest == "idle")) | moved | .[0]) as $one | (map(select(.guest == "twice")) | moved | .[0]) as $two |
	"at \($rate): twice the RAM takes no more than 2.1 times the CPU time" as $cpu |
	"at \($rate): and no more than half a percent of the additional RAM" as $memory |
	if $one == null or $two == null then empty
	else (($two | .cpu_source_ms + .cpu_target_ms) / ($one | .cpu_source_ms + .cpu_target_ms)) as $ratio |
		(100 * ($two.memory_bytes - $one.memory_bytes) / (($two.ram_mib - $one.ram_mib) * 1048576)) as $percent |
		verdict($ratio <= 2.1; "\($cpu): \($ratio | two_digits) times"),
		verdict($percent <= 0.5; "\($memory): \($percent | two_digits) %") end;

def costs:
	(map(select(.pages_joined and .codec == "lz4"))[] |
		verdict(.speed >= 0.9; "lz4 of \(.pages_joined) pages is in the kernel no slower than 0.9 of the library: \(.speed)")),
	(map(select(.agent_ms_per_gib))[] |
		verdict(.ratio <= 1.1; "the agent takes no more than 1.1 times the CPU time of a program that only sends: \(.ratio)"));

# All that must hold.
def verdicts:
	(map(.cost // empty) | costs), (map(select(.method)) | all_moved, adaptive, against_qemu, twice);
