/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What sysfs says of block devices.
 */
#ifndef KVMFERRY_SYSFS_H
#define KVMFERRY_SYSFS_H

#include <stdbool.h>
#include <stddef.h>

#define SYSFS_NAME	128	/* bytes of a device's name, or device-mapper's of it */

/* The first line of a file, without its newline. Returns false, and "", if there is none. */
__attribute__((format(printf, 3, 4)))
bool sysfs_line(char *text, size_t size, const char *format, ...);

/* What device-mapper calls the block device at @path; false if it is none of its. */
bool sysfs_mapper_name(const char *path, char name[SYSFS_NAME]);

#endif /* KVMFERRY_SYSFS_H */
