/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An encoder of records, for tests: what the kernel module does, in a few lines.
 */
#ifndef KVMFERRY_TEST_RECORDS_H
#define KVMFERRY_TEST_RECORDS_H

#include "wire.h"

/**
 * struct records - a buffer that records are put into
 * @bytes:	the records
 * @len:	bytes of them
 * @sequence:	of the next record
 */
struct records {
	uint8_t bytes[1 << 20];
	size_t len;
	uint32_t sequence;
};

/* Fixes the checksum of the record with the header at @header. */
void records_seal(uint8_t *header);

/*
 * Each puts one record and returns where its header is. @r gives everything but
 * sequence and checksum; the payload has r->length bytes.
 */
uint8_t *records_put(struct records *s, struct wire_record r, const void *payload);
uint8_t *records_raw(struct records *s, unsigned int block, uint64_t page,
		     uint32_t count, const void *content);
uint8_t *records_lz4(struct records *s, unsigned int block, uint64_t page,
		     uint32_t count, const void *content);
uint8_t *records_zero(struct records *s, unsigned int block, uint64_t page,
		      uint32_t count);
uint8_t *records_pass_end(struct records *s, uint64_t pass, uint32_t flags);

#endif /* KVMFERRY_TEST_RECORDS_H */
