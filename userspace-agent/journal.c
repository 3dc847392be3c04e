// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The durable owner record: a small text file, replaced as a whole.
 *
 * Lines of "key value", the last of which is a checksum of all before it. A new
 * state is written to a temporary file, made durable, and renamed over the old
 * one; then the directory is made durable. So a reader finds the old record or
 * the new one, and a record that was cut is told apart by its checksum.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "journal.h"

#define RECORD_SIZE	2048	/* bytes of a file, with room to spare */
#define ID_DIGITS	((size_t)JOURNAL_ID_DIGITS)
#define RECORD_HEAD	"kvmferry-journal 1\n"

static const char *const side_names[] = {
	[JOURNAL_SOURCE] = "source",
	[JOURNAL_TARGET] = "target",
};

static const char *const state_names[] = {
	[JOURNAL_OWNS] = "owns",
	[JOURNAL_COMMITTED] = "committed",
	[JOURNAL_GONE] = "gone",
	[JOURNAL_INCOMING] = "incoming",
	[JOURNAL_RUNNING] = "running",
	[JOURNAL_NONE] = "none",
	[JOURNAL_UNKNOWN] = "unknown",
};

enum journal_side journal_other_side(enum journal_side side)
{
	return side == JOURNAL_SOURCE ? JOURNAL_TARGET : JOURNAL_SOURCE;
}

const char *journal_side_name(enum journal_side side)
{
	return side_names[side];
}

const char *journal_state_name(enum journal_state state)
{
	return state_names[state];
}

static int lookup(const char *const *names, size_t count, const char *word)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!strcmp(names[i], word))
			return (int)i;
	return -1;
}

bool journal_side_of(const char *word, enum journal_side *side)
{
	int n = lookup(side_names, 2, word);

	*side = (enum journal_side)n;
	return n >= 0;
}

bool journal_state_of(const char *word, enum journal_state *state)
{
	int n = lookup(state_names, JOURNAL_STATES, word);

	*state = (enum journal_state)n;
	return n >= 0;
}

/*
 * When a process started: with the process id this is an identity. Field 22 of
 * /proc/PID/stat, counted from the last ')': the name before it may hold anything.
 */
static uint64_t start_of(pid_t pid)
{
	char path[40], text[1024], *at;
	uint64_t ticks = 0;
	FILE *stat;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	stat = fopen(path, "re");
	if (!stat)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, stat);
	fclose(stat);
	text[n] = '\0';
	at = strrchr(text, ')');
	if (at)
		sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64,
		       &ticks);
	return ticks;
}

static bool is_alive(pid_t pid, uint64_t started)
{
	return pid && start_of(pid) == started;
}

bool journal_has_qemu(const struct journal *j)
{
	return is_alive(j->pid, j->started);
}

bool journal_has_agent(const struct journal *j)
{
	return is_alive(j->agent, j->agent_started);
}

/* ------------------------------------------------------------------------
 * Text
 * ------------------------------------------------------------------------ */

/* FNV-1a. Against torn writes and editors, not against malice. */
static uint64_t checksum(const char *text, size_t length)
{
	uint64_t sum = 0xcbf29ce484222325u;

	while (length--)
		sum = (sum ^ (unsigned char)*text++) * 0x100000001b3u;
	return sum;
}

void journal_put_id(char out[JOURNAL_ID_DIGITS + 1], const uint8_t id[WIRE_ID_SIZE])
{
	size_t i;

	for (i = 0; i < WIRE_ID_SIZE; i++)
		sprintf(out + 2 * i, "%02x", id[i]);
}

bool journal_get_id(uint8_t id[WIRE_ID_SIZE], const char *text)
{
	size_t i;

	if (strlen(text) != ID_DIGITS)
		return false;
	for (i = 0; i < WIRE_ID_SIZE; i++)
		if (sscanf(text + 2 * i, "%2" SCNx8, &id[i]) != 1)
			return false;
	return true;
}

static size_t compose(const struct journal *j, char text[RECORD_SIZE])
{
	char id[ID_DIGITS + 1], after[ID_DIGITS + 1];
	int n;

	journal_put_id(id, j->id);
	journal_put_id(after, j->after);
	n = snprintf(text, RECORD_SIZE,
		     RECORD_HEAD
		     "vm %s\nmigration %s\nafter %s\nside %s\nstate %s\npeer %s\n"
		     "pid %d\nstarted %" PRIu64 "\nagent %d\nagent-started %" PRIu64 "\ntime %lld\n"
		     "device-bytes %" PRIu64 "\n",
		     j->vm, id, after, side_names[j->side], state_names[j->state],
		     j->peer, (int)j->pid, j->started, (int)j->agent, j->agent_started,
		     (long long)time(NULL), j->device_bytes);
	n += sprintf(text + n, "checksum %016" PRIx64 "\n",
		     checksum(text, (size_t)n));
	return (size_t)n;
}

static bool take_value(struct journal *j, const char *key, const char *value)
{
	if (!strcmp(key, "vm"))
		return snprintf(j->vm, sizeof(j->vm), "%s", value) <
		       (int)sizeof(j->vm);
	if (!strcmp(key, "peer"))
		return snprintf(j->peer, sizeof(j->peer), "%s", value) <
		       (int)sizeof(j->peer);
	if (!strcmp(key, "migration"))
		return journal_get_id(j->id, value);
	if (!strcmp(key, "after"))
		return journal_get_id(j->after, value);
	if (!strcmp(key, "pid"))
		return sscanf(value, "%d", &j->pid) == 1;
	if (!strcmp(key, "started"))
		return sscanf(value, "%" SCNu64, &j->started) == 1;
	if (!strcmp(key, "device-bytes"))
		return sscanf(value, "%" SCNu64, &j->device_bytes) == 1;
	if (!strcmp(key, "agent"))
		return sscanf(value, "%d", &j->agent) == 1;
	if (!strcmp(key, "agent-started"))
		return sscanf(value, "%" SCNu64, &j->agent_started) == 1;
	if (!strcmp(key, "side"))
		return journal_side_of(value, &j->side);
	if (!strcmp(key, "state"))
		return journal_state_of(value, &j->state) && j->state < JOURNAL_NONE;
	return true;	/* written for people, or by a later version */
}

/* Every key without which the record says nothing must be there once. */
static bool parse(struct journal *j, char *text)
{
	static const char *const needed[] = { "vm", "migration", "side", "state",
					      "pid", "started" };
	unsigned int seen = 0;
	char *line, *rest = text;

	while ((line = strsep(&rest, "\n")) && *line) {
		char *value = strchr(line, ' ');
		int n;

		if (!value)
			return false;
		*value++ = '\0';
		if (!take_value(j, line, value))
			return false;
		n = lookup(needed, 6, line);
		if (n >= 0)
			seen |= 1u << n;
	}
	return seen == 0x3f;
}

/* The last line is the checksum of all before it, 16 digits. */
static bool is_intact(const char *text)
{
	const char *last = strstr(text, "\nchecksum ");
	uint64_t sum;

	if (!last || strncmp(text, RECORD_HEAD, strlen(RECORD_HEAD)) != 0)
		return false;
	if (strlen(last) != strlen("\nchecksum ") + 16 + 1 ||
	    last[strlen(last) - 1] != '\n' ||
	    sscanf(last, "\nchecksum %16" SCNx64, &sum) != 1)
		return false;
	return sum == checksum(text, (size_t)(last + 1 - text));
}

int journal_read(struct journal *j, const char *path, struct failure *why)
{
	char text[RECORD_SIZE];
	FILE *file = fopen(path, "re");
	size_t n;

	*j = (struct journal){ 0 };
	if (!file)
		return fail(why, "%s: cannot read this owner record: %m", path);
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	if (strlen(text) != n || !is_intact(text) ||
	    !parse(j, text + strlen(RECORD_HEAD)))
		return fail(why, "%s: this owner record is damaged; find out by hand where the VM runs, then delete the file",
			    path);
	snprintf(j->path, sizeof(j->path), "%s", path);
	return 0;
}

/* ------------------------------------------------------------------------
 * Durable writing
 * ------------------------------------------------------------------------ */

/* Opens a directory for @sync, fsync() or syncfs(). */
static int sync_by(int (*sync)(int fd), const char *dir)
{
	int fd = open(*dir ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result, saved;

	if (fd < 0)
		return -1;
	result = sync(fd);
	saved = errno;
	close(fd);
	errno = saved;
	return result;
}

/* What a rename or an unlink did is durable once its directory is. */
static int sync_directory(const char *path)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = '\0';
	return sync_by(fsync, dir);
}

int journal_sync(const char *dir, struct failure *why)
{
	if (sync_by(syncfs, dir) && errno != ENOENT)
		return fail(why, "%s: what its owner records say may not be durable: %m; the disk of the state directory is broken",
			    dir);
	return 0;
}

static int write_file(const char *path, const char *text, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int saved, result = -1;
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, length);
	if (n >= 0 && (size_t)n != length)
		errno = ENOSPC;
	else if (n >= 0)
		result = fsync(fd);
	saved = errno;
	close(fd);
	errno = saved;
	return result;
}

int journal_write(struct journal *j, enum journal_state state,
		  struct failure *why)
{
	char text[RECORD_SIZE], temporary[PATH_MAX + 4];
	enum journal_state before = j->state;
	size_t length;

	j->state = state;
	length = compose(j, text);
	snprintf(temporary, sizeof(temporary), "%s.new", j->path);
	if (write_file(temporary, text, length) || rename(temporary, j->path))
		j->state = before;
	else if (!sync_directory(j->path))
		return 0;
	fail(why, "%s: cannot write the owner record \"%s\": %m; the disk of the state directory is full or broken",
	     j->path, state_names[state]);
	unlink(temporary);
	return -1;
}

int journal_remove(struct journal *j, struct failure *why)
{
	if ((unlink(j->path) && errno != ENOENT) || sync_directory(j->path))
		return fail(why, "%s: cannot remove the owner record: %m",
			    j->path);
	return 0;
}

/* ------------------------------------------------------------------------
 * What earlier migrations left behind
 * ------------------------------------------------------------------------ */

static bool ends_in(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n >= m && !strcmp(name + n - m, end);
}

#define TAIL_SIZE	(1 + ID_DIGITS + strlen(".source"))

/* "VM.32 digits.source" or ".target": is it a record of @vm, or, if that is empty, of any? */
static bool is_record(const char *name, const char *vm)
{
	size_t n = strlen(name);
	const char *tail = n > TAIL_SIZE ? name + n - TAIL_SIZE : name;

	return *tail == '.' && strspn(tail + 1, "0123456789abcdef") == ID_DIGITS &&
	       (ends_in(tail, ".source") || ends_in(tail, ".target")) &&
	       (!*vm || (strlen(vm) == n - TAIL_SIZE && !memcmp(name, vm, n - TAIL_SIZE)));
}

/*
 * Calls @visit with the path of each record of @vm until it does not return 0.
 * Returns what it returned last.
 */
static int each_record(const char *dir, const char *vm,
		       int (*visit)(const char *path, void *opaque), void *opaque)
{
	DIR *records = opendir(dir);
	struct dirent *entry;
	char path[PATH_MAX];
	int result = 0;

	while (records && !result && (entry = readdir(records))) {
		if (!is_record(entry->d_name, vm))
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name) <
		    (int)sizeof(path))
			result = visit(path, opaque);
	}
	if (records)
		closedir(records);
	return result;
}

struct visit {
	journal_visit_fn *visit;
	void *opaque;
};

static int visit_each(const char *path, void *opaque)
{
	const struct visit *v = opaque;
	struct failure trouble = { 0 };
	struct journal j;

	journal_read(&j, path, &trouble);
	return v->visit(&j, &trouble, v->opaque);
}

int journal_each(const char *dir, const char *vm, journal_visit_fn *visit, void *opaque)
{
	struct visit v = { .visit = visit, .opaque = opaque };

	return each_record(dir, vm ? vm : "", visit_each, &v);
}

/*
 * The migration by which the VM came here, which a later one need not be afraid of. Its record
 * may have been deleted for one that was then rolled back.
 */
static int visit_came(const char *path, void *opaque)
{
	uint8_t *after = opaque;
	struct journal j;

	if (journal_read(&j, path, NULL))
		return 0;
	if (j.side == JOURNAL_TARGET && j.state != JOURNAL_INCOMING) {
		memcpy(after, j.id, WIRE_ID_SIZE);
		return 1;
	}
	if (j.side == JOURNAL_SOURCE && j.state == JOURNAL_OWNS)
		memcpy(after, j.after, WIRE_ID_SIZE);
	return 0;
}

int journal_init(struct journal *j, const char *dir, enum journal_side side,
		 const char *vm, const uint8_t id[WIRE_ID_SIZE], const char *peer,
		 pid_t pid, struct failure *why)
{
	char hex[ID_DIGITS + 1];

	*j = (struct journal){ .side = side, .pid = pid, .agent = getpid() };
	j->started = start_of(pid);
	j->agent_started = start_of(j->agent);
	memcpy(j->id, id, WIRE_ID_SIZE);
	snprintf(j->vm, sizeof(j->vm), "%s", vm);
	snprintf(j->peer, sizeof(j->peer), "%s", peer);
	journal_put_id(hex, id);
	if (snprintf(j->path, sizeof(j->path), "%s/%s.%s.%s", dir, vm, hex,
		     side_names[side]) >= (int)sizeof(j->path) - 4)
		return fail(why, "%s: the path is too long", dir);
	if (mkdir(dir, 0700) && errno != EEXIST)
		return fail(why, "%s: cannot make the directory of owner records: %m; give another one with --state-dir",
			    dir);
	if (access(dir, W_OK | X_OK))
		return fail(why, "%s: cannot write owner records there: %m; give another directory with --state-dir",
			    dir);
	if (side == JOURNAL_SOURCE)
		each_record(dir, vm, visit_came, j->after);
	return 0;
}

struct question {
	enum journal_side side;
	pid_t pid;
	uint64_t started;
	struct failure *why;
};

static int admits_source(const struct question *q, const struct journal *j)
{
	if (j->side != JOURNAL_SOURCE)
		return 0;
	if (j->state == JOURNAL_COMMITTED)
		return fail(q->why, "%s: this VM was handed over to %s, which never said that it runs there; kvmferry recover settles it",
			    j->path, j->peer);
	if (j->state == JOURNAL_GONE && j->pid == q->pid &&
	    j->started == q->started)
		return fail(q->why, "%s: this VM runs on %s now and this QEMU is what is left of it; quit this QEMU",
			    j->path, j->peer);
	return 0;
}

static int admits_target(const struct question *q, const struct journal *j)
{
	if (j->side == JOURNAL_SOURCE || j->pid == q->pid || !journal_has_qemu(j))
		return 0;
	if (j->state == JOURNAL_OWNS || j->state == JOURNAL_RUNNING)
		return fail(q->why, "%s: this VM was received here before and its QEMU (process %d) is still there; quit that one first if it is not the VM's owner",
			    j->path, (int)j->pid);
	return 0;
}

static int visit_admits(const char *path, void *opaque)
{
	const struct question *q = opaque;
	struct journal j;

	if (journal_read(&j, path, q->why))
		return -1;
	return q->side == JOURNAL_SOURCE ? admits_source(q, &j) :
					   admits_target(q, &j);
}

int journal_admits(const char *dir, enum journal_side side, const char *vm,
		   pid_t pid, struct failure *why)
{
	struct question q = {
		.side = side,
		.pid = pid,
		.started = start_of(pid),
		.why = why,
	};

	return each_record(dir, vm, visit_admits, &q);
}

struct attempt {
	const uint8_t *id;
	size_t size;
};

static int visit_attempt(const char *path, void *opaque)
{
	const struct attempt *a = opaque;
	struct journal j;

	return !journal_read(&j, path, NULL) && j.side == JOURNAL_TARGET &&
	       j.state == JOURNAL_INCOMING && !memcmp(j.id, a->id, a->size);
}

bool journal_was_attempt(const char *dir, const char *vm, const uint8_t *id, size_t size)
{
	struct attempt a = { .id = id, .size = size };

	return each_record(dir, vm, visit_attempt, &a);
}

static int visit_device_bytes(const char *path, void *opaque)
{
	uint64_t *bytes = opaque;
	struct journal j;

	if (!journal_read(&j, path, NULL) && j.device_bytes > *bytes)
		*bytes = j.device_bytes;
	return 0;
}

uint64_t journal_device_bytes(const char *dir, const char *vm)
{
	uint64_t bytes = 0;

	each_record(dir, vm, visit_device_bytes, &bytes);
	return bytes;
}

/* The other side of the same migration may keep its record in the same directory. */
struct oblivion {
	const struct journal *except;
	bool removed;
};

static int visit_forget(const char *path, void *opaque)
{
	struct oblivion *o = opaque;
	struct journal j;

	if (!strcmp(path, o->except->path) ||
	    (!journal_read(&j, path, NULL) &&
	     !memcmp(j.id, o->except->id, sizeof(j.id))))
		return 0;
	o->removed |= !unlink(path);
	return 0;
}

bool journal_forget(const char *dir, const struct journal *except)
{
	struct oblivion o = { .except = except };

	each_record(dir, except->vm, visit_forget, &o);
	sync_directory(except->path);
	return o.removed;
}
