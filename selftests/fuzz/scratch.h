/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fuzzers have around them: a folder for owner records, silence, and a count of open files.
 */
#ifndef KVMFERRY_FUZZ_SCRATCH_H
#define KVMFERRY_FUZZ_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

/* A folder on a tmpfs, made at the first call and removed at exit. */
const char *scratch_dir(void);

/* Removes what is in the folder, and returns how many files there were. */
int scratch_empty(void);

/* The path of the only file in the folder; false if there is none. */
bool scratch_only(char *path, size_t size);

/* From now on the agent's messages go nowhere. */
void scratch_hush(void);

/* How many files this process has open. */
int scratch_files(void);

#endif /* KVMFERRY_FUZZ_SCRATCH_H */
