// SPDX-License-Identifier: GPL-2.0-or-later
/* Puts the records of a channel together and checks them. */
#include "stream.h"

#include <string.h>

#define HEADER	sizeof(struct ferry_record)

void stream_init(struct stream *s, unsigned int channel, stream_sink_fn *sink, void *context)
{
	memset(s, 0, offsetof(struct stream, buf));
	s->channel = channel;
	s->sink = sink;
	s->context = context;
}

/* The checksum covers the header with its own field zero, and the payload. */
static uint32_t crc_of(const uint8_t *record, size_t length)
{
	uint8_t header[HEADER];

	memcpy(header, record, HEADER);
	memset(header + offsetof(struct ferry_record, crc), 0, sizeof(__be32));
	return wire_crc32c(wire_crc32c(0, header, HEADER), record + HEADER, length);
}

static const char *padding_fault(const uint8_t *record, size_t length)
{
	size_t i;

	for (i = length; i < wire_padded(length); i++)
		if (record[HEADER + i])
			return "padding that is not zero";
	return NULL;
}

static const char *order_fault(struct stream *s, const struct wire_record *r)
{
	if (r->sequence != s->sequence)
		return "a gap in the sequence";
	if (r->type != FERRY_RECORD_PASS_END)
		return NULL;
	if (r->page != s->pass + 1)
		return "passes out of order";
	return NULL;
}

/*
 * Takes the first record out of the buffer. Returns its size, or 0 if it is not
 * whole yet or the stream was given up.
 */
static size_t take_record(struct stream *s)
{
	struct wire_record r;
	size_t size;

	if (s->have < HEADER)
		return 0;
	if (wire_get_record(&r, s->buf, &s->fault))
		return 0;
	size = HEADER + wire_padded(r.length);
	if (s->have < size)
		return 0;
	if (crc_of(s->buf, r.length) != r.crc)
		s->fault = "a wrong checksum";
	if (!s->fault)
		s->fault = padding_fault(s->buf, r.length);
	if (!s->fault)
		s->fault = order_fault(s, &r);
	if (s->fault)
		return 0;
	s->sequence++;
	s->records++;
	if (r.type == FERRY_RECORD_PASS_END) {
		s->pass = r.page;
		s->pass_flags = r.count;
	}
	s->sink(s->context, s->channel, &r, s->buf + HEADER);
	return size;
}

void stream_feed(struct stream *s, const uint8_t *data, size_t len)
{
	s->bytes += len;
	while (len && !s->fault) {
		size_t room = sizeof(s->buf) - s->have;
		size_t piece = len < room ? len : room;
		size_t size;

		memcpy(s->buf + s->have, data, piece);
		s->have += piece;
		data += piece;
		len -= piece;
		while ((size = take_record(s))) {
			s->have -= size;
			memmove(s->buf, s->buf + size, s->have);
		}
	}
}
