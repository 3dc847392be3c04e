// SPDX-License-Identifier: GPL-2.0-only
/* v6.16 ("dm: Allow .prepare_ioctl to handle ioctls directly") */
#include <linux/device-mapper.h>

int probe(dm_prepare_ioctl_fn prepare, struct dm_target *ti,
	  struct block_device **bdev);
int probe(dm_prepare_ioctl_fn prepare, struct dm_target *ti,
	  struct block_device **bdev)
{
	bool forward = true;

	return prepare(ti, bdev, 0, 0, &forward);
}
