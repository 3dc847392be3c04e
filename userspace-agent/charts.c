// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pictures of groups of pages, and of the blackout.
 */
#include <math.h>
#include <string.h>

#include "charts.h"
#include "html.h"
#include "plot.h"

/* ------------------------------------------------------------------------
 * Groups over guest RAM
 * ------------------------------------------------------------------------ */

#define HEAT_ROWS	40	/* drawn at most, and columns: the page stays small */
#define HEAT_PARTS	128
#define ROW		14.0

/* Rows of the log that are drawn as one. */
static unsigned int rows_each(const struct runlog *run)
{
	return (run->heats + HEAT_ROWS - 1) / HEAT_ROWS;
}

/* The largest order in part @part of all @parts, in rows @first to @last; '.' if none. */
static char hottest(const struct runlog *run, unsigned int first, unsigned int last,
		    unsigned int part, unsigned int parts)
{
	char most = '.';

	for (; first <= last; first++) {
		const struct run_heat *h = &run->heat[first];
		unsigned int i = h->columns * part / parts, end = h->columns * (part + 1) / parts;

		for (; i < end || (i == h->columns * part / parts && i < h->columns); i++)
			if (h->orders[i] >= '0' && h->orders[i] <= '9' && h->orders[i] > most)
				most = h->orders[i];
	}
	return most;
}

static void put_pages(FILE *out, char order)
{
	unsigned int least = 1u << (order - '0');

	if (least == 1)
		fputs("1 page", out);
	else if (order == '9')
		fputs("512 pages", out);
	else
		fprintf(out, "%u to %u pages", least, 2 * least - 1);
}

/* Parts @from to before @to, which are of the same order. */
static void put_cell(const struct plot *p, double y, unsigned int from, unsigned int to,
		     unsigned int parts, char order, const char *row)
{
	char colour[3] = { 'h', order, '\0' }, a[NUMBER_SIZE], b[NUMBER_SIZE];
	double unit = (p->x1 - p->x0) / parts, left = plot_x(p, from * unit);
	double mib = strcmp(p->x_words, "GiB of guest RAM") ? 1 : 1024;

	plot_box_begin(p, left, y, plot_x(p, to * unit) - left, ROW - 1, colour);
	fprintf(p->out, "%s, %s to ", row, number_ram(a, from * unit * mib * (1 << 20)));
	fprintf(p->out, "%s: a write fault opened ", number_ram(b, to * unit * mib * (1 << 20)));
	put_pages(p->out, order);
	plot_box_end(p);
}

static void put_heat_row(const struct plot *p, const struct runlog *run, unsigned int first,
			 double y, unsigned int parts)
{
	unsigned int last = first + rows_each(run) - 1, from, to;
	char name[2 * NUMBER_SIZE];

	if (last >= run->heats)
		last = run->heats - 1;
	if (first == last)
		snprintf(name, sizeof(name), "pass %.0f", run->heat[first].pass);
	else
		snprintf(name, sizeof(name), "passes %.0f to %.0f", run->heat[first].pass,
			 run->heat[last].pass);
	fprintf(p->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.0f</text>\n",
		PLOT_LEFT - 7, y + ROW - 2.5, run->heat[last].pass);
	for (from = 0; from < parts; from = to) {
		char order = hottest(run, first, last, from, parts);

		for (to = from + 1; to < parts && hottest(run, first, last, to, parts) == order; to++)
			;
		if (order != '.')
			put_cell(p, y, from, to, parts, order, name);
	}
}

static void put_heat_key(FILE *out)
{
	char colour[3] = "h0", words[8];

	plot_key_begin(out);
	for (; colour[1] <= '9'; colour[1]++) {
		snprintf(words, sizeof(words), "%u", 1u << (colour[1] - '0'));
		plot_key(out, colour, words);
	}
	fputs("<li>pages that a write fault opened on average; nothing drawn: no write fault</li>", out);
	plot_key_end(out);
}

static void draw_heat(FILE *out, const struct runlog *run)
{
	double bytes = run_number(run->sending, "ram_bytes"), y = PLOT_TOP;
	unsigned int each = rows_each(run), rows = (run->heats + each - 1) / each, i;
	unsigned int parts = run->heat[0].columns < HEAT_PARTS ? run->heat[0].columns : HEAT_PARTS;
	bool small = !(bytes >= 4096.0 * (1 << 20));
	struct plot p = {
		.out = out, .label = "Size of groups over guest RAM, by pass",
		.height = PLOT_TOP + ROW * rows + PLOT_BOTTOM,
		.x1 = isnan(bytes) ? 100 : bytes / (1 << 20) / (small ? 1 : 1024),
		.x_words = isnan(bytes) ? "% of guest RAM" :
			   small ? "MiB of guest RAM" : "GiB of guest RAM",
	};

	plot_begin(&p);
	fputs("<text x=\"0\" y=\"11\">pass</text>\n", out);
	for (i = 0; i < run->heats; i += each, y += ROW)
		put_heat_row(&p, run, i, y, parts);
	plot_end(&p);
	put_heat_key(out);
}

void chart_heat(FILE *out, const struct runlog *run)
{
	figure_begin(out, "heat", "Groups over guest RAM",
		     "How many pages a write fault opened, by where it was and in which pass. All RAM blocks in a row.");
	if (run->heats)
		draw_heat(out, run);
	else
		figure_none(out, "The log has no map of groups: the kernel module was one that has none, or no pass ended.");
	figure_end(out);
}

/* ------------------------------------------------------------------------
 * Exits
 * ------------------------------------------------------------------------ */

static double of_pass(const struct runlog *run, unsigned int i, const char *name)
{
	return or_zero(run_number(run->pass[i].object, name));
}

static void put_bar(const struct plot *p, unsigned int i, double from, double to,
		    const char *colour)
{
	double left = plot_x(p, i + 0.1), width = plot_x(p, i + 0.9) - left;
	double top = plot_y(p, to);

	if (to > from)
		plot_box(p, left, top, width, plot_y(p, from) - top, colour);
}

/* Below a bar, instead of the axis's own numbers. */
static void put_x_label(const struct plot *p, unsigned int i, double number)
{
	fprintf(p->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.0f</text>\n",
		plot_x(p, i + 0.5), p->height - PLOT_BOTTOM + 17, number);
}

/* Every so many passes have a label. */
static unsigned int labels_each(const struct runlog *run)
{
	return (run->passes + 11) / 12;
}

static void put_exits(const struct plot *p, const struct runlog *run, unsigned int i)
{
	double paid = of_pass(run, i, "write_faults"), saved = of_pass(run, i, "opened_changed");
	double vain = of_pass(run, i, "opened_unchanged");
	char text[NUMBER_SIZE];

	if (i % labels_each(run) == 0)
		put_x_label(p, i, of_pass(run, i, "pass"));
	put_bar(p, i, 0, paid, "paid");
	put_bar(p, i, paid, paid + saved, "saved");
	put_bar(p, i, paid + saved, paid + saved + vain, "vain");
	plot_hit_begin(p, i, i + 1);
	fprintf(p->out, "pass %.0f\n", of_pass(run, i, "pass"));
	fprintf(p->out, "write faults: %s\n", number_count(text, paid));
	fprintf(p->out, "exits saved: %s\n", number_count(text, saved));
	fprintf(p->out, "opened in vain: %s", number_count(text, vain));
	plot_box_end(p);
}

void chart_exits(FILE *out, const struct runlog *run)
{
	struct plot p = {
		.out = out, .label = "Exits that the VM's writes cost, and that groups saved, by pass",
		.height = 250, .x1 = run->passes, .y1 = 1, .x_words = "pass",
		.y_words = "pages", .bare = true,
	};
	unsigned int i;

	figure_begin(out, "exits", "Exits saved",
		     "A write fault is an exit. A page that was opened with another and then changed is an exit saved; one that did not change was looked at in vain.");
	if (!run->passes) {
		figure_none(out, "No pass ended.");
		figure_end(out);
		return;
	}
	for (i = 0; i < run->passes; i++) {
		double all = of_pass(run, i, "write_faults") + of_pass(run, i, "opened_changed") +
			     of_pass(run, i, "opened_unchanged");

		if (all > p.y1)
			p.y1 = all;
	}
	plot_begin(&p);
	for (i = 0; i < run->passes; i++)
		put_exits(&p, run, i);
	plot_end(&p);
	plot_key_begin(out);
	plot_key(out, "paid", "write faults");
	plot_key(out, "saved", "exits saved");
	plot_key(out, "vain", "opened in vain");
	plot_key_end(out);
	figure_end(out);
}

/* ------------------------------------------------------------------------
 * Sizes of groups
 * ------------------------------------------------------------------------ */

/* Of the whole run, or of the passes if it has no summary. */
static double faults_of(const struct runlog *run, unsigned int order)
{
	double all = run_groups(run->result, order);

	if (!isnan(all))
		return all;
	all = run->passes ? 0 : NAN;
	for (unsigned int i = 0; i < run->passes; i++)
		all += run_groups(run->pass[i].object, order);
	return all;
}

static void put_size(const struct plot *p, unsigned int order, double faults)
{
	char text[NUMBER_SIZE];

	put_bar(p, order, 0, faults, "send");
	put_x_label(p, order, 1u << order);
	plot_hit_begin(p, order, order + 1);
	fprintf(p->out, "%s write faults opened ", number_count(text, faults));
	put_pages(p->out, (char)('0' + order));
	plot_box_end(p);
}

void chart_sizes(FILE *out, const struct runlog *run)
{
	struct plot p = {
		.out = out, .label = "Write faults by the size of the group that they opened",
		.height = 250, .x1 = RUNLOG_GROUPS, .y1 = 1, .y_words = "write faults",
		.x_words = "pages opened, this many and up to twice as many", .bare = true,
	};
	unsigned int i;

	figure_begin(out, "sizes", "Sizes of groups",
		     "How many pages a write fault made writable, of the whole migration.");
	if (isnan(faults_of(run, 0))) {
		figure_none(out, "The log does not tell.");
		figure_end(out);
		return;
	}
	for (i = 0; i < RUNLOG_GROUPS; i++)
		if (faults_of(run, i) > p.y1)
			p.y1 = faults_of(run, i);
	plot_begin(&p);
	for (i = 0; i < RUNLOG_GROUPS; i++)
		put_size(&p, i, or_zero(faults_of(run, i)));
	plot_end(&p);
	figure_end(out);
}

/* ------------------------------------------------------------------------
 * The blackout
 * ------------------------------------------------------------------------ */

#define PART		24.0
#define PARTS_MOST	16

/* What a stage is, for who does not know the names. */
static const struct {
	const char *name;
	const char *words;
} parts[] = {
	{ "stop", "QEMU stops the VM" },
	{ "drain", "disk requests end, or are cancelled" },
	{ "handover", "QEMU gets ready; the final pass begins" },
	{ "settle", "the last pages are sent and compared" },
	{ "device", "QEMU sends its devices' state" },
	{ "resettle", "pages that saving this has written" },
	{ "guard", "the target guards what is in doubt" },
	{ "commit", "the owner record, and COMMIT" },
	{ "running", "the target's QEMU runs the VM" },
};

static const char *part_words(const char *name)
{
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!strcmp(parts[i].name, name))
			return parts[i].words;
	return "";
}

static void put_part(const struct plot *p, const char *name, double from, double ms, double y)
{
	double left = plot_x(p, from), right = plot_x(p, from + ms);
	char text[NUMBER_SIZE];
	bool inside = right > PLOT_WIDTH - 90;

	fprintf(p->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">", PLOT_LEFT - 7, y + PART / 2 + 4);
	html_text(p->out, name);
	fputs("</text>\n", p->out);
	plot_box_begin(p, left, y + 3, right - left < 1.5 ? 1.5 : right - left, PART - 6, "dirty");
	html_text(p->out, name);
	fprintf(p->out, ": %s\n%s", number_ms(text, ms), part_words(name));
	plot_box_end(p);
	fprintf(p->out, "<text class=\"strong\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n",
		inside ? left - 6 : right + 6, y + PART / 2 + 4, inside ? "end" : "start",
		number_ms(text, ms));
}

static double sum_of(json_t *stages)
{
	const char *name;
	json_t *value;
	double sum = 0;

	json_object_foreach(stages, name, value)
		sum += or_zero(run_number(stages, name));
	return sum;
}

static void draw_blackout(FILE *out, json_t *stages)
{
	size_t count = json_object_size(stages);
	struct plot p = {
		.out = out, .label = "What the blackout was spent on, stage by stage",
		.height = PLOT_TOP + PART * (double)(count < PARTS_MOST ? count : PARTS_MOST) + PLOT_BOTTOM,
		.x1 = sum_of(stages), .x_words = "milliseconds since the VM was told to stop",
	};
	double from = 0, y = PLOT_TOP;
	const char *name;
	json_t *value;

	if (p.x1 <= 0)
		p.x1 = 1;
	plot_begin(&p);
	json_object_foreach(stages, name, value) {
		double ms = or_zero(run_number(stages, name));

		if (y >= p.height - PLOT_BOTTOM)
			break;
		put_part(&p, name, from, ms, y);
		from += ms;
		y += PART;
	}
	plot_end(&p);
}

void chart_blackout(FILE *out, const struct runlog *run)
{
	json_t *stages = json_object_get(run->result, "downtime");

	figure_begin(out, "blackout", "What the blackout was spent on",
		     "Its stages, one after the other. The last ends when the target has said that the VM runs.");
	if (json_object_size(stages))
		draw_blackout(out, stages);
	else if (run->result && !run->moved && isnan(run_blackout_begin(run)))
		figure_none(out, "The VM was never stopped.");
	else
		figure_none(out, "The log does not tell: the migration did not come to its end.");
	figure_end(out);
}
