// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzing owner records: a damaged file in the state directory.
 *
 * The checksum is made right, unless the first byte of the input says otherwise. The
 * property: what is accepted is written and read again as the same, and a record
 * that cannot be read admits nobody.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal.h"
#include "scratch.h"

#define VM	"vm-1"
#define RECORD	VM ".000102030405060708090a0b0c0d0e0f"
#define MARK	"\nchecksum "

/* As journal.c says. */
static uint64_t checksum(const char *text, size_t length)
{
	uint64_t sum = 0xcbf29ce484222325u;

	while (length--)
		sum = (sum ^ (unsigned char)*text++) * 0x100000001b3u;
	return sum;
}

/* Writes the record, with a last line that is right. */
static void put_record(const char *path, const uint8_t *data, size_t size)
{
	FILE *file = fopen(path, "we");
	char *text = malloc(size + 1);
	const char *mark;
	size_t length;

	if (!file || !text)
		abort();
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	mark = strstr(text, MARK);
	length = mark ? (size_t)(mark + 1 - text) : size - 1;
	if (data[0] == '!')
		fwrite(text, 1, size - 1, file);
	else
		fprintf(file, "%.*schecksum %016" PRIx64 "\n", (int)length, text,
			checksum(text, length));
	if (fclose(file))
		abort();
	free(text);
}

static void must_survive(struct journal *j)
{
	struct journal again = *j;

	if (journal_write(&again, j->state, NULL) || journal_read(&again, j->path, NULL))
		abort();
	if (again.side != j->side || again.state != j->state || again.pid != j->pid ||
	    again.started != j->started || strcmp(again.vm, j->vm) != 0 ||
	    strcmp(again.peer, j->peer) != 0 || memcmp(again.id, j->id, sizeof(j->id)) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const ends[] = { "source", "target" };
	struct journal j, other = { .vm = VM, .path = "/" };
	char path[PATH_MAX];
	bool read;

	if (!size)
		return 0;
	snprintf(path, sizeof(path), "%s/" RECORD ".%s", scratch_dir(), ends[data[0] & 1]);
	put_record(path, data, size);
	read = !journal_read(&j, path, NULL);
	if (read)
		must_survive(&j);
	for (unsigned int side = JOURNAL_SOURCE; side <= JOURNAL_TARGET; side++)
		if (!journal_admits(scratch_dir(), side, VM, getpid(), NULL) && !read)
			abort();
	if (journal_was_attempt(scratch_dir(), VM, j.id, 4) &&
	    (!read || j.side != JOURNAL_TARGET || j.state != JOURNAL_INCOMING))
		abort();
	if (!journal_forget(scratch_dir(), &other) && (!read || memcmp(j.id, other.id, sizeof(j.id)) != 0))
		abort();
	unlink(path);
	return 0;
}
