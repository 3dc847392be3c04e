// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Records become RAM, or are refused.
 *
 * RAM here is two blocks of five and a half chunks each, in one memfd, and two
 * streams. Block 0 has chunks 0 to 5 of the whole, block 1 chunks 6 to 11: even
 * chunks belong to stream 0, odd ones to stream 1.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apply.h"
#include "cmocka-all.h"
#include "hash.h"
#include "records.h"
#include "verify.h"

#define CHUNK		512u			/* pages */
#define RAM_PAGES	(5 * CHUNK + 256)
#define RAM_SIZE	((uint64_t)RAM_PAGES * FERRY_PAGE_SIZE)
#define OFFSET_1	(8ull << 20)		/* file offset of block 0 */
#define OFFSET_2	(OFFSET_1 + RAM_SIZE + (1u << 20))

static const uint8_t key[FERRY_KEY_SIZE] = "key";

/* All that a test needs; made anew for each. */
struct scene {
	int fd;
	int wake;
	struct apply_ram ram[2];
	struct apply *apply;
	struct records records[2];	/* one for each stream */
	struct failure why;
	uint8_t content[16 * FERRY_PAGE_SIZE];
};

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	s->fd = memfd_create("ram", MFD_CLOEXEC);
	s->wake = eventfd(0, EFD_NONBLOCK);
	s->ram[0] = (struct apply_ram){ s->fd, OFFSET_1, RAM_SIZE };
	s->ram[1] = (struct apply_ram){ s->fd, OFFSET_2, RAM_SIZE };
	if (ftruncate(s->fd, OFFSET_2 + RAM_SIZE))
		return -1;
	s->apply = apply_create(s->ram, 2, 2, key, s->wake, &s->why);
	for (size_t i = 0; i < sizeof(s->content); i++)
		s->content[i] = (uint8_t)(i / 64 + i / FERRY_PAGE_SIZE);
	*state = s;
	return s->apply ? 0 : -1;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	apply_destroy(s->apply);
	close(s->fd);
	close(s->wake);
	free(s);
	return 0;
}

/* Feeds what was put for a stream, all at once, from a buffer of its exact size. */
static ssize_t feed(struct scene *s, unsigned int stream)
{
	struct records *r = &s->records[stream];
	uint8_t *copy = malloc(r->len);
	ssize_t n;

	memcpy(copy, r->bytes, r->len);
	s->why = (struct failure){ 0 };
	n = apply_stream_feed(apply_stream(s->apply, stream), copy, r->len, &s->why);
	free(copy);
	if (n >= 0)
		assert_int_equal(n, r->len);
	r->len = 0;
	return n;
}

static void assert_refused(struct scene *s, unsigned int stream, const char *because)
{
	assert_int_equal(feed(s, stream), -1);
	if (!strstr(s->why.text, because))
		fail_msg("\"%s\" does not say \"%s\"", s->why.text, because);
	/* And from then on everything. */
	records_zero(&s->records[stream], 0, stream * CHUNK, 1);
	assert_int_equal(feed(s, stream), -1);
}

static void assert_ram(const struct scene *s, unsigned int block, uint64_t page,
		       const void *content, size_t pages)
{
	size_t len = pages * FERRY_PAGE_SIZE;
	uint8_t *got = malloc(len);
	off_t at = (off_t)(s->ram[block].offset + page * FERRY_PAGE_SIZE);

	assert_int_equal(pread(s->fd, got, len, at), len);
	assert_memory_equal(got, content, len);
	free(got);
}

/* The digests of what is in the file, computed page by page. */
static void read_digests(const struct scene *s, struct wire_digests *d)
{
	struct hash *h = hash_new(key);
	uint8_t page[FERRY_PAGE_SIZE];

	memset(d, 0, sizeof(*d));
	d->rams = 2;
	for (unsigned int block = 0; block < 2; block++)
		for (uint64_t i = 0; i < RAM_PAGES; i++) {
			off_t at = (off_t)(s->ram[block].offset + i * FERRY_PAGE_SIZE);

			assert_int_equal(pread(s->fd, page, sizeof(page), at),
					 sizeof(page));
			hash_toggle(h, block, i, page, d->digest[block]);
		}
	hash_free(h);
}

/* Ends pass @n on both streams; what is claimed must be what is in the file. */
static void end_pass(struct scene *s, uint64_t n, bool final)
{
	struct wire_digests claimed, real;
	uint64_t woken;
	bool was_final;

	for (unsigned int i = 0; i < 2; i++) {
		assert_false(apply_take_pass(s->apply, &claimed, &was_final));
		records_pass_end(&s->records[i], n, final ? FERRY_PASS_FINAL : 0);
		assert_true(feed(s, i) > 0);
	}
	assert_int_equal(read(s->wake, &woken, 8), 8);
	assert_true(apply_take_pass(s->apply, &claimed, &was_final));
	assert_int_equal(claimed.pass, n);
	assert_int_equal(was_final, final);
	read_digests(s, &real);
	assert_memory_equal(claimed.digest, real.digest, sizeof(real.digest));
}

/* ------------------------------------------------------------------------
 * What is applied
 * ------------------------------------------------------------------------ */

static void test_raw(void **state)
{
	struct scene *s = *state;

	records_raw(&s->records[0], 0, 7, 16, s->content);
	records_raw(&s->records[1], 0, CHUNK, 1, s->content);
	records_raw(&s->records[0], 1, 0, 3, s->content);
	assert_true(feed(s, 0) > 0);
	assert_true(feed(s, 1) > 0);
	assert_ram(s, 0, 7, s->content, 16);
	assert_ram(s, 0, CHUNK, s->content, 1);
	assert_ram(s, 1, 0, s->content, 3);
	assert_int_equal(apply_pages(s->apply), 20);
	end_pass(s, 1, false);
}

static void test_lz4(void **state)
{
	struct scene *s = *state;

	for (uint32_t count = 1; count <= 16; count++)
		records_lz4(&s->records[0], 0, 16 * count, count, s->content);
	assert_true(feed(s, 0) > 0);
	for (uint32_t count = 1; count <= 16; count++)
		assert_ram(s, 0, 16 * count, s->content, count);
	end_pass(s, 1, true);
}

static void test_last_page_of_a_block(void **state)
{
	struct scene *s = *state;
	static const uint8_t zero[FERRY_PAGE_SIZE];

	/* The last chunk of block 0 is number 5: odd. */
	records_raw(&s->records[1], 0, RAM_PAGES - 1, 1, s->content + FERRY_PAGE_SIZE);
	assert_true(feed(s, 1) > 0);
	assert_ram(s, 0, RAM_PAGES - 1, s->content + FERRY_PAGE_SIZE, 1);
	assert_ram(s, 0, RAM_PAGES - 2, zero, 1);
	end_pass(s, 1, false);
}

static void test_pages_sent_again(void **state)
{
	struct scene *s = *state;

	records_raw(&s->records[0], 0, 0, 16, s->content);
	end_pass(s, 1, false);
	records_raw(&s->records[0], 0, 0, 16, s->content);	/* unchanged */
	end_pass(s, 2, false);
	s->content[5 * FERRY_PAGE_SIZE] ^= 1;
	records_lz4(&s->records[0], 0, 0, 16, s->content);
	records_raw(&s->records[0], 0, 1, 1, s->content);	/* twice in a pass */
	end_pass(s, 3, true);
	assert_ram(s, 0, 5, s->content + 5 * FERRY_PAGE_SIZE, 1);
}

static blkcnt_t blocks(const struct scene *s)
{
	struct stat st;

	assert_int_equal(fstat(s->fd, &st), 0);
	return st.st_blocks;
}

static void test_zero(void **state)
{
	static const uint8_t zero[CHUNK * FERRY_PAGE_SIZE];
	struct scene *s = *state;

	/* Over nothing: stays nothing. */
	records_zero(&s->records[0], 0, 0, CHUNK);
	assert_true(feed(s, 0) > 0);
	assert_int_equal(blocks(s), 0);

	/* Over pages: they go, and give their room back. */
	records_raw(&s->records[0], 0, 100, 16, s->content);
	records_raw(&s->records[0], 0, 400, 16, s->content);
	records_zero(&s->records[0], 0, 0, CHUNK);
	end_pass(s, 1, false);
	assert_ram(s, 0, 0, zero, CHUNK);
	assert_int_equal(blocks(s), 0);

	/* Over a part of them: the others stay. */
	records_raw(&s->records[0], 0, 100, 16, s->content);
	records_zero(&s->records[0], 0, 96, 8);
	end_pass(s, 2, false);
	assert_ram(s, 0, 100, zero, 4);
	assert_ram(s, 0, 104, s->content + 4 * FERRY_PAGE_SIZE, 12);

	/* As pages, which a source need not, but may, send. */
	records_raw(&s->records[0], 0, 104, 1, zero);
	end_pass(s, 3, true);
	assert_ram(s, 0, 104, zero, 1);
}

static void test_punch(void **state)
{
	struct scene *s = *state;
	static const uint8_t zero[FERRY_PAGE_SIZE];

	assert_int_equal(pwrite(s->fd, "before", 6, OFFSET_1 - 6), 6);
	assert_int_equal(pwrite(s->fd, "old", 3, OFFSET_1 + 4096), 3);
	assert_int_equal(pwrite(s->fd, "old", 3, OFFSET_2), 3);
	for (int i = 0; i < 2; i++)
		assert_int_equal(apply_punch(&s->ram[i], &s->why), 0);
	assert_ram(s, 0, 1, zero, 1);
	assert_ram(s, 1, 0, zero, 1);
	assert_int_equal(blocks(s), 8);		/* "before" is not ours */
	end_pass(s, 1, false);
}

static void test_byte_by_byte(void **state)
{
	struct scene *s = *state;
	struct records *r = &s->records[0];
	struct apply_stream *stream = apply_stream(s->apply, 0);
	size_t done = 0;

	records_lz4(r, 0, 3, 2, s->content);
	records_zero(r, 0, 0, 3);
	records_raw(r, 0, 5, 1, s->content);
	for (size_t have = 1; have <= r->len; have++) {
		uint8_t *copy = malloc(have - done);
		ssize_t n;

		memcpy(copy, r->bytes + done, have - done);
		n = apply_stream_feed(stream, copy, have - done, &s->why);
		free(copy);
		assert_true(n >= 0);
		done += (size_t)n;
	}
	assert_int_equal(done, r->len);
	assert_ram(s, 0, 3, s->content, 2);
	assert_ram(s, 0, 5, s->content, 1);
}

static void test_verify_agrees(void **state)
{
	struct scene *s = *state;
	struct wire_digests read_anew, real;
	struct verify *v;
	uint64_t woken;
	int n;

	records_raw(&s->records[0], 0, 0, 16, s->content);
	records_raw(&s->records[1], 0, RAM_PAGES - 3, 3, s->content);
	records_raw(&s->records[0], 1, 2 * CHUNK + 500, 12, s->content);
	end_pass(s, 1, true);
	assert_int_equal(read(s->wake, &woken, 8), -1);

	v = verify_start(s->ram, 2, 3, key, s->wake, &s->why);
	assert_non_null(v);
	while (!(n = verify_result(v, &read_anew, &s->why)))
		usleep(1000);
	assert_int_equal(n, 1);
	verify_destroy(v);
	read_digests(s, &real);
	assert_memory_equal(&read_anew, &real, sizeof(real));
}

/* ------------------------------------------------------------------------
 * What is refused
 * ------------------------------------------------------------------------ */

static void test_no_record(void **state)
{
	struct scene *s = *state;

	memset(s->records[0].bytes, 'x', 4096);
	s->records[0].len = 4096;
	assert_refused(s, 0, "no record begins here");
}

static void test_sequence(void **state)
{
	struct scene *s = *state;

	records_zero(&s->records[0], 0, 0, 1);
	s->records[0].sequence++;
	records_zero(&s->records[0], 0, 0, 1);
	assert_refused(s, 0, "stream 0, record 1: it says that it is record 2");
}

static void test_checksum_of_header(void **state)
{
	struct scene *s = *state;
	uint8_t *header = records_zero(&s->records[0], 0, 0, 1);

	header[23] ^= 1;	/* page 1 instead of 0 */
	assert_refused(s, 0, "checksum");
}

static void test_checksum_of_payload(void **state)
{
	static const uint8_t zero[FERRY_PAGE_SIZE];
	struct scene *s = *state;
	uint8_t *header = records_raw(&s->records[0], 0, 0, 1, s->content);

	header[32 + 4095] ^= 0x80;
	assert_refused(s, 0, "checksum");
	assert_ram(s, 0, 0, zero, 1);
}

static void test_padding(void **state)
{
	struct scene *s = *state;
	struct wire_record r = {
		.type = FERRY_RECORD_PAGES, .codec = FERRY_CODEC_LZ4, .count = 1,
		.length = 9,
	};
	uint8_t *header = records_put(&s->records[0], r, s->content);

	header[32 + 15] = 1;
	assert_refused(s, 0, "padding");
}

static void test_unknown_block(void **state)
{
	struct scene *s = *state;

	records_zero(&s->records[0], 2, 0, 1);
	assert_refused(s, 0, "no RAM block 2");
}

static void test_beyond_the_end(void **state)
{
	struct scene *s = *state;

	records_zero(&s->records[1], 0, RAM_PAGES - 1, 2);
	assert_refused(s, 1, "beyond the end");
	records_zero(&s->records[0], 0, UINT64_MAX, 1);
	assert_refused(s, 0, "beyond the end");
}

static void test_another_streams_chunk(void **state)
{
	struct scene *s = *state;

	records_raw(&s->records[0], 0, CHUNK, 1, s->content);
	assert_refused(s, 0, "belongs to stream 1");
	/* Chunks are counted over all blocks, and half a chunk is one. */
	records_raw(&s->records[1], 1, 0, 1, s->content);
	assert_refused(s, 1, "belongs to stream 0");
}

static void test_across_chunks(void **state)
{
	struct scene *s = *state;

	records_raw(&s->records[0], 0, CHUNK - 1, 2, s->content);
	assert_refused(s, 0, "belongs to stream");
}

static void test_lz4_garbage(void **state)
{
	struct scene *s = *state;
	struct wire_record r = {
		.type = FERRY_RECORD_PAGES, .codec = FERRY_CODEC_LZ4, .count = 1,
		.length = 1000,
	};
	uint8_t noise[1000];

	memset(noise, 0xff, sizeof(noise));
	records_put(&s->records[0], r, noise);
	assert_refused(s, 0, "not lz4");
}

/* A good LZ4 block of two pages that claims to be of @count. */
static void put_lz4_claiming(struct scene *s, unsigned int stream, uint32_t count)
{
	uint8_t *header = records_lz4(&s->records[stream], 0, stream * CHUNK, 2,
				      s->content);

	header[15] = (uint8_t)count;
	records_seal(header);
}

static void test_lz4_of_wrong_size(void **state)
{
	struct scene *s = *state;

	put_lz4_claiming(s, 0, 3);
	assert_refused(s, 0, "decodes to 8192 bytes, not 12288");
	put_lz4_claiming(s, 1, 1);
	assert_refused(s, 1, "not lz4");
}

static void test_pass_out_of_order(void **state)
{
	struct scene *s = *state;

	records_pass_end(&s->records[0], 2, 0);
	assert_refused(s, 0, "pass 2 ends, but pass 1 is under way");
	records_pass_end(&s->records[1], 1, 0);
	records_pass_end(&s->records[1], 2, 0);
	assert_refused(s, 1, "pass 2 ends");
}

static void test_pass_ended_twice(void **state)
{
	struct scene *s = *state;

	records_pass_end(&s->records[0], 1, 0);
	records_pass_end(&s->records[0], 1, 0);
	assert_refused(s, 0, "pass 1");
}

static void test_no_room(void **state)
{
	struct scene *s = *state;
	struct rlimit old, tight;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	tight = old;
	tight.rlim_cur = OFFSET_1 + 2 * FERRY_PAGE_SIZE;
	setrlimit(RLIMIT_FSIZE, &tight);
	records_raw(&s->records[0], 0, 0, 16, s->content);
	assert_refused(s, 0, "cannot write RAM");
	setrlimit(RLIMIT_FSIZE, &old);
}

/* The same on a full tmpfs, which only root can make. */
static void test_full_tmpfs(void **state)
{
	char dir[] = "/tmp/kvmferry-test-XXXXXX", path[64];
	struct scene *s = *state;
	struct apply *apply;
	ssize_t n;
	int fd;

	/* In a namespace of our own: nobody else sees it, and it goes with us. */
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		skip();
	assert_non_null(mkdtemp(dir));
	if (mount("tmpfs", dir, "tmpfs", 0, "size=64k")) {
		rmdir(dir);
		skip();
	}
	snprintf(path, sizeof(path), "%s/ram", dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	apply = apply_create(&(struct apply_ram){ fd, 0, 1 << 20 }, 1, 1, key, -1,
			     &s->why);
	assert_non_null(apply);
	records_raw(&s->records[0], 0, 0, 15, s->content);
	records_raw(&s->records[0], 0, 16, 16, s->content);
	n = apply_stream_feed(apply_stream(apply, 0), s->records[0].bytes,
			      s->records[0].len, &s->why);
	apply_destroy(apply);
	close(fd);
	umount(dir);
	rmdir(dir);
	assert_int_equal(n, -1);
	assert_non_null(strstr(s->why.text, "no room left for guest RAM"));
}

static void test_short_file(void **state)
{
	struct scene *s = *state;

	s->ram[1].size += FERRY_PAGE_SIZE;
	assert_null(apply_create(s->ram, 2, 2, key, -1, &s->why));
	assert_non_null(strstr(s->why.text, "shorter than the block"));
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_raw),
		TEST(test_lz4),
		TEST(test_last_page_of_a_block),
		TEST(test_pages_sent_again),
		TEST(test_zero),
		TEST(test_punch),
		TEST(test_byte_by_byte),
		TEST(test_verify_agrees),
		TEST(test_no_record),
		TEST(test_sequence),
		TEST(test_checksum_of_header),
		TEST(test_checksum_of_payload),
		TEST(test_padding),
		TEST(test_unknown_block),
		TEST(test_beyond_the_end),
		TEST(test_another_streams_chunk),
		TEST(test_across_chunks),
		TEST(test_lz4_garbage),
		TEST(test_lz4_of_wrong_size),
		TEST(test_pass_out_of_order),
		TEST(test_pass_ended_twice),
		TEST(test_no_room),
		TEST(test_full_tmpfs),
		TEST(test_short_file),
	};

	return cmocka_run_group_tests_name("apply", tests, NULL, NULL);
}
