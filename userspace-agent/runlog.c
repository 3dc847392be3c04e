// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading what `kvmferry send --json` has written.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "progress.h"
#include "runlog.h"

/* ------------------------------------------------------------------------
 * Members
 * ------------------------------------------------------------------------ */

double run_number(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);
	double number = json_is_number(value) ? json_number_value(value) : NAN;

	/* far from where sums of them would lose their meaning */
	return isfinite(number) && fabs(number) < 1e18 ? number : NAN;
}

const char *run_text(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

double run_codec(const json_t *object, unsigned int codec)
{
	double pages = run_number(json_object_get(object, "codecs"), codec_name(codec));

	return isnan(pages) ? 0 : pages;
}

double run_groups(const json_t *object, unsigned int order)
{
	const json_t *value = json_array_get(json_object_get(object, "groups"), order);

	return json_is_number(value) ? json_number_value(value) : NAN;
}

static void copy_text(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text ? text : "");
}

/* ------------------------------------------------------------------------
 * Samples: differences of what "pass" tells since the beginning of its pass
 * ------------------------------------------------------------------------ */

/* What is needed of the sample before. */
struct reader {
	struct runlog *run;
	struct run_sample last;		/* since the beginning of its pass */
	unsigned int stride;		/* samples that become one */
	unsigned int merged;		/* of these, already in the last one kept */
};

static struct run_sample since_begin(const json_t *event, double at)
{
	struct run_sample s = {
		.from = at - or_zero(run_number(event, "pass_ms")) / 1e3,
		.to = at,
		.pass = or_zero(run_number(event, "pass")),
		.pending = run_number(event, "pending_pages"),
		.bytes = or_zero(run_number(event, "bytes_wire")),
		.written = run_number(event, "written_pages"),
		.zero = or_zero(run_number(event, "sent_pages")),
	};

	for (unsigned int i = 0; i < FERRY_NR_CODECS; i++) {
		s.codec[i] = run_codec(event, i);
		s.zero -= s.codec[i];
	}
	return s;
}

static double not_below_zero(double number)
{
	return number < 0 ? 0 : number;
}

static struct run_sample difference(const struct run_sample *now, const struct run_sample *was)
{
	struct run_sample d = *now;

	d.zero = not_below_zero(d.zero);
	if (was->pass != now->pass)
		return d;
	d.from = was->to;
	d.bytes = not_below_zero(now->bytes - was->bytes);
	d.written = now->written < was->written ? 0 : now->written - was->written;
	d.zero = not_below_zero(now->zero - was->zero);
	for (unsigned int i = 0; i < FERRY_NR_CODECS; i++)
		d.codec[i] = not_below_zero(now->codec[i] - was->codec[i]);
	return d;
}

static void merge(struct run_sample *to, const struct run_sample *s)
{
	to->to = s->to;
	to->pass = s->pass;
	to->pending = s->pending;
	to->bytes += s->bytes;
	to->written += s->written;
	to->zero += s->zero;
	for (unsigned int i = 0; i < FERRY_NR_CODECS; i++)
		to->codec[i] += s->codec[i];
}

/* Twice as long from now on, and those before as well. */
static void thin_out(struct reader *r)
{
	struct run_sample *s = r->run->sample;

	for (size_t i = 0; i < RUNLOG_SAMPLES / 2; i++) {
		s[i] = s[2 * i];
		merge(&s[i], &s[2 * i + 1]);
	}
	r->run->samples = RUNLOG_SAMPLES / 2;
	r->stride *= 2;
	r->merged = r->stride;
}

static void keep_sample(struct reader *r, const struct run_sample *s)
{
	struct runlog *run = r->run;

	if (run->samples && r->merged < r->stride) {
		merge(&run->sample[run->samples - 1], s);
		r->merged++;
		return;
	}
	if (run->samples == RUNLOG_SAMPLES)
		thin_out(r);
	run->sample[run->samples++] = *s;
	r->merged = 1;
}

/* ------------------------------------------------------------------------
 * Events
 * ------------------------------------------------------------------------ */

static void on_pass(struct reader *r, json_t *event, double at)
{
	struct run_sample now = since_begin(event, at), d = difference(&now, &r->last);
	struct runlog *run = r->run;
	struct run_pass *pass;

	/* A first look can be right at the beginning, when nothing has happened. */
	if (d.to > d.from)
		keep_sample(r, &d);
	r->last = now;
	if (!json_is_true(json_object_get(event, "ended")))
		return;
	if (run->passes == RUNLOG_PASSES) {
		run->left_out++;
		return;
	}
	pass = &run->pass[run->passes++];
	pass->object = json_incref(event);
	pass->from = now.from;
	pass->to = at;
}

static void on_decision(struct reader *r, json_t *event, double at)
{
	struct runlog *run = r->run;
	struct run_pass *pass = run->passes ? &run->pass[run->passes - 1] : NULL;

	(void)at;
	if (!pass || run_number(event, "pass") != run_number(pass->object, "pass"))
		return;
	copy_text(pass->decision, sizeof(pass->decision), run_text(event, "decision"));
	copy_text(pass->reason, sizeof(pass->reason), run_text(event, "reason"));
}

static void on_groups(struct reader *r, json_t *event, double at)
{
	const char *orders = run_text(event, "orders");
	struct runlog *run = r->run;
	struct run_heat *heat;

	(void)at;
	if (!orders || !*orders)
		return;
	if (run->heats == RUNLOG_HEAT) {
		run->left_out++;
		return;
	}
	heat = &run->heat[run->heats++];
	heat->pass = run_number(event, "pass");
	copy_text(heat->orders, sizeof(heat->orders), orders);
	heat->columns = (unsigned int)strlen(heat->orders);
}

static void on_stage(struct reader *r, json_t *event, double at)
{
	struct runlog *run = r->run;
	struct run_stage *stage;

	if (run->stages == RUNLOG_STAGES) {
		run->left_out++;
		return;
	}
	stage = &run->stage[run->stages++];
	copy_text(stage->name, sizeof(stage->name), run_text(event, "name"));
	stage->from = at;
}

static void on_message(struct reader *r, json_t *event, double at)
{
	struct runlog *run = r->run;
	struct run_message *message;

	if (run->messages == RUNLOG_MESSAGES) {
		run->left_out++;
		return;
	}
	message = &run->message[run->messages++];
	copy_text(message->level, sizeof(message->level), run_text(event, "level"));
	copy_text(message->text, sizeof(message->text), run_text(event, "text"));
	message->at = at;
}

static void on_sending(struct reader *r, json_t *event, double at)
{
	(void)at;
	if (!r->run->sending)
		r->run->sending = json_incref(event);
}

static void on_slowdown(struct reader *r, json_t *event, double at)
{
	(void)event;
	if (isnan(r->run->slowdown))
		r->run->slowdown = at;
}

static void on_result(struct reader *r, json_t *event, double at)
{
	(void)at;
	if (r->run->result)
		return;
	r->run->result = json_incref(event);
	r->run->moved = !strcmp(run_text(event, "event"), "done");
}

/* The events that matter here; others may come, from later versions too. */
static const struct {
	const char *name;
	void (*take)(struct reader *r, json_t *event, double at);
} events[] = {
	{ "sending", on_sending },
	{ "stage", on_stage },
	{ "pass", on_pass },
	{ "decision", on_decision },
	{ "groups", on_groups },
	{ "slowdown", on_slowdown },
	{ "message", on_message },
	{ "done", on_result },
	{ "failed", on_result },
};

static void take_event(struct reader *r, json_t *event)
{
	const char *name = run_text(event, "event");
	double at = or_zero(run_number(event, "at_ms")) / 1e3;
	struct runlog *run = r->run;

	/* Time does not run backwards, whoever wrote this. */
	if (at < run->end)
		at = run->end;
	run->end = at;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (!strcmp(name, events[i].name))
			events[i].take(r, event, at);
}

/* ------------------------------------------------------------------------
 * Lines
 * ------------------------------------------------------------------------ */

/* The first line says what it is. */
static int take_begin(struct runlog *run, json_t *event, struct failure *why)
{
	double version = run_number(event, "log");

	if (strcmp(run_text(event, "event"), "begin") != 0 || isnan(version))
		return fail(why, "it does not begin as the log of kvmferry send --json does");
	if (version != PROGRESS_LOG)
		return fail(why, "it is a log of version %.0f, and this kvmferry reads version %d",
			    version, PROGRESS_LOG);
	run->begin = json_incref(event);
	return 0;
}

static int take_line(struct reader *r, const char *line, size_t length, struct failure *why)
{
	json_error_t error;
	json_t *event = json_loadb(line, length, 0, &error);
	int result = 0;

	if (!event)
		return fail(why, "it is not JSON: %s", error.text);
	if (!json_is_object(event) || !run_text(event, "event"))
		result = fail(why, "it is no event");
	else if (!r->run->begin)
		result = take_begin(r->run, event, why);
	else
		take_event(r, event);
	json_decref(event);
	return result;
}

/* Reads one line. Returns its length without the end of line, -1 at the end, -2: too long. */
static int read_line(FILE *in, char *line, bool *whole)
{
	int c, n = 0;

	while ((c = getc(in)) != EOF && c != '\n') {
		if (n == RUNLOG_LINE)
			return -2;
		line[n++] = (char)c;
	}
	*whole = c == '\n';
	return !n && !*whole ? -1 : n;
}

static int read_lines(struct reader *r, FILE *in, char *line, struct failure *why)
{
	unsigned int number;
	bool whole = true;
	int n;

	for (number = 1; (n = read_line(in, line, &whole)) != -1; number++) {
		struct failure trouble = { 0 };

		if (number > RUNLOG_LINES)
			return fail(why, "more than %u lines", RUNLOG_LINES);
		if (n == -2)
			return fail(why, "line %u: longer than %u bytes", number, RUNLOG_LINE);
		if (!n)
			continue;
		if (!take_line(r, line, (size_t)n, &trouble))
			continue;
		/* An agent that was killed may leave half a line; what comes before counts. */
		if (!whole && r->run->begin) {
			r->run->cut = true;
			break;
		}
		return fail(why, "line %u: %s", number, trouble.text);
	}
	if (ferror(in))
		return fail(why, "cannot read: %m");
	return r->run->begin ? 0 : fail(why, "there is nothing in it");
}

struct runlog *runlog_read(FILE *in, struct failure *why)
{
	struct runlog *run = calloc(1, sizeof(*run));
	struct reader r = { .run = run, .stride = 1, .last = { .pass = NAN } };
	char *line = malloc(RUNLOG_LINE);
	int result = -1;

	if (run && line) {
		run->slowdown = NAN;
		result = read_lines(&r, in, line, why);
	} else {
		fail(why, "not enough memory");
	}
	free(line);
	if (!result)
		return run;
	runlog_free(run);
	return NULL;
}

void runlog_free(struct runlog *run)
{
	if (!run)
		return;
	for (unsigned int i = 0; i < run->passes; i++)
		json_decref(run->pass[i].object);
	json_decref(run->begin);
	json_decref(run->sending);
	json_decref(run->result);
	free(run);
}
