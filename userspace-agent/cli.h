/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line: a table of subcommands.
 */
#ifndef KVMFERRY_CLI_H
#define KVMFERRY_CLI_H

#include "log.h"

/* Runs the subcommand that @argv names. */
enum exit_status cli_run(int argc, char **argv);

#endif /* KVMFERRY_CLI_H */
