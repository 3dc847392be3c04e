// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Disks for scripts, as dmsetup would do it if it did not take so long to start in the host.
 *
 *	diskctl make NAME MIB TARGET ARGUMENTS		and /dev/mapper/NAME
 *	diskctl reload NAME MIB TARGET ARGUMENTS	another table, in use at once
 *	diskctl remove NAME
 *	diskctl status NAME				what its target says of itself
 *	diskctl guard NAME ID SECTOR SECTORS		by a target ferry
 *	diskctl unguard NAME				all that it guards
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

static int bind_disk(const char *name)
{
	int file = disk_bind(must(open(node_of(name), O_RDWR | O_CLOEXEC)));

	if (file < 0)
		die("disk %s cannot be bound: %s", name, strerror(-file));
	return file;
}

static uint64_t number(const char *text)
{
	return strtoull(text, NULL, 10);
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	uint64_t sectors = argc > 3 ? number(argv[3]) << 11 : 0;

	if (!strcmp(verb, "make") && argc == 6)
		make(argv[2], sectors, argv[4], argv[5]);
	else if (!strcmp(verb, "reload") && argc == 6)
		reload(argv[2], sectors, argv[4], argv[5]);
	else if (!strcmp(verb, "status") && argc == 3)
		printf("%s\n", dm_status(argv[2], false));
	else if (!strcmp(verb, "guard") && argc == 6)
		sure(disk_guard(bind_disk(argv[2]), number(argv[3]), number(argv[4]), number(argv[5])));
	else if (!strcmp(verb, "unguard") && argc == 3)
		sure(disk_unguard_all(bind_disk(argv[2])));
	else if (!strcmp(verb, "remove") && argc == 3) {
		sure(dm_remove(argv[2]));
		unlink(node_of(argv[2]));
	} else {
		die("usage: see diskctl.c");
	}
	return 0;
}
