/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /proc/PID/maps: which file a process has mapped where.
 */
#ifndef KVMFERRY_MAPS_H
#define KVMFERRY_MAPS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "log.h"

/* One line of the file. Bytes. */
struct mapping {
	uint64_t start;
	uint64_t end;		/* not included */
	uint64_t offset;	/* of @start in the file */
	bool shared;
	bool writable;
	dev_t device;
	ino_t inode;		/* 0: not a file */
	char path[PATH_MAX];	/* as the kernel prints it; "" for anonymous memory */
};

/* Reads one line. Returns false if it is not like those of the kernel. */
bool maps_read_line(const char *line, struct mapping *m);

/**
 * maps_find - what is mapped at an address
 *
 * Returns 0, or -1 with @why if nothing is, or the process cannot be looked at.
 */
int maps_find(pid_t pid, uint64_t address, struct mapping *m,
	      struct failure *why);

/**
 * maps_cover - is a whole range of addresses mapped to one range of one file?
 * @first:	what maps_find() gave for @address
 *
 * Neighbouring mappings count as one when the file goes on where it should:
 * madvise(2) splits them.
 */
bool maps_cover(pid_t pid, uint64_t address, uint64_t size,
		const struct mapping *first);

/* A file, as mappings name it. */
struct mapped_file {
	dev_t device;
	ino_t inode;
};

/**
 * maps_other - find a process which maps one of some files
 * @except:	a process that may; the caller may always
 * @which:	out: index of the file in @files
 *
 * Returns the process, or 0 if there is none. Processes that may not be looked at
 * are skipped.
 */
pid_t maps_other(const struct mapped_file *files, unsigned int count,
		 pid_t except, unsigned int *which);

#endif /* KVMFERRY_MAPS_H */
