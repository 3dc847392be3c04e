// SPDX-License-Identifier: GPL-2.0-only
/* Must compile everywhere: are the flags right? */
#include <linux/mm.h>
#include <linux/module.h>

unsigned long probe(struct vm_area_struct *vma);
unsigned long probe(struct vm_area_struct *vma)
{
	return vma->vm_start;
}
