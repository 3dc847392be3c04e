/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line of what only looks at migrations: top and report.
 */
#ifndef KVMFERRY_CLI_VIEW_H
#define KVMFERRY_CLI_VIEW_H

#include "log.h"

extern const char cli_top_help[];
extern const char cli_report_help[];

enum exit_status cli_top(int argc, char **argv);
enum exit_status cli_report(int argc, char **argv);

#endif /* KVMFERRY_CLI_VIEW_H */
