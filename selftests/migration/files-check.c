// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Are the files there that a guest said were durable (../guest/files.c)?
 *
 *	files-check FOLDER N N ...	for each thread, up to which number they were
 *
 * Prints one line, and one for each that is lost or not what it was. Exit status 0 if none is.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "../guest/files.h"

/* How many words of the file there are, with one more than it may have. */
static size_t read_file(const char *path, uint64_t words[FILES_WORDS + 1])
{
	FILE *file = fopen(path, "re");
	size_t n;

	if (!file)
		return 0;
	n = fread(words, sizeof(words[0]), FILES_WORDS + 1, file);
	fclose(file);
	return n;
}

/* Nothing, or what is wrong with the file that has to be number @n or a later one in its place. */
static const char *judge(const char *path, unsigned int thread, uint64_t n)
{
	static uint64_t words[FILES_WORDS + 1];
	size_t count = read_file(path, words), i;

	if (count < 2 || words[0] != FILES_STAMP)
		return "is not there, or no such file";
	if (words[1] < n || words[1] % FILES_SLOTS != n % FILES_SLOTS)
		return "is an old one";
	if (count != files_size(thread, words[1]))
		return "has another size";
	for (i = 0; i < count; i++)
		if (words[i] != files_word(thread, words[1], i))
			return "has other content";
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned int files = 0, wrong = 0;

	for (int thread = 0; thread < argc - 2; thread++) {
		uint64_t last = strtoull(argv[thread + 2], NULL, 10);

		for (uint64_t n = last > FILES_SLOTS ? last - FILES_SLOTS + 1 : 1; n <= last; n++, files++) {
			const char *fault;
			char path[4096];

			snprintf(path, sizeof(path), "%s/%d-%u", argv[1], thread, (unsigned int)(n % FILES_SLOTS));
			fault = judge(path, (unsigned int)thread, n);
			if (!fault)
				continue;
			wrong++;
			printf("# file %llu of thread %d %s\n", (unsigned long long)n, thread, fault);
		}
	}
	printf("# %u durable files looked for, %u lost or wrong\n", files, wrong);
	return wrong || !files;
}
