/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pictures of a report: each function writes one <figure>, also if the log does not
 * tell what it would show. curves.c has those over time, charts.c the others.
 */
#ifndef KVMFERRY_CHARTS_H
#define KVMFERRY_CHARTS_H

#include "runlog.h"

/* Over time. */
void chart_timeline(FILE *out, const struct runlog *run);
void chart_left(FILE *out, const struct runlog *run);
void chart_rates(FILE *out, const struct runlog *run);
void chart_codecs(FILE *out, const struct runlog *run);

/* Groups of pages, and the blackout. */
void chart_heat(FILE *out, const struct runlog *run);
void chart_exits(FILE *out, const struct runlog *run);
void chart_sizes(FILE *out, const struct runlog *run);
void chart_blackout(FILE *out, const struct runlog *run);

/* The seconds since the beginning at which the blackout began and ended, or NAN. */
double run_blackout_begin(const struct runlog *run);
double run_blackout_end(const struct runlog *run);

/* Seconds that the sample covers, never 0; what was in it, by the second. */
double run_seconds(const struct run_sample *s);
/* MB/s on the wire; MB/s that the VM wrote, or NAN. */
double run_send_rate(const struct run_sample *s);
double run_dirty_rate(const struct run_sample *s);
/* Pages sent in it, zero pages as well. */
double run_sent(const struct run_sample *s);

#endif /* KVMFERRY_CHARTS_H */
