// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The migrations of this host while they run.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "replace.h"
#include "top.h"

#define MIB_PAGES	256.0	/* pages of a MiB */

static void add(void *opaque, const json_t *object, bool alive)
{
	json_t *one = json_copy((json_t *)object);

	json_object_set_new(one, "alive", json_boolean(alive));
	json_array_append_new(opaque, one);
}

json_t *top_look(const char *dir, struct failure *why)
{
	json_t *all = json_array();

	if (state_each(dir, add, all, why) >= 0)
		return all;
	json_decref(all);
	return NULL;
}

/* ------------------------------------------------------------------------
 * A table
 * ------------------------------------------------------------------------ */

static const char *text_of(const json_t *one, const char *name)
{
	const char *text = json_string_value(json_object_get(one, name));

	return text ? text : "-";
}

/* What others wrote must not steer a terminal. */
static void put_text(FILE *out, const char *text, int width)
{
	int n = 0;

	for (; *text && n < width; text++) {
		/* the rest of a character of UTF-8 takes no place */
		n += (*text & 0xc0) != 0x80;
		fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, out);
	}
	fprintf(out, "%*s", width - n + 1, "");
}

/* A number divided by @unit, or "-" if it is not known. */
static void put_number(FILE *out, const json_t *one, const char *name, double unit, int width,
		       int digits)
{
	const json_t *value = json_object_get(one, name);

	if (json_is_number(value))
		fprintf(out, "%*.*f ", width, digits, json_number_value(value) / unit);
	else
		fprintf(out, "%*s ", width, "-");
}

static void put_time(FILE *out, const json_t *one, const char *name)
{
	const json_t *value = json_object_get(one, name);
	long long s = (long long)(json_number_value(value) / 1000 + 0.999);

	if (!json_is_number(value))
		fprintf(out, "%8s ", "-");
	else if (s < 3600)
		fprintf(out, "%5lld:%02lld ", s / 60, s % 60);
	else
		fprintf(out, "%2lld:%02lld:%02lld ", s / 3600, s / 60 % 60, s % 60);
}

static void put_row(FILE *out, const json_t *one)
{
	bool alive = json_is_true(json_object_get(one, "alive"));

	put_text(out, text_of(one, "vm"), 24);
	put_text(out, !strcmp(text_of(one, "role"), "source") ? "to" : "from", 4);
	put_text(out, text_of(one, "peer"), 22);
	put_text(out, alive ? text_of(one, "stage") : "DIED", 9);
	put_number(out, one, "pass", 1, 4, 0);
	put_number(out, one, "percent", 1, 4, 0);
	put_number(out, one, "pending_pages", MIB_PAGES, 9, 1);
	put_number(out, one, "rate_mb_s", 1, 8, 1);
	put_number(out, one, "dirty_mb_s", 1, 8, 1);
	put_number(out, one, "expected_blackout_ms", 1, 8, 0);
	put_time(out, one, "left_ms");
	put_time(out, one, "elapsed_ms");
	fputc('\n', out);
}

void top_table(FILE *out, const json_t *all)
{
	const json_t *one;
	size_t i, dead = 0;

	if (!json_array_size(all)) {
		fputs("no VM is being moved away from this host or to it\n", out);
		return;
	}
	fprintf(out, "%-24s %-4s %-22s %-9s %4s %4s %9s %8s %8s %8s %8s %8s\n", "VM", "", "PEER",
		"STAGE", "PASS", "%", "MIB LEFT", "MB/S", "WRITTEN", "BLACKOUT", "LEFT", "TIME");
	json_array_foreach(all, i, one) {
		put_row(out, one);
		dead += !json_is_true(json_object_get(one, "alive"));
	}
	if (dead)
		fputs("DIED: the agent has ended without a word; kvmferry(8), RECOVERY, tells where the VM is\n",
		      out);
}

/* ------------------------------------------------------------------------
 * JSON
 * ------------------------------------------------------------------------ */

void top_json(FILE *out, const json_t *all)
{
	json_t *one;
	size_t i;

	json_array_foreach(all, i, one) {
		json_t *event = json_pack("{s:s}", "event", "migration");

		json_object_update(event, one);
		json_dumpf(event, out, JSON_COMPACT | JSON_REAL_PRECISION(16));
		fputc('\n', out);
		json_decref(event);
	}
}

/* ------------------------------------------------------------------------
 * Running it
 * ------------------------------------------------------------------------ */

static enum exit_status write_metrics(const json_t *all, const char *path)
{
	char *text;
	size_t size;
	FILE *out;
	int fd;

	if (!strcmp(path, "-")) {
		top_metrics(stdout, all);
		return EXIT_DONE;
	}
	out = open_memstream(&text, &size);
	if (!out)
		die(EXIT_FAILED, "not enough memory");
	top_metrics(out, all);
	fclose(out);
	/* Whoever collects is not root. */
	fd = replace_file(path, text, size, 0644);
	free(text);
	if (fd >= 0)
		close(fd);
	else
		log_error("%s: cannot write: %m", path);
	return fd < 0 ? EXIT_FAILED : EXIT_DONE;
}

static enum exit_status show(const struct top_options *o, bool again)
{
	struct failure why = { 0 };
	json_t *all = top_look(o->dir, &why);
	enum exit_status status = EXIT_DONE;

	if (!all) {
		log_error("%s", why.text);
		return EXIT_FAILED;
	}
	if (again)
		fputs("\033[H\033[J", stdout);
	if (o->prometheus)
		status = write_metrics(all, o->prometheus);
	else if (o->json)
		top_json(stdout, all);
	else
		top_table(stdout, all);
	fflush(stdout);
	json_decref(all);
	return status;
}

enum exit_status top_run(const struct top_options *o)
{
	bool again = !o->json && !o->prometheus && isatty(STDOUT_FILENO);
	enum exit_status status;

	while ((status = show(o, again)) == EXIT_DONE && again && !ferror(stdout))
		sleep(1);
	return status;
}
