// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fences, and the file that remembers them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fence.h"
#include "replace.h"
#include "reservation.h"
#include "sysfs.h"

static const char *const words[] = {
	[FENCE_READY] = "ready",
	[FENCE_CUT] = "cut",
};

uint32_t fence_salt(const uint8_t id[WIRE_ID_SIZE])
{
	return (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
}

/* "kf", the salt, 1 for the source and 2 for the target: never 0, which is no key. */
uint64_t fence_key(enum journal_side side, uint32_t salt)
{
	return 0x6b66ull << 48 | (uint64_t)salt << 16 | (side == JOURNAL_SOURCE ? 1 : 2);
}

/* ------------------------------------------------------------------------
 * The file
 * ------------------------------------------------------------------------ */

/* Returns false if that is no such file. */
static bool read_file(struct fence *f)
{
	FILE *file = fopen(f->file, "re");
	char side[8], word[8];
	int words_read = 0;

	if (file) {
		words_read = fscanf(file, "%7s %" SCNx32 " %7s", side, &f->salt, word);
		fclose(file);
	}
	if (words_read != 3)
		return false;
	for (f->side = JOURNAL_SOURCE; strcmp(side, journal_side_name(f->side)) != 0; f->side++)
		if (f->side == JOURNAL_TARGET)
			return false;
	for (f->state = FENCE_READY; strcmp(word, words[f->state]) != 0; f->state++)
		if (f->state == FENCE_CUT)
			return false;
	return true;
}

int fence_read(struct fence *f, const char *state_dir, const char *disk, struct failure *why)
{
	char name[SYSFS_NAME];

	*f = (struct fence){ .state = FENCE_NONE };
	snprintf(f->disk, sizeof(f->disk), "%s", disk);
	if (!sysfs_mapper_name(disk, name))
		return 0;
	if (snprintf(f->file, sizeof(f->file), "%s/%s.fence", state_dir, name) >=
	    (int)sizeof(f->file))
		return fail(why, "%s: the path is too long", state_dir);
	if (access(f->file, F_OK))
		return errno == ENOENT ? 0 : fail(why, "%s: %m", f->file);
	if (read_file(f))
		return 0;
	return fail(why, "%s: it does not say which keys this host has registered for disk %s; end them by hand (sg_persist --out --clear), then delete the file",
		    f->file, disk);
}

static int write_file(struct fence *f, enum fence_state state, struct failure *why)
{
	char line[64], dir[PATH_MAX];
	int length = snprintf(line, sizeof(line), "%s %08" PRIx32 " %s\n",
			      journal_side_name(f->side), f->salt, words[state]);
	int fd;

	snprintf(dir, sizeof(dir), "%s", f->file);
	*strrchr(dir, '/') = '\0';
	mkdir(dir, 0700);
	fd = replace_file(f->file, line, (size_t)length, 0600);
	if (fd < 0)
		return fail(why, "cannot write %s: %m", f->file);
	close(fd);
	f->state = state;
	return journal_sync(dir, why);
}

static int forget(struct fence *f, struct failure *why)
{
	if (unlink(f->file) && errno != ENOENT)
		return fail(why, "cannot delete %s: %m", f->file);
	f->state = FENCE_NONE;
	return 0;
}

/* ------------------------------------------------------------------------
 * Keys and reservations
 * ------------------------------------------------------------------------ */

static uint64_t my_key(const struct fence *f)
{
	return fence_key(f->side, f->salt);
}

static int reserve(const struct fence *f, struct failure *why)
{
	struct reservation r;

	if (reservation_find(&r, f->disk, why) || reservation_register(&r, my_key(f), why))
		return -1;
	if (f->side == JOURNAL_TARGET || !reservation_take(&r, my_key(f), why))
		return 0;
	reservation_unregister(&r, my_key(f), NULL);
	return -1;
}

int fence_ready(struct fence *f, enum journal_side side, uint32_t salt, struct failure *why)
{
	f->side = side;
	f->salt = salt;
	if (write_file(f, FENCE_READY, why))
		return -1;
	if (!reserve(f, why))
		return 0;
	forget(f, NULL);
	return -1;
}

int fence_cut(struct fence *f, struct failure *why)
{
	struct reservation r;

	if (reservation_find(&r, f->disk, why) ||
	    reservation_preempt(&r, my_key(f), fence_key(journal_other_side(f->side), f->salt),
				why))
		return -1;
	return write_file(f, FENCE_CUT, why);
}

/* That a key is not known any more means that the other host was faster. */
int fence_end(struct fence *f, struct failure *why)
{
	struct reservation r;

	if (reservation_find(&r, f->disk, why) || reservation_clear(&r, my_key(f), why) < 0)
		return -1;
	return forget(f, why);
}

int fence_leave(struct fence *f, struct failure *why)
{
	struct reservation r;

	if (reservation_find(&r, f->disk, why) || reservation_unregister(&r, my_key(f), why) < 0)
		return -1;
	return forget(f, why);
}
