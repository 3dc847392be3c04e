// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command line of what only looks at migrations.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli_view.h"
#include "report.h"
#include "top.h"

const char cli_top_help[] =
"Usage: kvmferry top [OPTION]...\n"
"\n"
"Shows the migrations away from this host and to it while they run; on a terminal anew\n"
"each second, until it is interrupted, otherwise once.\n"
"\n"
"  --prometheus FILE   write them to FILE, in one piece, in the format of node_exporter's\n"
"                      textfile collector; - is standard output\n"
"  --run-dir DIR       where the agents show how they come along (" STATE_DIR ")\n"
"  --json              one JSON object per line for each, once\n"
"  --help              this text\n"
"\n"
"Exit status: 0 told, even if there is none; 1 not; 2 usage.\n";

const char cli_report_help[] =
"Usage: kvmferry report RUN.json [OPTION]...\n"
"\n"
"Makes one page of HTML, which needs nothing else, from what `kvmferry send --json` has\n"
"written: pictures of the passes, of rates, codecs, groups and the blackout, and all\n"
"numbers. RUN.json may be -, standard input.\n"
"\n"
"  --output FILE       where to; standard output if not given\n"
"  --help              this text\n"
"\n"
"Exit status: 0 made; 1 RUN.json is not what send --json writes, or cannot be read; 2 usage.\n";

enum key { KEY_PROMETHEUS = 256, KEY_RUN_DIR, KEY_JSON, KEY_OUTPUT, KEY_HELP };

static const struct option top_options[] = {
	{ "prometheus", required_argument, NULL, KEY_PROMETHEUS },
	{ "run-dir", required_argument, NULL, KEY_RUN_DIR },
	{ "json", no_argument, NULL, KEY_JSON },
	{ "help", no_argument, NULL, KEY_HELP },
	{ NULL, 0, NULL, 0 }
};

static const struct option report_options[] = {
	{ "output", required_argument, NULL, KEY_OUTPUT },
	{ "help", no_argument, NULL, KEY_HELP },
	{ NULL, 0, NULL, 0 }
};

/* The next option, or -1; exits for --help and for what is wrong. */
static int next_option(int argc, char **argv, const struct option *table, const char *help)
{
	int key = getopt_long(argc, argv, "", table, NULL);

	if (key == KEY_HELP) {
		fputs(help, stdout);
		exit(EXIT_DONE);
	}
	if (key == '?')
		die(EXIT_USAGE, "see kvmferry %s --help", argv[0]);
	return key;
}

enum exit_status cli_top(int argc, char **argv)
{
	struct top_options o = { .dir = STATE_DIR };
	int key;

	while ((key = next_option(argc, argv, top_options, cli_top_help)) != -1)
		switch (key) {
		case KEY_PROMETHEUS:
			o.prometheus = optarg;
			break;
		case KEY_RUN_DIR:
			o.dir = optarg;
			break;
		default:
			o.json = true;
		}
	if (optind < argc)
		die(EXIT_USAGE, "%s: kvmferry top takes options only; see --help", argv[optind]);
	if (o.json && o.prometheus)
		die(EXIT_USAGE, "--json and --prometheus are two formats; see --help");
	return top_run(&o);
}

enum exit_status cli_report(int argc, char **argv)
{
	const char *output = NULL;

	while (next_option(argc, argv, report_options, cli_report_help) != -1)
		output = optarg;
	if (optind + 1 != argc)
		die(EXIT_USAGE, "kvmferry report takes one file of send --json; see --help");
	return report_run(argv[optind], output);
}
