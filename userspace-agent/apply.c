// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Records become pages of guest RAM.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apply.h"
#include "codec.h"
#include "hash.h"

#define HEADER		sizeof(struct ferry_record)
#define CHUNK_PAGES	512u
#define DECODED_MAX	((size_t)FERRY_RECORD_MAX_PAGES * FERRY_PAGE_SIZE)

typedef uint8_t digest_t[FERRY_HASH_SIZE];

/*
 * One stream. Only @ended and @ended_digest are seen by others, under the lock of
 * struct apply; @pages is atomic.
 */
struct apply_stream {
	struct apply *apply;
	unsigned int number;
	bool broken;
	uint32_t sequence;	/* of the next record */
	uint64_t pages;
	struct hash *hash;
	struct decoder *decoder;
	digest_t digest[FERRY_MAX_RAM];
	uint64_t ended;		/* the last pass that ended, 0 for none */
	bool ended_final;
	digest_t ended_digest[FERRY_MAX_RAM];
	uint8_t decoded[DECODED_MAX];
	uint8_t old[DECODED_MAX];
};

/* All streams. @taken is guarded by @lock; the rest does not change. */
struct apply {
	unsigned int rams;
	unsigned int streams;
	int wake;
	struct apply_ram ram[FERRY_MAX_RAM];
	uint64_t first_chunk[FERRY_MAX_RAM];	/* number of a block's first chunk */
	pthread_mutex_t lock;
	uint64_t taken;		/* the last pass that was taken */
	struct apply_stream *stream[FERRY_MAX_CHANNELS];
};

/* ------------------------------------------------------------------------
 * RAM
 * ------------------------------------------------------------------------ */

static off_t position(const struct apply_ram *ram, uint64_t page)
{
	return (off_t)(ram->offset + (page << FERRY_PAGE_SHIFT));
}

static int read_ram(const struct apply_ram *ram, uint64_t page, void *to, size_t len,
		    struct failure *why)
{
	ssize_t n = pread(ram->fd, to, len, position(ram, page));

	if (n < 0)
		return fail(why, "cannot read RAM back: %s", strerror(errno));
	if ((size_t)n != len)
		return fail(why, "the RAM file became shorter while it was in use");
	return 0;
}

static int write_ram(const struct apply_ram *ram, uint64_t page, const uint8_t *from,
		     size_t len, struct failure *why)
{
	off_t at = position(ram, page);

	while (len) {
		ssize_t n = pwrite(ram->fd, from, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOSPC)
			return fail(why, "no room left for guest RAM; free memory or "
				    "enlarge the tmpfs that holds it");
		if (n < 0)
			return fail(why, "cannot write RAM: %s", strerror(errno));
		from += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int punch(const struct apply_ram *ram, uint64_t page, uint64_t count,
		 struct failure *why)
{
	if (fallocate(ram->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      position(ram, page), (off_t)(count << FERRY_PAGE_SHIFT)))
		return fail(why, "cannot empty RAM: %s", strerror(errno));
	return 0;
}

/* digest ^= hash(old) ^ hash(new), for a page that changes. */
static int change_page(struct apply_stream *s, unsigned int block, uint64_t page,
		       const uint8_t *old, const uint8_t *new, struct failure *why)
{
	uint8_t *digest = s->digest[block];

	if (hash_toggle(s->hash, block, page, old, digest) ||
	    hash_toggle(s->hash, block, page, new, digest))
		return fail(why, "OpenSSL failed to hash a page");
	return 0;
}

static int put_pages(struct apply_stream *s, unsigned int block, uint64_t page,
		     uint32_t count, const uint8_t *new, struct failure *why)
{
	const struct apply_ram *ram = &s->apply->ram[block];
	size_t len = (size_t)count << FERRY_PAGE_SHIFT;
	bool changed = false;

	if (read_ram(ram, page, s->old, len, why))
		return -1;
	for (size_t at = 0; at < len; at += FERRY_PAGE_SIZE, page++) {
		if (!memcmp(s->old + at, new + at, FERRY_PAGE_SIZE))
			continue;
		changed = true;
		if (change_page(s, block, page, s->old + at, new + at, why))
			return -1;
	}
	return changed ? write_ram(ram, page - count, new, len, why) : 0;
}

/* Takes the pages of a range that holds data out of the digest. */
static int forget_pages(struct apply_stream *s, unsigned int block, uint64_t page,
			uint64_t end, struct failure *why)
{
	while (page < end) {
		uint64_t count = end - page;

		if (count > FERRY_RECORD_MAX_PAGES)
			count = FERRY_RECORD_MAX_PAGES;
		if (read_ram(&s->apply->ram[block], page, s->old,
			     (size_t)count << FERRY_PAGE_SHIFT, why))
			return -1;
		for (uint64_t i = 0; i < count; i++, page++)
			if (hash_toggle(s->hash, block, page,
					s->old + (i << FERRY_PAGE_SHIFT),
					s->digest[block]))
				return fail(why, "OpenSSL failed to hash a page");
	}
	return 0;
}

/*
 * Most pages of a first pass are zero and were never written. The file system
 * knows that without a look at each.
 */
static int put_zero(struct apply_stream *s, unsigned int block, uint64_t page,
		    uint32_t count, struct failure *why)
{
	const struct apply_ram *ram = &s->apply->ram[block];
	off_t end = position(ram, page + count);
	off_t data = lseek(ram->fd, position(ram, page), SEEK_DATA);
	uint64_t first;

	if (data < 0 && errno != ENXIO)
		return fail(why, "cannot look for data in the RAM file: %s",
			    strerror(errno));
	if (data < 0 || data >= end)
		return 0;

	first = ((uint64_t)data - ram->offset) >> FERRY_PAGE_SHIFT;
	if (forget_pages(s, block, first, page + count, why))
		return -1;
	return punch(ram, first, page + count - first, why);
}

/* ------------------------------------------------------------------------
 * Records
 * ------------------------------------------------------------------------ */

static int check_crc(const struct wire_record *r, const uint8_t *bytes,
		     struct failure *why)
{
	uint8_t header[HEADER];
	uint32_t crc;

	memcpy(header, bytes, HEADER);
	memset(header + HEADER - sizeof(r->crc), 0, sizeof(r->crc));
	crc = wire_crc32c(0, header, HEADER);
	crc = wire_crc32c(crc, bytes + HEADER, r->length);
	if (crc != r->crc)
		return fail(why, "checksum %08" PRIx32 " where the record says %08"
			    PRIx32 "; it was damaged on its way", crc, r->crc);
	return 0;
}

static int check_padding(const struct wire_record *r, const uint8_t *bytes,
			 struct failure *why)
{
	for (size_t i = r->length; i < wire_padded(r->length); i++)
		if (bytes[HEADER + i])
			return fail(why, "the padding is not zero");
	return 0;
}

/* Do these pages exist, and may this stream write them? */
static int check_place(const struct apply_stream *s, const struct wire_record *r,
		       struct failure *why)
{
	const struct apply *a = s->apply;
	uint64_t pages, first, last;

	if (r->block >= a->rams)
		return fail(why, "there is no RAM block %u", r->block);
	pages = a->ram[r->block].size >> FERRY_PAGE_SHIFT;
	if (r->page >= pages || r->count > pages - r->page)
		return fail(why, "%" PRIu32 " pages from page %" PRIu64 " on lie beyond "
			    "the end of RAM block %u, which has %" PRIu64, r->count,
			    r->page, r->block, pages);

	first = a->first_chunk[r->block] + r->page / CHUNK_PAGES;
	last = a->first_chunk[r->block] + (r->page + r->count - 1) / CHUNK_PAGES;
	if (first % a->streams != s->number || last % a->streams != s->number)
		return fail(why, "page %" PRIu64 " of RAM block %u belongs to stream "
			    "%" PRIu64, r->page, r->block, first % a->streams);
	return 0;
}

static int apply_pages_record(struct apply_stream *s, const struct wire_record *r,
			      const uint8_t *payload, struct failure *why)
{
	size_t want = (size_t)r->count << FERRY_PAGE_SHIFT;
	const uint8_t *content = payload;

	if (check_place(s, r, why))
		return -1;
	if (r->codec != FERRY_CODEC_NONE) {
		if (decode(s->decoder, r->codec, payload, r->length, s->decoded,
			   want, why))
			return -1;
		content = s->decoded;
	}
	__atomic_fetch_add(&s->pages, r->count, __ATOMIC_RELAXED);
	return put_pages(s, r->block, r->page, r->count, content, why);
}

static int apply_zero_record(struct apply_stream *s, const struct wire_record *r,
			     struct failure *why)
{
	if (check_place(s, r, why))
		return -1;
	__atomic_fetch_add(&s->pages, r->count, __ATOMIC_RELAXED);
	return put_zero(s, r->block, r->page, r->count, why);
}

/* Has every stream ended the pass after the last one taken? Lock held. */
static bool __pass_ended(const struct apply *a)
{
	for (unsigned int i = 0; i < a->streams; i++)
		if (a->stream[i]->ended != a->taken + 1)
			return false;
	return true;
}

static int end_pass(struct apply_stream *s, const struct wire_record *r,
		    struct failure *why)
{
	struct apply *a = s->apply;
	bool all = false;
	uint64_t due;

	pthread_mutex_lock(&a->lock);
	due = a->taken + 1;
	if (r->page == due && s->ended != due) {
		s->ended = due;
		s->ended_final = r->count & FERRY_PASS_FINAL;
		memcpy(s->ended_digest, s->digest, sizeof(s->digest));
		all = __pass_ended(a);
		due = 0;
	}
	pthread_mutex_unlock(&a->lock);

	if (due)
		return fail(why, "pass %" PRIu64 " ends, but pass %" PRIu64
			    " is under way", r->page, due);
	if (all && a->wake >= 0)
		return write(a->wake, &(uint64_t){ 1 }, 8) == 8 ? 0 :
			fail(why, "cannot wake the agent: %s", strerror(errno));
	return 0;
}

static int apply_record(struct apply_stream *s, const struct wire_record *r,
			const uint8_t *bytes, struct failure *why)
{
	if (check_crc(r, bytes, why) || check_padding(r, bytes, why))
		return -1;
	if (r->sequence != s->sequence)
		return fail(why, "it says that it is record %" PRIu32, r->sequence);
	s->sequence++;

	switch (r->type) {
	case FERRY_RECORD_PAGES:
		return apply_pages_record(s, r, bytes + HEADER, why);
	case FERRY_RECORD_ZERO:
		return apply_zero_record(s, r, why);
	default:
		return end_pass(s, r, why);
	}
}

/* The record that begins at @bytes: 0 if it is not whole yet, else its length. */
static ssize_t next_record(struct apply_stream *s, const uint8_t *bytes, size_t len,
			   struct failure *why)
{
	struct wire_record r;
	const char *fault;
	size_t whole;

	if (len < HEADER)
		return 0;
	if (wire_get_record(&r, bytes, &fault))
		return fail(why, "%s", fault);
	whole = HEADER + wire_padded(r.length);
	if (len < whole)
		return 0;
	return apply_record(s, &r, bytes, why) ? -1 : (ssize_t)whole;
}

ssize_t apply_stream_feed(struct apply_stream *s, const void *bytes, size_t len,
			  struct failure *why)
{
	const uint8_t *p = bytes;
	size_t used = 0;

	if (s->broken)
		return fail(why, "stream %u: a record was refused before", s->number);
	while (used < len) {
		uint32_t sequence = s->sequence;
		struct failure fault = { 0 };
		ssize_t n = next_record(s, p + used, len - used, &fault);

		if (n < 0) {
			s->broken = true;
			return fail(why, "stream %u, record %" PRIu32 ": %s", s->number,
				    sequence, fault.text);
		}
		if (!n)
			break;
		used += (size_t)n;
	}
	return (ssize_t)used;
}

/* ------------------------------------------------------------------------
 * All streams
 * ------------------------------------------------------------------------ */

static void free_stream(struct apply_stream *s)
{
	if (!s)
		return;
	hash_free(s->hash);
	decoder_free(s->decoder);
	free(s);
}

static struct apply_stream *new_stream(struct apply *a, unsigned int number,
				       const uint8_t key[FERRY_KEY_SIZE])
{
	struct apply_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->apply = a;
	s->number = number;
	s->hash = hash_new(key);
	s->decoder = decoder_new();
	if (s->hash && s->decoder)
		return s;
	free_stream(s);
	return NULL;
}

/* A file too short would make every read fail, or grow where it must not. */
static int check_ram(const struct apply_ram *ram, unsigned int id,
		     struct failure *why)
{
	struct stat st;

	if (fstat(ram->fd, &st))
		return fail(why, "cannot examine the file of RAM block %u: %s", id,
			    strerror(errno));
	if (!ram->size || (ram->size | ram->offset) % FERRY_PAGE_SIZE)
		return fail(why, "RAM block %u is not made of pages", id);
	if ((uint64_t)st.st_size < ram->offset ||
	    (uint64_t)st.st_size - ram->offset < ram->size)
		return fail(why, "the file of RAM block %u is shorter than the block", id);
	return 0;
}

struct apply *apply_create(const struct apply_ram *rams, unsigned int n,
			   unsigned int streams,
			   const uint8_t key[FERRY_KEY_SIZE], int wake,
			   struct failure *why)
{
	struct apply *a = calloc(1, sizeof(*a));
	uint64_t chunks = 0;

	if (!a)
		goto err_memory;
	*a = (struct apply){ .rams = n, .streams = streams, .wake = wake };
	pthread_mutex_init(&a->lock, NULL);

	for (unsigned int i = 0; i < n; i++) {
		if (check_ram(&rams[i], i, why))
			goto err_destroy;
		a->ram[i] = rams[i];
		a->first_chunk[i] = chunks;
		chunks += ((rams[i].size >> FERRY_PAGE_SHIFT) + CHUNK_PAGES - 1) /
			CHUNK_PAGES;
	}
	for (unsigned int i = 0; i < streams; i++) {
		a->stream[i] = new_stream(a, i, key);
		if (!a->stream[i])
			goto err_memory;
	}
	return a;

err_memory:
	fail(why, "not enough memory to receive RAM");
err_destroy:
	apply_destroy(a);
	return NULL;
}

void apply_destroy(struct apply *a)
{
	if (!a)
		return;
	for (unsigned int i = 0; i < FERRY_MAX_CHANNELS; i++)
		free_stream(a->stream[i]);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

int apply_punch(const struct apply_ram *ram, struct failure *why)
{
	return punch(ram, 0, ram->size >> FERRY_PAGE_SHIFT, why);
}

struct apply_stream *apply_stream(struct apply *a, unsigned int number)
{
	return number < a->streams ? a->stream[number] : NULL;
}

bool apply_take_pass(struct apply *a, struct wire_digests *digests, bool *final)
{
	bool ended;

	pthread_mutex_lock(&a->lock);
	ended = __pass_ended(a);
	if (ended) {
		*digests = (struct wire_digests){ .pass = ++a->taken, .rams = a->rams };
		*final = true;
		for (unsigned int i = 0; i < a->streams; i++) {
			*final &= a->stream[i]->ended_final;
			for (unsigned int n = 0; n < a->rams; n++)
				hash_xor(digests->digest[n],
					 a->stream[i]->ended_digest[n]);
		}
	}
	pthread_mutex_unlock(&a->lock);
	return ended;
}

uint64_t apply_pages(const struct apply *a)
{
	uint64_t pages = 0;

	for (unsigned int i = 0; i < a->streams; i++)
		pages += __atomic_load_n(&a->stream[i]->pages, __ATOMIC_RELAXED);
	return pages;
}
