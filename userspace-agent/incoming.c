// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The target's QEMU.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "clock.h"
#include "incoming.h"

#define CHANNEL_NAME	"kvmferry"	/* of the file that QEMU reads from */
#define QUIT_TIMEOUT	5000		/* ms for QEMU to go */
#define RETRY_MS	50		/* between attempts to run the guest */

/* QEMU ends itself when loading fails, unless told not to; since 9.1 it can be. */
#define VERSION_EXIT_ON_ERROR	90100

static void note_status(struct incoming *in, const json_t *data)
{
	const char *status = json_string_value(json_object_get(data, "status"));

	if (!status)
		return;
	if (!strcmp(status, "completed"))
		in->status = INCOMING_COMPLETED;
	else if (!strcmp(status, "failed"))
		in->status = INCOMING_FAILED;
}

static void on_event(void *opaque, const char *name, const json_t *data)
{
	if (!strcmp(name, "MIGRATION"))
		note_status(opaque, data);
}

/* A failure is told by whoever called us, once; what is merely odd, here. */
static void log_oddity(void *opaque, enum check_result result, const char *name,
		       const char *text)
{
	(void)opaque;
	if (result == CHECK_WARN)
		log_warn("%s: %s", name, text);
}

int incoming_open(struct incoming *in, const char *path, const char *state_dir,
		  struct failure *why)
{
	*in = (struct incoming){ .status = INCOMING_NONE };
	in->qmp = qmp_open(path, QMP_TIMEOUT, why);
	if (!in->qmp)
		return -1;
	qmp_on_event(in->qmp, on_event, in);
	if (check_vm(in->qmp, JOURNAL_TARGET, state_dir, &in->rams, &in->disks,
		     log_oddity, NULL, why) || qemu_identity(in->qmp, in->vm, why)) {
		incoming_close(in);
		return -1;
	}
	return 0;
}

int incoming_pair(const struct incoming *in, const struct wire_hello *hello,
		  struct apply_ram rams[FERRY_MAX_RAM], struct failure *why)
{
	for (unsigned int i = 0; i < hello->rams; i++) {
		const struct wire_ram *theirs = &hello->ram[i];
		const struct ramblock *ours = ramblocks_by_name(&in->rams, theirs->name);

		if (!ours)
			return fail(why, "the source has a RAM block \"%s\" that the "
				    "target does not have; start the target's QEMU with "
				    "the source's command line", theirs->name);
		if (ours->size != theirs->size)
			return fail(why, "RAM block \"%s\" has %" PRIu64 " bytes at the "
				    "source and %" PRIu64 " at the target; start the "
				    "target's QEMU with the source's command line",
				    theirs->name, theirs->size, ours->size);
		rams[i] = (struct apply_ram){
			.fd = ours->fd,
			.offset = ours->offset,
			.size = ours->size,
		};
	}
	/* HELLO names no block twice, so as many means the same. */
	if (hello->rams != in->rams.count)
		return fail(why, "the target has %u RAM blocks and the source %u; start "
			    "the target's QEMU with the source's command line",
			    in->rams.count, hello->rams);
	return 0;
}

static int set_capabilities(struct incoming *in, struct failure *why)
{
	static const char *const names[] = {
		"x-ignore-shared", "return-path", "events",
	};
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		json_array_append_new(list, json_pack("{s:s, s:b}", "capability",
						      names[i], "state", 1));
	return qmp_do(in->qmp, QMP_TIMEOUT, why, "migrate-set-capabilities",
		      "{s:o}", "capabilities", list);
}

int incoming_start(struct incoming *in, int fd, struct failure *why)
{
	if (set_capabilities(in, why) || qmp_getfd(in->qmp, fd, CHANNEL_NAME, why))
		return -1;
	if (qmp_version_number(in->qmp) >= VERSION_EXIT_ON_ERROR)
		return qmp_do(in->qmp, QMP_TIMEOUT, why, "migrate-incoming",
			      "{s:s, s:b}", "uri", "fd:" CHANNEL_NAME,
			      "exit-on-error", 0);
	return qmp_do(in->qmp, QMP_TIMEOUT, why, "migrate-incoming", "{s:s}", "uri",
		      "fd:" CHANNEL_NAME);
}

/* QEMU's own words about why it could not load the device state. */
static int fail_as_qemu(struct incoming *in, struct failure *why)
{
	json_t *info = qmp_execute(in->qmp, QMP_TIMEOUT, NULL, "query-migrate", NULL);
	const char *words = json_string_value(json_object_get(info, "error-desc"));

	fail(why, "the target's QEMU could not load the device state: %s",
	     words ? words : "see its own messages");
	json_decref(info);
	return -1;
}

int incoming_pump(struct incoming *in, struct failure *why)
{
	if (qmp_pump(in->qmp, why)) {
		fail_in(why, "the target's QEMU has gone; see its own messages");
		return -1;
	}
	return in->status == INCOMING_FAILED ? fail_as_qemu(in, why) : 0;
}

int incoming_query(struct incoming *in, struct failure *why)
{
	json_t *info = qmp_execute(in->qmp, QMP_TIMEOUT, why, "query-migrate", NULL);

	if (!info)
		return -1;
	note_status(in, info);
	json_decref(info);
	return in->status == INCOMING_FAILED ? fail_as_qemu(in, why) : 0;
}

static void nap(void)
{
	const struct timespec time = { .tv_nsec = RETRY_MS * 1000000l };

	nanosleep(&time, NULL);
}

int incoming_run(struct incoming *in, unsigned int timeout_s, struct failure *why)
{
	int64_t deadline = clock_ms() + (int64_t)timeout_s * 1000;
	struct failure last = { 0 };
	char state[32] = "";

	in->asked = true;
	do {
		if (last.text[0])
			nap();
		last = (struct failure){ 0 };
		if (!qmp_do(in->qmp, clock_left(deadline), &last, "cont", NULL) &&
		    !qemu_runstate(in->qmp, state, sizeof(state), &last)) {
			if (!strcmp(state, "running"))
				return 0;
			fail(&last, "QEMU is \"%s\" after \"cont\"", state);
		}
	} while (clock_left(deadline));
	return fail(why, "%s", last.text);
}

void incoming_quit(struct incoming *in)
{
	qmp_send(in->qmp, -1, false, "quit", NULL, NULL);
	if (qemu_await_end(in->qmp, QUIT_TIMEOUT))
		log_warn("the target's QEMU (process %d) does not end; it is of no use "
			 "any more: kill it", (int)qmp_peer(in->qmp));
	else
		log_info("the target's QEMU has ended");
}

void incoming_close(struct incoming *in)
{
	ramblocks_close(&in->rams);
	vmdisks_close(&in->disks);
	qmp_close(in->qmp);
	in->qmp = NULL;
}
