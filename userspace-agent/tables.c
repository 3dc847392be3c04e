// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The numbers of a report, as tables.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "charts.h"
#include "html.h"
#include "tables.h"

#define SAMPLE_ROWS	60u

static void put_head(FILE *out, const char *id, const char *const *names, size_t count)
{
	fprintf(out, "<div class=\"scroll\"><table id=\"%s\">\n<thead><tr>", id);
	for (size_t i = 0; i < count; i++)
		fprintf(out, "<th scope=\"col\">%s</th>", names[i]);
	fputs("</tr></thead>\n<tbody>\n", out);
}

static void put_end(FILE *out)
{
	fputs("</tbody></table></div>\n", out);
}

/* @name and @value: as the log has it. */
static void put_cell(FILE *out, const char *name, double value, const char *shown)
{
	fprintf(out, "<td data-key=\"%s\"", name);
	if (!isnan(value))
		fprintf(out, " data-value=\"%.17g\"", value);
	fprintf(out, ">%s</td>", shown);
}

/* ------------------------------------------------------------------------
 * Passes
 * ------------------------------------------------------------------------ */

static const char *as_count(char text[NUMBER_SIZE], double n)
{
	return number_count(text, n);
}

static const char *as_tenths(char text[NUMBER_SIZE], double n)
{
	return number_plain(text, n, 1);
}

static const char *as_us(char text[NUMBER_SIZE], double us)
{
	return us > 0 ? number_ms(text, us / 1e3) : number_count(text, us);
}

static const struct {
	const char *name;
	const char *words;
	const char *(*show)(char text[NUMBER_SIZE], double n);
} pass_columns[] = {
	{ "pass", "Pass", as_count },
	{ "pass_ms", "Took", number_ms },
	{ "sent_pages", "Pages sent", as_count },
	{ "pages_unchanged", "Unchanged", as_count },
	{ "bytes_wire", "On the wire", number_bytes },
	{ "rate_mb_s", "Sent MB/s", as_tenths },
	{ "dirty_mb_s", "Written MB/s", as_tenths },
	{ "pending_pages", "Pages left", as_count },
	{ "expected_blackout_ms", "Blackout then", number_ms },
	{ "write_faults", "Write faults", as_count },
	{ "opened_changed", "Exits saved", as_count },
	{ "opened_unchanged", "In vain", as_count },
	{ "throttled_us", "vCPUs waited", as_us },
};

#define PASS_COLUMNS	(sizeof(pass_columns) / sizeof(pass_columns[0]))

static void put_pass(FILE *out, const struct run_pass *pass)
{
	char text[NUMBER_SIZE];

	fputs("<tr>", out);
	for (size_t i = 0; i < PASS_COLUMNS; i++) {
		double n = run_number(pass->object, pass_columns[i].name);

		put_cell(out, pass_columns[i].name, n, pass_columns[i].show(text, n));
	}
	fputs("<td class=\"l\">", out);
	html_text(out, pass->decision);
	if (pass->reason[0])
		fputs(": ", out);
	html_text(out, pass->reason);
	fputs("</td></tr>\n", out);
}

void table_passes(FILE *out, const struct runlog *run)
{
	const char *names[PASS_COLUMNS + 1];

	for (size_t i = 0; i < PASS_COLUMNS; i++)
		names[i] = pass_columns[i].words;
	names[PASS_COLUMNS] = "Then";
	put_head(out, "passes", names, PASS_COLUMNS + 1);
	for (unsigned int i = 0; i < run->passes; i++)
		put_pass(out, &run->pass[i]);
	put_end(out);
}

/* ------------------------------------------------------------------------
 * Over time
 * ------------------------------------------------------------------------ */

void table_samples(FILE *out, const struct runlog *run)
{
	static const char *const names[] = {
		"From s", "To s", "Pass", "Sent MB/s", "Written MB/s", "Left", "Pages sent", "Of these zero",
	};
	unsigned int each = (run->samples + SAMPLE_ROWS - 1) / SAMPLE_ROWS;
	char text[NUMBER_SIZE];

	put_head(out, "samples", names, sizeof(names) / sizeof(names[0]));
	for (unsigned int i = 0; i < run->samples; i += each) {
		const struct run_sample *s = &run->sample[i];

		fprintf(out, "<tr><td>%.1f</td><td>%.1f</td><td>%.0f</td>", s->from, s->to, s->pass);
		fprintf(out, "<td>%s</td>", number_plain(text, run_send_rate(s), 1));
		fprintf(out, "<td>%s</td>", number_plain(text, run_dirty_rate(s), 1));
		fprintf(out, "<td>%s</td>", number_ram(text, s->pending * FERRY_PAGE_SIZE));
		fprintf(out, "<td>%s</td>", number_count(text, run_sent(s)));
		fprintf(out, "<td>%s</td></tr>\n", number_count(text, s->zero));
	}
	put_end(out);
}

/* ------------------------------------------------------------------------
 * All members of an event
 * ------------------------------------------------------------------------ */

#define NAME_SIZE	128
#define DEPTH		3	/* of objects in objects */
#define ROWS		400	/* of a table */

static void put_members(FILE *out, const char *prefix, const json_t *value, int depth, int *rows);

static void put_member(FILE *out, const char *name, const json_t *value, int depth, int *rows)
{
	char *text;

	if (json_is_object(value) || json_is_array(value)) {
		if (depth < DEPTH)
			put_members(out, name, value, depth + 1, rows);
		return;
	}
	if (++*rows > ROWS)
		return;
	text = json_is_string(value) ? strdup(json_string_value(value)) :
	       json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
	if (!text)
		return;
	fputs("<tr data-key=\"", out);
	html_text(out, name);
	fputs("\" data-value=\"", out);
	html_text(out, text);
	fputs("\"><th class=\"l\" scope=\"row\">", out);
	html_text(out, name);
	fputs("</th><td class=\"l\">", out);
	html_text(out, text);
	fputs("</td></tr>\n", out);
	free(text);
}

static void put_members(FILE *out, const char *prefix, const json_t *value, int depth, int *rows)
{
	char name[NAME_SIZE];
	const char *key;
	json_t *member;
	size_t i;

	json_array_foreach(value, i, member) {
		snprintf(name, sizeof(name), "%s.%zu", prefix, i);
		put_member(out, name, member, depth, rows);
	}
	json_object_foreach((json_t *)value, key, member) {
		snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "." : "", key);
		put_member(out, name, member, depth, rows);
	}
}

void table_members(FILE *out, const char *id, const json_t *object)
{
	int rows = 0;

	fprintf(out, "<div class=\"scroll\"><table id=\"%s\">\n<tbody>\n", id);
	put_members(out, "", object, 0, &rows);
	put_end(out);
	if (rows > ROWS)
		fprintf(out, "<p class=\"sub\">%d more are left out.</p>\n", rows - ROWS);
}

/* ------------------------------------------------------------------------
 * Messages
 * ------------------------------------------------------------------------ */

void table_messages(FILE *out, const struct runlog *run)
{
	fputs("<div class=\"scroll\"><table id=\"messages\">\n<tbody>\n", out);
	for (unsigned int i = 0; i < run->messages; i++) {
		fprintf(out, "<tr><td>%.1f s</td><td class=\"l\">", run->message[i].at);
		html_text(out, run->message[i].level);
		fputs("</td><td class=\"l\">", out);
		html_text(out, run->message[i].text);
		fputs("</td></tr>\n", out);
	}
	put_end(out);
}
