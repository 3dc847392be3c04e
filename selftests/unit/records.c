// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An encoder of records, for tests.
 */
#include <lz4.h>
#include <stdlib.h>
#include <string.h>

#include "records.h"

void records_seal(uint8_t *header)
{
	struct wire_record r;
	const char *why;

	memset(header + 28, 0, 4);
	if (wire_get_record(&r, header, &why))
		abort();
	r.crc = wire_crc32c(0, header, sizeof(struct ferry_record) + r.length);
	wire_put_record(header, &r);
}

uint8_t *records_put(struct records *s, struct wire_record r, const void *payload)
{
	uint8_t *header = s->bytes + s->len;
	size_t whole = sizeof(struct ferry_record) + wire_padded(r.length);

	if (s->len + whole > sizeof(s->bytes))
		abort();
	memset(header, 0, whole);
	r.sequence = s->sequence++;
	wire_put_record(header, &r);
	if (r.length)
		memcpy(header + sizeof(struct ferry_record), payload, r.length);
	r.crc = wire_crc32c(0, header, sizeof(struct ferry_record) + r.length);
	wire_put_record(header, &r);
	s->len += whole;
	return header;
}

uint8_t *records_raw(struct records *s, unsigned int block, uint64_t page,
		     uint32_t count, const void *content)
{
	struct wire_record r = {
		.type = FERRY_RECORD_PAGES,
		.block = block,
		.page = page,
		.count = count,
		.length = count << FERRY_PAGE_SHIFT,
	};

	return records_put(s, r, content);
}

uint8_t *records_lz4(struct records *s, unsigned int block, uint64_t page,
		     uint32_t count, const void *content)
{
	char payload[LZ4_COMPRESSBOUND(FERRY_RECORD_MAX_PAGES * FERRY_PAGE_SIZE)];
	int len = LZ4_compress_default(content, payload,
				       (int)(count << FERRY_PAGE_SHIFT),
				       sizeof(payload));
	struct wire_record r = {
		.type = FERRY_RECORD_PAGES,
		.codec = FERRY_CODEC_LZ4,
		.block = block,
		.page = page,
		.count = count,
		.length = (uint32_t)len,
	};

	return records_put(s, r, payload);
}

uint8_t *records_zero(struct records *s, unsigned int block, uint64_t page,
		      uint32_t count)
{
	struct wire_record r = {
		.type = FERRY_RECORD_ZERO,
		.block = block,
		.page = page,
		.count = count,
	};

	return records_put(s, r, NULL);
}

uint8_t *records_pass_end(struct records *s, uint64_t pass, uint32_t flags)
{
	struct wire_record r = {
		.type = FERRY_RECORD_PASS_END,
		.page = pass,
		.count = flags,
	};

	return records_put(s, r, NULL);
}
