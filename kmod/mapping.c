// SPDX-License-Identifier: GPL-2.0-only
/* Checks how a RAM block is mapped. */

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/rbtree.h>

#include "mapping.h"
#include "ram.h"

/* Does @vma show, at @address, the page of the file that belongs there? */
static bool shows_block(const struct vm_area_struct *vma,
			const struct ferry_ram *ram, unsigned long address)
{
	pgoff_t is = vma->vm_pgoff + ((address - vma->vm_start) >> PAGE_SHIFT);
	pgoff_t should = ram->index + ((address - ram->address) >> PAGE_SHIFT);

	return vma->vm_file && vma->vm_file->f_mapping == ram->mapping &&
	       is == should;
}

static int check_vm(struct mm_struct *mm, const struct ferry_ram *ram)
{
	unsigned long end = ram->address + (ram->pages << PAGE_SHIFT);
	unsigned long address = ram->address;
	struct vm_area_struct *vma;

	mmap_assert_locked(mm);

	while (address < end) {
		vma = find_vma(mm, address);
		if (!vma || vma->vm_start > address ||
		    !shows_block(vma, ram, address))
			return -EFAULT;
		if ((vma->vm_flags & (VM_SHARED | VM_WRITE)) !=
		    (VM_SHARED | VM_WRITE))
			return -EACCES;
		address = vma->vm_end;
	}
	return 0;
}

/* A mapping of pages of the block that is not the VM's one mapping of it. */
static bool is_second(struct vm_area_struct *vma, struct mm_struct *mm,
		      const struct ferry_ram *ram)
{
	pgoff_t first = max(vma->vm_pgoff, ram->index);
	pgoff_t end = min(vma->vm_pgoff + vma_pages(vma),
			  ram->index + ram->pages);
	unsigned long address;

	if (first >= end)
		return false;
	if (vma->vm_mm != mm)
		return true;
	address = vma->vm_start + ((first - vma->vm_pgoff) << PAGE_SHIFT);
	return address != ram->address + ((first - ram->index) << PAGE_SHIFT);
}

/*
 * Walks the file's mappings one by one: no function that searches this tree is
 * open to modules. There are a handful of them.
 */
static int check_others(struct mm_struct *mm, const struct ferry_ram *ram)
{
	struct address_space *mapping = ram->mapping;
	struct rb_node *node;
	int err = 0;

	i_mmap_lock_read(mapping);
	for (node = rb_first_cached(&mapping->i_mmap); node;
	     node = rb_next(node)) {
		struct vm_area_struct *vma =
			rb_entry(node, struct vm_area_struct, shared.rb);

		if (is_second(vma, mm, ram)) {
			err = -EBUSY;
			break;
		}
	}
	i_mmap_unlock_read(mapping);
	return err;
}

/**
 * ferry_mapping_check() - Can the writes to a block be followed?
 * @mm: the VM's address space; the caller holds a user reference
 * @ram: the block
 *
 * Context: Process context. May sleep. Takes mmap_lock, then i_mmap_rwsem.
 * Return: 0; -EFAULT the VM does not map the block's file where it should;
 *	   -EACCES privately, or read-only; -EBUSY the block is mapped a second
 *	   time, by the VM or another process.
 */
int ferry_mapping_check(struct mm_struct *mm, const struct ferry_ram *ram)
{
	int err;

	mmap_read_lock(mm);
	err = check_vm(mm, ram);
	mmap_read_unlock(mm);

	return err ?: check_others(mm, ram);
}
