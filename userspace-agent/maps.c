// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /proc/PID/maps.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "maps.h"

bool maps_read_line(const char *line, struct mapping *m)
{
	unsigned int major, minor;
	uint64_t inode;
	char rights[5];
	int after = 0;
	size_t length;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 "%n",
		   &m->start, &m->end, rights, &m->offset, &major, &minor,
		   &inode, &after) != 7 || !after)
		return false;
	m->writable = rights[1] == 'w';
	m->shared = rights[3] == 's';
	m->device = makedev(major, minor);
	m->inode = inode;

	line += after;
	line += strspn(line, " ");
	length = strcspn(line, "\n");
	if (length >= sizeof(m->path))
		return false;
	memcpy(m->path, line, length);
	m->path[length] = '\0';
	return true;
}

static FILE *open_maps(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	return fopen(path, "re");
}

/*
 * Calls @visit for each mapping until it returns false. Returns -1 if the file
 * cannot be read.
 */
static int walk(pid_t pid, bool (*visit)(const struct mapping *m, void *opaque),
		void *opaque)
{
	FILE *maps = open_maps(pid);
	struct mapping m;
	char *line = NULL;
	size_t size = 0;

	if (!maps)
		return -1;
	while (getline(&line, &size, maps) > 0)
		if (maps_read_line(line, &m) && !visit(&m, opaque))
			break;
	free(line);
	fclose(maps);
	return 0;
}

struct search {
	uint64_t address;
	struct mapping *found;
};

static bool visit_address(const struct mapping *m, void *opaque)
{
	struct search *s = opaque;

	if (s->address < m->start || s->address >= m->end)
		return true;
	*s->found = *m;
	return false;
}

int maps_find(pid_t pid, uint64_t address, struct mapping *m,
	      struct failure *why)
{
	struct search s = { .address = address, .found = m };

	*m = (struct mapping){ 0 };
	if (walk(pid, visit_address, &s))
		return fail(why, "cannot read /proc/%d/maps: %m; kvmferry needs the right to trace QEMU (run it as root)",
			    (int)pid);
	if (!m->end)
		return fail(why, "process %d maps nothing at 0x%" PRIx64,
			    (int)pid, address);
	return 0;
}

struct cover {
	const struct mapping *first;
	uint64_t at;		/* covered up to here */
	uint64_t end;
};

static bool visit_cover(const struct mapping *m, void *opaque)
{
	const struct mapping *first = ((struct cover *)opaque)->first;
	struct cover *c = opaque;

	if (c->at < m->start || c->at >= m->end)
		return true;
	if (m->device != first->device || m->inode != first->inode ||
	    m->shared != first->shared || m->writable != first->writable ||
	    m->start - first->start != m->offset - first->offset)
		return false;
	c->at = m->end;
	return c->at < c->end;
}

bool maps_cover(pid_t pid, uint64_t address, uint64_t size,
		const struct mapping *first)
{
	struct cover c = { .first = first, .at = address, .end = address + size };

	return !walk(pid, visit_cover, &c) && c.at >= c.end;
}

struct others {
	const struct mapped_file *files;
	unsigned int count;
	unsigned int which;
	bool found;
};

static bool visit_other(const struct mapping *m, void *opaque)
{
	struct others *o = opaque;
	unsigned int i;

	for (i = 0; i < o->count && !o->found; i++) {
		o->found = m->inode && o->files[i].inode == m->inode &&
			   o->files[i].device == m->device;
		o->which = i;
	}
	return !o->found;
}

pid_t maps_other(const struct mapped_file *files, unsigned int count,
		 pid_t except, unsigned int *which)
{
	struct others o = { .files = files, .count = count };
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	pid_t pid = 0;

	while (proc && !o.found && (entry = readdir(proc))) {
		pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (pid > 0 && pid != except && pid != getpid())
			walk(pid, visit_other, &o);
	}
	if (proc)
		closedir(proc);
	*which = o.which;
	return o.found ? pid : 0;
}
