// SPDX-License-Identifier: GPL-2.0-only
/* Which of the module's code ran. See cover.h. */

#include <linux/compiler.h>
#include <linux/debugfs.h>
#include <linux/kernel.h>
#include <linux/sizes.h>

#include "cover.h"

/* The module's text lies within this of any function in it. */
#define REACH	SZ_512K

/* A byte for each address from REACH before the function below to REACH after it: 1 if it ran. */
static u8 seen[2 * REACH];

static struct debugfs_blob_wrapper blob = { .data = seen, .size = sizeof(seen) };
static struct dentry *file;

/* The name is the compiler's. Context: any, that of faults and NMIs included. */
void notrace __sanitizer_cov_trace_pc(void)
{
	unsigned long at = _RET_IP_ - (unsigned long)__sanitizer_cov_trace_pc + REACH;

	if (at < sizeof(seen))
		WRITE_ONCE(seen[at], 1);
}

void ferry_cover_init(void)
{
	file = debugfs_create_blob("kvmferry-cover", 0400, NULL, &blob);
}

void ferry_cover_exit(void)
{
	debugfs_remove(file);
}
