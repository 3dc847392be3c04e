/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One picture in SVG: a frame with two axes, and what is drawn in it by the coordinates of
 * the data. Its size is that of a column of the page, so that its text stays legible on a
 * narrow one. Everything has a <title>, which browsers show on hovering.
 */
#ifndef KVMFERRY_PLOT_H
#define KVMFERRY_PLOT_H

#include <stdbool.h>
#include <stdio.h>

#define PLOT_WIDTH	560.0
#define PLOT_LEFT	70.0	/* of the frame, in the picture */
#define PLOT_RIGHT	14.0
#define PLOT_TOP	28.0
#define PLOT_BOTTOM	40.0

/**
 * struct plot - to be filled in before plot_begin()
 * @out:	where to
 * @label:	what it shows, for who cannot see it
 * @height:	of the picture
 * @x0, @x1:	the data's range from left to right
 * @y0, @y1:	from bottom to top; with @log, decimal logarithms of it
 * @x_words:	what x is, with its unit
 * @y_words:	ditto; NULL: no axis
 * @log:	y is drawn as its logarithm
 * @bare:	x has no numbers: the caller draws them
 */
struct plot {
	FILE *out;
	const char *label;
	double height;
	double x0, x1;
	double y0, y1;
	const char *x_words;
	const char *y_words;
	bool log;
	bool bare;
};

/* Begins the picture: grid, axes and their numbers. */
void plot_begin(const struct plot *p);
void plot_end(const struct plot *p);

/* Where the data's @x and @y are in the picture; outside the frame: at its edge. */
double plot_x(const struct plot *p, double x);
double plot_y(const struct plot *p, double y);

/* A rectangle, in the picture's coordinates, filled with the style's colour --@colour. */
void plot_box(const struct plot *p, double x, double y, double width, double height,
	      const char *colour);

/* The same, to be followed by its title and plot_box_end(). */
void plot_box_begin(const struct plot *p, double x, double y, double width, double height,
		    const char *colour);
void plot_box_end(const struct plot *p);

/* A part of the picture, full height, that shows a title when the mouse is over it. */
void plot_hit_begin(const struct plot *p, double x0, double x1);

/**
 * plot_mark - a vertical mark with a word above it
 * @end:	where the word must end at the latest, in the picture
 *
 * Returns where it begins, which is the end for a word further to the left.
 */
double plot_mark(const struct plot *p, double x, const char *word, double end);

/* The largest number of 1, 2 or 5 times a power of ten, so that @range has @most at most. */
double plot_step(double range, unsigned int most);

/* A list of colours and words below the picture. */
void plot_key_begin(FILE *out);
void plot_key(FILE *out, const char *colour, const char *words);
void plot_key_end(FILE *out);

/* <figure>, with its caption and a sentence about it; and its end. */
void figure_begin(FILE *out, const char *id, const char *caption, const char *words);
void figure_end(FILE *out);
/* Instead of a picture: why there is none. */
void figure_none(FILE *out, const char *why);

#endif /* KVMFERRY_PLOT_H */
