// SPDX-License-Identifier: GPL-2.0-only
/* Must compile nowhere: are errors seen? */
#include <linux/mm.h>

unsigned long probe(struct vm_area_struct *vma);
unsigned long probe(struct vm_area_struct *vma)
{
	return vma->kvmferry_never_had_this;
}
