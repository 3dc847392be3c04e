// SPDX-License-Identifier: GPL-2.0-or-later
/* Random numbers, and arguments that are wrong in a small way. */
#include "mutate.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "die.h"
#include "ferry.h"

static __thread uint64_t state;

void draw_seed(uint64_t seed)
{
	state = seed * 2654435761u + 1;
}

/* splitmix64: after any seed the numbers are good from the first one on. */
uint64_t draw(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t draw_below(uint64_t n)
{
	return draw() % n;
}

uint64_t draw_odd(void)
{
	switch (draw_below(6)) {
	case 0:
		return 0;
	case 1:
		return -(draw_below(4) + 1);
	case 2:
		return (1ull << draw_below(64)) - 1;
	case 3:
		return (1ull << draw_below(64)) + draw_below(2);
	case 4:
		return draw_below(100);
	default:
		return draw();
	}
}

void mutate(void *argument, size_t size)
{
	static const size_t widths[] = { 1, 2, 4, 8 };
	size_t width = widths[draw_below(4)];
	uint64_t value = draw_odd();
	uint8_t *bytes = argument;

	if (width > size || draw_rarely(4)) {
		bytes[draw_below(size)] ^= 1u << draw_below(8);
		return;
	}
	memcpy(bytes + draw_below(size / width) * width, &value, width);
}

/* Nothing there, not writable, ending too soon, the kernel's. */
static void *bad_address(const void *argument, size_t size)
{
	static uint8_t *pages;

	if (!pages) {
		pages = must(mmap(NULL, 2 * RAM_PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		must(mprotect(pages + RAM_PAGE, RAM_PAGE, PROT_NONE));
	}
	switch (draw_below(4)) {
	case 0:
		return NULL;
	case 1:
		return (void *)draw_odd();
	case 2:
		memcpy(pages + RAM_PAGE - size / 2, argument, size / 2);
		return pages + RAM_PAGE - size / 2;
	default:
		return (void *)0xffffffff81000000;
	}
}

long mutated_ioctl(int fd, unsigned long command, void *argument)
{
	size_t size = _IOC_SIZE(command);

	switch (draw_below(8)) {
	case 0:
		return ferry_ioctl(fd, command, bad_address(argument, size));
	case 1:
		mutate(argument, size);
		/* fall through */
	case 2:
		mutate(argument, size);
		break;
	}
	return ferry_ioctl(fd, command, argument);
}
