/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's disk under load; see disk.c. */
#ifndef GUEST_DISK_H
#define GUEST_DISK_H

/* What follows the word "disk" of a command. */
void disk_obey(char *words);

/* A line on how the disk does; nothing if it was never used. */
void disk_tell(void);

#endif /* GUEST_DISK_H */
