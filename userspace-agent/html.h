/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing HTML and SVG. Whatever comes from outside goes through html_text(), which makes
 * it harmless in text and in quoted attributes alike.
 */
#ifndef KVMFERRY_HTML_H
#define KVMFERRY_HTML_H

#include <stdio.h>

/* Text, not markup: & < > " ' are escaped, control characters become U+FFFD. */
void html_text(FILE *out, const char *text);

/* The head of a page, up to and with <body>. */
void html_begin(FILE *out, const char *title);

/* Its end. */
void html_end(FILE *out);

/* ------------------------------------------------------------------------
 * Numbers for people; "–" if it is not known. Each into @text, which it returns.
 * ------------------------------------------------------------------------ */

#define NUMBER_SIZE	40

/* A count, with its digits in groups of three. */
const char *number_count(char text[NUMBER_SIZE], double n);
/* Bytes as MB or GB, of 10^6 and 10^9, as rates are. */
const char *number_bytes(char text[NUMBER_SIZE], double bytes);
/* Bytes of RAM as MiB or GiB. */
const char *number_ram(char text[NUMBER_SIZE], double bytes);
/* Milliseconds, as ms or s or min. */
const char *number_ms(char text[NUMBER_SIZE], double ms);
/* With so many digits after the point. */
const char *number_plain(char text[NUMBER_SIZE], double n, int digits);

#endif /* KVMFERRY_HTML_H */
