// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The agent's fence.c for scripts. DEVICE is the block device of a disk, SALT a number that
 * stands for a migration.
 *
 *	fencectl probe|lift DEVICE
 *	fencectl reserve|join|expel DEVICE SALT
 *	fencectl leave DEVICE source|target SALT
 *	fencectl foreign DEVICE KEY			register it, as somebody else; 0 takes it back
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <linux/pr.h>

#include "fence.h"
/* after the agent's headers, in which die() is something else */
#include "die.h"

static uint64_t key_of(enum fence_side side, const char *salt)
{
	uint8_t id[WIRE_ID_SIZE] = { 0x5a, 0, 0, (uint8_t)atoi(salt) };

	return fence_key(side, id);
}

static int foreign(const char *device, const char *key)
{
	struct pr_registration r = {
		.new_key = strtoull(key, NULL, 0), .flags = PR_FL_IGNORE_KEY,
	};

	return ioctl(must(open(device, O_RDWR | O_CLOEXEC)), IOC_PR_REGISTER, &r);
}

static int run(int argc, char **argv, struct failure *why)
{
	struct disk d = { .fd = -1 };
	const char *verb = argv[1];
	const char *salt = argv[argc - 1];

	snprintf(d.path, sizeof(d.path), "%s", argv[2]);
	if (!strcmp(verb, "probe") && argc == 3)
		return fence_probe(&d, why);
	if (!strcmp(verb, "lift") && argc == 3)
		return fence_lift(&d, why);
	if (!strcmp(verb, "reserve") && argc == 4)
		return fence_reserve(&d, key_of(FENCE_SOURCE, salt), why);
	if (!strcmp(verb, "join") && argc == 4)
		return fence_join(&d, key_of(FENCE_TARGET, salt), key_of(FENCE_SOURCE, salt), why);
	if (!strcmp(verb, "expel") && argc == 4)
		return fence_expel(&d, key_of(FENCE_TARGET, salt), key_of(FENCE_SOURCE, salt), why);
	if (!strcmp(verb, "leave") && argc == 5)
		return fence_leave(&d, key_of(strcmp(argv[3], "source") ? FENCE_TARGET :
					      FENCE_SOURCE, salt), why);
	if (!strcmp(verb, "foreign") && argc == 4)
		return foreign(argv[2], argv[3]);
	die("usage: see fencectl.c");
}

int main(int argc, char **argv)
{
	struct failure why = { 0 };

	if (argc < 3)
		die("usage: see fencectl.c");
	if (!run(argc, argv, &why))
		return 0;
	printf("%s\n", why.text);
	return 1;
}
