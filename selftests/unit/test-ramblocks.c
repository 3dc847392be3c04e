// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finding RAM blocks: the readers of what QEMU and the kernel print.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hmp.h"
#include "maps.h"
#include "ramblocks.h"
#include "recorded.h"
#include "cmocka-all.h"

/* ------------------------------------------------------------------------
 * info ramblock
 * ------------------------------------------------------------------------ */

static void expect_block(const char **text, const char *name, uint64_t used,
			 uint64_t total)
{
	struct hmp_ramblock b;

	assert_true(hmp_next_ramblock(text, &b));
	assert_string_equal(b.name, name);
	assert_int_equal(b.used, used);
	assert_int_equal(b.total, total);
}

static void test_ramblock(void **state)
{
	const char *text = NUMA_RAMBLOCK;
	struct hmp_ramblock b;

	(void)state;
	expect_block(&text, "m0", 64 << 20, 64 << 20);
	expect_block(&text, "m1", 64 << 20, 64 << 20);
	expect_block(&text, "0000:00:01.0/vga.vram", 16 << 20, 16 << 20);
	expect_block(&text, "/rom@etc/acpi/tables", 128 << 10, 2 << 20);
	expect_block(&text, "pc.bios", 256 << 10, 256 << 10);
	assert_false(hmp_next_ramblock(&text, &b));
	assert_false(hmp_next_ramblock(&text, &b));
}

static void test_ramblock_without_a_name(void **state)
{
	const char *text = OLD_RAMBLOCK;

	(void)state;
	expect_block(&text, "/objects/d0", 128 << 20, 128 << 20);
	expect_block(&text, "/objects/m0", 64 << 20, 64 << 20);
	expect_block(&text, "", 4 << 20, 4 << 20);
	expect_block(&text, "pc.rom", 128 << 10, 128 << 10);
}

static void test_ramblock_of_newer_qemu(void **state)
{
	const char *text = NEW_RAMBLOCK;

	(void)state;
	expect_block(&text, "ram0", 256 << 20, 256 << 20);
}

static void test_ramblock_names_may_hold_blanks(void **state)
{
	const char *text = "   my  ram 0    4 KiB  0x0 0x1000 0x2000\n";

	(void)state;
	expect_block(&text, "my  ram 0", 0x1000, 0x2000);
}

/* ------------------------------------------------------------------------
 * info mtree -f -o
 * ------------------------------------------------------------------------ */

static void expect_range(struct hmp_mtree *mtree, uint64_t first, uint64_t last,
			 uint64_t offset, const char *owner)
{
	struct hmp_range r;

	assert_true(hmp_next_range(mtree, &r));
	assert_int_equal(r.first, first);
	assert_int_equal(r.last, last);
	assert_int_equal(r.offset, offset);
	assert_string_equal(r.owner, owner);
}

static void test_mtree_takes_system_memory_only(void **state)
{
	struct hmp_mtree mtree = { .text = NUMA_MTREE };
	struct hmp_range r;

	(void)state;
	expect_range(&mtree, 0, 0x9ffff, 0, "/objects/m1");
	expect_range(&mtree, 0x100000, 0x3ffffff, 0x100000, "/objects/m1");
	expect_range(&mtree, 0x4000000, 0x7ffffff, 0, "/objects/m0");
	assert_false(hmp_next_range(&mtree, &r));
}

static void test_mtree_with_kvm(void **state)
{
	struct hmp_mtree mtree = { .text = KVM_MTREE };

	(void)state;
	expect_range(&mtree, 0, 0xbffff, 0, "/objects/ram0");
	expect_range(&mtree, 0x100000, 0x7fffffff, 0x100000, "/objects/ram0");
	expect_range(&mtree, 0x100000000, 0x17fffffff, 0x80000000,
		     "/objects/ram0");
}

/* Whatever the text is cut to, the readers stay inside it and come to an end. */
static void test_cut_texts_are_harmless(void **state)
{
	static const char *const texts[] = { NUMA_RAMBLOCK, NUMA_MTREE, KVM_MTREE };

	(void)state;
	for (size_t t = 0; t < 3; t++) {
		size_t length = strlen(texts[t]);

		for (size_t cut = 0; cut < length; cut++) {
			char *copy = strndup(texts[t] + cut / 2, cut);
			struct hmp_mtree mtree = { .text = copy, .system = true };
			const char *text = copy;
			struct hmp_ramblock b;
			struct hmp_range r;

			while (hmp_next_ramblock(&text, &b))
				assert_true(strlen(b.name) < sizeof(b.name));
			while (hmp_next_range(&mtree, &r))
				assert_true(r.first <= r.last);
			free(copy);
		}
	}
}

static void test_long_lines_are_harmless(void **state)
{
	char *text = malloc(100000);
	const char *at = text;
	struct hmp_ramblock b;

	(void)state;
	memset(text, 'x', 99999);
	text[99999] = '\0';
	memcpy(text + 50000, "    4 KiB  0x0 0x1000 0x1000\n", 29);
	assert_false(hmp_next_ramblock(&at, &b));
	free(text);
}

/* ------------------------------------------------------------------------
 * gpa2hva
 * ------------------------------------------------------------------------ */

static void test_host_address(void **state)
{
	uint64_t a = 0;

	(void)state;
	assert_true(hmp_host_address("Host virtual address for 0x0 (m1) is 0x7f0f2bffe000\r\n", &a));
	assert_int_equal(a, 0x7f0f2bffe000);
	assert_true(hmp_host_address("Host virtual address for 0x0 (/objects/m1) is 0x7eff9bffe000", &a));
	assert_int_equal(a, 0x7eff9bffe000);
	assert_false(hmp_host_address("No memory is mapped at address 0xfffffffff\r\n", &a));
	assert_false(hmp_host_address("Memory at address 0xfec00000is not RAM\r\n", &a));
	assert_false(hmp_host_address("", &a));
}

/* ------------------------------------------------------------------------
 * /proc/PID/maps
 * ------------------------------------------------------------------------ */

static void test_maps_line(void **state)
{
	struct mapping m;

	(void)state;
	assert_true(maps_read_line("7f0f2bffe000-7f0f2fffe000 rw-s 00200000 00:1b 4                          /dev/shm/kf/m 1 (deleted)\n", &m));
	assert_int_equal(m.start, 0x7f0f2bffe000);
	assert_int_equal(m.end, 0x7f0f2fffe000);
	assert_int_equal(m.offset, 0x200000);
	assert_true(m.shared);
	assert_true(m.writable);
	assert_int_equal(m.device, makedev(0, 0x1b));
	assert_int_equal(m.inode, 4);
	assert_string_equal(m.path, "/dev/shm/kf/m 1 (deleted)");

	assert_true(maps_read_line("7ffd0-7ffd1 r--p 00000000 00:00 0 \n", &m));
	assert_false(m.shared);
	assert_false(m.writable);
	assert_int_equal(m.inode, 0);
	assert_string_equal(m.path, "");
	assert_false(maps_read_line("rubbish\n", &m));
	assert_false(maps_read_line("\n", &m));
}

#define MAP_BYTES	(16ul << 12)

static int scratch(char path[32])
{
	int fd;

	strcpy(path, "/dev/shm/test-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4 * MAP_BYTES), 0);
	return fd;
}

static void test_maps_find_and_cover(void **state)
{
	char path[32];
	int fd = scratch(path);
	struct stat st;
	struct mapping m;
	char *p = mmap(NULL, 3 * MAP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint64_t a = (uint64_t)(uintptr_t)p;

	(void)state;
	fstat(fd, &st);
	assert_int_equal(maps_find(getpid(), a + MAP_BYTES, &m, NULL), 0);
	assert_int_equal(m.inode, st.st_ino);
	assert_int_equal(m.device, st.st_dev);
	assert_string_equal(m.path, path);
	assert_true(maps_cover(getpid(), a, 3 * MAP_BYTES, &m));
	assert_false(maps_cover(getpid(), a, 4 * MAP_BYTES, &m));

	/* madvise() splits the mapping; it still counts as one. */
	madvise(p + MAP_BYTES, MAP_BYTES, MADV_DONTFORK);
	assert_int_equal(maps_find(getpid(), a, &m, NULL), 0);
	assert_true(maps_cover(getpid(), a, 3 * MAP_BYTES, &m));

	/* The wrong part of the file in the middle, and a hole, do not. */
	mmap(p + MAP_BYTES, MAP_BYTES, PROT_READ | PROT_WRITE,
	     MAP_SHARED | MAP_FIXED, fd, 3 * MAP_BYTES);
	assert_int_equal(maps_find(getpid(), a, &m, NULL), 0);
	assert_false(maps_cover(getpid(), a, 3 * MAP_BYTES, &m));
	munmap(p + MAP_BYTES, MAP_BYTES);
	assert_false(maps_cover(getpid(), a, 3 * MAP_BYTES, &m));

	munmap(p, 3 * MAP_BYTES);
	assert_int_equal(maps_find(getpid(), a, &m, NULL), -1);
	close(fd);
	unlink(path);
}

static void test_maps_other(void **state)
{
	struct mapped_file files[2] = { { 0, 0 } };
	unsigned int which = 9;
	char path[32];
	int fd = scratch(path), ready[2];
	struct stat st;
	pid_t child;
	char c;

	(void)state;
	fstat(fd, &st);
	files[1].device = st.st_dev;
	files[1].inode = st.st_ino;
	mmap(NULL, MAP_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	assert_int_equal(maps_other(files, 2, 1, &which), 0);

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child) {
		write(ready[1], "x", 1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(maps_other(files, 2, 1, &which), child);
	assert_int_equal(which, 1);
	assert_int_equal(maps_other(files, 2, child, &which), 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ramblock),
		cmocka_unit_test(test_ramblock_without_a_name),
		cmocka_unit_test(test_ramblock_of_newer_qemu),
		cmocka_unit_test(test_ramblock_names_may_hold_blanks),
		cmocka_unit_test(test_mtree_takes_system_memory_only),
		cmocka_unit_test(test_mtree_with_kvm),
		cmocka_unit_test(test_cut_texts_are_harmless),
		cmocka_unit_test(test_long_lines_are_harmless),
		cmocka_unit_test(test_host_address),
		cmocka_unit_test(test_maps_line),
		cmocka_unit_test(test_maps_find_and_cover),
		cmocka_unit_test(test_maps_other),
	};

	return cmocka_run_group_tests_name("ramblocks", tests, NULL, NULL);
}
