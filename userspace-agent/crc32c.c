// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CRC32C: with the processor's instruction where there is one, else by table.
 *
 * Both work on the reflected polynomial 0x1edc6f41, eight bytes at a time where
 * the instruction allows it. One dependent instruction per eight bytes is still
 * an order of magnitude faster than the hash that every page also gets.
 */
#include <pthread.h>
#include <string.h>

#include "wire.h"

#define POLYNOMIAL_REFLECTED	0x82f63b78u

static uint32_t table[256];

static void fill_table(void)
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		uint32_t crc = byte;

		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL_REFLECTED : 0);
		table[byte] = crc;
	}
}

uint32_t wire_crc32c_portable(uint32_t crc, const void *data, size_t len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const uint8_t *p = data;

	pthread_once(&once, fill_table);

	crc = ~crc;
	while (len--)
		crc = (crc >> 8) ^ table[(crc ^ *p++) & 0xff];
	return ~crc;
}

#ifdef __x86_64__

__attribute__((target("sse4.2")))
static uint32_t crc32c_sse42(uint32_t seed, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t crc = ~seed;

	for (; len >= 8; p += 8, len -= 8) {
		uint64_t word;

		memcpy(&word, p, 8);
		crc = __builtin_ia32_crc32di(crc, word);
	}
	while (len--)
		crc = __builtin_ia32_crc32qi((uint32_t)crc, *p++);
	return ~(uint32_t)crc;
}

uint32_t wire_crc32c(uint32_t crc, const void *data, size_t len)
{
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c_sse42(crc, data, len);
	return wire_crc32c_portable(crc, data, len);
}

#else

uint32_t wire_crc32c(uint32_t crc, const void *data, size_t len)
{
	return wire_crc32c_portable(crc, data, len);
}

#endif
