# SPDX-License-Identifier: GPL-2.0-or-later
# How the results of bench-group are shown and judged; used by bench-group.sh.

def pad($n): tostring | . + " " * ([$n - length, 0] | max);
def lpad($n): tostring | " " * ([$n - length, 0] | max) + .;
def shown: if . == null then "-" else . end;

def header:
	("pattern" | pad(15)) + ("policy" | pad(15)) + ("phase" | pad(7)) + ("rounds" | lpad(7)) + ("written" | lpad(9)) +
	("exits" | lpad(9)) + ("irq" | lpad(7)) + ("faults" | lpad(8)) + ("re-sent" | lpad(9)) + ("changed" | lpad(9)) +
	("unchanged" | lpad(10)) + ("opened" | lpad(9)) + ("read-mapped" | lpad(12)) + ("work/1000" | lpad(11)) +
	("exits/1e6 work" | lpad(15));

# A line of bench-group's output: a result becomes a row, anything else stays.
def row:
	. as $line | (fromjson? // null) as $r |
	if ($r | type) != "object" then $line
	else $r |
		(.pattern | pad(15)) + (.policy | pad(15)) + (.phase | pad(7)) + (.rounds | lpad(7)) +
		(.pages_written | shown | lpad(9)) + (.exits | lpad(9)) + (.irq_exits | lpad(7)) + (.faults | shown | lpad(8)) +
		(.pages_resent | shown | lpad(9)) + (.changed | shown | lpad(9)) + (.unchanged | shown | lpad(10)) +
		(.opened | shown | lpad(9)) + (.read_mapped | shown | lpad(12)) +
		(if .work == null then "" else
			(.work / 1000 | floor | lpad(11)) + (.exits * 1e6 / .work | floor | lpad(15)) end)
	end;

def percent: . * 1000 | round / 10 | tostring + " %";
def verdict($ok; $text): (if $ok then "ok      " else "not ok  " end) + $text;
def missing($text): "not ok  " + $text + ": not measured";

# The host's own interrupts are no price of tracking.
def cost: .exits - .irq_exits;
def product: ([cost, 1] | max) * .pages_resent;

def sequential:
	(map(select(.pattern == "sequential" and .phase == "cold"))) as $all |
	($all[] | select(.policy == "dynamic")) as $d |
	(($all[] | select(.policy == "kvm-dirty-log").exits_each[0]) // "?") as $kvm |
	($d.exits_each | map(tostring) | join(", ")) as $each |
	"sequential, dynamic, from a cold start: no more than 128 exits" as $text |
	verdict($d.exits_each | add <= 128; $text + " in the first 3 rounds together: \($each) (KVM: \($kvm) each)"),
	verdict($d.exits_each | max <= 128; $text + " in each of them"),
	verdict($d.exits_each | min <= 128; $text + " in one of them at least");

def unchanged:
	(map(select(.policy == "dynamic" and .pages_resent > 0)) | group_by(.pattern)[]) |
	(map(.unchanged) | add) as $unchanged | (map(.pages_resent) | add) as $all |
	verdict($unchanged <= 0.05 * $all;
		"\(.[0].pattern), dynamic: no more than 5 % of the re-sent pages are unchanged: \($unchanged / $all | percent)");

# Exits times pages, against the best of the static policies: of all, and of those that keep the rule of 5 %. Opening
# everything has few exits and small products wherever the guest has little memory, and re-sends all of it.
def frugal: .unchanged <= 0.05 * .pages_resent;
def against($d; $best; $which):
	"\($d.pattern), \($d.phase): exits x pages no worse than 1.1 times the best static \($which)" as $text |
	if $best == null then missing($text)
	else (($d | product) / ($best | product)) as $ratio |
		verdict($ratio <= 1.1; $text + ": \($ratio * 100 | round / 100) times \($best.policy)")
	end;
def products($phase):
	(map(select(.phase == $phase and .pages_resent > 0 and .pattern != "reads" and .pattern != "linux-sort")) |
		group_by(.pattern)[]) |
	map(select(.policy | startswith("static:"))) as $static |
	(.[] | select(.policy == "dynamic")) |
	against(.; $static | min_by(product); "one"),
	against(.; $static | map(select(frugal)) | min_by(product); "one that keeps the 5 %");

def reads:
	(map(select(.pattern == "reads" and .policy == "dynamic"))) |
	([.[].exits_each[]] | max) as $most |
	verdict($most != null and $most <= 129; "reads after protection: no more than 129 exits for 4096 pages: \($most)");

def correct:
	(map(select(.differ != null and .differ > 0) | "\(.pattern)/\(.policy)") | unique) as $bad |
	verdict($bad == []; "no page would differ at the target" + ($bad | map(": " + .) | add // ""));

# Work in a fixed time depends on what else the machine does meanwhile, exits for each changed page much less.
# Several runs of one policy count as one long run.
def sums: {exits: map(.exits) | add, cost: map(cost) | add, work: map(.work) | add, rounds: map(.rounds) | add,
	seconds: map(.seconds) | add};
def two_digits: . * 100 | round / 100;

def linux_sort:
	map(select(.pattern == "linux-sort")) as $all |
	($all | map(select(.policy == "kvm-dirty-log"))) as $kvm_runs | ($kvm_runs | sums) as $kvm |
	($all | map(select(.policy == "dynamic"))) as $our_runs | ($our_runs | sums) as $our |
	(($kvm.rounds / $kvm.seconds) / ($our.rounds / $our.seconds)) as $rounds |
	(if $rounds > 1.1 then " (but KVM's log had \($rounds | two_digits) times the rounds)" else "" end) as $but |
	(($our.exits / $our.work) / ($kvm.exits / $kvm.work)) as $exits |
	(($our.cost / $our.work) / ($kvm.cost / $kvm.work)) as $cost |
	($all | map(select(.policy == "none")) | if . == [] then null else sums | .exits / .seconds end) as $idle |
	(($our.work / $our.seconds) / ($kvm.work / $kvm.seconds)) as $work |
	verdict($exits <= 0.5 and $but == "";
		"linux-sort: exits for the same work no more than half of those under KVM's log: \($exits | two_digits) of them" + $but),
	"#       without exits for the host's own interrupts: \($cost | two_digits)",
	(if $idle == null then empty else
		"#       exits a second: \($idle | floor) if nobody follows the guest, \($our.exits / $our.seconds | floor) with dynamic, \($kvm.exits / $kvm.seconds | floor) under KVM's log" end),
	verdict($work >= 1 and $but == "";
		"linux-sort: work no less than under KVM's log: \($work | two_digits) times" + $but),
	("#       exits for each page that had changed, without the host's interrupts: " +
		([$all | group_by(.policy)[] | select(.[0].changed > 0) |
			"\(.[0].policy) \((map(cost) | add) / (map(.changed) | add) | two_digits)"] | join(", "))),
	("#       work in each run, in 1e6 units: " +
		([$all[] | select(.policy == "kvm-dirty-log" or .policy == "dynamic") | "\(.policy) \(.work / 1e6 | floor)"] | join(", ")));

def has($pattern): any(.[]; .pattern == $pattern and .policy == "dynamic");

# All that must hold.
def verdicts:
	(if has("sequential") then sequential else missing("sequential") end),
	unchanged, products("cold"), products("steady"),
	(if has("reads") then reads else missing("reads after protection") end),
	correct,
	(if has("linux-sort") then linux_sort else missing("linux-sort") end);
