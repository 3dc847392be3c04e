/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_MODULES_H
#define GUEST_MODULES_H

/* Load what build.sh has put into /modules, if anything, in the order of the names. */
void load_modules(void);

#endif /* GUEST_MODULES_H */
