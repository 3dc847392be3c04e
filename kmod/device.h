/* SPDX-License-Identifier: GPL-2.0-only */
/* /dev/kvmferry, and what every command checks of its argument. */
#ifndef FERRY_DEVICE_H
#define FERRY_DEVICE_H

#include <linux/string.h>

/* Reserved fields and unknown flags are refused, so that they can be used. */
#define reserved_ok(field)	(!memchr_inv(field, 0, sizeof(field)))
#define flags_ok(flags, known)	(!((flags) & ~(known)))

int ferry_device_register(void);
void ferry_device_unregister(void);

#endif /* FERRY_DEVICE_H */
