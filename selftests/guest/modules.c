// SPDX-License-Identifier: GPL-2.0-or-later
/* The guest's kernel modules. It has no modprobe: their order was found out when they were packed. */
#include "modules.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "workload.h"

#define FOLDER	"/modules"

static int is_module(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void load(const char *name)
{
	char path[sizeof(FOLDER) + 256];
	int fd;

	snprintf(path, sizeof(path), FOLDER "/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* ENODEV: one that is for a better CPU */
	if ((fd < 0 || syscall(SYS_finit_module, fd, "", 0)) && errno != ENODEV) {
		count_error();
		say("error: module %s: %s", name, strerror(errno));
	}
	close(fd);
}

void load_modules(void)
{
	struct dirent **list;
	int n = scandir(FOLDER, &list, is_module, alphasort), i;

	for (i = 0; i < n; i++)
		load(list[i]->d_name);
}
