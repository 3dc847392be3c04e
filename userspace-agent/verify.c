// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading all RAM anew, for its digests.
 *
 * Every thread takes the next span of 2 MiB that nobody has taken yet, skips what
 * the file system knows to be empty, and keeps digests of its own until the end.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hash.h"
#include "verify.h"

#define SPAN		(2u << 20)	/* bytes that a thread takes at a time */
#define PIECE		(64u << 10)	/* bytes of one read */
#define STACK_SIZE	(256u << 10)

/* @next and @stop are atomic; what @lock guards stands below it. */
struct verify {
	unsigned int rams;
	unsigned int threads;
	int wake;
	struct apply_ram ram[FERRY_MAX_RAM];
	uint8_t key[FERRY_KEY_SIZE];
	pthread_t thread[FERRY_MAX_CHANNELS];
	uint64_t next;		/* number of the next span, over all RAM blocks */
	bool stop;
	pthread_mutex_t lock;
	unsigned int running;
	struct failure why;
	struct wire_digests digests;
};

struct reader {
	struct verify *v;
	struct hash *hash;
	struct wire_digests digests;
	uint8_t piece[PIECE];
};

/* Which span is number @n? Returns false past the last one. */
static bool find_span(const struct verify *v, uint64_t n, unsigned int *block,
		      uint64_t *begin, uint64_t *end)
{
	for (unsigned int i = 0; i < v->rams; i++) {
		uint64_t spans = (v->ram[i].size + SPAN - 1) / SPAN;

		if (n < spans) {
			*block = i;
			*begin = n * SPAN;
			*end = *begin + SPAN;
			if (*end > v->ram[i].size)
				*end = v->ram[i].size;
			return true;
		}
		n -= spans;
	}
	return false;
}

static int read_piece(struct reader *r, unsigned int block, uint64_t at, size_t len,
		      struct failure *why)
{
	const struct apply_ram *ram = &r->v->ram[block];
	ssize_t n = pread(ram->fd, r->piece, len, (off_t)(ram->offset + at));

	if (n < 0 || (size_t)n != len)
		return fail(why, "cannot read RAM anew: %s",
			    n < 0 ? strerror(errno) : "its file became shorter");
	for (size_t i = 0; i < len; i += FERRY_PAGE_SIZE)
		if (hash_toggle(r->hash, block, (at + i) >> FERRY_PAGE_SHIFT,
				r->piece + i, r->digests.digest[block]))
			return fail(why, "OpenSSL failed to hash a page");
	return 0;
}

static int read_span(struct reader *r, unsigned int block, uint64_t at, uint64_t end,
		     struct failure *why)
{
	const struct apply_ram *ram = &r->v->ram[block];

	while (at < end) {
		off_t data = lseek(ram->fd, (off_t)(ram->offset + at), SEEK_DATA);
		uint64_t len;

		if (data < 0 && errno != ENXIO)
			return fail(why, "cannot look for data in the RAM file: %s",
				    strerror(errno));
		if (data < 0 || (uint64_t)data >= ram->offset + end)
			return 0;
		at = ((uint64_t)data - ram->offset) & ~(uint64_t)(FERRY_PAGE_SIZE - 1);
		len = end - at < PIECE ? end - at : PIECE;
		if (read_piece(r, block, at, len, why))
			return -1;
		at += len;
	}
	return 0;
}

static int read_spans(struct reader *r, struct failure *why)
{
	struct verify *v = r->v;
	uint64_t begin, end;
	unsigned int block;

	r->hash = hash_new(v->key);
	if (!r->hash)
		return fail(why, "not enough memory to verify RAM");
	while (!__atomic_load_n(&v->stop, __ATOMIC_RELAXED)) {
		uint64_t n = __atomic_fetch_add(&v->next, 1, __ATOMIC_RELAXED);

		if (!find_span(v, n, &block, &begin, &end))
			return 0;
		if (read_span(r, block, begin, end, why))
			return -1;
	}
	return 0;
}

static void *reader_thread(void *arg)
{
	struct verify *v = arg;
	struct reader *r = calloc(1, sizeof(*r));
	struct failure why = { 0 };
	ssize_t written;

	if (r) {
		r->v = v;
		read_spans(r, &why);
		hash_free(r->hash);
	} else {
		fail(&why, "not enough memory to verify RAM");
	}

	pthread_mutex_lock(&v->lock);
	if (why.text[0])
		fail(&v->why, "%s", why.text);
	for (unsigned int i = 0; r && i < v->rams; i++)
		hash_xor(v->digests.digest[i], r->digests.digest[i]);
	v->running--;
	pthread_mutex_unlock(&v->lock);
	free(r);

	written = write(v->wake, &(uint64_t){ 1 }, 8);
	(void)written;
	return NULL;
}

struct verify *verify_start(const struct apply_ram *rams, unsigned int n,
			    unsigned int threads,
			    const uint8_t key[FERRY_KEY_SIZE], int wake,
			    struct failure *why)
{
	struct verify *v = calloc(1, sizeof(*v));
	pthread_attr_t attr;

	if (!v) {
		fail(why, "not enough memory to verify RAM");
		return NULL;
	}
	v->rams = n;
	v->wake = wake;
	v->digests.rams = n;
	memcpy(v->ram, rams, n * sizeof(*rams));
	memcpy(v->key, key, FERRY_KEY_SIZE);
	pthread_mutex_init(&v->lock, NULL);

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_mutex_lock(&v->lock);
	while (v->threads < threads &&
	       !pthread_create(&v->thread[v->threads], &attr, reader_thread, v))
		v->threads++;
	v->running = v->threads;
	pthread_mutex_unlock(&v->lock);
	pthread_attr_destroy(&attr);

	if (!v->threads) {
		fail(why, "cannot start a thread to verify RAM");
		verify_destroy(v);
		return NULL;
	}
	return v;
}

int verify_result(struct verify *v, struct wire_digests *digests, struct failure *why)
{
	int result = 0;

	pthread_mutex_lock(&v->lock);
	if (!v->running) {
		*digests = v->digests;
		result = v->why.text[0] ? fail(why, "%s", v->why.text) : 1;
	}
	pthread_mutex_unlock(&v->lock);
	return result;
}

void verify_destroy(struct verify *v)
{
	if (!v)
		return;
	__atomic_store_n(&v->stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < v->threads; i++)
		pthread_join(v->thread[i], NULL);
	pthread_mutex_destroy(&v->lock);
	free(v);
}
