/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What --help says: one text for each subcommand whose options are in cli.c, and one of all.
 */
#ifndef KVMFERRY_CLI_HELP_H
#define KVMFERRY_CLI_HELP_H

extern const char cli_send_help[];
extern const char cli_receive_help[];
extern const char cli_check_help[];
extern const char cli_stat_help[];
extern const char cli_disk_help[];
extern const char cli_recover_help[];
extern const char cli_main_help[];

#endif /* KVMFERRY_CLI_HELP_H */
