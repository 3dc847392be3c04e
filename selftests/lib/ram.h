/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A RAM block of a test VM: a named tmpfs file, and where this process maps it. */
#ifndef SELFTESTS_RAM_H
#define SELFTESTS_RAM_H

#include <stdbool.h>
#include <stdint.h>

#define RAM_PAGE	4096ul
#define RAM_CHUNK	(2ul << 20)

struct ram {
	char path[64];		/* empty: the file has no name here */
	int fd;
	uint8_t *map;
	uint64_t offset;	/* of the block in the file */
	uint64_t size;
	uint64_t gpa;
	uint32_t id;		/* the block's name towards kvmferry */
};

/*
 * Where a block comes from. Zero is a default everywhere: a new file in
 * /dev/shm, mapped shared and writable, at an address that is a multiple of 2 MiB.
 */
struct ram_spec {
	const char *dir;	/* folder of the new file */
	uint64_t offset;	/* leave this much of the file in front of the block */
	uint64_t size;
	uint64_t gpa;
	uint64_t skew;		/* map it this far past a multiple of 2 MiB */
	uint32_t id;
};

/* Both end the program if they fail. */
void ram_create(struct ram *ram, const struct ram_spec *spec);
void ram_destroy(struct ram *ram);

static inline uint64_t ram_pages(const struct ram *ram)
{
	return ram->size / RAM_PAGE;
}

/* Where process @pid maps this file; neighbouring mappings count as one. */
void ram_find(struct ram *ram, int pid, const char *path);

/* Address space of @size bytes for MAP_FIXED, @skew past a multiple of 2 MiB. */
void *ram_reserve(uint64_t size, uint64_t skew);

/*
 * Reads from the file, not from the mapping: no page table of the VM is touched
 * and the process that asks need not map anything.
 */
void ram_read(const struct ram *ram, uint64_t at, void *out, uint64_t size);

/* A tmpfs mounted in a folder of its own, for instance with huge=always. */
void ram_mount(char path[64], const char *options);
void ram_unmount(const char *path);

#endif /* SELFTESTS_RAM_H */
