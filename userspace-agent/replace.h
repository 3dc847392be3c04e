/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files that others read at any moment: the old text or the new, never a part of it.
 */
#ifndef KVMFERRY_REPLACE_H
#define KVMFERRY_REPLACE_H

#include <stddef.h>
#include <sys/types.h>

/**
 * replace_file - write PATH.new and rename it over @path
 * @mode:	of the file, whatever umask(2) says
 *
 * Not durable: a crash of the host may leave either.
 *
 * Returns the file, open and locked (flock(2)) since before it had its name; or -1 with
 * errno, and what was there stays.
 */
int replace_file(const char *path, const char *text, size_t length, mode_t mode);

#endif /* KVMFERRY_REPLACE_H */
