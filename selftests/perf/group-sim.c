// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What would a group policy have opened, saved and cost? Replays traces, synthetic
 * or recorded, against the module's own kmod/group.c and against the candidates that
 * it was chosen from. See README.md.
 */
#include <err.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define PAGES	((unsigned int)FERRY_CHUNK_PAGES)

/* Summed over passes. A page that was written is one that has changed. */
struct sums {
	unsigned long passes, exits, taken, changed;
};

struct result {
	struct sums all;
	struct sums first;	/* the first three passes */
	struct sums late;	/* the second half */
};

static struct {
	unsigned int rounds;
	unsigned int seed;
	const char *patterns;
	const char *policies;
	const char *dump;
	FILE *json;
} options = { .rounds = 60, .seed = 1 };

/* --- one trace under one rule */

/* One exit, or none if the page was open. */
static unsigned int write_to(struct sim_vm *vm, uint32_t at)
{
	struct sim_chunk *chunk = &vm->chunks[at >> FERRY_CHUNK_SHIFT];
	struct ferry_group_view view = { .writable = chunk->writable };
	struct ferry_chunk_set open;
	unsigned int page = at % PAGES;

	__set_bit(page, chunk->written.page);
	if (test_bit(page, chunk->writable.page))
		return 0;

	bitmap_fill(view.present.page, PAGES);
	if (vm->rule->module)
		ferry_group_open(&vm->group, &chunk->group, chunk - vm->chunks,
				 &view, page, &open);
	else
		sim_rule_open(vm, chunk, page, &open);
	bitmap_or(chunk->writable.page, chunk->writable.page, open.page, PAGES);
	__set_bit(page, chunk->writable.page);
	return 1;
}

static void turn(struct sim_vm *vm, struct sim_chunk *chunk, struct sums *pass)
{
	struct ferry_chunk_set opened, present;

	pass->taken += bitmap_weight(chunk->writable.page, PAGES);
	pass->changed += bitmap_weight(chunk->written.page, PAGES);
	bitmap_fill(present.page, PAGES);
	if (vm->rule->module) {
		ferry_group_take(&chunk->group, &chunk->writable, &opened);
		ferry_group_learn(&vm->group, &chunk->group, &present,
				  &chunk->writable, &opened, &chunk->written);
	} else {
		sim_rule_learn(vm, chunk);
	}
	bitmap_zero(chunk->written.page, PAGES);
	bitmap_zero(chunk->writable.page, PAGES);
}

static struct sim_vm *vm_create(const struct sim_rule *rule,
				const struct sim_trace *trace)
{
	struct sim_vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		err(1, "%s", trace->name);
	vm->rule = rule;
	vm->group.policy = rule->policy;
	vm->group.order = rule->order;
	vm->chunks = calloc(trace->chunks, sizeof(*vm->chunks));
	if (!vm->chunks)
		err(1, "%s", trace->name);
	/* The first pass takes everything. */
	ferry_group_begin_pass(&vm->group, trace->chunks * FERRY_CHUNK_PAGES);
	sim_rule_begin(vm, trace);
	return vm;
}

static void vm_destroy(struct sim_vm *vm)
{
	free(vm->chunks);
	free(vm);
}

static void add(struct sums *to, const struct sums *pass)
{
	to->passes++;
	to->exits += pass->exits;
	to->taken += pass->taken;
	to->changed += pass->changed;
}

static void end_pass(struct result *result, const struct sums *pass,
		     unsigned long passes)
{
	add(&result->all, pass);
	if (result->all.passes <= 3)
		add(&result->first, pass);
	if (result->all.passes > passes / 2)
		add(&result->late, pass);
}

static unsigned long count_passes(const struct sim_trace *trace)
{
	unsigned long passes = 0;

	for (size_t i = 0; i < trace->count; i++)
		passes += trace->events[i].what == SIM_PASS;
	return passes;
}

static struct result replay(const struct sim_trace *trace,
			    const struct sim_rule *rule)
{
	struct sim_vm *vm = vm_create(rule, trace);
	unsigned long passes = count_passes(trace);
	struct result result = { 0 };
	struct sums pass = { 0 };
	bool begun = false;

	for (size_t i = 0; i < trace->count; i++) {
		const struct sim_event *event = &trace->events[i];

		if (event->what == SIM_WRITE) {
			pass.exits += write_to(vm, event->at);
		} else if (event->what == SIM_TURN) {
			turn(vm, &vm->chunks[event->at], &pass);
		} else {
			if (begun) {
				end_pass(&result, &pass, passes);
				ferry_group_begin_pass(&vm->group, pass.taken);
			}
			begun = true;
			pass = (struct sums){ 0 };
		}
	}
	end_pass(&result, &pass, passes);
	vm_destroy(vm);
	return result;
}

/* --- what it came to */

static double ratio(double a, double b)
{
	return b ? a / b : 0;
}

/* Exits of a pass times pages taken again in a pass. */
static double product(const struct sums *sums)
{
	return ratio(sums->exits, sums->passes) * ratio(sums->taken, sums->passes);
}

static double vain_percent(const struct sums *sums)
{
	return 100 * ratio(sums->taken - sums->changed, sums->taken);
}

static void print_header(void)
{
	printf("%-14s %-16s %7s | %8s %8s %8s %8s %9s %6s %12s %7s | %6s\n",
	       "", "", "first 3", "each of", "the", "later", "passes", "", "", "",
	       "", "all");
	printf("%-14s %-16s %7s | %8s %8s %8s %8s %9s %6s %12s %7s | %6s\n",
	       "pattern", "policy", "exits", "written", "exits", "again",
	       "changed", "unchanged", "%", "exits*again", "/static", "%");
}

static void print_row(const struct sim_trace *trace, const struct sim_rule *rule,
		      const struct result *result, double best)
{
	const struct sums *late = &result->late;
	double changed = ratio(late->changed, late->passes);
	double taken = ratio(late->taken, late->passes);

	printf("%-14s %-16s %7lu | %8.1f %8.1f %8.1f %8.1f %9.1f %6.2f %12.0f %7.2f | %6.2f\n",
	       trace->name, rule->name, result->first.exits, changed,
	       ratio(late->exits, late->passes), taken, changed, taken - changed,
	       vain_percent(late), product(late), ratio(product(late), best),
	       vain_percent(&result->all));
}

static void print_json_sums(const char *name, const struct sums *sums)
{
	fprintf(options.json,
		", \"%s\": { \"passes\": %lu, \"written\": %lu, \"exits\": %lu, \"again\": %lu, \"changed\": %lu, \"unchanged\": %lu }",
		name, sums->passes, sums->changed, sums->exits, sums->taken,
		sums->changed, sums->taken - sums->changed);
}

static void print_json(const struct sim_trace *trace, const struct sim_rule *rule,
		       const struct result *result, double best)
{
	static bool any;

	fprintf(options.json, "%s\n  { \"pattern\": \"%s\", \"policy\": \"%s\"",
		any ? "," : "[", trace->name, rule->name);
	print_json_sums("all", &result->all);
	print_json_sums("first", &result->first);
	print_json_sums("late", &result->late);
	fprintf(options.json,
		", \"exits_x_again\": %.0f, \"over_best_static\": %.3f }",
		product(&result->late), ratio(product(&result->late), best));
	any = true;
}

/* --- what was asked for */

/* Is it in the list "a,b,c"? */
static bool listed(const char *list, const char *name, bool without_list)
{
	size_t length = strlen(name);

	if (!list)
		return without_list;
	for (; *list; list += strcspn(list, ","), list += *list == ',')
		if (strcspn(list, ",") == length && !strncmp(list, name, length))
			return true;
	return false;
}

static double best_static(const struct sim_trace *trace)
{
	double best = 0;

	for (const struct sim_rule *rule = sim_rules; rule->name; rule++) {
		struct result result;

		if (!rule->module || rule->policy != FERRY_GROUP_STATIC)
			continue;
		result = replay(trace, rule);
		if (!best || product(&result.late) < best)
			best = product(&result.late);
	}
	return best;
}

static void simulate(const struct sim_trace *trace)
{
	bool any = false;
	double best;

	if (options.dump) {
		sim_write(trace, stdout);
		return;
	}
	best = best_static(trace);
	for (const struct sim_rule *rule = sim_rules; rule->name; rule++) {
		struct result result;

		if (!listed(options.policies, rule->name, rule->module))
			continue;
		any = true;
		result = replay(trace, rule);
		print_row(trace, rule, &result, best);
		if (options.json)
			print_json(trace, rule, &result, best);
	}
	if (!any)
		errx(2, "no such policy: %s", options.policies);
}

static void simulate_patterns(void)
{
	bool any = false;

	for (const struct sim_pattern *p = sim_patterns; p->name; p++) {
		struct sim_trace trace;

		if (!listed(options.patterns, p->name, true))
			continue;
		any = true;
		sim_generate(&trace, p, options.rounds, options.seed);
		simulate(&trace);
		sim_free(&trace);
	}
	if (!any)
		errx(2, "no such pattern: %s", options.patterns);
}

static void usage(void)
{
	printf("group-sim [OPTION]... [TRACE]...\n"
	       "Without a TRACE: the synthetic patterns.\n"
	       "  --policy LIST   of these, comma-separated; the first seven if not given\n"
	       "  --pattern LIST  of these\n"
	       "  --rounds N      of a pattern, %u if not given\n"
	       "  --seed N\n"
	       "  --json FILE     the numbers, unrounded\n"
	       "  --dump PATTERN  print its trace, simulate nothing\n\npolicies\n",
	       options.rounds);
	for (const struct sim_rule *rule = sim_rules; rule->name; rule++)
		printf("  %-16s %s\n", rule->name, rule->what);
	printf("\npatterns\n");
	for (const struct sim_pattern *p = sim_patterns; p->name; p++)
		printf("  %-16s %s\n", p->name, p->what);
	exit(0);
}

static void parse_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "policy", required_argument, NULL, 'p' },
		{ "pattern", required_argument, NULL, 'P' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "seed", required_argument, NULL, 's' },
		{ "json", required_argument, NULL, 'j' },
		{ "dump", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'p')
			options.policies = optarg;
		else if (c == 'P')
			options.patterns = optarg;
		else if (c == 'r')
			options.rounds = strtoul(optarg, NULL, 10);
		else if (c == 's')
			options.seed = strtoul(optarg, NULL, 10);
		else if (c == 'd')
			options.patterns = options.dump = optarg;
		else if (c == 'h')
			usage();
		else if (c != 'j')
			exit(2);
		else if (!(options.json = fopen(optarg, "w")))
			err(1, "%s", optarg);
	}
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	if (!options.dump)
		print_header();
	if (optind == argc)
		simulate_patterns();
	for (; optind < argc; optind++) {
		struct sim_trace trace;

		sim_read(&trace, argv[optind]);
		simulate(&trace);
		sim_free(&trace);
	}
	if (options.json) {
		fprintf(options.json, "\n]\n");
		if (fclose(options.json))
			err(1, "--json");
	}
	return 0;
}
