// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/string.h>
#include "group.h"
void ferry_group_begin_pass(struct ferry_group_vm *vm, u64 backlog) { vm->budget = backlog; }
unsigned int ferry_group_open(struct ferry_group_vm *vm,
			      struct ferry_group_chunk *chunk,
			      const struct ferry_group_view *view,
			      unsigned int page, struct ferry_chunk_set *open)
{
	unsigned int n = 1 << (vm->policy == FERRY_GROUP_STATIC ? vm->order : 5);
	bitmap_zero(open->page, 512);
	bitmap_set(open->page, round_down(page, n), n);
	bitmap_and(open->page, open->page, view->present.page, 512);
	bitmap_andnot(open->page, open->page, view->writable.page, 512);
	__clear_bit(page, open->page);
	bitmap_or(chunk->opened.page, chunk->opened.page, open->page, 512);
	return bitmap_weight(open->page, 512);
}
void ferry_group_take(struct ferry_group_chunk *chunk,
		      const struct ferry_chunk_set *take,
		      struct ferry_chunk_set *opened)
{
	bitmap_and(opened->page, chunk->opened.page, take->page, 512);
	bitmap_andnot(chunk->opened.page, chunk->opened.page, take->page, 512);
}
void ferry_group_learn(struct ferry_group_vm *vm,
		       struct ferry_group_chunk *chunk,
		       const struct ferry_chunk_set *take,
		       const struct ferry_chunk_set *opened,
		       const struct ferry_chunk_set *changed) {}
