// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pictures of what went on over time.
 */
#include <math.h>
#include <string.h>

#include "charts.h"
#include "codec.h"
#include "html.h"
#include "plot.h"

#define MIB		1048576.0
#define LONG_S		600	/* longer than this is told in minutes */

#define NO_SAMPLES	"The log has no samples of a pass."

/* ------------------------------------------------------------------------
 * Samples
 * ------------------------------------------------------------------------ */

double run_seconds(const struct run_sample *s)
{
	double seconds = s->to - s->from;

	return seconds > 1e-3 ? seconds : 1e-3;
}

double run_send_rate(const struct run_sample *s)
{
	return s->bytes / 1e6 / run_seconds(s);
}

double run_dirty_rate(const struct run_sample *s)
{
	return s->written * FERRY_PAGE_SIZE / 1e6 / run_seconds(s);
}

double run_sent(const struct run_sample *s)
{
	double sent = s->zero;

	for (unsigned int i = 0; i < FERRY_NR_CODECS; i++)
		sent += s->codec[i];
	return sent;
}

static double stage_begin(const struct runlog *run, const char *name)
{
	for (unsigned int i = 0; i < run->stages; i++)
		if (!strcmp(run->stage[i].name, name))
			return run->stage[i].from;
	return NAN;
}

double run_blackout_begin(const struct runlog *run)
{
	return stage_begin(run, "stop");
}

double run_blackout_end(const struct runlog *run)
{
	return stage_begin(run, "retire");
}

/* ------------------------------------------------------------------------
 * The axis of time, which all of them have
 * ------------------------------------------------------------------------ */

static double time_unit(const struct runlog *run)
{
	return run->end > LONG_S ? 60 : 1;
}

static struct plot over_time(FILE *out, const struct runlog *run, const char *label)
{
	return (struct plot){
		.out = out, .label = label, .height = 250,
		.x1 = (run->end > 0 ? run->end : 1) / time_unit(run),
		.x_words = run->end > LONG_S ? "minutes since it began" : "seconds since it began",
		.y1 = 1,
	};
}

static double at(const struct plot *p, const struct runlog *run, double seconds)
{
	return plot_x(p, seconds / time_unit(run));
}

static void put_moment(FILE *out, const struct run_sample *s)
{
	fprintf(out, "pass %.0f, %.1f s to %.1f s\n", s->pass, s->from, s->to);
}

/* Marks of what matters in all of them. */
static void put_marks(const struct plot *p, const struct runlog *run)
{
	double end = PLOT_WIDTH;

	if (!isnan(run_blackout_begin(run)))
		end = plot_mark(p, run_blackout_begin(run) / time_unit(run), "blackout", end);
	if (!isnan(run->slowdown))
		plot_mark(p, run->slowdown / time_unit(run), "slowed down", end);
}

/* ------------------------------------------------------------------------
 * The time line
 * ------------------------------------------------------------------------ */

#define LANE		26.0
#define LANE_GAP	10.0

static double stage_end(const struct runlog *run, unsigned int i)
{
	return i + 1 < run->stages ? run->stage[i + 1].from : run->end;
}

static const char *stage_colour(const struct runlog *run, unsigned int i)
{
	double from = run->stage[i].from;

	if (from >= run_blackout_begin(run) && !(from >= run_blackout_end(run)))
		return "dirty";
	return !strcmp(run->stage[i].name, "passes") ? "send" : "paid";
}

/* A word in a box, if it fits. */
static void put_word(const struct plot *p, double x, double width, double y, const char *word)
{
	if (width < 8.0 * (double)strlen(word) + 8)
		return;
	fprintf(p->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" style=\"fill:var(--bg)\" pointer-events=\"none\">",
		x + width / 2, y + LANE / 2 + 4.5);
	html_text(p->out, word);
	fputs("</text>\n", p->out);
}

static void put_lane_name(const struct plot *p, double y, const char *name)
{
	fprintf(p->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
		PLOT_LEFT - 7, y + LANE / 2 + 4.5, name);
}

static double span(double from, double to)
{
	return to - from < 1.5 ? 1.5 : to - from;
}

static void put_stages(const struct plot *p, const struct runlog *run, double y)
{
	char text[NUMBER_SIZE];

	put_lane_name(p, y, "stage");
	for (unsigned int i = 0; i < run->stages; i++) {
		double from = at(p, run, run->stage[i].from), to = at(p, run, stage_end(run, i));

		plot_box_begin(p, from, y, span(from, to), LANE, stage_colour(run, i));
		html_text(p->out, run->stage[i].name);
		fprintf(p->out, ": %s from %.1f s on",
			number_ms(text, (stage_end(run, i) - run->stage[i].from) * 1e3),
			run->stage[i].from);
		plot_box_end(p);
		put_word(p, from, to - from, y, run->stage[i].name);
	}
}

static void put_passes(const struct plot *p, const struct runlog *run, double y)
{
	char number[NUMBER_SIZE], text[NUMBER_SIZE];

	put_lane_name(p, y, "pass");
	for (unsigned int i = 0; i < run->passes; i++) {
		const struct run_pass *pass = &run->pass[i];
		double from = at(p, run, pass->from), to = at(p, run, pass->to);

		number_plain(number, run_number(pass->object, "pass"), 0);
		plot_box_begin(p, from, y, span(from, to) - (to - from > 4 ? 1 : 0), LANE, "send");
		fprintf(p->out, "pass %s: %s, ", number, number_ms(text, (pass->to - pass->from) * 1e3));
		fprintf(p->out, "%s pages sent", number_count(text, run_number(pass->object, "sent_pages")));
		plot_box_end(p);
		put_word(p, from, to - from, y, number);
	}
}

void chart_timeline(FILE *out, const struct runlog *run)
{
	struct plot p = over_time(out, run, "Stages and passes over time");

	p.height = PLOT_TOP + 2 * LANE + 2 * LANE_GAP + PLOT_BOTTOM;
	figure_begin(out, "timeline", "Time line",
		     "Stages, and the passes over RAM while the VM runs.");
	if (!run->stages) {
		figure_none(out, "The log tells of no stage.");
		figure_end(out);
		return;
	}
	plot_begin(&p);
	put_marks(&p, run);
	put_stages(&p, run, PLOT_TOP + LANE_GAP / 2);
	put_passes(&p, run, PLOT_TOP + LANE + 3 * LANE_GAP / 2);
	plot_end(&p);
	plot_key_begin(out);
	plot_key(out, "send", "the VM runs, RAM is sent");
	plot_key(out, "dirty", "blackout");
	plot_key(out, "paid", "before and after");
	plot_key_end(out);
	figure_end(out);
}

/* ------------------------------------------------------------------------
 * What is left
 * ------------------------------------------------------------------------ */

static double most_pending(const struct runlog *run)
{
	double most = 1;

	for (unsigned int i = 0; i < run->samples; i++)
		if (run->sample[i].pending > most)
			most = run->sample[i].pending;
	return most;
}

void chart_left(FILE *out, const struct runlog *run)
{
	struct plot p = over_time(out, run, "RAM that was left to be sent, over time");
	char text[NUMBER_SIZE];

	figure_begin(out, "left", "RAM left to send",
		     "Pages of this pass and, written meanwhile, for the next; logarithmic.");
	if (!run->samples) {
		figure_none(out, NO_SAMPLES);
		figure_end(out);
		return;
	}
	p.log = true;
	p.y0 = -2;
	p.y1 = ceil(log10(most_pending(run) * FERRY_PAGE_SIZE / MIB) + 1e-9);
	if (p.y1 < 1)
		p.y1 = 1;
	p.y_words = "MiB";
	plot_begin(&p);
	put_marks(&p, run);
	fputs("<path class=\"curve\" style=\"stroke:var(--left)\" d=\"", out);
	for (unsigned int i = 0; i < run->samples; i++)
		fprintf(out, "%s%.1f %.1f", i ? "L" : "M", at(&p, run, run->sample[i].to),
			plot_y(&p, run->sample[i].pending * FERRY_PAGE_SIZE / MIB));
	fputs("\"/>\n", out);
	for (unsigned int i = 0; i < run->samples; i++) {
		const struct run_sample *s = &run->sample[i];

		plot_hit_begin(&p, s->from / time_unit(run), s->to / time_unit(run));
		put_moment(out, s);
		fprintf(out, "left at its end: %s", number_ram(text, s->pending * FERRY_PAGE_SIZE));
		plot_box_end(&p);
	}
	plot_end(&p);
	figure_end(out);
}

/* ------------------------------------------------------------------------
 * Rates
 * ------------------------------------------------------------------------ */

static double most_rate(const struct runlog *run)
{
	double most = 0.1;

	for (unsigned int i = 0; i < run->samples; i++) {
		double send = run_send_rate(&run->sample[i]);
		double dirty = run_dirty_rate(&run->sample[i]);

		if (send > most)
			most = send;
		if (dirty > most)
			most = dirty;
	}
	return most;
}

static void put_rate(const struct plot *p, const struct runlog *run, const char *colour,
		     double (*rate)(const struct run_sample *s))
{
	bool known = false;

	fprintf(p->out, "<path class=\"curve\" style=\"stroke:var(--%s)\" d=\"", colour);
	for (unsigned int i = 0; i < run->samples; i++) {
		const struct run_sample *s = &run->sample[i];
		double y = rate(s);

		if (!isnan(y) && !known)
			fprintf(p->out, "M%.1f %.1f", at(p, run, s->from), plot_y(p, y));
		else if (!isnan(y))
			fprintf(p->out, "V%.1f", plot_y(p, y));
		known = !isnan(y);
		if (known)
			fprintf(p->out, "H%.1f", at(p, run, s->to));
	}
	fputs("\"/>\n", p->out);
}

void chart_rates(FILE *out, const struct runlog *run)
{
	struct plot p = over_time(out, run, "What the network carried and what the VM wrote, over time");
	char text[NUMBER_SIZE];

	figure_begin(out, "rates", "Send and dirty rate",
		     "Bytes on the wire, compressed, and RAM that the pass found written.");
	if (!run->samples) {
		figure_none(out, NO_SAMPLES);
		figure_end(out);
		return;
	}
	p.y1 = most_rate(run) * 1.05;
	p.y_words = "MB/s";
	plot_begin(&p);
	put_marks(&p, run);
	put_rate(&p, run, "dirty", run_dirty_rate);
	put_rate(&p, run, "send", run_send_rate);
	for (unsigned int i = 0; i < run->samples; i++) {
		const struct run_sample *s = &run->sample[i];

		plot_hit_begin(&p, s->from / time_unit(run), s->to / time_unit(run));
		put_moment(out, s);
		fprintf(out, "sent: %s MB/s\n", number_plain(text, run_send_rate(s), 1));
		fprintf(out, "written: %s MB/s", number_plain(text, run_dirty_rate(s), 1));
		plot_box_end(&p);
	}
	plot_end(&p);
	plot_key_begin(out);
	plot_key(out, "send", "sent");
	plot_key(out, "dirty", "written by the VM");
	plot_key_end(out);
	figure_end(out);
}

/* ------------------------------------------------------------------------
 * Codecs: a part of all pages that were sent, least effort at the bottom
 * ------------------------------------------------------------------------ */

/* What a page was sent as, from the bottom up. 0 is zero pages; then codecs by effort. */
static const struct {
	int codec;	/* -1: zero */
	const char *colour;
} layers[] = {
	{ -1, "zero" },
	{ FERRY_CODEC_NONE, "c0" },
	{ FERRY_CODEC_LZ4, "c1" },
	{ FERRY_CODEC_LZ4HC, "c2" },
	{ FERRY_CODEC_DEFLATE, "c4" },
	{ FERRY_CODEC_ZSTD, "c3" },
	{ FERRY_CODEC_ZSTD_STREAM, "c5" },
};

#define LAYERS	(sizeof(layers) / sizeof(layers[0]))

static const char *layer_name(size_t layer)
{
	return layers[layer].codec < 0 ? "zero" : codec_name((unsigned int)layers[layer].codec);
}

static double layer_pages(const struct run_sample *s, size_t layer)
{
	return layers[layer].codec < 0 ? s->zero : s->codec[layers[layer].codec];
}

/* The percent of a sample's pages that are in layers below @layer. */
static double below(const struct run_sample *s, size_t layer)
{
	double sent = run_sent(s), pages = 0;

	for (size_t i = 0; i < layer; i++)
		pages += layer_pages(s, i);
	return sent > 0 ? 100 * pages / sent : 0;
}

static bool is_used(const struct runlog *run, size_t layer)
{
	for (unsigned int i = 0; i < run->samples; i++)
		if (layer_pages(&run->sample[i], layer) > 0)
			return true;
	return false;
}

/* Along the upper edge of the layer, and back along its lower edge. */
static void put_layer(const struct plot *p, const struct runlog *run, size_t layer)
{
	unsigned int i;

	fprintf(p->out, "<path fill=\"var(--%s)\" d=\"M%.1f %.1f", layers[layer].colour,
		at(p, run, run->sample[0].from), plot_y(p, below(&run->sample[0], layer)));
	for (i = 0; i < run->samples; i++)
		fprintf(p->out, "V%.1fH%.1f", plot_y(p, below(&run->sample[i], layer + 1)),
			at(p, run, run->sample[i].to));
	while (i--)
		fprintf(p->out, "V%.1fH%.1f", plot_y(p, below(&run->sample[i], layer)),
			at(p, run, i ? run->sample[i - 1].to : run->sample[0].from));
	fputs("Z\"/>\n", p->out);
}

static void put_codec_hits(const struct plot *p, const struct runlog *run)
{
	for (unsigned int i = 0; i < run->samples; i++) {
		const struct run_sample *s = &run->sample[i];

		plot_hit_begin(p, s->from / time_unit(run), s->to / time_unit(run));
		put_moment(p->out, s);
		for (size_t layer = 0; layer < LAYERS; layer++)
			if (layer_pages(s, layer) > 0)
				fprintf(p->out, "%s: %.0f %%\n", layer_name(layer),
					below(s, layer + 1) - below(s, layer));
		if (run_sent(s) <= 0)
			fputs("no page was sent", p->out);
		plot_box_end(p);
	}
}

void chart_codecs(FILE *out, const struct runlog *run)
{
	struct plot p = over_time(out, run, "The part of all pages that each codec was used for, over time");

	figure_begin(out, "codecs", "Codecs",
		     "What pages were sent as: zero, as they are (none), or compressed, with more effort upwards. Each codec has one level.");
	if (!run->samples) {
		figure_none(out, NO_SAMPLES);
		figure_end(out);
		return;
	}
	p.y1 = 100;
	p.y_words = "% of pages";
	plot_begin(&p);
	for (size_t layer = 0; layer < LAYERS; layer++)
		if (is_used(run, layer))
			put_layer(&p, run, layer);
	put_marks(&p, run);
	put_codec_hits(&p, run);
	plot_end(&p);
	plot_key_begin(out);
	for (size_t layer = 0; layer < LAYERS; layer++)
		if (is_used(run, layer))
			plot_key(out, layers[layer].colour, layer_name(layer));
	plot_key_end(out);
	figure_end(out);
}
