// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How the migration comes along.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "codec.h"
#include "converge.h"
#include "journal.h"
#include "journald.h"
#include "log.h"
#include "progress.h"

#define SHOW_TTY_US	200000		/* between two updates of a terminal line */
#define SHOW_JSON_US	1000000		/* between two objects within a pass, at most */
#define SHOW_FIRST_US	200000		/* and while the migration is young */
#define SHOW_PART	200		/* of the time so far, in between */
#define PUBLISH_US	500000		/* between two states for others to see */

static void wipe(struct progress *p)
{
	if (p->line)
		fputs("\r\033[K", stderr);
	p->line = false;
}

static int64_t elapsed_ms(const struct progress *p)
{
	return (clock_us() - p->began_us) / 1000;
}

void progress_event(struct progress *p, const char *event, json_t *members)
{
	struct timeval now;
	json_t *object;
	char *line;

	if (!p->json) {
		json_decref(members);
		return;
	}
	gettimeofday(&now, NULL);
	object = json_pack("{s:s, s:f, s:I}", "event", event, "time",
			   (double)now.tv_sec + (double)now.tv_usec / 1e6, "at_ms",
			   (json_int_t)elapsed_ms(p));
	if (members)
		json_object_update(object, members);
	line = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(16));
	if (line)
		puts(line);
	fflush(stdout);
	free(line);
	json_decref(object);
	json_decref(members);
}

static int64_t cpu_us(const struct rusage *usage)
{
	return (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000ll +
	       usage->ru_utime.tv_usec + usage->ru_stime.tv_usec;
}

void progress_done(struct progress *p, json_t *members)
{
	struct rusage own = { 0 }, decoder = { 0 };

	getrusage(RUSAGE_SELF, &own);
	getrusage(RUSAGE_CHILDREN, &decoder);
	json_object_set_new(members, "cpu_ms",
			    json_integer((cpu_us(&own) + cpu_us(&decoder)) / 1000));
	json_object_set_new(members, "memory_bytes",
			    json_integer((own.ru_maxrss + decoder.ru_maxrss) * 1024ll));
	progress_event(p, "done", members);
}

static void on_message(void *opaque, enum log_level level, const char *text)
{
	struct progress *p = opaque;

	wipe(p);
	if (p->json)
		progress_event(p, "message", json_pack("{s:s, s:s}", "level",
						       log_level_name(level),
						       "text", text));
	if (!p->json || level <= LOG_WARN || journald_wanted())
		log_write(level, text);
}

void progress_begin(struct progress *p, bool json, json_t *options)
{
	*p = (struct progress){
		.json = json,
		.tty = isatty(STDERR_FILENO),
		.began_us = clock_us(),
		.state = { .fd = -1 },
	};
	log_set_hook(on_message, p);
	if (json)
		progress_event(p, "begin", json_pack("{s:i, s:s, s:O*}", "log", PROGRESS_LOG,
						     "version", KVMFERRY_VERSION,
						     "options", options));
	json_decref(options);
}

void progress_end(struct progress *p)
{
	wipe(p);
	log_set_hook(NULL, NULL);
	state_close(&p->state);
	json_decref(p->published);
	p->published = NULL;
}

/* ------------------------------------------------------------------------
 * For others on this host
 * ------------------------------------------------------------------------ */

/* What is published is what was told last, of everything. */
static void publish(struct progress *p, json_t *members)
{
	struct failure why = { 0 };
	struct timeval now;

	if (!p->published)
		return;
	gettimeofday(&now, NULL);
	json_object_update(p->published, members);
	json_object_set_new(p->published, "updated", json_integer(now.tv_sec));
	json_object_set_new(p->published, "elapsed_ms", json_integer(elapsed_ms(p)));
	p->published_us = clock_us();
	if (!state_put(&p->state, p->published, &why))
		return;
	log_debug("kvmferry top does not show this migration any more: %s", why.text);
	state_close(&p->state);
}

void progress_identify(struct progress *p, const struct progress_identity *who)
{
	char migration[JOURNAL_ID_DIGITS + 1];
	struct failure why = { 0 };

	journal_put_id(migration, who->id);
	journald_set(JOURNALD_MIGRATION_ID, migration);
	journald_set(JOURNALD_VM, who->vm);
	journald_set(JOURNALD_ROLE, who->role);
	journald_set(JOURNALD_PEER, who->peer);
	if (state_open(&p->state, who->dir, migration, who->role, &why))
		log_debug("kvmferry top does not show this migration: %s", why.text);
	json_decref(p->published);
	p->published = json_pack("{s:i, s:i, s:s, s:s, s:s, s:s, s:I, s:I}", "state", PROGRESS_LOG,
				 "pid", (int)getpid(), "migration", migration, "role", who->role,
				 "vm", who->vm, "peer", who->peer,
				 "ram_bytes", (json_int_t)who->ram_bytes,
				 "began", (json_int_t)(time(NULL) - elapsed_ms(p) / 1000));
	progress_event(p, who->event,
		       json_pack("{s:s, s:s, s:s, s:I}", "migration", migration, "vm", who->vm,
				 who->role[0] == 's' ? "target" : "source", who->peer,
				 "ram_bytes", (json_int_t)who->ram_bytes));
}

void progress_tell(struct progress *p, const char *event, json_t *members)
{
	publish(p, members);
	progress_event(p, event, members);
}

void progress_result(const char *status)
{
	journald_set(JOURNALD_RESULT, status);
}

/* ------------------------------------------------------------------------
 * Stages and passes
 * ------------------------------------------------------------------------ */

void progress_stage(struct progress *p, const char *name, const char *doing)
{
	json_t *stage = json_pack("{s:s, s:s}", "stage", name, "doing", doing);

	journald_set(JOURNALD_STAGE, name);
	publish(p, stage);
	json_decref(stage);
	progress_event(p, "stage", json_pack("{s:s, s:s}", "name", name,
					     "doing", doing));
	log_debug("%s: %s", name, doing);
}

void progress_passes_begin(struct progress *p, unsigned int downtime_ms)
{
	eta_begin(&p->eta, downtime_ms);
}

void progress_pass_begin(struct progress *p, const struct kernel_counts *counts)
{
	p->pass_us = clock_us();
	p->shown_us = p->pass_us;
	p->at_start = *counts;
	p->to_send = counts->status.pending;
}

/* What a line says about a pass. MB are 10^6 bytes. */
struct sample {
	uint64_t us;		/* since it began */
	uint64_t taken;		/* pages, in this pass, and no longer on a ring */
	uint64_t on_ring;	/* pages taken that are */
	uint64_t sent;		/* pages, in this pass */
	uint64_t wire;		/* bytes, in this pass, and no longer on a ring */
	uint64_t written;	/* pages found written, in this pass */
	double rate;		/* MB/s on the wire */
	double dirty;		/* MB/s written by the VM, as far as it was seen */
	double percent;
};

/* Pages of this pass that wait on the rings, as far as their bytes tell. */
static uint64_t pages_waiting(uint64_t taken, uint64_t bytes, uint64_t waiting)
{
	return waiting < bytes ? (uint64_t)((double)taken * (double)waiting / (double)bytes) :
	       bytes ? taken : 0;
}

static struct sample measure(const struct progress *p,
			     const struct kernel_counts *counts)
{
	const struct ferry_status *now = &counts->status;
	double us = (double)(clock_us() - p->pass_us) + 1;
	const struct ferry_status *was = &p->at_start.status;
	uint64_t written = now->written + now->foreign - was->written -
			   was->foreign;
	uint64_t taken = now->taken - was->taken;
	uint64_t wire = now->bytes_wire - was->bytes_wire;
	uint64_t waiting = counts->compression.waiting;
	uint64_t on_ring = pages_waiting(taken, wire, waiting);
	struct sample s = {
		.us = (uint64_t)us,
		.taken = taken - on_ring,
		.on_ring = on_ring,
		.written = written,
		.sent = kernel_sent(now) - kernel_sent(was),
		.wire = wire > waiting ? wire - waiting : 0,
	};

	s.rate = (double)s.wire / us;
	s.dirty = (double)written * FERRY_PAGE_SIZE / us;
	s.percent = p->to_send ? 100.0 * (double)s.taken / (double)p->to_send : 100;
	if (s.percent > 100)
		s.percent = 100;
	return s;
}

static void tell_late(const struct eta *eta)
{
	if (eta->told_ms == ETA_UNKNOWN)
		log_info("no end is in sight at present: the VM writes about as fast as the streams carry");
	else
		log_info("it takes longer than it looked: about %" PRIu64 " s are left",
			 eta->told_ms / 1000);
}

static void estimate(struct progress *p, const struct ferry_status *now,
		     const struct sample *s)
{
	struct eta_sample sample = {
		.us = s->us,
		.to_send = p->to_send,
		.taken = s->taken,
		.pending = now->pending + s->on_ring,
	};

	if (eta_look(&p->eta, &sample, clock_us()) == ETA_LATE)
		tell_late(&p->eta);
}

static json_t *left_object(const struct eta *eta)
{
	return eta->told_ms == ETA_UNKNOWN ? json_null() :
	       json_integer((json_int_t)eta->told_ms);
}

json_t *progress_blackout(unsigned int ms)
{
	return ms == CONVERGE_UNKNOWN ? json_null() : json_integer(ms);
}

/* Where each count of "pass" and "done" is found. */
static const struct {
	const char *name;
	size_t offset;
} shared_counts[] = {
	{ "pages_unchanged", offsetof(struct kernel_counts, status.unchanged) },
	{ "write_faults", offsetof(struct kernel_counts, group.write_faults) },
	{ "read_faults", offsetof(struct kernel_counts, group.read_faults) },
	{ "opened", offsetof(struct kernel_counts, group.opened) },
	{ "opened_changed", offsetof(struct kernel_counts, group.opened_changed) },
	{ "opened_unchanged", offsetof(struct kernel_counts, group.opened_unchanged) },
	{ "throttled_us", offsetof(struct kernel_counts, group.throttled_us) },
};

static uint64_t codec_pages(const struct kernel_counts *counts,
			    const struct kernel_counts *since, unsigned int codec)
{
	return counts->compression.codec[codec].pages -
	       (since ? since->compression.codec[codec].pages : 0);
}

/* Pages that each codec was used for; those that were not used are left out. */
static json_t *codecs_object(const struct kernel_counts *counts,
			     const struct kernel_counts *since)
{
	json_t *object = json_object();

	for (unsigned int i = 0; i < FERRY_NR_CODECS; i++) {
		uint64_t pages = codec_pages(counts, since, i);

		if (pages)
			json_object_set_new(object, codec_name(i),
					    json_integer((json_int_t)pages));
	}
	return object;
}

/* Write faults by the binary logarithm of the pages that they opened. */
static json_t *groups_array(const struct kernel_counts *counts,
			    const struct kernel_counts *since)
{
	json_t *array = json_array();

	for (size_t i = 0; i <= FERRY_GROUP_MAX_ORDER; i++)
		json_array_append_new(array,
				      json_integer((json_int_t)(counts->group.groups[i] -
						   (since ? since->group.groups[i] : 0))));
	return array;
}

static json_int_t count_at(const struct kernel_counts *counts, size_t offset)
{
	return (json_int_t)*(const __u64 *)((const char *)counts + offset);
}

void progress_counts(json_t *object, const struct kernel_counts *counts,
		     const struct kernel_counts *since)
{
	size_t i;

	for (i = 0; i < sizeof(shared_counts) / sizeof(shared_counts[0]); i++) {
		size_t offset = shared_counts[i].offset;
		json_int_t n = count_at(counts, offset);

		if (since)
			n -= count_at(since, offset);
		json_object_set_new(object, shared_counts[i].name,
				    json_integer(n));
	}
	json_object_set_new(object, "codecs", codecs_object(counts, since));
	json_object_set_new(object, "groups", groups_array(counts, since));
}

static json_t *pass_object(const struct progress *p, const struct kernel_counts *counts,
			   const struct sample *s, unsigned int blackout_ms, bool ended)
{
	json_t *pass = json_pack("{s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:o, s:b}",
				 "pass", (json_int_t)counts->status.pass,
				 "pass_ms", (json_int_t)(s->us / 1000),
				 "percent", s->percent,
				 "pending_pages",
				 (json_int_t)counts->status.pending,
				 "sent_pages", (json_int_t)s->sent,
				 "written_pages", (json_int_t)s->written,
				 "bytes_wire", (json_int_t)s->wire,
				 "rate_mb_s", s->rate, "dirty_mb_s", s->dirty,
				 "expected_blackout_ms",
				 progress_blackout(blackout_ms),
				 "left_ms", left_object(&p->eta),
				 "ended", ended);

	progress_counts(pass, counts, &p->at_start);
	return pass;
}

/* Which part of the pages was sent with which codec, in percent. */
static void put_codecs(FILE *out, const struct progress *p, const struct kernel_counts *counts)
{
	uint64_t pages[FERRY_NR_CODECS], all = 0;
	unsigned int i;

	for (i = 0; i < FERRY_NR_CODECS; i++)
		all += pages[i] = codec_pages(counts, &p->at_start, i);
	for (i = 0; i < FERRY_NR_CODECS; i++)
		if (100 * pages[i] > all)
			fprintf(out, "%s %" PRIu64 "%%  ", codec_name(i),
				100 * pages[i] / all);
}

static void put_line(FILE *out, const struct progress *p, const struct kernel_counts *counts,
		     const struct sample *s, unsigned int blackout_ms)
{
	fprintf(out, "pass %u  %3.0f%%  %.1f MB/s  VM writes %.1f MB/s  ",
		counts->status.pass, s->percent, s->rate, s->dirty);
	put_codecs(out, p, counts);
	if (blackout_ms == CONVERGE_UNKNOWN)
		fputs("blackout not known yet", out);
	else
		fprintf(out, "blackout now %u ms", blackout_ms);
	if (p->eta.told_ms != ETA_UNKNOWN)
		fprintf(out, "  %" PRIu64 " s left", (p->eta.told_ms + 999) / 1000);
}

static void show_line(struct progress *p, const struct kernel_counts *counts,
		      const struct sample *s, unsigned int blackout_ms, bool ended)
{
	char text[512] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	if (!out)
		return;
	put_line(out, p, counts, s, blackout_ms);
	fclose(out);
	wipe(p);
	if (!journald_send(LOG_INFO, text))
		fprintf(stderr, ended ? "%s\n" : "%s", text);
	fflush(stderr);
	p->line = !ended;
}

/* Many looks at a short migration, and a log of a long one that is not too long. */
static int64_t json_interval(const struct progress *p, int64_t now)
{
	int64_t part = (now - p->began_us) / SHOW_PART;

	return part < SHOW_FIRST_US ? SHOW_FIRST_US : part > SHOW_JSON_US ? SHOW_JSON_US : part;
}

void progress_pass(struct progress *p, const struct kernel_counts *counts,
		   unsigned int blackout_ms, bool ended)
{
	int64_t now = clock_us(), interval = p->json ? json_interval(p, now) : SHOW_TTY_US;
	bool show = ended || ((p->json || p->tty) && now - p->shown_us >= interval);
	bool publishes = p->published && (ended || now - p->published_us >= PUBLISH_US);
	struct sample s = measure(p, counts);
	json_t *pass;

	estimate(p, &counts->status, &s);
	if (show)
		p->shown_us = now;
	if (show && !p->json)
		show_line(p, counts, &s, blackout_ms, ended);
	if (!publishes && !(show && p->json))
		return;
	pass = pass_object(p, counts, &s, blackout_ms, ended);
	if (publishes)
		publish(p, pass);
	if (show)
		progress_event(p, "pass", pass);
	else
		json_decref(pass);
}
