// SPDX-License-Identifier: GPL-2.0-or-later
/* RAM blocks of test VMs: make, map, read, remove. */
#include "ram.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "die.h"

void *ram_reserve(uint64_t size, uint64_t skew)
{
	uint64_t room = size + skew + RAM_CHUNK;
	uint8_t *all = must(mmap(NULL, room, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	uint8_t *at = (uint8_t *)(((uintptr_t)all + RAM_CHUNK - 1) & ~(RAM_CHUNK - 1));

	at += skew;
	if (at > all)
		must(munmap(all, at - all));
	if (all + room > at + size)
		must(munmap(at + size, all + room - (at + size)));
	return at;
}

void ram_create(struct ram *ram, const struct ram_spec *spec)
{
	void *at = ram_reserve(spec->size, spec->skew);
	static unsigned int serial;

	memset(ram, 0, sizeof(*ram));
	snprintf(ram->path, sizeof(ram->path), "%s/ram-%d-%u",
		 spec->dir ?: "/dev/shm", getpid(), serial++);
	ram->fd = must(open(ram->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
	must(ftruncate(ram->fd, spec->offset + spec->size));
	ram->offset = spec->offset;
	ram->size = spec->size;
	ram->gpa = spec->gpa;
	ram->id = spec->id;
	ram->map = must(mmap(at, spec->size, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_FIXED, ram->fd, spec->offset));
}

void ram_destroy(struct ram *ram)
{
	if (ram->map)
		must(munmap(ram->map, ram->size));
	if (ram->path[0])
		must(unlink(ram->path));
	must(close(ram->fd));
	memset(ram, 0, sizeof(*ram));
	ram->fd = -1;
}

void ram_find(struct ram *ram, int pid, const char *path)
{
	unsigned long start, end, offset;
	char name[32], line[512], file[256];
	FILE *maps;

	memset(ram, 0, sizeof(*ram));
	snprintf(name, sizeof(name), "/proc/%d/maps", pid);
	maps = fopen(name, "re");
	if (!maps)
		die("no process %d", pid);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %255s", &start, &end, &offset, file) != 4 ||
		    strcmp(file, path))
			continue;
		if (!ram->size) {
			ram->map = (uint8_t *)start;
			ram->offset = offset;
		} else if (start != (uintptr_t)ram->map + ram->size ||
			   offset != ram->offset + ram->size) {
			die("%s is mapped in several places", path);
		}
		ram->size += end - start;
	}
	fclose(maps);
	if (!ram->size)
		die("process %d does not map %s", pid, path);
	ram->fd = must(open(path, O_RDWR | O_CLOEXEC));
}

void ram_read(const struct ram *ram, uint64_t at, void *out, uint64_t size)
{
	while (size) {
		ssize_t n = must(pread(ram->fd, out, size, ram->offset + at));

		if (!n)
			die("RAM file ends early");
		at += n;
		out = (uint8_t *)out + n;
		size -= n;
	}
}

void ram_mount(char path[64], const char *options)
{
	snprintf(path, 64, "/tmp/ram-XXXXXX");
	if (!mkdtemp(path))
		die("mkdtemp: %s", strerror(errno));
	must(mount("tmpfs", path, "tmpfs", 0, options));
}

void ram_unmount(const char *path)
{
	must(umount(path));
	must(rmdir(path));
}
