// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command line.
 *
 * Each subcommand has its options in one table, from which getopt_long(3) reads
 * them. What the help texts (cli_help.c) say of them, kvmferry(8) and the completion
 * say, too.
 */
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "cli.h"
#include "cli_help.h"
#include "cli_view.h"
#include "codec.h"
#include "diskshow.h"
#include "domain.h"
#include "policy.h"
#include "recover.h"
#include "source.h"
#include "stat.h"
#include "target.h"

#define MAX_MBIT	1000000
#define BYTES_PER_MBIT	(1000000 / 8)

/* ------------------------------------------------------------------------
 * Options
 * ------------------------------------------------------------------------ */

enum option_key {
	OPT_QMP = 256, OPT_TO, OPT_FROM, OPT_LISTEN, OPT_CHANNELS, OPT_RING, OPT_CODEC,
	OPT_DOWNTIME, OPT_MAX_PASSES, OPT_TIMEOUT, OPT_VERIFY, OPT_INSECURE,
	OPT_TLS_PSK, OPT_TLS_CERT, OPT_TLS_KEY, OPT_TLS_CA,
	OPT_BANDWIDTH, OPT_CPU_LIMIT, OPT_NICE,
	OPT_MAX_SLOWDOWN, OPT_GROUP, OPT_READ_GROUP, OPT_RESEND_UNCHANGED,
	OPT_KEEP_SOURCE, OPT_KEEP_TARGET, OPT_TARGET, OPT_PID, OPT_STATE_DIR,
	OPT_STORAGE, OPT_FENCE, OPT_DISK, OPT_OPEN, OPT_CUT, OPT_RELEASE, OPT_VM, OPT_PEER, OPT_APPLY,
	OPT_RUN_DIR, OPT_DOMAIN, OPT_DOMAIN_XML, OPT_WAIT,
	OPT_JSON, OPT_VERBOSE, OPT_HELP,
};

#define COMMON_OPTIONS						\
	{ "qmp", required_argument, NULL, OPT_QMP },		\
	{ "state-dir", required_argument, NULL, OPT_STATE_DIR },\
	OUTPUT_OPTIONS

#define OUTPUT_OPTIONS						\
	{ "json", no_argument, NULL, OPT_JSON },		\
	{ "verbose", no_argument, NULL, OPT_VERBOSE },		\
	{ "help", no_argument, NULL, OPT_HELP },		\
	{ NULL, 0, NULL, 0 }

#define TLS_OPTIONS						\
	{ "tls-psk", required_argument, NULL, OPT_TLS_PSK },	\
	{ "tls-cert", required_argument, NULL, OPT_TLS_CERT },	\
	{ "tls-key", required_argument, NULL, OPT_TLS_KEY },	\
	{ "tls-ca", required_argument, NULL, OPT_TLS_CA }

static const struct option send_options[] = {
	{ "to", required_argument, NULL, OPT_TO },
	{ "from", required_argument, NULL, OPT_FROM },
	{ "channels", required_argument, NULL, OPT_CHANNELS },
	{ "ring", required_argument, NULL, OPT_RING },
	{ "codec", required_argument, NULL, OPT_CODEC },
	{ "bandwidth", required_argument, NULL, OPT_BANDWIDTH },
	{ "cpu-limit", required_argument, NULL, OPT_CPU_LIMIT },
	{ "nice", required_argument, NULL, OPT_NICE },
	{ "downtime", required_argument, NULL, OPT_DOWNTIME },
	{ "max-passes", required_argument, NULL, OPT_MAX_PASSES },
	{ "max-slowdown", required_argument, NULL, OPT_MAX_SLOWDOWN },
	{ "group", required_argument, NULL, OPT_GROUP },
	{ "read-group", required_argument, NULL, OPT_READ_GROUP },
	{ "resend-unchanged", no_argument, NULL, OPT_RESEND_UNCHANGED },
	{ "storage", required_argument, NULL, OPT_STORAGE },
	{ "fence", required_argument, NULL, OPT_FENCE },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "verify", required_argument, NULL, OPT_VERIFY },
	TLS_OPTIONS,
	{ "insecure", no_argument, NULL, OPT_INSECURE },
	{ "keep-source", no_argument, NULL, OPT_KEEP_SOURCE },
	{ "domain", required_argument, NULL, OPT_DOMAIN },
	{ "run-dir", required_argument, NULL, OPT_RUN_DIR },
	COMMON_OPTIONS
};

static const struct option receive_options[] = {
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	TLS_OPTIONS,
	{ "insecure", no_argument, NULL, OPT_INSECURE },
	{ "keep-target", no_argument, NULL, OPT_KEEP_TARGET },
	{ "domain-xml", required_argument, NULL, OPT_DOMAIN_XML },
	{ "fence", required_argument, NULL, OPT_FENCE },
	{ "wait", required_argument, NULL, OPT_WAIT },
	{ "run-dir", required_argument, NULL, OPT_RUN_DIR },
	COMMON_OPTIONS
};

static const struct option check_options[] = {
	{ "target", no_argument, NULL, OPT_TARGET },
	{ "domain", required_argument, NULL, OPT_DOMAIN },
	COMMON_OPTIONS
};

static const struct option stat_options[] = {
	{ "pid", required_argument, NULL, OPT_PID },
	OUTPUT_OPTIONS
};

static const struct option disk_options[] = {
	{ "disk", required_argument, NULL, OPT_DISK },
	{ "open", no_argument, NULL, OPT_OPEN },
	{ "cut-off", no_argument, NULL, OPT_CUT },
	{ "release", no_argument, NULL, OPT_RELEASE },
	{ "state-dir", required_argument, NULL, OPT_STATE_DIR },
	OUTPUT_OPTIONS
};

static const struct option recover_options[] = {
	{ "vm", required_argument, NULL, OPT_VM },
	{ "peer", required_argument, NULL, OPT_PEER },
	{ "apply", no_argument, NULL, OPT_APPLY },
	COMMON_OPTIONS
};

/* What any subcommand can be told. */
struct options {
	struct source_options send;
	struct target_options receive;
	struct recover_options recover;
	enum journal_side side;
	pid_t pid;
	struct diskshow_options disk;
	const char *domain, *domain_xml;
};

static unsigned long number(const char *option, const char *text,
			    unsigned long least, unsigned long most)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (!*text || *end || *text == '-' || n < least || n > most)
		die(EXIT_USAGE, "--%s %s: it takes a number from %lu to %lu",
		    option, text, least, most);
	return n;
}

static size_t ring_bytes(const char *text)
{
	size_t mib = number("ring", text, 1, FERRY_RING_MAX >> 20);

	if (mib & (mib - 1))
		die(EXIT_USAGE, "--ring %s: it takes a power of two, in MiB", text);
	return mib << 20;
}

static uint64_t codecs(const char *text)
{
	uint64_t codecs;

	if (!codec_parse(text, &codecs))
		die(EXIT_USAGE, "--codec %s: it takes " CODEC_WORDS, text);
	return codecs;
}

static void set_group(struct ferry_group *group, const char *text)
{
	if (!policy_parse(text, group))
		die(EXIT_USAGE, "--group %s: it takes " POLICY_WORDS ", N a power of two from 1 to %d",
		    text, 1 << FERRY_GROUP_MAX_ORDER);
}

static void set_read_group(struct ferry_group *group, const char *text)
{
	if (!policy_order(text, &group->read_order))
		die(EXIT_USAGE, "--read-group %s: it takes a power of two from 1 to %d, in pages",
		    text, 1 << FERRY_GROUP_MAX_ORDER);
}

static void set_sources(struct source_options *o, const char *text)
{
	struct failure why = { 0 };
	int n = transport_sources(text, o->from, &why);

	if (n < 0)
		die(EXIT_USAGE, "--from %s: it takes addresses of this host: %s", text,
		    why.text);
	o->sources = (unsigned int)n;
}

static void set_storage(struct source_options *o, const char *text)
{
	o->drain_storage = !strcmp(text, "drain");
	if (!o->drain_storage && strcmp(text, "cancel") != 0)
		die(EXIT_USAGE, "--storage %s: it takes cancel or drain", text);
}

static void set_fence(struct options *o, const char *text)
{
	if (strcmp(text, "pr") != 0)
		die(EXIT_USAGE, "--fence %s: it takes pr", text);
	o->send.fence = true;
	o->receive.fence = true;
}

static void set_action(struct options *o, enum diskshow_action action)
{
	if (o->disk.action != DISKSHOW_LOOK && o->disk.action != action)
		die(EXIT_USAGE, "--open, --cut-off and --release: one at a time; see kvmferry disk --help");
	o->disk.action = action;
}

static void set_timeout(struct options *o, const char *text)
{
	o->receive.timeout_s = (unsigned int)number("timeout", text, 1, 86400);
	o->send.timeout_ms = (int)o->receive.timeout_s * 1000;
}

static void set_option(struct options *o, enum option_key key, const char *value)
{
	switch (key) {
	case OPT_QMP:
		o->send.qmp = value;
		break;
	case OPT_TO:
		o->send.to = value;
		break;
	case OPT_FROM:
		set_sources(&o->send, value);
		break;
	case OPT_LISTEN:
		o->receive.listen = value;
		break;
	case OPT_CHANNELS:
		o->send.channels = (unsigned int)number("channels", value, 1,
							FERRY_MAX_CHANNELS);
		break;
	case OPT_RING:
		o->send.ring_bytes = ring_bytes(value);
		break;
	case OPT_CODEC:
		o->send.codecs = codecs(value);
		break;
	case OPT_BANDWIDTH:
		o->send.bandwidth = number("bandwidth", value, 1, MAX_MBIT) * BYTES_PER_MBIT;
		break;
	case OPT_CPU_LIMIT:
		o->send.cpu_limit = (unsigned int)number("cpu-limit", value, 1,
							 100ul * FERRY_MAX_CHANNELS);
		break;
	case OPT_NICE:
		o->send.nice = (int)number("nice", value, 0, 19);
		break;
	case OPT_DOWNTIME:
		o->send.downtime_ms = (unsigned int)number("downtime", value, 1,
							   3600000);
		break;
	case OPT_MAX_PASSES:
		o->send.max_passes = (unsigned int)number("max-passes", value, 1,
							  1000000);
		break;
	case OPT_MAX_SLOWDOWN:
		o->send.max_slowdown =
			(unsigned int)number("max-slowdown", value, 0,
					     FERRY_LIMIT_MAX_SLOWDOWN);
		break;
	case OPT_GROUP:
		set_group(&o->send.group, value);
		break;
	case OPT_READ_GROUP:
		set_read_group(&o->send.group, value);
		break;
	case OPT_RESEND_UNCHANGED:
		o->send.group.flags |= FERRY_GROUP_RESEND;
		break;
	case OPT_STORAGE:
		set_storage(&o->send, value);
		break;
	case OPT_FENCE:
		set_fence(o, value);
		break;
	case OPT_DISK:
		o->disk.name = value;
		break;
	case OPT_OPEN:
		set_action(o, DISKSHOW_OPEN);
		break;
	case OPT_CUT:
		set_action(o, DISKSHOW_CUT_OFF);
		break;
	case OPT_RELEASE:
		set_action(o, DISKSHOW_RELEASE);
		break;
	case OPT_VM:
		o->recover.vm = value;
		break;
	case OPT_PEER:
		o->recover.peer = value;
		break;
	case OPT_APPLY:
		o->recover.apply = true;
		break;
	case OPT_PID:
		o->pid = (pid_t)number("pid", value, 1, INT_MAX);
		break;
	case OPT_TIMEOUT:
		set_timeout(o, value);
		break;
	case OPT_VERIFY:
		if (strcmp(value, "full") != 0)
			die(EXIT_USAGE, "--verify %s: it takes full", value);
		o->send.verify = true;
		break;
	case OPT_TLS_PSK:
		o->send.tls.psk = value;
		break;
	case OPT_TLS_CERT:
		o->send.tls.cert = value;
		break;
	case OPT_TLS_KEY:
		o->send.tls.key = value;
		break;
	case OPT_TLS_CA:
		o->send.tls.ca = value;
		break;
	case OPT_INSECURE:
		o->send.insecure = true;
		break;
	case OPT_KEEP_SOURCE:
		o->send.keep_source = true;
		break;
	case OPT_KEEP_TARGET:
		o->receive.keep_target = true;
		break;
	case OPT_TARGET:
		o->side = JOURNAL_TARGET;
		break;
	case OPT_STATE_DIR:
		o->send.state_dir = value;
		break;
	case OPT_RUN_DIR:
		o->send.run_dir = value;
		break;
	case OPT_WAIT:
		o->receive.wait_s = (unsigned int)number("wait", value, 1, 86400);
		break;
	case OPT_DOMAIN:
		o->domain = value;
		break;
	case OPT_DOMAIN_XML:
		o->domain_xml = value;
		break;
	case OPT_JSON:
		o->send.json = true;
		break;
	case OPT_VERBOSE:
		log_set_level(LOG_DEBUG);
		break;
	case OPT_HELP:
		break;
	}
}

/* Reads all options; exits for --help and for what is wrong. */
static void read_options(struct options *o, int argc, char **argv,
			 const struct option *table, const char *help)
{
	int key;

	*o = (struct options){
		.send = {
			.state_dir = JOURNAL_DIR, .run_dir = STATE_DIR, .channels = 2,
			.ring_bytes = 16u << 20, .codecs = CODEC_AUTO,
			.downtime_ms = 300, .max_passes = 30,
			.max_slowdown = 95, .timeout_ms = 30000,
			.group = {
				.policy = FERRY_GROUP_DYNAMIC,
				.read_order = POLICY_READ_ORDER,
			},
		},
		.receive = { .timeout_s = 30 },
	};
	while ((key = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (key == OPT_HELP) {
			fputs(help, stdout);
			exit(EXIT_DONE);
		}
		if (key == '?')
			die(EXIT_USAGE, "see kvmferry %s --help", argv[0]);
		set_option(o, (enum option_key)key, optarg);
	}
	if (optind < argc)
		die(EXIT_USAGE, "%s: kvmferry %s takes options only; see --help",
		    argv[optind], argv[0]);
}

/* For the subcommands that talk to a QEMU. */
static void read_qemu_options(struct options *o, int argc, char **argv,
			      const struct option *table, const char *help)
{
	bool domain;

	read_options(o, argc, argv, table, help);
	domain = o->domain || o->domain_xml;
	if (!o->send.qmp && !domain)
		die(EXIT_USAGE, "--qmp SOCK is missing; see kvmferry %s --help",
		    argv[0]);
	if (o->send.qmp && domain)
		die(EXIT_USAGE, "--qmp %s: the socket is known from the domain", o->send.qmp);
	o->receive.qmp = o->send.qmp;
	o->receive.state_dir = o->send.state_dir;
	o->receive.run_dir = o->send.run_dir;
	o->receive.json = o->send.json;
	o->receive.insecure = o->send.insecure;
	o->receive.tls = o->send.tls;
}

/* ------------------------------------------------------------------------
 * Subcommands
 * ------------------------------------------------------------------------ */

/* The VM of a domain of libvirt's. */
static enum exit_status send_domain(const struct options *o)
{
	struct source_options send = o->send;
	struct failure why = { 0 };
	struct domain d;

	if (send.keep_source)
		die(EXIT_USAGE, "--keep-source with --domain: libvirt would offer to resume what must not run again");
	if (domain_leave(&d, o->domain, &why))
		die(EXIT_FAILED, "%s", why.text);
	send.qmp = d.qmp;
	return domain_close(&d, (enum exit_status)source_run(&send));
}

static enum exit_status receive_domain(const struct options *o)
{
	struct target_options receive = o->receive;
	struct failure why = { 0 };
	struct domain d;

	if (domain_enter(&d, o->domain_xml, receive.keep_target, &why))
		die(EXIT_FAILED, "%s", why.text);
	receive.qmp = d.qmp;
	return domain_close(&d, (enum exit_status)target_run(&receive));
}

static enum exit_status run_send(int argc, char **argv)
{
	struct options o;

	read_qemu_options(&o, argc, argv, send_options, cli_send_help);
	if (o.send.fence && o.send.drain_storage)
		die(EXIT_USAGE, "--fence pr with --storage drain: then nothing is ever in doubt");
	if (!o.send.to)
		die(EXIT_USAGE, "--to HOST:PORT is missing; see kvmferry send --help");
	if (o.domain)
		return send_domain(&o);
	return source_run(&o.send);
}

static enum exit_status run_receive(int argc, char **argv)
{
	struct options o;

	read_qemu_options(&o, argc, argv, receive_options, cli_receive_help);
	if (!o.receive.listen && !acceptor_inherits())
		die(EXIT_USAGE, "--listen HOST:PORT is missing; see kvmferry receive --help");
	if (o.receive.listen && acceptor_inherits())
		die(EXIT_USAGE, "--listen %s: systemd has passed a socket to listen at, so it is not needed",
		    o.receive.listen);
	if (o.domain_xml)
		return receive_domain(&o);
	return target_run(&o.receive);
}

static const char *const result_words[] = {
	[CHECK_PASS] = "pass",
	[CHECK_WARN] = "warn",
	[CHECK_FAIL] = "FAIL",
};

static void print_check(void *opaque, enum check_result result, const char *name,
			const char *text)
{
	const struct options *o = opaque;
	json_t *object;

	if (!o->send.json) {
		printf("%s  %-16s %s\n", result_words[result], name, text);
		return;
	}
	object = json_pack("{s:s, s:s, s:s, s:s}", "event", "check", "name", name,
			   "result", result_words[result], "text", text);
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
}

/* Returns the number of failures. */
static int check_qemu(struct options *o)
{
	struct vmdisks disks;
	struct ramblocks rams;
	struct failure why = { 0 };
	struct qmp *qmp = qmp_open(o->send.qmp, QMP_TIMEOUT, &why);
	int failures;

	if (!qmp) {
		print_check(o, CHECK_FAIL, "QMP", why.text);
		return 1;
	}
	failures = check_vm(qmp, o->side, o->send.state_dir, &rams, &disks, print_check,
			    o, NULL);
	vmdisks_close(&disks);
	ramblocks_close(&rams);
	qmp_close(qmp);
	return failures;
}

static enum exit_status run_check(int argc, char **argv)
{
	char qmp[DOMAIN_SOCKET];
	struct options o;
	int failures = 0;

	read_qemu_options(&o, argc, argv, check_options, cli_check_help);
	if (o.domain) {
		failures = domain_check(o.domain, qmp, print_check, &o);
		o.send.qmp = qmp[0] ? qmp : NULL;
	}
	if (o.send.qmp)
		failures += check_qemu(&o);
	return failures ? EXIT_FAILED : EXIT_DONE;
}

static enum exit_status run_stat(int argc, char **argv)
{
	struct options o;

	read_options(&o, argc, argv, stat_options, cli_stat_help);
	return stat_run(o.pid, o.send.json);
}

static enum exit_status run_disk(int argc, char **argv)
{
	struct options o;

	read_options(&o, argc, argv, disk_options, cli_disk_help);
	if (o.disk.action != DISKSHOW_LOOK && !o.disk.name)
		die(EXIT_USAGE, "--open, --cut-off and --release need --disk NAME; see kvmferry disk --help");
	o.disk.state_dir = o.send.state_dir;
	o.disk.json = o.send.json;
	return diskshow_run(&o.disk);
}

static enum exit_status run_recover(int argc, char **argv)
{
	struct options o;

	read_options(&o, argc, argv, recover_options, cli_recover_help);
	if (o.recover.apply && !o.send.qmp)
		die(EXIT_USAGE, "--apply needs --qmp SOCK; see kvmferry recover --help");
	if (o.recover.peer && !o.recover.vm && !o.send.qmp)
		die(EXIT_USAGE, "--peer needs --vm NAME or --qmp SOCK; see kvmferry recover --help");
	o.recover.qmp = o.send.qmp;
	o.recover.state_dir = o.send.state_dir;
	o.recover.json = o.send.json;
	return recover_run(&o.recover);
}

static enum exit_status run_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts("kvmferry " KVMFERRY_VERSION);
	return EXIT_DONE;
}

static enum exit_status run_help(int argc, char **argv);

static const struct {
	const char *name;
	const char *help;
	enum exit_status (*run)(int argc, char **argv);
} commands[] = {
	{ "send",	cli_send_help,	run_send },
	{ "receive",	cli_receive_help,	run_receive },
	{ "check",	cli_check_help,	run_check },
	{ "stat",	cli_stat_help,	run_stat },
	{ "disk",	cli_disk_help,	run_disk },
	{ "recover",	cli_recover_help,	run_recover },
	{ "top",	cli_top_help,	cli_top },
	{ "report",	cli_report_help, cli_report },
	{ "help",	cli_main_help,	run_help },
	{ "version",	cli_main_help,	run_version },
	/* As options, where habit looks for them. */
	{ "--help",	cli_main_help,	run_help },
	{ "--version",	cli_main_help,	run_version },
};

#define COUNT	(sizeof(commands) / sizeof(commands[0]))

static size_t find_command(const char *name)
{
	size_t i;

	for (i = 0; i < COUNT; i++)
		if (!strcmp(commands[i].name, name))
			return i;
	die(EXIT_USAGE, "%s: there is no such command; see kvmferry help", name);
}

static enum exit_status run_help(int argc, char **argv)
{
	fputs(argc > 1 ? commands[find_command(argv[1])].help : cli_main_help, stdout);
	return EXIT_DONE;
}

enum exit_status cli_run(int argc, char **argv)
{
	if (argc < 2) {
		fputs(cli_main_help, stderr);
		return EXIT_USAGE;
	}
	return commands[find_command(argv[1])].run(argc - 1, argv + 1);
}
