// SPDX-License-Identifier: GPL-2.0-only
/* kvmferry.ko: init and exit, nothing else. */

#include <linux/module.h>

#include "cover.h"
#include "device.h"
#include "disk.h"
#include "unprotect.h"

static int __init ferry_init(void)
{
	int err = ferry_unprotect_check() ?: ferry_disk_register();

	if (err)
		return err;
	err = ferry_device_register();
	if (err) {
		ferry_disk_unregister();
		return err;
	}
	ferry_cover_init();
	return 0;
}

static void __exit ferry_exit(void)
{
	ferry_cover_exit();
	ferry_device_unregister();
	ferry_disk_unregister();
	ferry_unprotect_flush();
}

module_init(ferry_init);
module_exit(ferry_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Fast and safe live migration of KVM guests");
MODULE_VERSION(FERRY_VERSION);
MODULE_SOFTDEP("pre: lz4 blake2b_generic");
