// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A module that does on purpose what the harness has to notice.
 *
 *	insmod misbehave.ko how=warn|leak|overflow|atomic
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

static char *how = "";
module_param(how, charp, 0);
MODULE_PARM_DESC(how, "what to do wrong when loaded");

static DEFINE_SPINLOCK(lock);
static char *block;

static int __init misbehave_init(void)
{
	int i;

	if (!strcmp(how, "warn")) {
		WARN(1, "on purpose\n");
	} else if (!strcmp(how, "leak")) {
		/* many: a stale pointer somewhere may hide one or two */
		for (i = 0; i < 16; i++) {
			block = kmalloc(1024, GFP_KERNEL);
			OPTIMIZER_HIDE_VAR(block);
		}
		block = NULL;
	} else if (!strcmp(how, "overflow")) {
		size_t size = 64;

		block = kmalloc(size, GFP_KERNEL);
		OPTIMIZER_HIDE_VAR(size);
		block[size] = 1;
		kfree(block);
	} else if (!strcmp(how, "atomic")) {
		spin_lock(&lock);
		msleep(20);
		spin_unlock(&lock);
	} else {
		return -EINVAL;
	}
	return 0;
}

static void __exit misbehave_exit(void)
{
}

module_init(misbehave_init);
module_exit(misbehave_exit);
MODULE_DESCRIPTION("Breaks kernel rules on purpose, for the harness's own test");
MODULE_LICENSE("GPL");
