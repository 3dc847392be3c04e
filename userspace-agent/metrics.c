// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A snapshot of the migrations in Prometheus's text format, for node_exporter's textfile
 * collector. All are gauges of what goes on now; how migrations ended is in the journal.
 * What is not known is left out, as it is usual there.
 */
#include <string.h>

#include "top.h"

static const struct {
	const char *name;
	const char *member;	/* as it is published */
	double unit;		/* what one of it is, in the unit of the name */
	const char *help;
} metrics[] = {
	{ "up", "alive", 1, "1 while the agent of the migration runs, 0 if it died." },
	{ "elapsed_seconds", "elapsed_ms", 1e-3, "Since the migration began." },
	{ "updated_timestamp_seconds", "updated", 1, "When the agent told this." },
	{ "ram_bytes", "ram_bytes", 1, "RAM of the VM." },
	{ "pending_bytes", "pending_pages", 4096, "RAM that still has to be sent." },
	{ "pass", "pass", 1, "Number of the pass over RAM, from 1." },
	{ "pass_ratio", "percent", 1e-2, "Part of this pass that has been sent." },
	{ "pass_wire_bytes", "bytes_wire", 1, "Sent in this pass." },
	{ "send_bytes_per_second", "rate_mb_s", 1e6, "Sent, on average over this pass." },
	{ "dirty_bytes_per_second", "dirty_mb_s", 1e6,
	  "Written by the VM, on average over this pass." },
	{ "expected_blackout_seconds", "expected_blackout_ms", 1e-3,
	  "How long the VM would stand still if it were switched over now." },
	{ "left_seconds", "left_ms", 1e-3, "Until the migration has ended, as far as can be told." },
	{ "pass_throttled_seconds", "throttled_us", 1e-6,
	  "For how long vCPUs were made to wait in this pass, all together." },
};

#define COUNT	(sizeof(metrics) / sizeof(metrics[0]))

static void put_label(FILE *out, const json_t *one, const char *name, const char *before)
{
	const char *text = json_string_value(json_object_get(one, name));

	fprintf(out, "%s%s=\"", before, name);
	for (; text && *text; text++)
		if (*text == '\n')
			fputs("\\n", out);
		else if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else
			fputc(*text, out);
	fputc('"', out);
}

static void put_labels(FILE *out, const json_t *one)
{
	put_label(out, one, "migration", "{");
	put_label(out, one, "role", ",");
	put_label(out, one, "vm", ",");
	put_label(out, one, "peer", ",");
	fputs("} ", out);
}

static void put_metric(FILE *out, const json_t *all, size_t m)
{
	const json_t *one;
	size_t i;

	fprintf(out, "# HELP kvmferry_migration_%s %s\n# TYPE kvmferry_migration_%s gauge\n",
		metrics[m].name, metrics[m].help, metrics[m].name);
	json_array_foreach(all, i, one) {
		const json_t *value = json_object_get(one, metrics[m].member);

		if (!json_is_number(value) && !json_is_boolean(value))
			continue;
		fprintf(out, "kvmferry_migration_%s", metrics[m].name);
		put_labels(out, one);
		fprintf(out, "%.15g\n", json_is_boolean(value) ? (double)json_is_true(value) :
			json_number_value(value) * metrics[m].unit);
	}
}

/* One series for each stage would be many: it is a label of a series of its own. */
static void put_stage(FILE *out, const json_t *all)
{
	const json_t *one;
	size_t i;

	fputs("# HELP kvmferry_migration_stage The stage under way.\n# TYPE kvmferry_migration_stage gauge\n",
	      out);
	json_array_foreach(all, i, one) {
		if (!json_object_get(one, "stage"))
			continue;
		fputs("kvmferry_migration_stage", out);
		put_label(out, one, "migration", "{");
		put_label(out, one, "role", ",");
		put_label(out, one, "stage", ",");
		fputs("} 1\n", out);
	}
}

void top_metrics(FILE *out, const json_t *all)
{
	size_t i;

	fprintf(out, "# HELP kvmferry_migrations Migrations of this host under way.\n# TYPE kvmferry_migrations gauge\nkvmferry_migrations %zu\n",
		json_array_size(all));
	for (i = 0; i < COUNT; i++)
		put_metric(out, all, i);
	put_stage(out, all);
}
