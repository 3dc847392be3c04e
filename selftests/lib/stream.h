/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One channel's stream of records: takes bytes in pieces of any size, puts records
 * together, insists that each is well-formed, and passes it on.
 */
#ifndef SELFTESTS_STREAM_H
#define SELFTESTS_STREAM_H

#include "wire.h"

#define STREAM_MAX_RECORD (sizeof(struct ferry_record) + FERRY_RECORD_MAX_PAYLOAD)

/* Called for each record that is in order; PASS_END included. */
typedef void stream_sink_fn(void *context, unsigned int channel,
			    const struct wire_record *record, const uint8_t *payload);

struct stream {
	unsigned int channel;
	stream_sink_fn *sink;
	void *context;
	uint32_t sequence;	/* of the next record */
	uint64_t pass;		/* the last one that has ended here */
	uint32_t pass_flags;	/* and its flags */
	uint64_t records;
	uint64_t bytes;
	const char *fault;	/* why the stream was given up, or NULL */
	size_t have;
	uint8_t buf[STREAM_MAX_RECORD];
};

void stream_init(struct stream *s, unsigned int channel, stream_sink_fn *sink, void *context);
void stream_feed(struct stream *s, const uint8_t *data, size_t len);

/* Is there a record of which only a part has come? */
static inline int stream_is_between_records(const struct stream *s)
{
	return !s->have;
}

#endif /* SELFTESTS_STREAM_H */
