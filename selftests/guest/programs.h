/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs that are not the guest's own, on a disk of theirs (see build.sh). */
#ifndef GUEST_PROGRAMS_H
#define GUEST_PROGRAMS_H

/* What follows the word "programs" of a command. */
void programs_obey(char *words);

/* What follows the word "run". */
void programs_run(const char *words);

#endif /* GUEST_PROGRAMS_H */
