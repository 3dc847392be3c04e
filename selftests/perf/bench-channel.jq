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
	group_by([.guest, .rate])[] |
	(map(select(.method == "auto")) | moved | .[0]) as $auto |
	(map(select((is_qemu | not) and .method != "auto")) | moved | min_by(.total_ms)) as $best |
	"\(.[0] | case): auto takes no more than 1.05 times the best codec alone" as $text |
	if $auto == null or $best == null then missing($text)
	else ($auto.total_ms / $best.total_ms) as $ratio |
		verdict($ratio <= 1.05; "\($text): \($ratio | two_digits) times \($best.method)") end;

def against_qemu:
	group_by([.guest, .rate])[] | select(.[0] | slow and .guest != "noise") |
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

# All that must hold.
def verdicts: all_moved, adaptive, against_qemu;
