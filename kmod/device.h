/* SPDX-License-Identifier: GPL-2.0-only */
/* /dev/kvmferry */
#ifndef FERRY_DEVICE_H
#define FERRY_DEVICE_H

int ferry_device_register(void);
void ferry_device_unregister(void);

#endif /* FERRY_DEVICE_H */
