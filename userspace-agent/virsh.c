// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Running virsh. What it reads and writes are files in memory: nothing has to be read while it runs.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "virsh.h"

#define ARGUMENTS	16

/* A domain with much RAM takes its time to start; a libvirt that hangs does so for ever. */
int virsh_wait_ms = 120000;

enum { IN, OUT, ERR, FILES };

static void close_files(int file[FILES])
{
	for (int i = 0; i < FILES; i++)
		if (file[i] >= 0)
			close(file[i]);
}

static int open_files(int file[FILES], const char *input, struct failure *why)
{
	size_t size = input ? strlen(input) : 0;

	for (int i = 0; i < FILES; i++)
		file[i] = memfd_create("virsh", MFD_CLOEXEC);
	if (file[IN] >= 0 && file[OUT] >= 0 && file[ERR] >= 0 &&
	    pwrite(file[IN], input ? input : "", size, 0) == (ssize_t)size)
		return 0;
	fail(why, "cannot run virsh: %s", strerror(errno));
	close_files(file);
	return -1;
}

/* All of a file, with a NUL. */
static char *read_file(int fd)
{
	char *text = malloc(VIRSH_MAX + 1);
	ssize_t n = text ? pread(fd, text, VIRSH_MAX, 0) : 0;

	if (text)
		text[n > 0 ? n : 0] = '\0';
	return text;
}

/*
 * Says what it could not do in the first line and why in those that follow, each with an "error: " that
 * nobody needs: they become one line.
 */
static void tell(int fd, const char *command, struct failure *why)
{
	static const char prefix[] = "error: ";
	char words[FAILURE_SIZE] = "";
	char *said = read_file(fd), *rest = said, *line;

	while ((line = strsep(&rest, "\n"))) {
		size_t used = strlen(words);

		if (!strncmp(line, prefix, sizeof(prefix) - 1))
			line += sizeof(prefix) - 1;
		if (*line)
			snprintf(words + used, sizeof(words) - used, "%s%s", used ? ": " : "", line);
	}
	fail(why, "virsh %s: %s", command, *words ? words : "it gives no reason");
	free(said);
}

/* Has it ended within the time? */
static bool ends(pid_t pid)
{
	struct pollfd process = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	int64_t deadline = clock_ms() + virsh_wait_ms;
	int ended;

	if (process.fd < 0)
		return true; /* so waitpid() waits, for as long as it takes */
	do {
		ended = poll(&process, 1, clock_left(deadline));
	} while (ended < 0 && errno == EINTR);
	close(process.fd);
	return ended > 0;
}

static int run(const char *const argv[], int file[FILES], struct failure *why)
{
	posix_spawn_file_actions_t actions;
	int error, status = 0;
	bool ended;
	pid_t pid;

	/* dominfo is read, so it has to be in English */
	setenv("LC_ALL", "C", 1);
	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < FILES; i++)
		posix_spawn_file_actions_adddup2(&actions, file[i], i);
	error = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (error == ENOENT)
		return fail(why, "there is no virsh on this host; install libvirt's clients, or use --qmp instead of --domain");
	if (error)
		return fail(why, "cannot run virsh: %s", strerror(error));
	ended = ends(pid);
	if (!ended)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail(why, "cannot wait for virsh: %s", strerror(errno));
	if (!ended)
		return fail(why, "virsh %s: libvirt has not answered for %d s; does it to virsh list? (systemctl status libvirtd)",
			    argv[2], virsh_wait_ms / 1000);
	if (status)
		tell(file[ERR], argv[2], why);
	return status ? -1 : 0;
}

char *virsh(const char *input, struct failure *why, const char *command, ...)
{
	const char *argv[ARGUMENTS] = { "virsh", "-q", command };
	char *said = NULL;
	int file[FILES];
	va_list args;

	va_start(args, command);
	for (int n = 3; n < ARGUMENTS - 1 && (argv[n] = va_arg(args, const char *)); n++)
		;
	va_end(args);
	if (open_files(file, input, why))
		return NULL;
	if (!run(argv, file, why)) {
		said = read_file(file[OUT]);
		if (!said)
			fail(why, "cannot run virsh: no memory");
	}
	close_files(file);
	return said;
}
