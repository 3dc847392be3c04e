// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Disks for scripts, as dmsetup would do it if it did not take so long to start in the host.
 *
 *	diskctl make NAME MIB TARGET ARGUMENTS		and /dev/mapper/NAME
 *	diskctl reload NAME MIB TARGET ARGUMENTS	another table, in use at once
 *	diskctl remove NAME
 *	diskctl status NAME				what its target says of itself
 *	diskctl unguard NAME				all ranges that a target ferry guards
 */
#include <fcntl.h>
#include <unistd.h>

#include "storage.h"

static const char *node_of(const char *name)
{
	static char node[160];

	snprintf(node, sizeof(node), "/dev/mapper/%s", name);
	return node;
}

static void make(const char *name, uint64_t sectors, const char *target, const char *arguments)
{
	char device[32];

	close(dm_make(name, sectors, target, arguments));
	snprintf(device, sizeof(device), "../dm-%d", dm_minor(name));
	unlink(node_of(name));
	must(symlink(device, node_of(name)));
}

static void reload(const char *name, uint64_t sectors, const char *target, const char *arguments)
{
	sure(dm_load(name, sectors, target, arguments));
	sure(dm_suspend(name, false));
	sure(dm_resume(name));
}

static void unguard(const char *name)
{
	int block = must(open(node_of(name), O_RDWR | O_CLOEXEC));
	int file = disk_bind(block);

	if (file < 0)
		die("disk %s cannot be bound: %s", name, strerror(-file));
	sure(disk_unguard_all(file));
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	uint64_t sectors = argc > 3 ? strtoull(argv[3], NULL, 10) << 11 : 0;

	if (!strcmp(verb, "make") && argc == 6)
		make(argv[2], sectors, argv[4], argv[5]);
	else if (!strcmp(verb, "reload") && argc == 6)
		reload(argv[2], sectors, argv[4], argv[5]);
	else if (!strcmp(verb, "status") && argc == 3)
		printf("%s\n", dm_status(argv[2], false));
	else if (!strcmp(verb, "unguard") && argc == 3)
		unguard(argv[2]);
	else if (!strcmp(verb, "remove") && argc == 3) {
		sure(dm_remove(argv[2]));
		unlink(node_of(argv[2]));
	} else {
		die("usage: see diskctl.c");
	}
	return 0;
}
