// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The stages of a migration, at the source.
 *
 * Theory of operation
 *
 *	         the VM runs here           it stands still        it runs there
 *	|-------------------------------|---------------------------|---------->
 *	 check connect record attach     stop drain handover settle    retire disks
 *	 passes                          device resettle guard commit
 *	                                 running              ^
 *	                                                      |
 *	                                          the point of no return
 *
 * What holds between the stages:
 *
 *  - Until `commit` the source is whole and authoritative: every stage can be
 *    undone, and the VM then runs on as if nothing had been.
 *  - RAM settles only after `stop` has returned, in `drain`: before, disk requests in
 *    flight still write to it. (A read that was cancelled may do so even later: the
 *    target's QEMU reads the same again.) It settles before `device`, as QEMU loads device
 *    state on top of it, and once more after, as saving devices may write too.
 *  - RAM is read anew and compared before `device`: to load device state is to
 *    write to RAM (KVM stores the wall clock of a kvmclock guest, for one), so
 *    afterwards the two sides differ, rightly.
 *  - The record "committed" is durable before the first byte of COMMIT leaves. So
 *    whatever crashes, there is never a target that may run the VM next to a source
 *    that does not know.
 *  - Nothing is committed before the target guards the disk ranges that a cancelled
 *    write may still hit: `guard`.
 *  - After `commit` the source never runs the VM again, whatever happens.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "attend.h"
#include "check.h"
#include "clock.h"
#include "codec.h"
#include "fault.h"
#include "outgoing.h"
#include "passes.h"
#include "privileges.h"
#include "stages.h"
#include "transport.h"

/* ------------------------------------------------------------------------
 * Before anything is touched
 * ------------------------------------------------------------------------ */

/* It is known now which VM it is. */
static void identify(struct source *s)
{
	const struct progress_identity who = {
		.event = "sending", .dir = s->options->run_dir, .role = "source", .id = s->id,
		.vm = s->vm, .peer = s->options->to, .ram_bytes = s->rams.total,
	};

	progress_identify(&s->progress, &who);
}

static int act_check(struct source *s, struct failure *why)
{
	const struct source_options *o = s->options;

	if ((o->fence && fencer_start(&s->fencer, o->state_dir, why)) ||
	    privileges_begin(PRIVILEGES_SOURCE, why))
		return -1;
	if (getrandom(s->id, sizeof(s->id), 0) != sizeof(s->id) ||
	    getrandom(s->key, sizeof(s->key), 0) != sizeof(s->key))
		return fail(why, "no random numbers: %m");
	s->qmp = qmp_open(o->qmp, o->timeout_ms, why);
	if (!s->qmp)
		return -1;
	outgoing_watch(s);
	if (check_vm(s->qmp, JOURNAL_SOURCE, o->state_dir, &s->rams, &s->storage.disks,
		     NULL, NULL, why))
		return -1;
	if (qemu_identity(s->qmp, s->vm, why))
		return -1;
	identify(s);
	return 0;
}

static void undo_check(struct source *s)
{
	ramblocks_close(&s->rams);
	storage_close(s);
	fencer_stop(&s->fencer);
	qmp_close(s->qmp);
	s->qmp = NULL;
}

static int act_record(struct source *s, struct failure *why)
{
	if (attend_signals(s, why) ||
	    journal_init(&s->journal, s->options->state_dir, JOURNAL_SOURCE,
			 s->vm, s->id, s->options->to, s->rams.pid, why))
		return -1;
	return journal_write(&s->journal, JOURNAL_OWNS, why);
}

/* What earlier records said, ours has to say if they are gone. */
static void undo_record(struct source *s)
{
	struct failure why = { 0 };

	if (s->forgot)
		return;
	if (s->journal.path[0] && journal_remove(&s->journal, &why))
		log_warn("%s", why.text);
}

/* ------------------------------------------------------------------------
 * Connections
 * ------------------------------------------------------------------------ */

static bool is_ready(const struct source *s)
{
	return s->ready;
}

/* The control connection and stream 0 have the first address, and so on. */
static const struct sockaddr_storage *source_address(const struct source_options *o,
						     unsigned int channel)
{
	return o->sources ? &o->from[channel % o->sources] : NULL;
}

static int dial(struct source *s, struct connection *c, enum wire_kind kind,
		unsigned int channel, struct failure *why)
{
	const struct source_options *o = s->options;
	struct transport_peer peer = {
		.where = o->to, .from = source_address(o, channel),
		.tls = s->tls, .insecure = o->insecure,
	};
	struct wire_preamble preamble = {
		.version = WIRE_VERSION, .kind = kind, .channel = channel,
	};

	memcpy(preamble.id, s->id, sizeof(preamble.id));
	return transport_dial(c, &peer, &preamble, o->timeout_ms, why);
}

static int say_hello(struct source *s, struct failure *why)
{
	struct wire_hello hello = {
		.flags = (s->was_running ? WIRE_HELLO_RUNNING : 0) |
			 (s->options->fence ? WIRE_HELLO_FENCE : 0),
		.streams = s->options->channels,
		.rams = s->rams.count,
		.codecs = CODEC_ALL,
	};
	uint8_t payload[WIRE_HELLO_MAX];
	unsigned int i;
	int result;

	memcpy(hello.key, s->key, sizeof(hello.key));
	for (i = 0; i < s->rams.count; i++) {
		memcpy(hello.ram[i].name, s->rams.block[i].name,
		       sizeof(hello.ram[i].name));
		hello.ram[i].size = s->rams.block[i].size;
	}
	result = frames_queue(&s->control, WIRE_HELLO, payload,
			      wire_put_hello(payload, &hello), why);
	explicit_bzero(hello.key, sizeof(hello.key));
	return result;
}

static int open_stream(struct source *s, unsigned int i, struct failure *why)
{
	struct connection *link = &s->sender[i].link;

	if (dial(s, link, WIRE_STREAM, i, why))
		return -1;
	return transport_stream(link->fd, s->options->bandwidth / s->options->channels,
				why);
}

/* Who encrypts is the same for all streams, and asked as long as there is one. */
static void tell_encryption(struct source *s)
{
	s->encrypts = tls_encrypts(&s->sender[0].link);
	if (s->encrypts)
		log_info("the data streams are encrypted by: %s", s->encrypts);
}

static int act_connect(struct source *s, struct failure *why)
{
	struct connection link;
	unsigned int i;

	if (tls_wanted(&s->options->tls)) {
		s->tls = tls_open(&s->options->tls, false, why);
		if (!s->tls)
			return -1;
	}
	if (dial(s, &link, WIRE_CONTROL, 0, why) ||
	    frames_open(&s->control, &link, why))
		return -1;
	if (outgoing_look(s, &s->was_running, why) || say_hello(s, why) ||
	    attend_until(s, is_ready, "the target did not get ready", why) ||
	    storage_offer(s, why))
		return -1;
	for (i = 0; i < s->options->channels; i++)
		if (open_stream(s, i, why))
			return -1;
	tell_encryption(s);
	return 0;
}

static void undo_connect(struct source *s)
{
	unsigned int i;

	for (i = 0; i < s->options->channels; i++)
		sender_stop(&s->sender[i]);
	if (!s->committed)
		storage_unfence(s);
	frames_close(&s->control);
	tls_close(s->tls);
	s->tls = NULL;
}

/* ------------------------------------------------------------------------
 * RAM
 * ------------------------------------------------------------------------ */

/* Of what was asked for, what the kernel can encode and the target decode. */
static uint64_t choose_codecs(const struct source *s)
{
	uint64_t wanted = s->options->codecs;
	uint64_t usable = wanted & s->kernel.info.codecs & s->codecs;

	for (unsigned int i = 0; i < FERRY_NR_CODECS; i++)
		if (wanted & ~usable & 1ull << i)
			log_warn("%s does not have codec %s: RAM is sent without it",
				 s->codecs & 1ull << i ? "this kernel" : "the target",
				 codec_name(i));
	return usable ? usable : 1ull << FERRY_CODEC_NONE;
}

static int act_attach(struct source *s, struct failure *why)
{
	unsigned int i;

	if (kernel_open(&s->kernel, why) ||
	    kernel_attach(&s->kernel, s->rams.pid, choose_codecs(s), s->key, why))
		return -1;
	if (kernel_group(&s->kernel, &s->options->group, why) ||
	    kernel_workers(&s->kernel, s->options->cpu_limit, s->options->nice, why))
		return -1;
	for (i = 0; i < s->rams.count; i++)
		if (kernel_add_ram(&s->kernel, i, &s->rams.block[i], why))
			return -1;
	/* That our record can still be written after that, we want to know now. */
	if (privileges_settle(PRIVILEGES_SOURCE, why) ||
	    journal_write(&s->journal, JOURNAL_OWNS, why))
		return -1;
	for (i = 0; i < s->options->channels; i++) {
		struct sender *sender = &s->sender[i];

		sender->wake = s->wake;
		if (kernel_add_channel(&s->kernel, s->options->ring_bytes,
				       &sender->channel, why) ||
		    sender_start(sender, why))
			return -1;
	}
	return 0;
}

/* The senders first: a channel of a closed device has nothing to say. */
static void undo_attach(struct source *s)
{
	unsigned int i;

	for (i = 0; i < s->options->channels; i++)
		sender_stop(&s->sender[i]);
	kernel_close(&s->kernel);
}

/* ------------------------------------------------------------------------
 * The switchover
 * ------------------------------------------------------------------------ */

/* QEMU's state is small and on its way while the last pages are. */
static int act_handover(struct source *s, struct failure *why)
{
	if (passes_begin_final(s, why))
		return -1;
	return outgoing_migrate(s, why);
}

static int act_settle(struct source *s, struct failure *why)
{
	if (passes_settle(s, why))
		return -1;
	return passes_verify(s, why);
}

/*
 * Records that say that the VM is here, as it came here once, must not stand next to
 * "committed": whoever finds both shall know that it has come back since.
 */
static int act_commit(struct source *s, struct failure *why)
{
	if (attend_flushed(s, why))
		return -1;
	s->forgot = journal_forget(s->options->state_dir, &s->journal);
	if (journal_write(&s->journal, JOURNAL_COMMITTED, why) ||
	    frames_queue(&s->control, WIRE_COMMIT, NULL, 0, why))
		return -1;
	fault_point("source", "committed");
	/*
	 * The buffer was empty: no byte gone means that the target cannot know, and
	 * with the connection closed it never will.
	 */
	if (frames_flush(&s->control, why) < 0 && !s->control.out_begin) {
		frames_close(&s->control);
		return -1;
	}
	s->committed = true;
	return 0;
}

/*
 * No byte of COMMIT has left: the VM is here, and the record shall say so first. If it
 * can not, the VM must not run: after the next crash it would seem to be the target's.
 */
static void undo_commit(struct source *s)
{
	struct failure why = { 0 };

	if (s->journal.state == JOURNAL_OWNS ||
	    !journal_write(&s->journal, JOURNAL_OWNS, &why))
		return;
	s->stopped = false;
	s->paused_here = true;
	log_error("the VM is here, and stays paused, as its record may say that it was committed: %s; delete the record, durably, and continue the VM by hand (QMP or HMP: cont)",
		  why.text);
}

static bool is_running(const struct source *s)
{
	return s->running;
}

static int act_running(struct source *s, struct failure *why)
{
	struct failure trouble = { 0 };

	if (attend_until(s, is_running, "the target did not say that the VM runs",
			 why))
		return -1;
	if (journal_write(&s->journal, JOURNAL_GONE, &trouble))
		log_warn("%s", trouble.text);
	return 0;
}

/* The VM runs elsewhere: from here on nothing is a failure of the migration. */
static int act_retire(struct source *s, struct failure *why)
{
	struct failure trouble = { 0 };

	(void)why;
	undo_attach(s);
	if (s->options->keep_source)
		log_info("the source's QEMU (process %d) stays, paused; it must never run this VM again: QMP quit ends it",
			 (int)s->rams.pid);
	else if (outgoing_quit(s, &trouble))
		log_warn("%s", trouble.text);
	return 0;
}

static const struct stage stages[] = {
	{ "check", "looking whether the VM can be moved",
	  act_check, undo_check },
	{ "connect", "connecting to the target",
	  act_connect, undo_connect },
	{ "record", "writing down that the VM is here",
	  act_record, undo_record },
	{ "attach", "beginning to follow the VM's RAM",
	  act_attach, undo_attach },
	{ "passes", "sending RAM while the VM runs",
	  passes_converge, passes_full_speed },
	{ "stop", "stopping the VM",
	  outgoing_stop, outgoing_cont },
	{ "drain", "waiting until it has no more I/O, and cancelling what can be",
	  storage_drain, storage_resume },
	{ "handover", "making QEMU ready to hand over",
	  act_handover, outgoing_cancel },
	{ "settle", "sending the last pages",
	  act_settle, NULL },
	{ "device", "handing over device state",
	  outgoing_continue, NULL },
	{ "resettle", "sending what saving device state has written",
	  passes_settle, NULL },
	{ "guard", "having the target guard what is in doubt",
	  storage_guard, NULL },
	{ "commit", "committing the VM to the target",
	  act_commit, undo_commit },
	{ "running", "waiting for the target to run the VM",
	  act_running, NULL },
	{ "retire", "ending the source's QEMU",
	  act_retire, NULL },
	{ "disks", "waiting for the storage to end what was cancelled",
	  storage_settle, NULL },
};

#define COUNT	(sizeof(stages) / sizeof(stages[0]))

_Static_assert(COUNT <= SOURCE_STAGES_MAX, "SOURCE_STAGES_MAX is too small");

/* ------------------------------------------------------------------------
 * Running them
 * ------------------------------------------------------------------------ */

/* If it does not take this at once it will see the connection break: do not wait. */
static void tell_target(struct source *s, const char *reason)
{
	size_t length = strlen(reason);

	if (s->control.link.fd < 0 || s->told_abort)
		return;
	if (length >= WIRE_TEXT_SIZE)
		length = WIRE_TEXT_SIZE - 1;
	frames_queue(&s->control, WIRE_ABORT, reason, length, NULL);
	frames_flush(&s->control, NULL);
}

static void roll_back(struct source *s, size_t failed, const char *reason)
{
	size_t i = failed + 1;

	tell_target(s, reason);
	while (i--) {
		log_debug("undoing %s", stages[i].name);
		if (stages[i].undo)
			stages[i].undo(s);
	}
}

int stages_run(struct source *s, struct failure *why)
{
	size_t i;

	for (i = 0; i < COUNT; i++) {
		int64_t begin = clock_us();
		int result;

		s->stage = stages[i].name;
		progress_stage(&s->progress, stages[i].name, stages[i].doing);
		fault_point("source", stages[i].name);
		result = stages[i].act(s, why);
		s->stage_ms[i] = (double)(clock_us() - begin) / 1000;
		if (!result)
			continue;
		if (!s->committed)
			roll_back(s, i, why->text);
		return -1;
	}
	return 0;
}

void stages_cleanup(struct source *s)
{
	undo_attach(s);
	undo_connect(s);
	tunnel_close(&s->tunnel);
	undo_check(s);
	json_decref(s->capabilities);
	explicit_bzero(s->key, sizeof(s->key));
}

json_t *stages_downtime(const struct source *s)
{
	json_t *parts = json_object();
	bool inside = false;
	size_t i;

	for (i = 0; i < COUNT; i++) {
		inside |= stages[i].act == outgoing_stop;
		if (inside)
			json_object_set_new(parts, stages[i].name,
					    json_real(s->stage_ms[i]));
		if (stages[i].act == act_running)
			break;
	}
	return parts;
}
