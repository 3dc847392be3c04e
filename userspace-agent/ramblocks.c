// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finding the RAM blocks of a VM. ramblocks.h tells the way and its reasons.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "hmp.h"
#include "maps.h"
#include "ramblocks.h"

#define USE_FILE	"start QEMU with -object memory-backend-file,id=ram0,size=SIZE,share=on,mem-path=/dev/shm/NAME -machine memory-backend=ram0 (libvirt: <source type='file'/> and <access mode='shared'/> in <memoryBacking>, memory_backing_dir on tmpfs)"

/* All that is asked of QEMU once and looked up for each block. */
struct survey {
	struct qmp *qmp;
	json_t *memdevs;	/* query-memdev */
	char *ramblocks;	/* info ramblock */
	char *mtree;		/* info mtree -f -o */
};

static void survey_end(struct survey *s)
{
	json_decref(s->memdevs);
	free(s->ramblocks);
	free(s->mtree);
}

static int survey_begin(struct survey *s, struct qmp *qmp, struct failure *why)
{
	*s = (struct survey){ .qmp = qmp };
	s->memdevs = qmp_execute(qmp, QMP_TIMEOUT, why, "query-memdev", NULL);
	if (s->memdevs)
		s->ramblocks = qmp_hmp(qmp, why, "info ramblock");
	if (s->ramblocks)
		s->mtree = qmp_hmp(qmp, why, "info mtree -f -o");
	if (s->mtree)
		return 0;
	survey_end(s);
	return -1;
}

/* ------------------------------------------------------------------------
 * Which process is QEMU?
 * ------------------------------------------------------------------------ */

/* The process to which a thread belongs; 0 if there is none. */
static pid_t process_of(int thread)
{
	char path[40], line[128];
	FILE *status;
	int pid = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", thread);
	status = fopen(path, "re");
	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "Tgid: %d", &pid) == 1)
			break;
	if (status)
		fclose(status);
	return pid;
}

/*
 * QEMU itself names the threads of its vCPUs. The process at the other end of
 * the socket is only second best: a proxy may be between, or who opened the
 * socket for QEMU. Either is proved or refuted by what it maps.
 */
static pid_t find_process(struct qmp *qmp)
{
	json_t *cpus = qmp_execute(qmp, QMP_TIMEOUT, NULL, "query-cpus-fast",
				   NULL);
	json_t *thread = json_object_get(json_array_get(cpus, 0), "thread-id");
	pid_t pid = process_of((int)json_integer_value(thread));

	json_decref(cpus);
	return pid ? pid : qmp_peer(qmp);
}

/* ------------------------------------------------------------------------
 * From a memory backend to a file
 * ------------------------------------------------------------------------ */

/*
 * A backend "ram0" is the RAM block "ram0", or with machine types before 4.0
 * "/objects/ram0". A backend that no device uses is no RAM block at all.
 */
static int find_ramblock(const struct survey *s, const char *id,
			 struct hmp_ramblock *found, struct failure *why)
{
	const char *text = s->ramblocks;
	struct hmp_ramblock block;
	int count = 0;

	while (hmp_next_ramblock(&text, &block)) {
		const char *name = block.name;

		if (!strncmp(name, "/objects/", 9))
			name += 9;
		if (strcmp(name, id) != 0)
			continue;
		*found = block;
		count++;
	}
	if (count > 1)
		return fail(why, "QEMU has two RAM blocks for the memory backend %s; give it another id",
			    id);
	return count;
}

/* A guest address that shows a part of the backend @id. */
static bool find_range(const struct survey *s, const char *id,
		       struct hmp_range *range)
{
	struct hmp_mtree mtree = { .text = s->mtree };

	while (hmp_next_range(&mtree, range))
		if (!strncmp(range->owner, "/objects/", 9) &&
		    !strcmp(range->owner + 9, id))
			return true;
	return false;
}

/* Where in QEMU the first byte of the backend @id is mapped. */
static int find_address(const struct survey *s, const char *id,
			uint64_t *address, struct failure *why)
{
	struct hmp_range range;
	char *text;
	bool ok;

	if (!find_range(s, id, &range))
		return fail(why, "the guest does not see the memory backend %s at any address now, so it cannot be found in QEMU; detach the device that uses it",
			    id);
	text = qmp_hmp(s->qmp, why, "gpa2hva 0x%" PRIx64, range.first);
	if (!text)
		return -1;
	ok = hmp_host_address(text, address);
	if (!ok)
		fail(why, "gpa2hva 0x%" PRIx64 ": QEMU said: %s", range.first, text);
	free(text);
	*address -= range.offset;
	return ok ? 0 : -1;
}

static int refuse_kind(const struct ramblock *b, const struct mapping *m,
		       struct failure *why)
{
	if (!m->inode || !m->path[0])
		return fail(why, "RAM block %s is anonymous memory; " USE_FILE,
			    b->name);
	if (!m->shared)
		return fail(why, "RAM block %s maps %s privately (share=off); "
			    USE_FILE, b->name, m->path);
	if (!strncmp(m->path, "/memfd:", 7))
		return fail(why, "RAM block %s is a memfd, which QEMU 8.1 and later would send itself; "
			    USE_FILE, b->name);
	return 0;
}

/* map_files works for unlinked files too, but takes more rights. */
static int open_file(struct ramblock *b, pid_t pid, const struct mapping *m,
		     struct failure *why)
{
	char link[80];
	struct stat st;

	snprintf(link, sizeof(link),
		 "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)pid, m->start,
		 m->end);
	b->fd = open(link, O_RDWR | O_CLOEXEC);
	if (b->fd < 0)
		b->fd = open(m->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (b->fd < 0)
		return fail(why, "cannot open %s, the file of RAM block %s: %m; run kvmferry as root",
			    m->path, b->name);
	if (fstat(b->fd, &st) || st.st_dev != m->device || st.st_ino != m->inode)
		return fail(why, "%s is no longer the file that QEMU maps as RAM block %s; it was replaced after QEMU started, and only root can still open it",
			    m->path, b->name);
	return 0;
}

static int refuse_filesystem(const struct ramblock *b, struct failure *why)
{
	struct statfs fs;

	if (fstatfs(b->fd, &fs))
		return fail(why, "%s: cannot tell the file system: %m", b->path);
	if (fs.f_type == HUGETLBFS_MAGIC)
		return fail(why, "RAM block %s is on hugetlbfs, whose pages cannot be tracked; put its mem-path on tmpfs mounted with huge=within_size instead",
			    b->name);
	if (fs.f_type != TMPFS_MAGIC)
		return fail(why, "RAM block %s is the file %s, which is not on tmpfs; give it a mem-path on tmpfs, such as /dev/shm/NAME (libvirt: memory_backing_dir in qemu.conf)",
			    b->name, b->path);
	return 0;
}

static int find_file(struct ramblock *b, pid_t pid, struct failure *why)
{
	struct mapping m;

	if (maps_find(pid, b->address, &m, why))
		return fail_in(why, "process %d does not look like the QEMU that owns RAM block %s; if a proxy is between, give QEMU's own socket",
			       (int)pid, b->name);
	if (refuse_kind(b, &m, why))
		return -1;
	if (!m.writable || !maps_cover(pid, b->address, b->size, &m))
		return fail(why, "process %d does not map all %" PRIu64 " bytes of RAM block %s at 0x%" PRIx64 ", or not for writing; is it the QEMU behind this socket?",
			    (int)pid, b->size, b->name, b->address);
	b->offset = m.offset + (b->address - m.start);
	b->device = m.device;
	b->inode = m.inode;
	memcpy(b->path, m.path, sizeof(b->path));
	if (open_file(b, pid, &m, why))
		return -1;
	return refuse_filesystem(b, why);
}

static int add_block(struct ramblocks *rams, const struct survey *s,
		     const char *id, const struct hmp_ramblock *found,
		     struct failure *why)
{
	struct ramblock *b = &rams->block[rams->count];

	if (rams->count == FERRY_MAX_RAM)
		return fail(why, "the VM has more than %d RAM blocks",
			    FERRY_MAX_RAM);
	if (strlen(found->name) >= sizeof(b->name))
		return fail(why, "the name of RAM block %s is too long; give the memory backend an id below %zu characters",
			    found->name, sizeof(b->name));
	*b = (struct ramblock){ .fd = -1, .size = found->total };
	memcpy(b->name, found->name, strlen(found->name));
	rams->count++;
	rams->total += b->size;

	if (find_address(s, id, &b->address, why))
		return -1;
	return find_file(b, rams->pid, why);
}

/* ------------------------------------------------------------------------
 * All of them
 * ------------------------------------------------------------------------ */

static int add_backend(struct ramblocks *rams, const struct survey *s,
		       json_t *memdev, struct failure *why)
{
	const char *id = json_string_value(json_object_get(memdev, "id"));
	struct hmp_ramblock found;
	int used;

	if (!id)
		return fail(why, "QEMU has a memory backend without an id; give it one");
	used = find_ramblock(s, id, &found, why);
	if (used <= 0)
		return used;
	if (!json_is_true(json_object_get(memdev, "share")))
		return fail(why, "RAM block %s is private memory (share=off); "
			    USE_FILE, found.name);
	return add_block(rams, s, id, &found, why);
}

/*
 * What QEMU sends itself: every block that was not added above. One without a name
 * belongs to no device, and is not sent.
 */
static uint64_t count_left(const struct ramblocks *rams, const char *text)
{
	struct hmp_ramblock block;
	uint64_t left = 0;

	while (hmp_next_ramblock(&text, &block))
		if (block.name[0] && !ramblocks_by_name(rams, block.name))
			left += block.used;
	return left;
}

static int refuse_others(const struct ramblocks *rams, struct failure *why)
{
	struct mapped_file files[FERRY_MAX_RAM];
	unsigned int i, which;
	pid_t other;

	for (i = 0; i < rams->count; i++) {
		files[i].device = rams->block[i].device;
		files[i].inode = rams->block[i].inode;
	}
	other = maps_other(files, rams->count, rams->pid, &which);
	if (!other)
		return 0;
	return fail(why, "%s, the file of RAM block %s, is also mapped by process %d, whose writes would be missed; stop that process (a vhost-user backend? another VM with the same mem-path?)",
		    rams->block[which].path, rams->block[which].name, (int)other);
}

static int find_all(struct ramblocks *rams, const struct survey *s,
		    struct failure *why)
{
	json_t *memdev;
	size_t i;

	json_array_foreach(s->memdevs, i, memdev)
		if (add_backend(rams, s, memdev, why))
			return -1;
	if (!rams->count)
		return fail(why, "the VM has no shared RAM; " USE_FILE);
	rams->left = count_left(rams, s->ramblocks);
	return refuse_others(rams, why);
}

int ramblocks_find(struct ramblocks *rams, struct qmp *qmp, struct failure *why)
{
	struct survey s;
	int result;

	*rams = (struct ramblocks){ .pid = find_process(qmp) };
	if (rams->pid <= 0)
		return fail(why, "cannot tell which process QEMU is; is it on this host, in this pid namespace?");
	if (survey_begin(&s, qmp, why))
		return -1;
	result = find_all(rams, &s, why);
	survey_end(&s);
	if (result)
		ramblocks_close(rams);
	return result;
}

void ramblocks_close(struct ramblocks *rams)
{
	unsigned int i;

	for (i = 0; i < rams->count; i++)
		if (rams->block[i].fd >= 0)
			close(rams->block[i].fd);
	rams->count = 0;
}

const struct ramblock *ramblocks_by_name(const struct ramblocks *rams,
					 const char *name)
{
	unsigned int i;

	for (i = 0; i < rams->count; i++)
		if (!strcmp(rams->block[i].name, name))
			return &rams->block[i];
	return NULL;
}
