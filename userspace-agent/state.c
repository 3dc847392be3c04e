// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a running agent publishes about its migration.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replace.h"
#include "state.h"

#define SUFFIX	".json"

int state_open(struct state *s, const char *dir, const char *migration, const char *side,
	       struct failure *why)
{
	*s = (struct state){ .fd = -1 };
	if (mkdir(dir, 0700) && errno != EEXIST)
		return fail(why, "%s: cannot make the directory: %m", dir);
	if (snprintf(s->path, sizeof(s->path), "%s/%s.%s" SUFFIX, dir, migration,
		     side) < (int)sizeof(s->path) - 4)
		return 0;
	s->path[0] = '\0';
	return fail(why, "%s: the path is too long", dir);
}

int state_put(struct state *s, const json_t *object, struct failure *why)
{
	char *text;
	int fd;

	if (!s->path[0])
		return 0;
	text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(16));
	if (!text)
		return fail(why, "not enough memory");
	fd = replace_file(s->path, text, strlen(text), 0600);
	free(text);
	if (fd < 0)
		return fail(why, "%s: cannot write: %m", s->path);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = fd;
	return 0;
}

void state_close(struct state *s)
{
	if (s->fd < 0)
		return;
	unlink(s->path);
	close(s->fd);
	s->fd = -1;
	s->path[0] = '\0';
}

static int is_state(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name), end = strlen(SUFFIX);

	return n > end && !strcmp(entry->d_name + n - end, SUFFIX);
}

static json_t *read_object(int fd)
{
	char *text = malloc(STATE_MAX);
	json_t *object = NULL;
	ssize_t n;

	if (!text)
		return NULL;
	n = read(fd, text, STATE_MAX);
	if (n > 0)
		object = json_loadb(text, (size_t)n, 0, NULL);
	free(text);
	if (json_is_object(object))
		return object;
	json_decref(object);
	return NULL;
}

/* Returns whether there was one. */
static bool visit_file(const char *path, state_visit_fn *visit, void *opaque)
{
	/* not blocking, should somebody have put a FIFO there */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	json_t *object;
	bool alive;

	if (fd < 0)
		return false;
	alive = flock(fd, LOCK_SH | LOCK_NB) != 0;
	object = read_object(fd);
	close(fd);
	if (!object)
		return false;
	visit(opaque, object, alive);
	json_decref(object);
	return true;
}

int state_each(const char *dir, state_visit_fn *visit, void *opaque, struct failure *why)
{
	struct dirent **entries;
	int i, seen = 0, n = scandir(dir, &entries, is_state, alphasort);

	if (n < 0)
		return errno == ENOENT ? 0 : fail(why, "%s: %m", dir);
	for (i = 0; i < n; i++) {
		char path[PATH_MAX + sizeof(entries[i]->d_name)];

		snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		seen += visit_file(path, visit, opaque);
		free(entries[i]);
	}
	free(entries);
	return seen;
}
