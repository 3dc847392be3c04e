/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is this a build with AddressSanitizer? Only tests have such builds. It has memory, a file and
 * system calls of its own, which the sandboxes have to let it have.
 */
#ifndef KVMFERRY_SANITIZED_H
#define KVMFERRY_SANITIZED_H

#include <stdbool.h>

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED	true
#else
#define SANITIZED	false
#endif

#endif /* KVMFERRY_SANITIZED_H */
