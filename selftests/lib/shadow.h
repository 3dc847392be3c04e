/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a target would hold: RAM blocks, zero at first, to which every record is
 * applied. A test compares it with the VM's RAM in the end.
 */
#ifndef SELFTESTS_SHADOW_H
#define SELFTESTS_SHADOW_H

#include "hash.h"
#include "ram.h"
#include "stream.h"

struct shadow_block {
	uint8_t *map;
	uint64_t pages;
	uint32_t *sent;		/* how often each page came */
	uint8_t digest[FERRY_HASH_SIZE];
};

struct shadow {
	struct shadow_block block[FERRY_MAX_RAM];
	struct decoder *decoder[FERRY_MAX_CHANNELS];
	struct hash *hash;	/* NULL: no digests are kept */
	const char *fault;	/* a record that cannot be applied, or NULL */
	uint64_t zero;		/* pages that came in each kind of record */
	uint64_t raw;
	uint64_t encoded;
};

/* @key: keep digests with it; NULL: do not, which is much faster. */
void shadow_init(struct shadow *s, const uint8_t *key);
void shadow_add(struct shadow *s, uint32_t id, uint64_t pages);
void shadow_free(struct shadow *s);

/* A stream_sink_fn; the context is the shadow. */
void shadow_sink(void *shadow, unsigned int channel,
		 const struct wire_record *record, const uint8_t *payload);

/* Pages that differ between the shadow and the RAM as its file holds it now. */
uint64_t shadow_differences(const struct shadow *s, const struct ram *ram);
/* The digest of the RAM as its file holds it now. Needs the hash. */
void shadow_digest_ram(const struct shadow *s, const struct ram *ram,
		       uint8_t digest[FERRY_HASH_SIZE]);
/* Forget how often pages came. */
void shadow_forget_sent(struct shadow *s);

#endif /* SELFTESTS_SHADOW_H */
