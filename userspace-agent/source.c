// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The source of a migration: set up, run the stages, say how it went.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "codec.h"
#include "policy.h"
#include "source.h"
#include "stages.h"

static struct source *create(const struct source_options *options)
{
	struct source *s = calloc(1, sizeof(*s));
	unsigned int i;

	if (!s)
		return NULL;
	s->options = options;
	s->signals = -1;
	s->kernel.fd = -1;
	s->control.link.fd = -1;
	s->tunnel.fd = -1;
	s->storage.watch = -1;
	for (i = 0; i < FERRY_MAX_CHANNELS; i++) {
		s->sender[i].link = CONNECTION_CLOSED;
		s->sender[i].channel.fd = -1;
	}
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return s;
}

static void destroy(struct source *s)
{
	stages_cleanup(s);
	if (s->wake >= 0)
		close(s->wake);
	if (s->signals >= 0)
		close(s->signals);
	free(s);
}

/* ------------------------------------------------------------------------
 * How it went
 * ------------------------------------------------------------------------ */

static double blackout_ms(const struct source *s)
{
	return (double)(s->blackout_end_us - s->blackout_begin_us) / 1000;
}

static double total_ms(const struct source *s)
{
	return (double)(clock_us() - s->progress.began_us) / 1000;
}

static double ratio(const struct source *s)
{
	const struct ferry_status *k = &s->last.status;
	uint64_t raw = kernel_sent(k) << FERRY_PAGE_SHIFT;

	return k->bytes_wire ? (double)raw / (double)k->bytes_wire : 0;
}

static const char *tls_word(const struct tls_options *tls)
{
	return !tls_wanted(tls) ? "none" : tls->psk ? "psk" : "certificate";
}

static json_t *codec_array(uint64_t codecs)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < FERRY_NR_CODECS; i++)
		if (codecs & 1ull << i)
			json_array_append_new(array, json_string(codec_name(i)));
	return array;
}

/* What was asked for, as "begin" tells it. */
static json_t *options_object(const struct source_options *o)
{
	char group[POLICY_WORD_SIZE];

	return json_pack("{s:s, s:i, s:I, s:o, s:I, s:i, s:i, s:i, s:i, s:i, s:s, s:i, s:b, s:s, s:i, s:b, s:s, s:b, s:b}",
			 "to", o->to, "channels", (int)o->channels,
			 "ring_bytes", (json_int_t)o->ring_bytes,
			 "codecs", codec_array(o->codecs),
			 "bandwidth_bytes_s", (json_int_t)o->bandwidth,
			 "cpu_limit_percent", (int)o->cpu_limit, "nice", o->nice,
			 "downtime_ms", (int)o->downtime_ms,
			 "max_passes", (int)o->max_passes,
			 "max_slowdown_percent", (int)o->max_slowdown,
			 "group", policy_word(&o->group, group),
			 "read_group_pages", 1 << o->group.read_order,
			 "resend_unchanged", !!(o->group.flags & FERRY_GROUP_RESEND),
			 "storage", o->drain_storage ? "drain" : "cancel",
			 "timeout_ms", o->timeout_ms, "verify", o->verify,
			 "tls", tls_word(&o->tls), "keep_source", o->keep_source,
			 "fence", o->fence);
}

static json_t *summary(const struct source *s)
{
	const struct ferry_status *k = &s->last.status;
	uint64_t sent = kernel_sent(k), raw = sent << FERRY_PAGE_SHIFT;
	json_t *object =
		json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:o, s:I, s:I, s:I, s:I, s:I, s:b, s:s?, s:s, s:s, s:s}",
			  "status", "moved",
			  "passes", (json_int_t)s->pass,
			  "pages_sent", (json_int_t)sent,
			  "pages_zero", (json_int_t)k->zero,
			  "bytes_raw", (json_int_t)raw,
			  "bytes_wire", (json_int_t)k->bytes_wire,
			  "ratio", ratio(s),
			  "blackout_ms", blackout_ms(s),
			  "total_ms", total_ms(s),
			  "downtime", stages_downtime(s),
			  "device_bytes", (json_int_t)s->tunnel.sent,
			  "worker_cpu_ms", (json_int_t)(s->last.compression.cpu_ns / 1000000),
			  "kernel_memory_bytes", (json_int_t)(k->memory + k->channels),
			  "requests_cancelled", (json_int_t)s->storage.cancelled,
			  "writes_in_doubt", (json_int_t)s->storage.told,
			  "held", s->held,
			  "tls", s->encrypts,
			  "qemu", qmp_version(s->qmp),
			  "kernel", s->kernel.info.version,
			  "backend", policy_backend(s->last.group.backend));

	progress_counts(object, &s->last, NULL);
	return object;
}

/* How long the VM was slowed down for, as the end of the summary; empty if it was not. */
static const char *tell_waits(const struct source *s, char *text, size_t size)
{
	text[0] = '\0';
	if (s->slowed)
		snprintf(text, size, "; to get there its vCPUs waited %.1f s in all",
			 (double)s->last.group.throttled_us / 1e6);
	return text;
}

static enum exit_status tell_moved(struct source *s)
{
	char waits[64];

	progress_result("moved");
	progress_done(&s->progress, summary(s));
	log_info("moved %s to %s: blackout %.0f ms, %.1f s in all, %" PRIu64 " passes, %.1f MB on the wire (1:%.1f), %" PRIu64 " unchanged pages, %" PRIu64 " KiB of device state%s",
		 s->vm, s->options->to, blackout_ms(s), total_ms(s) / 1000,
		 s->pass, (double)s->last.status.bytes_wire / 1e6, ratio(s),
		 (uint64_t)s->last.status.unchanged, s->tunnel.sent >> 10,
		 tell_waits(s, waits, sizeof(waits)));
	return s->held ? EXIT_HELD : EXIT_DONE;
}

static void tell_failed(struct source *s, const char *status, const char *reason)
{
	progress_result(status);
	progress_event(&s->progress, "failed",
		       json_pack("{s:s, s:s, s:s}", "status", status, "stage",
				 s->stage, "reason", reason));
}

/* Rolled back: the VM is here, and as it was, if QEMU played along. */
static enum exit_status tell_rolled_back(struct source *s, const char *reason)
{
	tell_failed(s, s->qemu_gone ? "gone" : s->paused_here ? "paused-here" :
		    "runs-on", reason);
	if (s->qemu_gone) {
		log_error("not moved, as its QEMU has ended: %s", reason);
		return EXIT_FAILED;
	}
	if (s->paused_here) {
		log_error("not moved, and the VM is paused here: %s", reason);
		return EXIT_DOUBT;
	}
	log_error("not moved, the VM stays here as it was: %s", reason);
	return EXIT_FAILED;
}

/* Nobody here knows whether the VM runs there. */
static enum exit_status tell_doubt(struct source *s, const char *reason)
{
	tell_failed(s, "in-doubt", reason);
	log_error("the VM was committed to %s and is paused here (QEMU is process %d): %s; kvmferry recover says where it may run, never continue it here before",
		  s->options->to, (int)s->rams.pid, reason);
	return EXIT_DOUBT;
}

int source_run(const struct source_options *options)
{
	struct source *s = create(options);
	struct failure why = { 0 };
	enum exit_status status;

	if (!s || s->wake < 0)
		die(EXIT_FAILED, "cannot begin: %m");

	progress_begin(&s->progress, options->json, options_object(options));
	if (!stages_run(s, &why))
		status = tell_moved(s);
	else if (s->committed)
		status = tell_doubt(s, why.text);
	else
		status = tell_rolled_back(s, why.text);
	progress_end(&s->progress);
	destroy(s);
	return status;
}
