// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzing what QEMU says: greeting, replies, events, and the text of its human monitor.
 *
 * The input is a conversation, a line for each command in the order in which they come:
 *
 *	first byte	's' as a source, 't' as a target: which of the agent's parts asks
 *	then		the greeting, up to the end of the line
 *	LINE		what the next command returns, as JSON
 *	-LINE		the same, as an error
 *	!LINE		something that QEMU says of its own, before it
 *
 * QEMU dies where the input ends, or where the agent would wait for it in vain: nothing
 * here depends on time. The property: no files are left open.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "incoming.h"
#include "outgoing.h"
#include "fuzz-qmp.h"
#include "lines.h"
#include "scratch.h"
#include "storage.h"

/* The conversation under way. */
static struct {
	const char *at;
	const char *end;
	int fd;			/* QEMU's end, -1 once it is dead */
	long commands;
} script;

static void die_silently(void)
{
	if (script.fd >= 0)
		close(script.fd);
	script.fd = -1;
}

/* The next line; false at the end. */
static bool next_line(const char **line, size_t *length)
{
	const char *end;

	if (script.at >= script.end)
		return false;
	end = memchr(script.at, '\n', (size_t)(script.end - script.at));
	if (!end)
		end = script.end;
	*line = script.at;
	*length = (size_t)(end - script.at);
	script.at = end < script.end ? end + 1 : end;
	return true;
}

static void say(const char *text, size_t length)
{
	if (script.fd >= 0 && send(script.fd, text, length, MSG_NOSIGNAL | MSG_DONTWAIT) !=
	    (ssize_t)length)
		die_silently();
}

static void say_reply(const char *line, size_t length)
{
	bool error = length && *line == '-';
	char head[64];
	int n = snprintf(head, sizeof(head), "{\"id\": %ld, \"%s\": ", script.commands,
			 error ? "error" : "return");

	say(head, (size_t)n);
	say(line + error, length - error);
	say("}\r\n", 3);
}

/* QEMU has got a command. */
static void answer(void)
{
	const char *line;
	size_t length;

	script.commands++;
	while (next_line(&line, &length)) {
		if (!length || *line != '!') {
			say_reply(line, length);
			return;
		}
		say(line + 1, length - 1);
		say("\r\n", 2);
	}
	die_silently();
}

/* In the stead of lines_queue(): each command is answered as soon as it is there. */
int __real_lines_queue(struct lines *l, const char *line, int file, struct failure *why);
int __wrap_lines_queue(struct lines *l, const char *line, int file, struct failure *why);

int __wrap_lines_queue(struct lines *l, const char *line, int file, struct failure *why)
{
	int result = __real_lines_queue(l, line, file, why);

	answer();
	return result;
}

/* In the stead of poll(): nothing will come any more, so who waits shall learn of it. */
int __real_poll(struct pollfd *p, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *p, nfds_t n, int timeout);

int __wrap_poll(struct pollfd *p, nfds_t n, int timeout)
{
	int ready = __real_poll(p, n, 0);

	(void)timeout;
	if (ready)
		return ready;
	die_silently();
	return __real_poll(p, n, 0);
}

/* In the stead of qmp_open(): there is no QEMU. */
struct qmp *__wrap_qmp_open(const char *path, int timeout, struct failure *why);

struct qmp *__wrap_qmp_open(const char *path, int timeout, struct failure *why)
{
	const char *line;
	size_t length;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		abort();
	script.fd = pair[0];
	if (next_line(&line, &length)) {
		say(line, length);
		say("\r\n", 2);
	}
	return qmp_adopt(pair[1], path, timeout, why);
}

/* In the stead of three functions of disk.c: every disk is on a target "ferry", and nothing is guarded. */
int __wrap_disk_open(struct disk *d, const char *path, struct failure *why);
int __wrap_disk_status(const struct disk *d, struct ferry_disk_status *status, struct failure *why);
struct ferry_disk_range *__wrap_disk_ranges(const struct disk *d, unsigned int *count,
					    struct failure *why);

int __wrap_disk_open(struct disk *d, const char *path, struct failure *why)
{
	(void)why;
	snprintf(d->path, sizeof(d->path), "%s", path);
	d->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return 1;
}

int __wrap_disk_status(const struct disk *d, struct ferry_disk_status *status, struct failure *why)
{
	(void)d;
	(void)why;
	*status = (struct ferry_disk_status){ .sectors = 2048 };
	return 0;
}

struct ferry_disk_range *__wrap_disk_ranges(const struct disk *d, unsigned int *count,
					    struct failure *why)
{
	(void)d;
	(void)why;
	*count = 0;
	return calloc(1, sizeof(struct ferry_disk_range));
}

/* The RAM that the replies may speak of: of this process, which the agent takes for QEMU. */
static void map_ram(void)
{
	char path[300];
	FILE *file;
	void *map;

	snprintf(path, sizeof(path), "%s.ram", scratch_dir());
	file = fopen(path, "w+e");
	if (!file || ftruncate(fileno(file), FUZZ_QMP_RAM_SIZE))
		abort();
	map = mmap((void *)FUZZ_QMP_RAM, FUZZ_QMP_RAM_SIZE, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED_NOREPLACE, fileno(file), 0);
	if (map != (void *)FUZZ_QMP_RAM)
		abort();
	fclose(file);
	unlink(path);
}

/* All that a source asks of its QEMU, but not what it does about RAM. */
static void be_source(void)
{
	static const struct source_options options = { .timeout_ms = 1000 };
	struct source s = {
		.options = &options, .signals = -1, .wake = -1,
		.control = { .link = CONNECTION_CLOSED }, .tunnel = { .fd = -1 },
		.kernel = { .fd = -1 }, .storage = { .watch = -1 },
	};
	struct failure why = { 0 };

	s.qmp = qmp_open("qemu", QMP_TIMEOUT, &why);
	if (!s.qmp)
		return;
	outgoing_watch(&s);
	check_vm(s.qmp, JOURNAL_SOURCE, scratch_dir(), &s.rams, &s.storage.disks, NULL, NULL,
		 &why);
	qemu_identity(s.qmp, s.vm, &why);
	if (outgoing_look(&s, &s.was_running, &why) || outgoing_stop(&s, &why) ||
	    outgoing_stopped(&s, &why) || outgoing_migrate(&s, &why) ||
	    outgoing_continue(&s, &why))
		outgoing_cancel(&s);
	outgoing_cont(&s);
	tunnel_close(&s.tunnel);
	json_decref(s.capabilities);
	ramblocks_close(&s.rams);
	storage_close(&s);
	qmp_close(s.qmp);
}

static void be_target(void)
{
	struct failure why = { 0 };
	struct incoming in;

	if (incoming_open(&in, "qemu", scratch_dir(), &why))
		return;
	if (!incoming_start(&in, STDERR_FILENO, &why) && !incoming_pump(&in, &why) &&
	    !incoming_query(&in, &why))
		incoming_run(&in, 0, &why);
	incoming_quit(&in);
	incoming_close(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	int files;

	if (!size)
		return 0;
	if (!ready) {
		map_ram();
		scratch_hush();
		ready = true;
	}
	files = scratch_files();
	script.at = (const char *)data + 1;
	script.end = (const char *)data + size;
	script.fd = -1;
	script.commands = 0;
	if (data[0] == 't')
		be_target();
	else
		be_source();
	die_silently();
	if (scratch_files() != files)
		abort();
	return 0;
}
