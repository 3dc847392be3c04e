// SPDX-License-Identifier: GPL-2.0-or-later
/* What a client does to disks. */
#include "client.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "ferry.h"
#include "mutate.h"

#define ROOM		64u
#define SECTORS		32768u	/* of a disk, about */

static int bind_disk(const struct toys *toys)
{
	struct ferry_disk_bind bind = { .fd = toys->disk[draw_below(2)] };
	int device = open("/dev/kvmferry", O_RDWR | O_CLOEXEC);
	long file = mutated_ioctl(device, FERRY_DISK_BIND, &bind);

	close(device);
	return file < 0 ? -1 : (int)file;
}

static void list(int file)
{
	static struct ferry_disk_request requests[ROOM];
	struct ferry_disk_list list = {
		.requests = (uintptr_t)requests, .room = draw_below(ROOM + 1),
		.states = 1 + draw_below(FERRY_DISK_ALL_STATES),
	};
	struct ferry_disk_ack ack = { 0 };

	if (mutated_ioctl(file, FERRY_DISK_LIST, &list) || !list.count)
		return;
	ack.number = requests[draw_below(list.count < ROOM ? list.count : ROOM)].number;
	mutated_ioctl(file, FERRY_DISK_ACK, &ack);
}

static void guard(int file)
{
	struct ferry_disk_range ranges[8];
	struct ferry_disk_guard guard = { .ranges = (uintptr_t)ranges, .count = 1 + draw_below(8) };

	for (unsigned int i = 0; i < 8; i++)
		ranges[i] = (struct ferry_disk_range) {
			.id = draw_below(64), .sector = draw_below(SECTORS), .sectors = 1 + draw_below(256),
		};
	if (draw_rarely(4))
		mutate(ranges, sizeof(ranges));
	mutated_ioctl(file, FERRY_DISK_GUARD, &guard);
}

static void unguard(int file)
{
	struct ferry_disk_unguard unguard = { .id = draw_below(64) };

	if (draw_rarely(4))
		unguard = (struct ferry_disk_unguard) { .flags = FERRY_DISK_EVERY_RANGE };
	mutated_ioctl(file, FERRY_DISK_UNGUARD, &unguard);
}

static void show_ranges(int file)
{
	static struct ferry_disk_range out[ROOM];
	struct ferry_disk_ranges ranges = { .ranges = (uintptr_t)out, .room = draw_below(ROOM + 1) };

	mutated_ioctl(file, FERRY_DISK_RANGES, &ranges);
}

int disk_step(const struct toys *toys, int file)
{
	struct ferry_disk_status status = { 0 };
	struct ferry_disk_hold hold = { 0 };
	struct ferry_disk_cancel cancel = {
		.kinds = 1 + draw_below(FERRY_DISK_ALL_KINDS), .flags = draw_below(2),
	};
	struct ferry_disk_resume resume = { .flags = draw_below(2) };
	struct ferry_disk_ack ack = { 0 };
	struct pollfd p = { .fd = file, .events = POLLIN | POLLOUT };

	if (file < 0)
		return bind_disk(toys);
	switch (draw_below(10)) {
	case 0:
		mutated_ioctl(file, FERRY_DISK_STATUS, &status);
		break;
	case 1:
		mutated_ioctl(file, FERRY_DISK_HOLD, &hold);
		break;
	case 2:
		mutated_ioctl(file, FERRY_DISK_CANCEL, &cancel);
		break;
	case 3:
	case 4:
		mutated_ioctl(file, FERRY_DISK_RESUME, &resume);
		break;
	case 5:
		list(file);
		break;
	case 6:
		mutated_ioctl(file, FERRY_DISK_ACK, &ack);
		break;
	case 7:
		guard(file);
		break;
	case 8:
		unguard(file);
		break;
	default:
		show_ranges(file);
		poll(&p, 1, 0);
	}
	return file;
}
