# SPDX-License-Identifier: GPL-2.0-or-later
# How two runs of all benchmarks are compared; used by bench.sh.

def pad($n): tostring | . + " " * ([$n - length, 0] | max);
def lpad($n): tostring | " " * ([$n - length, 0] | max) + .;
def digits($n): pow(10; $n) as $f | . * $f | round / $f;
def median: sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;

# What names a cell of each part, and its figures: counts are exact, times ("~") are not.
def parts: {
	group: {cell: ["pattern", "policy", "phase"], figures: {exits: "exits", pages_resent: "pages re-sent"}},
	channel: {cell: ["guest", "rate", "method"],
		figures: {bytes_wire: "bytes", total_ms: "~ms in all", blackout_ms: "~ms blackout"}},
	storage: {cell: ["part", "measure", "shape", "depth", "target", "latency_s", "load", "method"],
		figures: {instructions: "instructions", iops: "~requests a second", blackout_ms: "~ms blackout"}}
};

# An object: "cell: figure" -> the median of its runs.
def figures($part):
	parts[$part] as $p |
	[.[] | . as $row | ([$row[$p.cell[]] | select(. != null) | tostring] | join(" ")) as $cell |
		$p.figures | to_entries[] | select($row[.key] | type == "number") |
		{name: "\($cell): \(.value)", value: $row[.key]}] |
	group_by(.name) | map({key: .[0].name, value: (map(.value) | median)}) | from_entries;

def changed($before; $now): ($now - $before | fabs) > 0.1 * ($before | fabs);

def compare_part($part; $before; $now):
	($before.results | figures($part)) as $b | ($now.results | figures($part)) as $n |
	[$n | to_entries[] | select($b[.key] != null)] as $both |
	[$both[] | select(changed($b[.key]; .value))] as $changed |
	"\($part): \($both | length) figures in both runs, \($changed | length) of them more than a tenth apart",
	($changed[] | "    " + (.key | pad(64)) + ($b[.key] | digits(2) | lpad(12)) + "  now" + (.value | digits(2) | lpad(12)) +
		(if $b[.key] == 0 then "" else "  \(.value / $b[.key] | digits(2)) times" end)),
	(($now.verdicts | map(select(startswith("not ok"))) | length) as $bad |
		"    of what must hold, \($now.verdicts | length - $bad) hold and \($bad) do not (before: " +
		"\($before.verdicts | map(select(startswith("not ok"))) | length) did not)");

def compare($before; $now):
	"Compared with the run of \($before.date), version \($before.version), kernel \($before.kernel):",
	(if $before.machine != $now.machine or $before.kernel != $now.kernel then
		"    another machine or kernel: only counts compare, and bytes" else empty end),
	(parts | keys[] | select($before.parts[.] and $now.parts[.]) | compare_part(.; $before.parts[.]; $now.parts[.]));
