// SPDX-License-Identifier: GPL-2.0-or-later
/* What FERRY_ADD_RAM must refuse. */
#include "refusals.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "die.h"

static struct ferry_add_ram whole(void)
{
	return (struct ferry_add_ram) {
		.fd = ram.fd, .address = (uintptr_t)ram.map, .size = SIZE,
	};
}

static void refuse_ram(int want, struct ferry_add_ram add, const char *what)
{
	struct ferry *f = attached();

	expect(want, ferry_ioctl(f->fd, FERRY_ADD_RAM, &add), what);
	ferry_close(f);
}

/* @change is a statement on a request that is otherwise right. */
#define REFUSE(want, change, what) do {			\
	struct ferry_add_ram add = whole();		\
							\
	change;						\
	refuse_ram(want, add, "RAM: " what);		\
} while (0)

static void test_ram_numbers(void)
{
	REFUSE(0, add.id = FERRY_MAX_RAM - 1, "all is right");
	REFUSE(E2BIG, add.id = FERRY_MAX_RAM, "id 64");
	REFUSE(EINVAL, add.size = 0, "no size");
	REFUSE(EINVAL, add.size -= 1, "size not in pages");
	REFUSE(EINVAL, add.address += 8, "address not in pages");
	REFUSE(EINVAL, add.offset = RAM_PAGE, "offset not in chunks");
	REFUSE(EINVAL, add.size = -RAM_CHUNK, "size past the end of the world");
	REFUSE(EINVAL, add.address = -RAM_CHUNK, "the kernel's address");
	REFUSE(EINVAL, add.offset = -RAM_CHUNK, "offset past the end of the world");
	REFUSE(EBADF, add.fd = -1, "fd -1");
	REFUSE(EFAULT, add.address += RAM_PAGE, "address beside the mapping");
	REFUSE(EFAULT, add.size += RAM_CHUNK, "more than is mapped");
	REFUSE(EFAULT, add.offset = RAM_CHUNK, "another part of the file");
	REFUSE(EFAULT, add.address = (uintptr_t)&add & ~(RAM_PAGE - 1), "anonymous memory");
	REFUSE(0, add.size = RAM_CHUNK, "a part of it");
}

/* Maps @fd as told and tries it as a RAM block. */
static void refuse_mapping(int want, int fd, int protection, int flags, const char *what)
{
	struct ferry_add_ram add = { .fd = fd, .size = RAM_CHUNK };
	void *map = must(mmap(NULL, RAM_CHUNK, protection, flags, fd, 0));

	add.address = (uintptr_t)map;
	refuse_ram(want, add, what);
	munmap(map, RAM_CHUNK);
}

static int new_file(const char *path)
{
	int fd = must(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));

	must(ftruncate(fd, RAM_CHUNK));
	must(unlink(path));
	return fd;
}

static void test_ram_mappings(void)
{
	int fd = new_file("/dev/shm/refused"), zero;
	int all = PROT_READ | PROT_WRITE;

	refuse_mapping(0, fd, all, MAP_SHARED, "RAM: tmpfs, shared");
	refuse_mapping(EACCES, fd, all, MAP_PRIVATE, "RAM: mapped privately");
	refuse_mapping(EACCES, fd, PROT_READ, MAP_SHARED, "RAM: mapped read-only");
	close(fd);

	fd = must(memfd_create("refused", MFD_CLOEXEC));
	must(ftruncate(fd, RAM_CHUNK));
	refuse_mapping(0, fd, all, MAP_SHARED, "RAM: memfd");
	close(fd);

	fd = new_file("/root/refused");
	refuse_mapping(ENODEV, fd, all, MAP_SHARED, "RAM: overlayfs");
	close(fd);

	zero = must(open("/dev/zero", O_RDWR));
	refuse_mapping(ENODEV, zero, all, MAP_SHARED, "RAM: /dev/zero");
	close(zero);
}

static void test_ram_ext4(void)
{
	int fd;

	if (system("modprobe -q ext4; modprobe -q loop; mkdir -p /tmp/ext4 && "
		   "truncate -s 8M /tmp/ext4.img && mkfs.ext4 -q /tmp/ext4.img && "
		   "mount -o loop /tmp/ext4.img /tmp/ext4"))
		die("no ext4");
	fd = new_file("/tmp/ext4/refused");
	refuse_mapping(ENODEV, fd, PROT_READ | PROT_WRITE, MAP_SHARED, "RAM: ext4");
	close(fd);
	if (system("umount /tmp/ext4; rm /tmp/ext4.img"))
		die("ext4 stays");
}

static void test_ram_hugetlbfs(void)
{
	int fd = must(memfd_create("refused", MFD_CLOEXEC | MFD_HUGETLB));

	must(ftruncate(fd, RAM_CHUNK));
	if (system("echo 2 >/proc/sys/vm/nr_hugepages"))
		die("no huge pages");
	refuse_mapping(EOPNOTSUPP, fd, PROT_READ | PROT_WRITE, MAP_SHARED, "RAM: hugetlbfs");
	close(fd);
	if (system("echo 0 >/proc/sys/vm/nr_hugepages"))
		die("huge pages stay");
}

/* Another process that maps the block: not at all, a part of it, then no longer. */
static void test_ram_other_process(void)
{
	pid_t child = must(fork());
	int status;

	if (!child) {
		must(mmap(NULL, RAM_PAGE, PROT_READ, MAP_SHARED, ram.fd, SIZE - RAM_PAGE));
		/* what was inherited is a mapping, too, and not the one that is meant */
		must(munmap(ram.map, SIZE));
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(child, &status, WUNTRACED);
	REFUSE(EBUSY, , "another process maps its last page");
	REFUSE(0, add.size -= RAM_CHUNK, "another process maps the rest of the file");
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	REFUSE(0, , "the other process is gone");
}

static void test_ram_twice(void)
{
	void *second = must(mmap(NULL, RAM_PAGE, PROT_READ, MAP_SHARED, ram.fd, RAM_CHUNK));
	struct ferry_add_ram part = whole();
	struct ferry *f;

	REFUSE(EBUSY, , "this process maps a page of it a second time");
	munmap(second, RAM_PAGE);

	f = attached();
	part.size = 2 * RAM_CHUNK;
	expect(0, ferry_ioctl(f->fd, FERRY_ADD_RAM, &part), "RAM: the first half");
	part.address += part.size;
	part.offset += part.size;
	expect(EEXIST, ferry_ioctl(f->fd, FERRY_ADD_RAM, &part), "RAM: an id that is taken");
	part.id = 1;
	part.address -= RAM_CHUNK;
	part.offset -= RAM_CHUNK;
	expect(EEXIST, ferry_ioctl(f->fd, FERRY_ADD_RAM, &part), "RAM: it overlaps another block");
	part.address += RAM_CHUNK;
	part.offset += RAM_CHUNK;
	expect(0, ferry_ioctl(f->fd, FERRY_ADD_RAM, &part), "RAM: the other half");
	ferry_close(f);
}

static void test_ram_dead(void)
{
	struct ferry_add_ram add = whole();
	struct ferry *f = fresh();
	pid_t child = must(fork());

	if (!child) {
		pause();
		_exit(0);
	}
	if (ferry_attach(f, child, FERRY_BIT(LZ4)))
		die("cannot attach to the child");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	expect(ESRCH, ferry_ioctl(f->fd, FERRY_ADD_RAM, &add), "RAM: the process is dead");
	ferry_close(f);
}

void test_ram(void)
{
	test_ram_numbers();
	test_ram_mappings();
	test_ram_ext4();
	test_ram_hugetlbfs();
	test_ram_other_process();
	test_ram_twice();
	test_ram_dead();
}
