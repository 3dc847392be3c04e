// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the fuzzers have around them.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "scratch.h"

static char dir[] = "/dev/shm/kvmferry-fuzz.XXXXXX";

/* Calls @visit for each file of a folder but "." and "..". Returns how many. */
static int each_file(const char *path, void (*visit)(const char *name))
{
	DIR *files = opendir(path);
	struct dirent *entry;
	int count = 0;

	if (!files)
		abort();
	while ((entry = readdir(files))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		count++;
		if (visit)
			visit(entry->d_name);
	}
	closedir(files);
	return count;
}

static void remove_one(const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	unlink(path);
}

int scratch_empty(void)
{
	return each_file(scratch_dir(), remove_one);
}

static void remove_dir(void)
{
	scratch_empty();
	rmdir(dir);
}

const char *scratch_dir(void)
{
	static int made;

	if (!made++) {
		if (!mkdtemp(dir))
			abort();
		atexit(remove_dir);
	}
	return dir;
}

static char last[256];

static void note_last(const char *name)
{
	snprintf(last, sizeof(last), "%s", name);
}

bool scratch_only(char *path, size_t size)
{
	int files = each_file(scratch_dir(), note_last);

	if (files > 1)
		abort();
	snprintf(path, size, "%s/%s", dir, last);
	return files;
}

static void drop(void *opaque, enum log_level level, const char *text)
{
	(void)opaque;
	(void)level;
	(void)text;
}

void scratch_hush(void)
{
	log_set_hook(drop, NULL);
}

/* One of them is that of the folder itself. */
int scratch_files(void)
{
	return each_file("/proc/self/fd", NULL) - 1;
}
