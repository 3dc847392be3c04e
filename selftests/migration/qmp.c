// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Say one thing to a QEMU and print its answer: the tests' own QMP client.
 *
 *	qmp SOCKET COMMAND-JSON
 *
 * Prints the value of "return" (stdout, status 0) or the whole answer with its
 * "error" (stderr, status 1). Status 2: no QEMU there, or no answer within 30 s.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS	30000

static char buffer[1 << 20];
static size_t have;

static void give_up(const char *why)
{
	fprintf(stderr, "qmp: %s\n", why);
	exit(2);
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		give_up("path too long");
	strcpy(address.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		give_up("cannot connect");
	return fd;
}

/* One line into @line, without its end. QMP never breaks an answer in two. */
static void get_line(int fd, char *line, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char *end;
	ssize_t n;

	while (!(end = memchr(buffer, '\n', have))) {
		if (poll(&p, 1, PATIENCE_MS) != 1)
			give_up("no answer");
		n = read(fd, buffer + have, sizeof(buffer) - have);
		if (n <= 0)
			give_up("connection closed");
		have += n;
	}
	n = end - buffer;
	if ((size_t)n >= size)
		give_up("answer too long");
	memcpy(line, buffer, n);
	line[n] = '\0';
	if (n && line[n - 1] == '\r')
		line[n - 1] = '\0';
	have -= n + 1;
	memmove(buffer, end + 1, have);
}

/* Send @text, then skip events until the answer to it. */
static char *ask(int fd, const char *text)
{
	static char line[1 << 20];

	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0 ||
	    send(fd, "\n", 1, MSG_NOSIGNAL) < 0)
		give_up("connection closed");
	do {
		get_line(fd, line, sizeof(line));
	} while (strncmp(line, "{\"return\"", 9) && strncmp(line, "{\"error\"", 8));
	return line;
}

int main(int argc, char **argv)
{
	static char greeting[4096];
	char *answer;
	int fd;

	if (argc != 3) {
		fprintf(stderr, "usage: qmp SOCKET COMMAND-JSON\n");
		return 2;
	}
	fd = connect_to(argv[1]);
	get_line(fd, greeting, sizeof(greeting));
	ask(fd, "{\"execute\": \"qmp_capabilities\"}");
	answer = ask(fd, argv[2]);
	if (!strncmp(answer, "{\"error\"", 8)) {
		fprintf(stderr, "%s\n", answer);
		return 1;
	}
	answer += strlen("{\"return\": ");
	answer[strlen(answer) - 1] = '\0';
	puts(answer);
	return 0;
}
