// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One picture in SVG.
 */
#include <math.h>
#include <string.h>

#include "html.h"
#include "plot.h"

static double clamp(double n, double least, double most)
{
	/* NAN goes to the least */
	return n > most ? most : n >= least ? n : least;
}

static double frame_width(void)
{
	return PLOT_WIDTH - PLOT_LEFT - PLOT_RIGHT;
}

static double frame_height(const struct plot *p)
{
	return p->height - PLOT_TOP - PLOT_BOTTOM;
}

double plot_x(const struct plot *p, double x)
{
	double part = p->x1 > p->x0 ? (x - p->x0) / (p->x1 - p->x0) : 0;

	return PLOT_LEFT + clamp(part, 0, 1) * frame_width();
}

double plot_y(const struct plot *p, double y)
{
	double at = !p->log ? y : y > 0 ? log10(y) : p->y0;
	double part = p->y1 > p->y0 ? (at - p->y0) / (p->y1 - p->y0) : 0;

	return PLOT_TOP + (1 - clamp(part, 0, 1)) * frame_height(p);
}

double plot_step(double range, unsigned int most)
{
	double step = pow(10, floor(log10(range / most)));

	if (!isfinite(step) || step <= 0)
		return 1;
	while (range / step > most) {
		/* 1, 2, 5, 10 */
		double lead = step / pow(10, floor(log10(step) + 1e-9));

		step *= lead > 1.5 && lead < 3 ? 2.5 : 2;
	}
	return step;
}

static int digits_of(double step)
{
	int digits = (int)ceil(-log10(step) - 1e-9);

	return digits < 0 ? 0 : digits > 6 ? 6 : digits;
}

static void put_line(const struct plot *p, const char *class, double x0, double y0, double x1,
		     double y1)
{
	fprintf(p->out, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
		class, x0, y0, x1, y1);
}

static void put_x_axis(const struct plot *p)
{
	double bottom = p->height - PLOT_BOTTOM, step = plot_step(p->x1 - p->x0, 7), x;
	char text[NUMBER_SIZE];

	put_line(p, "axis", PLOT_LEFT, bottom, PLOT_WIDTH - PLOT_RIGHT, bottom);
	for (x = ceil(p->x0 / step) * step; !p->bare && x <= p->x1 + step * 1e-6; x += step) {
		put_line(p, "axis", plot_x(p, x), bottom, plot_x(p, x), bottom + 4);
		fprintf(p->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
			plot_x(p, x), bottom + 17, number_plain(text, x, digits_of(step)));
	}
	fprintf(p->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
		PLOT_WIDTH - PLOT_RIGHT, bottom + 34, p->x_words);
}

static void put_y_tick(const struct plot *p, double y, int digits)
{
	char text[NUMBER_SIZE];
	double at = plot_y(p, y);

	put_line(p, "grid", PLOT_LEFT, at, PLOT_WIDTH - PLOT_RIGHT, at);
	fprintf(p->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
		PLOT_LEFT - 7, at + 4.5,
		digits ? number_plain(text, y, digits) : number_count(text, y));
}

static void put_y_axis(const struct plot *p)
{
	double step = plot_step(p->y1 - p->y0, 5), y;
	long last;

	if (p->log)
		step = ceil(step);
	last = (long)floor(p->y1 / step + 1e-6);
	for (long i = (long)ceil(p->y0 / step); i <= last; i++) {
		y = p->log ? pow(10, (double)i * step) : (double)i * step;
		put_y_tick(p, y, digits_of(p->log ? y : step));
	}
	fprintf(p->out, "<text x=\"0\" y=\"11\">%s</text>\n", p->y_words);
}

void plot_begin(const struct plot *p)
{
	fprintf(p->out, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"", PLOT_WIDTH,
		p->height);
	html_text(p->out, p->label);
	fputs("\">\n", p->out);
	if (p->y_words)
		put_y_axis(p);
	put_x_axis(p);
}

void plot_end(const struct plot *p)
{
	fputs("</svg>\n", p->out);
}

static void put_box(const struct plot *p, double x, double y, double width, double height,
		    const char *colour, const char *end)
{
	fprintf(p->out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"var(--%s)\"%s",
		x, y, width, height, colour, end);
}

void plot_box(const struct plot *p, double x, double y, double width, double height,
	      const char *colour)
{
	put_box(p, x, y, width, height, colour, "/>\n");
}

void plot_box_begin(const struct plot *p, double x, double y, double width, double height,
		    const char *colour)
{
	put_box(p, x, y, width, height, colour, "><title>");
}

void plot_box_end(const struct plot *p)
{
	fputs("</title></rect>\n", p->out);
}

void plot_hit_begin(const struct plot *p, double x0, double x1)
{
	double left = plot_x(p, x0), width = plot_x(p, x1) - left;

	fprintf(p->out, "<rect class=\"hit\" x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\"><title>",
		left, PLOT_TOP, width < 1 ? 1 : width, frame_height(p));
}

double plot_mark(const struct plot *p, double x, const char *word, double end)
{
	double at = plot_x(p, x), width = 7.2 * (double)strlen(word), right = at + width / 2;

	if (right > end)
		right = end;
	put_line(p, "mark", at, PLOT_TOP, at, p->height - PLOT_BOTTOM);
	fprintf(p->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", right,
		PLOT_TOP - 6, word);
	return right - width - 8;
}

void plot_key_begin(FILE *out)
{
	fputs("<ul class=\"key\">", out);
}

void plot_key(FILE *out, const char *colour, const char *words)
{
	fprintf(out, "<li><i style=\"background:var(--%s)\"></i>%s</li>", colour, words);
}

void plot_key_end(FILE *out)
{
	fputs("</ul>\n", out);
}

void figure_begin(FILE *out, const char *id, const char *caption, const char *words)
{
	fprintf(out, "<figure id=\"%s\">\n<figcaption>%s</figcaption>\n<p>%s</p>\n", id, caption,
		words);
}

void figure_end(FILE *out)
{
	fputs("</figure>\n", out);
}

void figure_none(FILE *out, const char *why)
{
	fprintf(out, "<p class=\"none\">%s</p>\n", why);
}
