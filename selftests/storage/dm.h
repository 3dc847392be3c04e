/* SPDX-License-Identifier: GPL-2.0-or-later */
/* device-mapper, as far as the tests need it. What it refuses comes back as -errno. */
#ifndef SELFTESTS_DM_H
#define SELFTESTS_DM_H

#include <stdbool.h>
#include <stdint.h>

/* A device without a table; its node is /dev/dm-MINOR. */
int dm_create(const char *name);
/* A table of one target, inactive; in use after dm_resume(). */
int dm_load(const char *name, uint64_t sectors, const char *target, const char *arguments);
/* A table of two targets of this type. */
int dm_load_two(const char *name, uint64_t sectors, const char *target, const char *arguments);
int dm_clear(const char *name);
int dm_suspend(const char *name, bool noflush);
int dm_resume(const char *name);
int dm_remove(const char *name);
/* What the target says of itself, in a static buffer. */
const char *dm_status(const char *name, bool table);
/* Its minor number, or -errno. */
int dm_minor(const char *name);

/* All of it: make, load, use, open; a descriptor of the new device. Must not fail. */
int dm_make(const char *name, uint64_t sectors, const char *target, const char *arguments);

#endif /* SELFTESTS_DM_H */
