// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files that others read at any moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replace.h"

static bool write_all(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t n = write(fd, text, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		length -= (size_t)n;
	}
	return true;
}

int replace_file(const char *path, const char *text, size_t length, mode_t mode)
{
	char temporary[PATH_MAX];
	int fd, saved;

	if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	if (!flock(fd, LOCK_EX | LOCK_NB) && !fchmod(fd, mode) &&
	    write_all(fd, text, length) && !rename(temporary, path))
		return fd;
	saved = errno;
	close(fd);
	unlink(temporary);
	errno = saved;
	return -1;
}
