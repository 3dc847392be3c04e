// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every precondition of a migration, as one table.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "codec.h"
#include "guard.h"
#include "kernel.h"
#include "maps.h"
#include "qemu.h"

/* QEMU sends this much itself in a blackout without anybody noticing. */
#define LEFT_MAX	(64ull << 20)

struct check {
	struct qmp *qmp;
	enum journal_side side;
	const char *state_dir;
	struct ramblocks *rams;
	struct vmdisks *disks;
};

/*
 * A check returns its result and leaves a sentence: what is well, or what is not
 * and what to do.
 */
typedef enum check_result check_fn(struct check *c, struct failure *text);

__attribute__((format(printf, 3, 4)))
static enum check_result say(enum check_result result, struct failure *text,
			     const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(text->text, sizeof(text->text), format, args);
	va_end(args);
	return result;
}

/* ------------------------------------------------------------------------
 * QEMU
 * ------------------------------------------------------------------------ */

static enum check_result check_version(struct check *c, struct failure *text)
{
	if (qmp_version_number(c->qmp) >= 70200)
		return say(CHECK_PASS, text, "QEMU %s", qmp_version(c->qmp));
	return say(CHECK_WARN, text,
		   "QEMU %s is older than any that kvmferry was tested with (7.2)",
		   qmp_version(c->qmp));
}

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(word, *list))
			return true;
	return false;
}

static enum check_result check_state_source(const char *state,
					    struct failure *text)
{
	static const char *const paused[] = { "paused", "prelaunch", "io-error",
					      NULL };

	if (!strcmp(state, "running"))
		return say(CHECK_PASS, text, "the VM is running");
	if (is_one_of(state, paused))
		return say(CHECK_PASS, text, "the VM is paused (%s) and will be so on the target",
			   state);
	if (!strcmp(state, "postmigrate"))
		return say(CHECK_FAIL, text, "this VM was migrated away, or was paused when a migration of it failed; if it runs elsewhere, or ever did, quit this QEMU; only if it surely never did, continue it (QMP: cont), then it can be moved");
	if (!strcmp(state, "inmigrate"))
		return say(CHECK_FAIL, text, "this QEMU waits for a VM; give the socket of the QEMU that runs it");
	return say(CHECK_FAIL, text, "the VM is in state \"%s\", in which it cannot be moved; bring it to \"running\" or \"paused\"",
		   state);
}

static enum check_result check_state(struct check *c, struct failure *text)
{
	char state[32];

	if (qemu_runstate(c->qmp, state, sizeof(state), text))
		return CHECK_FAIL;
	if (c->side == JOURNAL_SOURCE)
		return check_state_source(state, text);
	if (!strcmp(state, "inmigrate"))
		return say(CHECK_PASS, text, "QEMU waits for a VM");
	return say(CHECK_FAIL, text, "QEMU is in state \"%s\" and does not wait for a migration; start it with the source's command line plus -incoming defer -S",
		   state);
}

/* The first thing that QEMU itself says forbids a migration. */
static bool is_blocked(json_t *migrate, struct failure *text)
{
	json_t *reasons = json_object_get(migrate, "blocked-reasons");
	const char *first = json_string_value(json_array_get(reasons, 0));

	if (!json_array_size(reasons))
		return false;
	say(CHECK_FAIL, text, "QEMU refuses to migrate this VM: %s",
	    first ? first : "it gives no reason");
	return true;
}

static enum check_result check_migration(struct check *c, struct failure *text)
{
	json_t *migrate = qmp_execute(c->qmp, QMP_TIMEOUT, text, "query-migrate",
				      NULL);
	enum check_result result = CHECK_FAIL;

	if (!migrate)
		return CHECK_FAIL;
	if (qemu_is_migrating(migrate))
		say(CHECK_FAIL, text, "a migration is under way (%s); wait for it or cancel it",
		    json_string_value(json_object_get(migrate, "status")));
	else if (!is_blocked(migrate, text))
		result = say(CHECK_PASS, text, "QEMU has no reason against it");
	json_decref(migrate);
	return result;
}

static enum check_result check_capabilities(struct check *c,
					    struct failure *text)
{
	static const char *const needed[] = {
		"x-ignore-shared", "return-path", "pause-before-switchover",
		"events", NULL
	};
	json_t *list = qmp_execute(c->qmp, QMP_TIMEOUT, text,
				   "query-migrate-capabilities", NULL);
	const char *const *name = needed;

	if (!list)
		return CHECK_FAIL;
	while (*name && qemu_capability(list, *name) >= 0)
		name++;
	json_decref(list);
	if (!*name)
		return say(CHECK_PASS, text, "QEMU can leave shared RAM to others");
	return say(CHECK_FAIL, text, "this QEMU lacks the migration capability %s; QEMU 7.2 and later have it",
		   *name);
}

static enum check_result check_confidential(struct check *c,
					    struct failure *text)
{
	json_t *path = qmp_execute(c->qmp, QMP_TIMEOUT, NULL, "qom-get",
				   "{s:s, s:s}", "path", "/machine", "property",
				   "confidential-guest-support");
	bool confidential = json_string_length(path) > 0;

	json_decref(path);
	if (!confidential)
		return say(CHECK_PASS, text, "the VM's RAM is not encrypted");
	return say(CHECK_FAIL, text, "the VM is a confidential guest, whose RAM cannot be copied; it must be shut down and started on the other host");
}

/* ------------------------------------------------------------------------
 * RAM and devices
 * ------------------------------------------------------------------------ */

static enum check_result check_ram(struct check *c, struct failure *text)
{
	if (ramblocks_find(c->rams, c->qmp, text))
		return CHECK_FAIL;
	return say(CHECK_PASS, text, "%" PRIu64 " MiB in %u RAM block%s of process %d",
		   c->rams->total >> 20, c->rams->count,
		   c->rams->count == 1 ? "" : "s", (int)c->rams->pid);
}

static enum check_result check_left(struct check *c, struct failure *text)
{
	uint64_t left = c->rams->left;

	if (!c->rams->count)
		return say(CHECK_WARN, text, "not known without its RAM blocks");
	if (left <= LEFT_MAX)
		return say(CHECK_PASS, text, "QEMU sends at most %" PRIu64 " MiB of ROMs and video memory itself",
			   (left >> 20) + 1);
	return say(CHECK_WARN, text, "QEMU sends up to %" PRIu64 " MiB of other RAM (video memory?) itself, during the blackout; give the device less memory",
		   left >> 20);
}

/* Devices that write to RAM behind the back of every page table. */
static bool is_direct(const char *file)
{
	static const char *const direct[] = {
		"/dev/vfio/", "anon_inode:[vfio", "/dev/iommu",
		"/dev/vhost-vdpa", "/dev/infiniband/", NULL
	};
	const char *const *d;

	for (d = direct; *d; d++)
		if (!strncmp(file, *d, strlen(*d)))
			return true;
	return false;
}

/* The first open file of a process that belongs to such a device: 1, 0 none, -1 errno. */
static int find_direct(pid_t pid, char *file, size_t size)
{
	char dir[32], path[300];
	struct dirent *entry;
	bool found = false;
	DIR *fds;

	snprintf(dir, sizeof(dir), "/proc/%d/fd", (int)pid);
	fds = opendir(dir);
	if (!fds)
		return -1;
	while (!found && (entry = readdir(fds))) {
		ssize_t n;

		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		n = readlink(path, file, size - 1);
		file[n > 0 ? n : 0] = '\0';
		found = is_direct(file);
	}
	closedir(fds);
	return found;
}

static enum check_result check_devices(struct check *c, struct failure *text)
{
	char file[256];
	int found;

	if (!c->rams->pid)
		return say(CHECK_WARN, text, "not known without its RAM blocks");
	found = find_direct(c->rams->pid, file, sizeof(file));
	if (found < 0)
		return say(CHECK_FAIL, text, "cannot see which devices QEMU uses (/proc/%d/fd: %m); run kvmferry as root",
			   (int)c->rams->pid);
	if (!found)
		return say(CHECK_PASS, text, "no device writes to RAM on its own");
	return say(CHECK_FAIL, text, "QEMU has %s open: an assigned device writes to RAM without anybody seeing it; detach it before the migration",
		   file);
}

/* ------------------------------------------------------------------------
 * Disks
 * ------------------------------------------------------------------------ */

/* Some reason why a ferry disk is of no use, or of any disk; NULL if all are cancelled. */
static const struct vmdisk *find_drained(const struct vmdisks *disks)
{
	const struct vmdisk *found = NULL;

	for (unsigned int i = 0; i < disks->count; i++) {
		const struct vmdisk *d = &disks->disk[i];

		if (!d->kinds && (!found || (found->disk.fd < 0 && d->disk.fd >= 0)))
			found = d;
	}
	return found;
}

/* A disk that was put on a target ferry ought to be of use. */
static enum check_result check_cancel(const struct vmdisks *disks, struct failure *text)
{
	const struct vmdisk *d = find_drained(disks);

	if (!disks->count)
		return say(CHECK_PASS, text, "the VM has no disks");
	if (!d)
		return say(CHECK_PASS, text, "requests of %u disk%s can be cancelled, the blackout does not wait for storage",
			   disks->count, disks->count == 1 ? "" : "s");
	return say(d->disk.fd < 0 ? CHECK_PASS : CHECK_WARN, text,
		   "the blackout waits for the requests of disk %s: %s", d->disk.path,
		   d->drained.text);
}

static enum check_result check_disks(struct check *c, struct failure *text)
{
	char vm[QEMU_NAME_SIZE];

	if (vmdisks_find(c->disks, c->qmp, text) || qemu_identity(c->qmp, vm, text) ||
	    guard_admits(c->disks, c->side, c->state_dir, vm, text))
		return CHECK_FAIL;
	if (c->side == JOURNAL_SOURCE)
		return check_cancel(c->disks, text);
	return say(CHECK_PASS, text, "nothing of its disks is guarded");
}

/* ------------------------------------------------------------------------
 * This host
 * ------------------------------------------------------------------------ */

/* A VM that belongs elsewhere and runs here is worse than one that stands still. */
static void tell_stray(struct check *c, struct failure *text)
{
	char state[32];

	if (c->side == JOURNAL_SOURCE && !qemu_runstate(c->qmp, state, sizeof(state), NULL) &&
	    !strcmp(state, "running"))
		fail_in(text, "the VM runs here now, and kvmferry recover stops it if it must not");
}

static enum check_result check_record(struct check *c, struct failure *text)
{
	char vm[QEMU_NAME_SIZE];

	if (qemu_identity(c->qmp, vm, text))
		return CHECK_FAIL;
	if (journal_admits(c->state_dir, c->side, vm, c->rams->pid, text)) {
		tell_stray(c, text);
		return CHECK_FAIL;
	}
	if (!strcmp(vm, "unnamed"))
		return say(CHECK_WARN, text, "the VM has neither -uuid nor -name: its owner records cannot be told from those of other such VMs");
	return say(CHECK_PASS, text, "no record says that %s belongs elsewhere",
		   vm);
}

/* The nearest directory that exists must be writable. */
static enum check_result check_directory(struct check *c, struct failure *text)
{
	if (!access(c->state_dir, W_OK | X_OK))
		return say(CHECK_PASS, text, "%s can hold owner records",
			   c->state_dir);
	if (access(c->state_dir, F_OK))
		return say(CHECK_PASS, text, "%s will be made for owner records",
			   c->state_dir);
	return say(CHECK_FAIL, text, "%s: cannot write owner records there: %m; give another directory with --state-dir",
		   c->state_dir);
}

static enum check_result check_kernel(struct check *c, struct failure *text)
{
	struct kernel k;

	(void)c;
	if (kernel_open(&k, text))
		return CHECK_FAIL;
	kernel_close(&k);
	if (CODEC_AUTO & ~k.info.codecs)
		return say(CHECK_WARN, text, "kvmferry %s without lz4 or zstd; load the kernel's modules for them, or RAM is compressed less or not at all",
			   k.info.version);
	return say(CHECK_PASS, text, "kvmferry %s", k.info.version);
}

static enum check_result check_tracing(struct check *c, struct failure *text)
{
	char path[40];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)c->rams->pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return say(CHECK_FAIL, text, "cannot open %s: %m; run kvmferry as root",
			   path);
	close(fd);
	return say(CHECK_PASS, text, "kvmferry may trace process %d",
		   (int)c->rams->pid);
}

#define SOURCE	(1u << JOURNAL_SOURCE)
#define TARGET	(1u << JOURNAL_TARGET)

static const struct {
	const char *name;
	unsigned int sides;
	check_fn *check;
} checks[] = {
	{ "QEMU",		SOURCE | TARGET,	check_version },
	{ "run state",		SOURCE | TARGET,	check_state },
	{ "migration",		SOURCE | TARGET,	check_migration },
	{ "capabilities",	SOURCE | TARGET,	check_capabilities },
	{ "confidentiality",	SOURCE | TARGET,	check_confidential },
	{ "RAM",		SOURCE | TARGET,	check_ram },
	{ "other RAM",		SOURCE | TARGET,	check_left },
	{ "devices",		SOURCE | TARGET,	check_devices },
	{ "disks",		SOURCE | TARGET,	check_disks },
	{ "owner records",	SOURCE | TARGET,	check_record },
	{ "state directory",	SOURCE | TARGET,	check_directory },
	{ "kernel module",	SOURCE,			check_kernel },
	{ "tracing",		SOURCE,			check_tracing },
};

void check_log(void *opaque, enum check_result result, const char *name, const char *text)
{
	(void)opaque;
	if (result == CHECK_FAIL)
		log_error("%s: %s", name, text);
	else if (result == CHECK_WARN)
		log_warn("%s: %s", name, text);
	else
		log_debug("%s: %s", name, text);
}

int check_vm(struct qmp *qmp, enum journal_side side, const char *state_dir,
	     struct ramblocks *rams, struct vmdisks *disks, check_line_fn *line,
	     void *opaque, struct failure *why)
{
	struct check c = {
		.qmp = qmp, .side = side, .state_dir = state_dir, .rams = rams,
		.disks = disks,
	};
	int failures = 0;
	size_t i;

	*rams = (struct ramblocks){ 0 };
	*disks = (struct vmdisks){ 0 };
	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct failure text = { 0 };
		enum check_result result;

		if (!(checks[i].sides & (1u << side)))
			continue;
		result = checks[i].check(&c, &text);
		(line ? line : check_log)(opaque, result, checks[i].name,
					 text.text);
		if (result != CHECK_FAIL)
			continue;
		fail(why, "%s: %s", checks[i].name, text.text);
		failures++;
	}
	return failures;
}
