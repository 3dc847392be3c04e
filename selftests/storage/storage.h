/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the storage tests have in common: a shared device (a loop device on a file in
 * memory, which can be looked at past all caches), a slow way to it, and disks.
 *
 *	disk "source" -- delay --+-- loop device -- file
 *	disk "target" -----------+
 */
#ifndef SELFTESTS_STORAGE_H
#define SELFTESTS_STORAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/kvmferry.h>

#include "die.h"
#include "dm.h"
#include "io.h"

#define STORAGE_BYTES	(16ul << 20)
#define STORAGE_SECTORS	(STORAGE_BYTES / 512)
#define SECTORS(blocks)	((blocks) * (IO_BLOCK / 512))

/* Two hosts cannot claim one loop device at once: each has its own on the same file. */
struct storage {
	int file;		/* what the storage holds */
	char loop[2][32];
	int loops[2];
};

struct disk {
	char name[32];
	int block;		/* descriptor of the block device, O_DIRECT */
	int file;		/* of FERRY_DISK_BIND */
	/* opens every guard if this program ends too early, so that it can end at all */
	pid_t guardian;
	int life;
};

/* These milliseconds, or what they are on a slower kernel. */
unsigned int storage_ms(unsigned int ms);

/* Loads the modules, makes the devices. Must not fail. */
void storage_open(struct storage *storage);
/* All devices must be gone. Unloads kvmferry; false if it does not go. */
bool storage_close(struct storage *storage);

/* A disk straight on a loop device, and bound. */
void disk_open(struct disk *disk, const char *name, const char *lower);
/* Removes it, whatever its state. False: it could not be removed. */
bool disk_close(struct disk *disk);
/* For a device that was removed otherwise. */
void disk_forget(struct disk *disk);
/* One more file of it, or -errno. */
int disk_bind(int block);

/* The device NAME with delays of these milliseconds; its path is in a static buffer. */
const char *delay_open(const char *name, const char *lower, unsigned int read_ms,
		       unsigned int write_ms);
void delay_close(const char *name);

/* Commands; -errno if refused. */
int disk_hold(int file);
int disk_cancel(int file, uint32_t kinds, uint32_t flags, struct ferry_disk_cancel *result);
int disk_resume(int file, uint32_t flags);
int disk_guard(int file, uint64_t id, uint64_t sector, uint64_t sectors);
int disk_unguard(int file, uint64_t id);
int disk_unguard_all(int file);
int disk_ack(int file, uint64_t number);
/* Must not fail. */
struct ferry_disk_status disk_status(int file);
/* Fills up to @room; how many there are. Must not fail. */
unsigned int disk_list(int file, uint32_t states, struct ferry_disk_request *list,
		       unsigned int room);
/* What poll() says now. */
short disk_poll(int file);

/* For calls that say 0, or an errno of either sign, and must not fail. */
#define sure(call) do {							\
	int _error = (call);						\
	if (_error)							\
		die("%s: %s", #call, strerror(abs(_error)));		\
} while (0)

#define KIND(name)	(1u << FERRY_DISK_##name)
#define STATE(name)	(1u << FERRY_DISK_##name)

#endif /* SELFTESTS_STORAGE_H */
