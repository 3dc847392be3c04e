// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One page of HTML about one migration.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "charts.h"
#include "html.h"
#include "replace.h"
#include "report.h"
#include "tables.h"

/* ------------------------------------------------------------------------
 * The head
 * ------------------------------------------------------------------------ */

static const char *or_dash(const char *text)
{
	return text ? text : "\xe2\x80\x93";
}

/* How it went, and how good that is. */
static const struct {
	const char *status;	/* as the log has it */
	const char *words;
	const char *class;
} outcomes[] = {
	{ "moved", "moved to", "good" },
	{ "runs-on", "not moved; the VM runs on at the source. The target was", "warn" },
	{ "paused-here", "not moved; the VM stands still at the source. The target was", "bad" },
	{ "gone", "not moved; its QEMU has ended. The target was", "bad" },
	{ "in-doubt", "in doubt: an operator has to decide where it runs. The target was", "bad" },
};

#define OUTCOMES	(sizeof(outcomes) / sizeof(outcomes[0]))

static void put_outcome(FILE *out, const struct runlog *run)
{
	const char *status = run_text(run->result, "status");
	size_t i;

	for (i = 0; status && i < OUTCOMES; i++)
		if (!strcmp(status, outcomes[i].status))
			break;
	if (!status || i == OUTCOMES)
		fputs("<span class=\"state warn\">the log does not say how it ended; the target is</span> ", out);
	else
		fprintf(out, "<span class=\"state %s\">%s</span> ", outcomes[i].class,
			outcomes[i].words);
	html_text(out, or_dash(run_text(run->sending, "target")));
}

static void put_date(FILE *out, const struct runlog *run)
{
	double seconds = run_number(run->begin, "time");
	time_t when = seconds > 0 && seconds < 1e11 ? (time_t)seconds : 0;
	char text[64];
	struct tm tm;

	if (!when || !gmtime_r(&when, &tm) ||
	    !strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm))
		snprintf(text, sizeof(text), "at an unknown time");
	fputs(text, out);
}

static void put_part(FILE *out, const char *before, const char *text)
{
	if (!text)
		return;
	fputs(before, out);
	html_text(out, text);
}

static void put_head(FILE *out, const struct runlog *run)
{
	fputs("<header>\n<h1>", out);
	html_text(out, or_dash(run_text(run->sending, "vm")));
	fputs("</h1>\n<p class=\"sub\">", out);
	put_outcome(out, run);
	fputs("</p>\n<p class=\"sub\">begun ", out);
	put_date(out, run);
	put_part(out, " \xc2\xb7 migration ", run_text(run->sending, "migration"));
	put_part(out, " \xc2\xb7 kvmferry ", run_text(run->begin, "version"));
	put_part(out, ", module ", run_text(run->result, "kernel"));
	put_part(out, ", groups by ", run_text(run->result, "backend"));
	put_part(out, " \xc2\xb7 QEMU ", run_text(run->result, "qemu"));
	fputs("</p>\n", out);
}

/* ------------------------------------------------------------------------
 * What has to be known before the pictures are looked at
 * ------------------------------------------------------------------------ */

static void put_notice(FILE *out, const char *words, const char *text)
{
	fprintf(out, "<p class=\"notice\">%s", words);
	if (text)
		html_text(out, text);
	fputs("</p>\n", out);
}

static void put_notices(FILE *out, const struct runlog *run)
{
	char text[NUMBER_SIZE];

	if (run->result && !run->moved)
		put_notice(out, "Why it failed: ", or_dash(run_text(run->result, "reason")));
	if (!run->result)
		put_notice(out, "The log ends before the migration does. What it has is shown; it may run still, or its agent was killed.", NULL);
	if (run->cut)
		put_notice(out, "The last line of the log is not whole.", NULL);
	if (run->left_out)
		put_notice(out, "Left out, as there are too many entries of a kind: ",
			   number_count(text, run->left_out));
	if (json_is_true(json_object_get(run->result, "held")))
		put_notice(out, "Some of the VM's disk may be held at the target until an operator opens it: see kvmferry disk.", NULL);
}

/* ------------------------------------------------------------------------
 * Key figures
 * ------------------------------------------------------------------------ */

static void put_tile(FILE *out, const char *name, const char *value, const char *more)
{
	fprintf(out, "<div><dt>%s</dt><dd>%s<small>%s</small></dd></div>\n", name, value, more);
}

/* Of the summary, or the sum over all passes if there is none. */
static double in_all(const struct runlog *run, const char *name)
{
	double sum = run_number(run->result, name);

	if (!isnan(sum) || !run->passes)
		return sum;
	sum = 0;
	for (unsigned int i = 0; i < run->passes; i++)
		sum += run_number(run->pass[i].object, name);
	return sum;
}

static void put_blackout(FILE *out, const struct runlog *run)
{
	char value[NUMBER_SIZE], aim[NUMBER_SIZE], more[64];
	double ms = run_number(run->result, "blackout_ms");

	snprintf(more, sizeof(more), "aimed at %s",
		 number_ms(aim, run_number(json_object_get(run->begin, "options"), "downtime_ms")));
	put_tile(out, "Blackout", number_ms(value, ms), more);
}

static void put_wire(FILE *out, const struct runlog *run)
{
	double ratio = run_number(run->result, "ratio");
	char value[NUMBER_SIZE], more[64] = "compression not told";

	if (!isnan(ratio))
		snprintf(more, sizeof(more), "compressed 1 : %.1f", ratio);
	put_tile(out, "On the wire", number_bytes(value, in_all(run, "bytes_wire")), more);
}

static void put_saved(FILE *out, const struct runlog *run)
{
	double saved = in_all(run, "opened_changed"), paid = in_all(run, "write_faults");
	char value[NUMBER_SIZE], more[64] = "";

	if (saved + paid > 0)
		snprintf(more, sizeof(more), "%.0f %% fewer than without groups",
			 100 * saved / (saved + paid));
	put_tile(out, "Exits saved", number_count(value, saved), more);
}

static void put_waited(FILE *out, const struct runlog *run)
{
	double us = in_all(run, "throttled_us");
	char value[NUMBER_SIZE];

	put_tile(out, "vCPUs made to wait", us > 0 ? number_ms(value, us / 1e3) :
		 number_count(value, us),
		 isnan(run->slowdown) ? "the VM was not slowed down" : "all together");
}

static void put_tiles(FILE *out, const struct runlog *run)
{
	double ram = run_number(run->sending, "ram_bytes"), all = run_number(run->result, "total_ms");
	double passes = run_number(run->result, "passes");
	char value[NUMBER_SIZE], count[NUMBER_SIZE], more[64];

	fputs("<dl class=\"tiles\">\n", out);
	put_blackout(out, run);
	put_tile(out, "In all", number_ms(value, isnan(all) ? run->end * 1e3 : all),
		 isnan(all) ? "as far as the log goes" : "from the first look to the end");
	snprintf(more, sizeof(more), "%s pages", number_count(count, ram / 4096));
	put_tile(out, "Guest RAM", number_ram(value, ram), more);
	snprintf(more, sizeof(more), "%u of them while it ran", run->passes);
	put_tile(out, "Passes", number_count(value, isnan(passes) ? run->passes : passes), more);
	put_wire(out, run);
	put_saved(out, run);
	put_waited(out, run);
	fputs("</dl>\n</header>\n", out);
}

/* ------------------------------------------------------------------------
 * The page
 * ------------------------------------------------------------------------ */

static void put_charts(FILE *out, const struct runlog *run)
{
	fputs("<main>\n<section class=\"charts\" aria-label=\"Pictures\">\n", out);
	chart_timeline(out, run);
	chart_left(out, run);
	chart_rates(out, run);
	chart_codecs(out, run);
	chart_heat(out, run);
	chart_exits(out, run);
	chart_blackout(out, run);
	chart_sizes(out, run);
	fputs("</section>\n", out);
}

static void put_tables(FILE *out, const struct runlog *run)
{
	fputs("<section>\n<h2>Passes</h2>\n", out);
	table_passes(out, run);
	fputs("<details><summary>Over time</summary>\n", out);
	table_samples(out, run);
	fputs("</details>\n</section>\n<section class=\"two\">\n<div><h2>Result</h2>\n", out);
	if (run->result)
		table_members(out, "result", run->result);
	else
		fputs("<p class=\"sub\">The log has none.</p>\n", out);
	fputs("</div>\n<div><h2>Configuration</h2>\n", out);
	table_members(out, "options", json_object_get(run->begin, "options"));
	fputs("<h2>Messages</h2>\n", out);
	if (run->messages)
		table_messages(out, run);
	else
		fputs("<p class=\"sub\">None.</p>\n", out);
	fputs("</div>\n</section>\n</main>\n", out);
}

void report_write(FILE *out, const struct runlog *run)
{
	const char *vm = run_text(run->sending, "vm");
	char title[256];

	snprintf(title, sizeof(title), "%.200s: migration", vm ? vm : "VM");
	html_begin(out, title);
	put_head(out, run);
	put_notices(out, run);
	put_tiles(out, run);
	put_charts(out, run);
	put_tables(out, run);
	fputs("<footer>Made by kvmferry report " KVMFERRY_VERSION ". MB are 10<sup>6</sup> bytes, MiB 2<sup>20</sup>; a page is 4 KiB. \xe2\x80\x93 is what the log does not tell.</footer>\n",
	      out);
	html_end(out);
}

/* ------------------------------------------------------------------------
 * Files
 * ------------------------------------------------------------------------ */

static struct runlog *read_log(const char *path, struct failure *why)
{
	bool is_stdin = !strcmp(path, "-");
	FILE *in = is_stdin ? stdin : fopen(path, "re");
	struct runlog *run;

	if (!in) {
		fail(why, "%m");
		return NULL;
	}
	run = runlog_read(in, why);
	if (!is_stdin)
		fclose(in);
	return run;
}

/* Returns 0, or -1 with errno. */
static int write_page(const struct runlog *run, const char *output)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = output ? open_memstream(&text, &size) : stdout;
	int fd;

	if (!out)
		return -1;
	report_write(out, run);
	if (!output)
		return fflush(out) || ferror(out) ? -1 : 0;
	if (fclose(out))
		return -1;
	fd = replace_file(output, text, size, 0644);
	free(text);
	return fd < 0 ? -1 : close(fd);
}

enum exit_status report_run(const char *path, const char *output)
{
	struct failure why = { 0 };
	struct runlog *run = read_log(path, &why);
	int result;

	if (!run) {
		log_error("%s: %s", path, why.text);
		return EXIT_FAILED;
	}
	if (run->cut || !run->result)
		log_warn("%s ends before its migration does; the page shows what there is", path);
	result = write_page(run, output);
	if (result)
		log_error("%s: cannot write: %m", output ? output : "standard output");
	runlog_free(run);
	return result ? EXIT_FAILED : EXIT_DONE;
}
