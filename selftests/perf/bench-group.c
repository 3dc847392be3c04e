// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the policies for groups bring and cost: the same guest under each of them, and
 * under KVM's own dirty log. Prints a line of JSON for each phase of each run:
 *
 *	phase		cold: the rounds after the first pass; steady: those after them
 *	pages_written	different pages in each round, summed up, if that is known
 *	exits		of all vCPUs while the guest did its job, irq_exits among them:
 *			those for the host's own interrupts, its timer above all
 *	exits_each	of each round, without irq_exits
 *	faults		write_faults + read_faults
 *	pages_resent	pages taken by the passes, or found in KVM's log; bytes to send, but
 *			for the unchanged ones
 *	unchanged	of them, pages that the target has already; KVM cannot tell
 *	bytes_wire	what they became on the rings
 *	opened, read_mapped, groups ...	see struct ferry_group_stats
 *	work		what the guest did, in units of its own
 *	late		rounds that began later than they should have
 *	differ		pages that the target would have wrong at the end of the phase
 *
 * and null for what nobody knows.
 *
 *	bench-group vmm PATTERNS POLICIES
 *		the tests' own VMM and its write patterns; both are "all" or names with
 *		commas in between
 *	bench-group qemu PID RAM-FILE LOG-SOCKET SECONDS INTERVAL-MS POLICY...
 *		a guest that sorts (see guest/sorting.c) in this QEMU, with bench-preload.so
 */
#include "bench-group.h"

#include <time.h>

#include "die.h"

#define COUNTERS	(sizeof(struct counts) / sizeof(uint64_t))

void bench_counts_add(struct counts *sum, const struct counts *later,
		      const struct counts *earlier)
{
	const uint64_t *a = (const uint64_t *)earlier, *b = (const uint64_t *)later;
	uint64_t *s = (uint64_t *)sum;
	unsigned int i;

	/* 64 bits each; the group's first three words are no counters, and not printed */
	for (i = 0; i < COUNTERS; i++)
		s[i] += b[i] - a[i];
	sum->group.flags = later->group.flags;
	sum->group.backend = later->group.backend;
	sum->group.budget = later->group.budget;
}

uint64_t bench_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ull + t.tv_nsec / 1000;
}

bool bench_wanted(const char *list, const char *name)
{
	size_t n = strlen(name);
	const char *at;

	if (!strcmp(list, "all"))
		return true;
	for (at = strstr(list, name); at; at = strstr(at + 1, name))
		if ((at == list || at[-1] == ',') && (!at[n] || at[n] == ','))
			return true;
	return false;
}

static void number(const char *name, bool known, uint64_t value)
{
	if (known && value != BENCH_UNKNOWN)
		printf(", \"%s\": %lu", name, (unsigned long)value);
	else
		printf(", \"%s\": null", name);
}

static void report_groups(const struct tracker *t, const struct ferry_group_stats *g)
{
	/* with OFF faults go by unseen */
	bool known = t->policy->kind == TRACK_FERRY && t->has_groups &&
		     t->policy->group.policy != FERRY_GROUP_OFF;
	unsigned int i;

	number("backend", known, g->backend);
	number("faults", known, g->write_faults + g->read_faults);
	number("write_faults", known, g->write_faults);
	number("read_faults", known, g->read_faults);
	number("opened", known, g->opened);
	number("opened_changed", known, g->opened_changed);
	number("opened_unchanged", known, g->opened_unchanged);
	number("read_mapped", known, g->read_mapped);
	number("skipped", known, g->skipped);
	printf(", \"groups\": [");
	for (i = 0; known && i <= FERRY_GROUP_MAX_ORDER; i++)
		printf("%s%lu", i ? ", " : "", (unsigned long)g->groups[i]);
	printf("]");
}

void bench_report(const struct tracker *t, const struct bench_result *r)
{
	bool tracked = t->policy->kind != TRACK_NOTHING;
	bool ferry = t->policy->kind == TRACK_FERRY;
	unsigned int i;

	printf("{\"kernel\": \"%s\", \"pattern\": \"%s\", \"policy\": \"%s\", \"phase\": \"%s\"",
	       getenv("KVMFERRY_KERNEL") ?: "", r->pattern, t->policy->name, r->phase);
	number("rounds", true, r->rounds);
	number("pages_written", true, r->pages_written);
	number("exits", true, r->exits);
	number("irq_exits", true, r->irq_exits);
	number("pages_resent", tracked, r->counts.taken);
	number("changed", tracked, r->counts.taken - r->counts.unchanged);
	number("unchanged", tracked, r->counts.unchanged);
	number("bytes_wire", ferry, r->counts.bytes_wire);
	report_groups(t, &r->counts.group);
	number("work", true, r->work);
	number("differ", true, r->differ);
	number("late", true, r->late);
	printf(", \"seconds\": %.3f, \"exits_each\": [", r->seconds);
	for (i = 0; i < r->each; i++)
		printf("%s%lu", i ? ", " : "", (unsigned long)r->exits_each[i]);
	printf("]}\n");
}

static void usage(void)
{
	die("see the top of bench-group.c for what to tell me");
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	ferry_load_module();
	if (argc == 4 && !strcmp(argv[1], "vmm")) {
		bench_vmm(argv[2], argv[3]);
	} else if (argc > 7 && !strcmp(argv[1], "qemu")) {
		struct bench_qemu q = {
			.pid = atoi(argv[2]),
			.ram = argv[3],
			.log_socket = argv[4],
			.seconds = atoi(argv[5]),
			.interval_ms = atoi(argv[6]),
		};

		bench_qemu(&q, argv + 7);
	} else {
		usage();
	}
	return 0;
}
