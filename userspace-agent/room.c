// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Is there room for the guest's RAM on this host?
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "room.h"

#define MIB(bytes)	((uint64_t)(bytes) >> 20)

/* Is @n the first block of its file, or with @device alone, of its file system? */
static bool is_first(const struct ramblocks *rams, unsigned int n, bool file)
{
	const struct ramblock *b = &rams->block[n];

	for (unsigned int i = 0; i < n; i++)
		if (rams->block[i].device == b->device &&
		    (!file || rams->block[i].inode == b->inode))
			return false;
	return true;
}

/* What the blocks on the file system of block @n need, and have already: bytes. */
static int add_up(const struct ramblocks *rams, unsigned int n, uint64_t *need,
		  uint64_t *have, struct failure *why)
{
	struct stat st;

	*need = 0;
	*have = 0;
	for (unsigned int i = n; i < rams->count; i++) {
		const struct ramblock *b = &rams->block[i];

		if (b->device != rams->block[n].device)
			continue;
		*need += b->size;
		if (!is_first(rams, i, true))
			continue;
		if (fstat(b->fd, &st))
			return fail(why, "cannot examine %s: %s", b->path,
				    strerror(errno));
		*have += (uint64_t)st.st_blocks * 512;
	}
	return 0;
}

static int check_filesystem(const struct ramblocks *rams, unsigned int n,
			    struct failure *why)
{
	const struct ramblock *b = &rams->block[n];
	uint64_t need, have;
	struct statvfs fs;

	if (fstatvfs(b->fd, &fs))
		return fail(why, "cannot examine the file system of %s: %s", b->path,
			    strerror(errno));
	if (!fs.f_blocks)
		return 0;	/* a tmpfs without a limit */
	if (add_up(rams, n, &need, &have, why))
		return -1;

	have += (uint64_t)fs.f_bavail * fs.f_frsize;
	if (have < need)
		return fail(why, "guest RAM needs %" PRIu64 " MiB, but the file system "
			    "of %s has room for %" PRIu64 " MiB; enlarge it "
			    "(mount -o remount,size=...)", MIB(need), b->path,
			    MIB(have));
	return 0;
}

int room_check(const struct ramblocks *rams, struct failure *why)
{
	for (unsigned int i = 0; i < rams->count; i++)
		if (is_first(rams, i, false) && check_filesystem(rams, i, why))
			return -1;
	return 0;
}
