// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs of Debian's, with the libraries that they need: a file system of their own, which is the root of whatever runs there.
 *
 * Commands:
 *	programs DEVICE	mount it
 *	run WORDS	run a program there, in the background: a line "run: TEXT" for each that it writes, and "run ended: N",
 *			its exit status, or 128 and the signal that ended it
 */
#include "programs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workload.h"

#define FOLDER		"/programs"
#define MAX_WORDS	32

static void complain(const char *what)
{
	count_error();
	say("error: programs: %s: %s", what, strerror(errno));
}

void programs_obey(char *words)
{
	mkdir(FOLDER, 0755);
	if (mount(words, FOLDER, "ext4", MS_RDONLY, NULL))
		return complain("cannot mount them");
	if (mount("/dev", FOLDER "/dev", NULL, MS_BIND, NULL) ||
	    mount("/proc", FOLDER "/proc", NULL, MS_BIND, NULL) ||
	    mount("tmp", FOLDER "/tmp", "tmpfs", 0, NULL))
		return complain("cannot mount what they need");
	say("programs are there");
}

/* In the child. */
static void become(char *words, int output)
{
	char *argv[MAX_WORDS + 1], *rest = words;
	size_t n = 0;

	while (n < MAX_WORDS && (argv[n] = strtok_r(rest, " ", &rest)))
		n++;
	argv[n] = NULL;
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	if (chroot(FOLDER) || chdir("/tmp"))
		_exit(126);
	execv(argv[0], argv);
	_exit(127);
}

static void repeat(int output)
{
	FILE *lines = fdopen(output, "r");
	char line[256];

	while (fgets(line, sizeof(line), lines)) {
		line[strcspn(line, "\n")] = '\0';
		if (*line)
			say("run: %s", line);
	}
	fclose(lines);
}

static void *run(void *arg)
{
	char *words = arg;
	int output[2], status = 0;
	pid_t pid;

	if (pipe2(output, O_CLOEXEC)) {
		complain("pipe2");
		return NULL;
	}
	pid = fork();
	if (pid == 0)
		become(words, output[1]);
	close(output[1]);
	repeat(output[0]);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		complain(words);
	free(words);
	say("run ended: %d", WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	return NULL;
}

void programs_run(const char *words)
{
	char *copy = strdup(words);
	pthread_t thread;

	if (!copy)
		return complain(words);
	start(&thread, run, copy);
	pthread_detach(thread);
}
