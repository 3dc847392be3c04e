// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading sysfs.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sysfs.h"

bool sysfs_line(char *text, size_t size, const char *format, ...)
{
	char path[PATH_MAX];
	va_list args;
	FILE *file;
	bool read;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	text[0] = '\0';
	file = fopen(path, "re");
	if (!file)
		return false;
	read = fgets(text, (int)size, file) != NULL;
	fclose(file);
	text[strcspn(text, "\n")] = '\0';
	return read;
}

bool sysfs_mapper_name(const char *path, char name[SYSFS_NAME])
{
	struct stat st;

	name[0] = '\0';
	return !stat(path, &st) && S_ISBLK(st.st_mode) &&
	       sysfs_line(name, SYSFS_NAME, "/sys/dev/block/%u:%u/dm/name",
			  major(st.st_rdev), minor(st.st_rdev));
}
