// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Is there room for RAM? On a tmpfs of 4 MiB in a mount namespace of our own.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "room.h"

#define MIB	(1ull << 20)

static char dir[] = "/tmp/kvmferry-room-XXXXXX";
static bool mounted;

static int mount_small_tmpfs(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return 0;
	if (!mkdtemp(dir))
		return -1;
	mounted = !mount("tmpfs", dir, "tmpfs", 0, "size=4m");
	return 0;
}

static int unmount(void **state)
{
	(void)state;
	if (mounted)
		umount(dir);
	rmdir(dir);
	return 0;
}

/* One more RAM block of @size bytes, of which @used are there, in a file of its own. */
static void add_block(struct ramblocks *rams, int fd, uint64_t size, uint64_t used)
{
	struct ramblock *b = &rams->block[rams->count++];
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	if (used)
		assert_int_equal(posix_fallocate(fd, 0, (off_t)used), 0);
	assert_int_equal(fstat(fd, &st), 0);
	b->fd = fd;
	b->size = size;
	b->device = st.st_dev;
	b->inode = st.st_ino;
	snprintf(b->path, sizeof(b->path), "%s/ram%u", dir, rams->count);
}

static int new_file(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static void close_all(struct ramblocks *rams)
{
	for (unsigned int i = 0; i < rams->count; i++) {
		assert_int_equal(ftruncate(rams->block[i].fd, 0), 0);
		close(rams->block[i].fd);
	}
	free(rams);
}

static void test_enough(void **state)
{
	struct ramblocks *rams = calloc(1, sizeof(*rams));
	struct failure why = { 0 };

	(void)state;
	if (!mounted)
		skip();
	add_block(rams, new_file("one"), 2 * MIB, 0);
	add_block(rams, new_file("two"), 2 * MIB, 0);
	assert_int_equal(room_check(rams, &why), 0);
	close_all(rams);
}

static void test_what_is_there_counts(void **state)
{
	struct ramblocks *rams = calloc(1, sizeof(*rams));
	struct failure why = { 0 };

	(void)state;
	if (!mounted)
		skip();
	add_block(rams, new_file("one"), 4 * MIB, 3 * MIB);
	assert_int_equal(room_check(rams, &why), 0);
	close_all(rams);
}

static void test_together_too_large(void **state)
{
	struct ramblocks *rams = calloc(1, sizeof(*rams));
	struct failure why = { 0 };

	(void)state;
	if (!mounted)
		skip();
	add_block(rams, new_file("one"), 2 * MIB, MIB);
	add_block(rams, memfd_create("elsewhere", MFD_CLOEXEC), 64 * MIB, 0);
	add_block(rams, new_file("two"), 3 * MIB, 0);
	assert_int_equal(room_check(rams, &why), -1);
	assert_non_null(strstr(why.text, "needs 5 MiB"));
	assert_non_null(strstr(why.text, "room for 4 MiB"));
	close_all(rams);
}

static void test_taken_by_others(void **state)
{
	struct ramblocks *rams = calloc(1, sizeof(*rams));
	struct failure why = { 0 };
	int other;

	(void)state;
	if (!mounted)
		skip();
	other = new_file("other");
	assert_int_equal(posix_fallocate(other, 0, 2 * MIB), 0);
	add_block(rams, new_file("one"), 3 * MIB, 0);
	assert_int_equal(room_check(rams, &why), -1);
	assert_non_null(strstr(why.text, "room for 2 MiB"));
	assert_int_equal(ftruncate(other, 0), 0);
	close(other);
	close_all(rams);
}

static void test_no_limit(void **state)
{
	struct ramblocks *rams = calloc(1, sizeof(*rams));
	struct failure why = { 0 };

	(void)state;
	add_block(rams, memfd_create("ram", MFD_CLOEXEC), 1ull << 50, 0);
	assert_int_equal(room_check(rams, &why), 0);
	close_all(rams);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_enough),
		cmocka_unit_test(test_what_is_there_counts),
		cmocka_unit_test(test_together_too_large),
		cmocka_unit_test(test_taken_by_others),
		cmocka_unit_test(test_no_limit),
	};

	return cmocka_run_group_tests_name("room", tests, mount_small_tmpfs, unmount);
}
