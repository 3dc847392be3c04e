// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The ABI's layout, for 32-bit and 64-bit programs, in C and in C++. Compiled, never
 * run: the Makefile does it in all four ways.
 */
#include <linux/kvmferry.h>

#ifdef __cplusplus
#define check(what)	static_assert(what, #what)
#else
#define check(what)	_Static_assert(what, #what)
#endif

/* The size, and one field late in the structure that shows where padding went. */
#define layout(type, size, field, offset) \
	check(sizeof(struct type) == (size)); \
	check(__builtin_offsetof(struct type, field) == (offset))

layout(ferry_record, 32, crc, 28);
layout(ferry_info, 88, reserved, 56);
layout(ferry_attach, 64, reserved, 56);
layout(ferry_add_ram, 64, reserved, 40);
layout(ferry_add_channel, 16, reserved, 12);
layout(ferry_pass, 32, reserved, 16);
layout(ferry_status, 208, reserved, 152);
layout(ferry_group, 48, reserved, 24);
layout(ferry_group_stats, 232, reserved, 168);
layout(ferry_group_cell, 8, opened, 4);
layout(ferry_group_map, 48, reserved, 32);
layout(ferry_pending, 48, reserved, 32);
layout(ferry_digest, 40, reserved, 24);
layout(ferry_limit, 32, reserved, 16);
layout(ferry_workers, 32, reserved, 16);
layout(ferry_compression_stats, 272, reserved, 248);
layout(ferry_vm_stats, 736, reserved, 720);
layout(ferry_consume, 32, tail, 24);
layout(ferry_ring, 24, size, 16);
layout(ferry_disk_bind, 32, reserved, 8);
layout(ferry_disk_status, 144, reserved, 112);
layout(ferry_disk_hold, 16, reserved, 8);
layout(ferry_disk_cancel, 48, reserved, 32);
layout(ferry_disk_request, 48, reserved, 44);
layout(ferry_disk_list, 48, reserved, 32);
layout(ferry_disk_ack, 24, reserved, 16);
layout(ferry_disk_resume, 16, reserved, 8);
layout(ferry_disk_range, 24, sectors, 16);
layout(ferry_disk_guard, 32, reserved, 16);
layout(ferry_disk_unguard, 24, reserved, 16);
layout(ferry_disk_ranges, 40, reserved, 32);

/* No two commands are the same, and their numbers hold the sizes above. */
check(FERRY_INFO == 0xc058f700u);
check(FERRY_ATTACH == 0xc040f701u);
check(FERRY_ADD_RAM == 0xc040f702u);
check(FERRY_ADD_CHANNEL == 0xc010f703u);
check(FERRY_PASS == 0xc020f704u);
check(FERRY_STATUS == 0xc0d0f705u);
check(FERRY_PENDING == 0xc030f706u);
check(FERRY_DIGEST == 0xc028f707u);
check(FERRY_GROUP == 0xc030f708u);
check(FERRY_GROUP_STATS == 0xc0e8f709u);
check(FERRY_LIMIT == 0xc020f70au);
check(FERRY_VM_STATS == 0xc2e0f70bu);
check(FERRY_WORKERS == 0xc020f70cu);
check(FERRY_COMPRESSION_STATS == 0xc110f70du);
check(FERRY_GROUP_MAP == 0xc030f70eu);
check(FERRY_CONSUME == 0xc020f740u);
check(FERRY_DISK_BIND == 0xc020f720u);
check(FERRY_DISK_STATUS == 0xc090f750u);
check(FERRY_DISK_HOLD == 0xc010f751u);
check(FERRY_DISK_CANCEL == 0xc030f752u);
check(FERRY_DISK_LIST == 0xc030f753u);
check(FERRY_DISK_ACK == 0xc018f754u);
check(FERRY_DISK_RESUME == 0xc010f755u);
check(FERRY_DISK_GUARD == 0xc020f756u);
check(FERRY_DISK_UNGUARD == 0xc018f757u);
check(FERRY_DISK_RANGES == 0xc028f758u);
