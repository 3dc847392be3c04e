/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The target's half of a stream: records become pages of guest RAM.
 *
 * Nothing here knows QEMU, sockets or threads: bytes go in, pages come out in
 * files. Each stream may be fed by a thread of its own.
 *
 * Theory of operation
 *
 * RAM is written with pwrite(), never through a mapping: a file system that is full
 * is then an error with a name and not a SIGBUS.
 *
 * apply_punch() makes all RAM zero, so the digest of every RAM block begins at 0.
 * Before a page is overwritten its old content is read back, and
 *
 *	digest ^= hash(old) ^ hash(new)
 *
 * keeps the digest exact without memory for each page. A page whose content
 * does not change costs neither hash.
 *
 * A 2 MiB chunk belongs to one stream, so no two streams ever touch the same page,
 * and each keeps digests of its own for all RAM blocks; their XOR is the digest of
 * the block. A record that names a page of another stream's chunk is refused: it
 * would break both order and digest.
 *
 * At the end of a pass a stream puts a copy of its digests aside. When all have
 * done so the pass can be taken, once; only then may a stream end the next.
 *
 * Nothing in a record is believed before it was checked, and nothing is sized by
 * it: memory is fixed when the stream is made.
 */
#ifndef KVMFERRY_APPLY_H
#define KVMFERRY_APPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "log.h"
#include "wire.h"

struct apply;
struct apply_stream;

/* The longest record, header and padding included: bytes. */
#define APPLY_RECORD_MAX	(sizeof(struct ferry_record) + FERRY_RECORD_MAX_PAYLOAD)


/**
 * struct apply_ram - where one RAM block is
 * @fd:		its file, open for reading and writing
 * @offset:	of its first byte in the file, bytes, page-aligned
 * @size:	bytes, page-aligned
 */
struct apply_ram {
	int fd;
	uint64_t offset;
	uint64_t size;
};

/**
 * apply_create - get ready for records
 * @rams:	the RAM blocks in the order of their ids; copied
 * @n:		how many
 * @streams:	how many streams there will be
 * @key:	key of the page hashes
 * @wake:	an eventfd that is written to when all streams have ended a pass;
 *		-1 for none
 * @why:	the reason of a failure: no memory, a file too short for its block
 *
 * Returns NULL on failure.
 */
struct apply *apply_create(const struct apply_ram *rams, unsigned int n,
			   unsigned int streams,
			   const uint8_t key[FERRY_KEY_SIZE], int wake,
			   struct failure *why);

/* The files stay open: they are the caller's. NULL is allowed. */
void apply_destroy(struct apply *a);

/**
 * apply_punch - give back all memory of a RAM block, so that it reads as zero
 *
 * To be done with all of them before the first record. Without it, the caller vouches
 * that they read as zero already. Returns 0, or -1 with @why.
 */
int apply_punch(const struct apply_ram *ram, struct failure *why);

/* Stream number @number; it lives as long as @a does. */
struct apply_stream *apply_stream(struct apply *a, unsigned int number);

/**
 * apply_stream_feed - apply the records in a buffer
 * @s:		the stream; one thread at a time
 * @bytes:	where the next record begins
 * @len:	bytes there
 * @why:	which record was refused, and why
 *
 * Returns how many bytes were used: whole records only. The rest is the beginning
 * of a record, less than APPLY_RECORD_MAX bytes, and must be given again with what
 * follows it. Returns -1 when a record is refused or RAM cannot be written; the
 * stream then takes no more.
 */
ssize_t apply_stream_feed(struct apply_stream *s, const void *bytes, size_t len,
			  struct failure *why);

/**
 * apply_take_pass - has every stream ended the next pass?
 * @a:		may be fed by other threads meanwhile
 * @digests:	out: number of the pass, and the digest of each RAM block as of its
 *		end
 * @final:	out: it was the final pass
 *
 * Returns true once for each pass.
 */
bool apply_take_pass(struct apply *a, struct wire_digests *digests, bool *final);

/* Pages written by all streams so far, for progress. */
uint64_t apply_pages(const struct apply *a);

#endif /* KVMFERRY_APPLY_H */
