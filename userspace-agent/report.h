/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `kvmferry report`: one page of HTML about one migration, from what `kvmferry send
 * --json` has written. It needs nothing else: no script, no font, no file, no network.
 */
#ifndef KVMFERRY_REPORT_H
#define KVMFERRY_REPORT_H

#include "runlog.h"

/**
 * report_run - make a page
 * @path:	of the log; "-": standard input
 * @output:	where to, replaced in one piece; NULL: standard output
 */
enum exit_status report_run(const char *path, const char *output);

/* The page of a run. */
void report_write(FILE *out, const struct runlog *run);

#endif /* KVMFERRY_REPORT_H */
