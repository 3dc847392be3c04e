// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Making right what a fuzzer would never guess.
 */
#include <string.h>

#include "repair.h"
#include "wire.h"

uint32_t repair_records(uint8_t *bytes, size_t len, uint32_t sequence)
{
	const size_t header = sizeof(struct ferry_record);

	while (len >= header) {
		struct wire_record r;
		const char *why;
		size_t whole;

		if (wire_get_record(&r, bytes, &why))
			break;
		whole = header + wire_padded(r.length);
		if (whole > len)
			break;
		memset(bytes + header + r.length, 0, whole - header - r.length);
		r.sequence = sequence++;
		r.crc = 0;
		wire_put_record(bytes, &r);
		r.crc = wire_crc32c(0, bytes, header + r.length);
		wire_put_record(bytes, &r);
		bytes += whole;
		len -= whole;
	}
	return sequence;
}
