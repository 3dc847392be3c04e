// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzing the target's half of a stream.
 *
 * Checksums would keep a fuzzer out of everything behind them, so each record's is
 * repaired first, and its sequence number with it, unless the first byte of the
 * input says otherwise. The property: whatever was accepted, the digests that are
 * kept are those of the RAM that came out, and nothing outside the RAM blocks was
 * touched.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "apply.h"
#include "hash.h"
#include "repair.h"

#define PAGES	1100u			/* two chunks and a bit */
#define SIZE	((uint64_t)PAGES * FERRY_PAGE_SIZE)
#define OFFSET	((uint64_t)16 * FERRY_PAGE_SIZE)
#define PIECE	31u			/* bytes; a record has 32 at least */
#define GUARD	"do not touch"

static const uint8_t key[FERRY_KEY_SIZE] = "fuzz";

static void check_digest(int fd, const struct wire_digests *d)
{
	uint8_t page[FERRY_PAGE_SIZE], digest[FERRY_HASH_SIZE] = { 0 };
	struct hash *h = hash_new(key);

	for (uint64_t i = 0; i < PAGES; i++) {
		if (pread(fd, page, sizeof(page),
			  (off_t)(OFFSET + i * FERRY_PAGE_SIZE)) != sizeof(page))
			abort();
		hash_toggle(h, 0, i, page, digest);
	}
	hash_free(h);
	if (memcmp(digest, d->digest[0], sizeof(digest)))
		abort();
}

static void check_guards(int fd)
{
	char text[sizeof(GUARD)];

	if (pread(fd, text, sizeof(text), (off_t)(OFFSET - sizeof(text))) !=
	    sizeof(text) || memcmp(text, GUARD, sizeof(text)) ||
	    pread(fd, text, sizeof(text), OFFSET + SIZE) != sizeof(text) ||
	    memcmp(text, GUARD, sizeof(text)))
		abort();
}

static int make_file(void)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, OFFSET + SIZE + FERRY_PAGE_SIZE) ||
	    pwrite(fd, GUARD, sizeof(GUARD), (off_t)(OFFSET - sizeof(GUARD))) < 0 ||
	    pwrite(fd, GUARD, sizeof(GUARD), OFFSET + SIZE) < 0)
		abort();
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = make_file();
	struct apply *a = apply_create(&(struct apply_ram){ fd, OFFSET, SIZE }, 1, 1,
				       key, -1, NULL);
	struct wire_digests digests;
	uint8_t *bytes = malloc(size + 1);
	size_t used = 0;
	bool final;

	if (!a || !bytes)
		abort();
	if (size > 1) {
		memcpy(bytes, data + 1, size - 1);
		if (data[0] != '!')
			repair_records(bytes, size - 1, 0);
	}
	/* In pieces shorter than a record, so that none is complete behind the end of a pass when that is looked at. */
	for (size_t have = 0; have + 1 < size;) {
		ssize_t n;

		have = have + PIECE < size - 1 ? have + PIECE : size - 1;
		n = apply_stream_feed(apply_stream(a, 0), bytes + used, have - used, NULL);
		if (n < 0)
			break;
		used += (size_t)n;
		if (apply_take_pass(a, &digests, &final))
			check_digest(fd, &digests);
	}
	check_guards(fd);
	free(bytes);
	apply_destroy(a);
	close(fd);
	return 0;
}
