// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Processes beside the agent.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper.h"

static void detach(int *fd)
{
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	*fd = dup2(*fd, STDERR_FILENO + 1);
	close_range(STDERR_FILENO + 2, ~0u, 0);
	fcntl(*fd, F_SETFD, FD_CLOEXEC);
}

pid_t helper_fork(int *fd)
{
	int fds[2], saved;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return -1;
	pid = fork();
	if (!pid) {
		*fd = fds[1];
		detach(fd);
		return 0;
	}
	saved = errno;
	close(fds[1]);
	if (pid < 0)
		close(fds[0]);
	*fd = fds[0];
	errno = saved;
	return pid;
}

void helper_end(pid_t helper, int fd)
{
	close(fd);
	while (waitpid(helper, NULL, 0) < 0 && errno == EINTR)
		;
}
