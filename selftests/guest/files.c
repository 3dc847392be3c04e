// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files on ext4, each made durable as careful programs do it: written under another name, fsync, rename, fsync of the
 * folder. After a loss of power all that was said to be durable must be there, and whatever is there must be whole.
 *
 * Commands, behind the word "files":
 *	DEVICE THREADS	mount it, and begin
 *	tell		a line "files synced: N N ...": for each thread, files up to this number are durable
 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "workload.h"

#define FOLDER	"/files-disk"
#define REST_MS	2

static struct {
	unsigned int threads;
	int folder;
	struct writer {
		pthread_t thread;
		unsigned int number;
		uint64_t volatile synced;
		uint64_t words[FILES_WORDS];
	} writer[FILES_THREADS];
} files;

static void complain(const char *what)
{
	if (count_error() < COMPLAINTS)
		say("error: files: %s: %s", what, strerror(errno));
}

static bool fill(int fd, struct writer *w, uint64_t n)
{
	size_t size = files_size(w->number, n), i;

	for (i = 0; i < size; i++)
		w->words[i] = files_word(w->number, n, i);
	size *= sizeof(uint64_t);
	return write(fd, w->words, size) == (ssize_t)size && !fsync(fd);
}

static bool make(struct writer *w, uint64_t n)
{
	char name[32], new[32];
	bool filled;
	int fd;

	snprintf(new, sizeof(new), "%u.new", w->number);
	snprintf(name, sizeof(name), "%u-%u", w->number, (unsigned int)(n % FILES_SLOTS));
	fd = openat(files.folder, new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return false;
	filled = fill(fd, w, n);
	close(fd);
	return filled && !renameat(files.folder, new, files.folder, name) && !fsync(files.folder);
}

static void *write_for_ever(void *arg)
{
	struct writer *w = arg;
	uint64_t n;

	for (n = 1; make(w, n); n++) {
		w->synced = n;
		sleep_ms(REST_MS);
	}
	complain("a file cannot be made durable");
	return NULL;
}

static void begin(const char *device, unsigned int threads)
{
	mkdir(FOLDER, 0755);
	if (mount(device, FOLDER, "ext4", 0, NULL))
		return complain("cannot mount it");
	files.folder = open(FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (files.folder < 0)
		return complain(FOLDER);
	files.threads = threads;
	for (unsigned int i = 0; i < threads; i++) {
		files.writer[i].number = i;
		start(&files.writer[i].thread, write_for_ever, &files.writer[i]);
	}
}

static void tell(void)
{
	char text[FILES_THREADS * 21 + 1] = "";
	size_t n = 0;

	for (unsigned int i = 0; i < files.threads; i++)
		n += snprintf(text + n, sizeof(text) - n, " %llu", (unsigned long long)files.writer[i].synced);
	say("files synced:%s", text);
}

void files_obey(char *words)
{
	unsigned int threads;
	char device[64];

	if (!strcmp(words, "tell"))
		tell();
	else if (sscanf(words, "%63s %u", device, &threads) == 2 && threads && threads <= FILES_THREADS &&
		 !files.threads)
		begin(device, threads);
	else
		say("error: files %s?", words);
}
