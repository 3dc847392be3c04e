// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What it costs to compress pages in the kernel, and what the same work costs with the codec's
 * library in user space: the same pages, joined alike, in the same host, one after the
 * other, the best of several rounds of each. A JSON object a line.
 *
 *	bench-codec FILE	whose content fills the pages
 *
 * The kernel's time is that of FERRY_COMPRESSION_STATS: the codec with what the crypto API
 * does around it.
 */
#include "ferry.h"

#include <fcntl.h>
#include <lz4.h>
#include <lz4hc.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "codec.h"
#include "die.h"

#define PAGES		1024ul		/* with content */
#define CHUNK_PAGES	512ul
#define RING		(16ul << 20)
#define ROUNDS		5
#define MOST		16u		/* pages that the module joins */
#define ROOM		(2 * MOST * RAM_PAGE)

struct cost {
	uint64_t ns, bytes, pages;
};

static struct ram ram;
static uint64_t content[PAGES];		/* where in RAM: the first page of each run */
static uint64_t runs;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* The same pages each time, @run of them next to each other, then a zero page. */
static void fill(const char *path, unsigned int run)
{
	int fd = must(open(path, O_RDONLY));
	uint64_t page = 0;

	memset(ram.map, 0, ram.size);
	for (runs = 0; runs < PAGES / run; runs++) {
		/* none goes beyond its chunk */
		if (page % CHUNK_PAGES + run > CHUNK_PAGES)
			page += CHUNK_PAGES - page % CHUNK_PAGES;
		content[runs] = page;
		if (must(read(fd, ram.map + page * RAM_PAGE, run * RAM_PAGE)) < (long)(run * RAM_PAGE))
			die("%s is too short", path);
		page += run + 1;
	}
	close(fd);
}

/* --- the kernel */

static struct cost kernel_cost(unsigned int codec)
{
	struct ferry_compression_stats s = { 0 };
	struct ferry f;
	uint64_t futile;

	ferry_open(&f, NULL, NULL);
	f.codecs = 1ull << codec;
	ferry_setup(&f, getpid(), &ram, 1, 1, RING);
	ferry_must_pass(&f, 0);
	must(ferry_ioctl(f.fd, FERRY_COMPRESSION_STATS, &s));
	ferry_close(&f);
	/* what did not shrink was sent as it is, and took its time, too */
	futile = s.codec[FERRY_CODEC_NONE].pages - s.untried;
	return (struct cost){
		.ns = s.codec[codec].ns,
		.bytes = s.codec[codec].bytes + futile * RAM_PAGE,
		.pages = s.codec[codec].pages + futile,
	};
}

/* --- the libraries, with the kernel's parameters */

static ZSTD_CCtx *zstd, *stream;
static z_stream deflater;
static uint8_t hc_state[1 << 19];

static void open_libraries(void)
{
	zstd = ZSTD_createCCtx();
	stream = ZSTD_createCCtx();
	if (!zstd || !stream || deflateInit2(&deflater, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -11, 8, Z_DEFAULT_STRATEGY) ||
	    LZ4_sizeofStateHC() > (int)sizeof(hc_state))
		die("no libraries");
}

static size_t library_stream(const uint8_t *from, size_t size, uint8_t *to)
{
	ZSTD_inBuffer in = { .src = from, .size = size };
	ZSTD_outBuffer out = { .dst = to, .size = ROOM };

	ZSTD_compressStream2(stream, &out, &in, ZSTD_e_flush);
	return out.pos;
}

static size_t library(unsigned int codec, const uint8_t *in, size_t size, uint8_t *out)
{
	switch (codec) {
	case FERRY_CODEC_LZ4:
		return LZ4_compress_default((const char *)in, (char *)out, size, ROOM);
	case FERRY_CODEC_LZ4HC:
		return LZ4_compress_HC_extStateHC(hc_state, (const char *)in, (char *)out, size, ROOM, 9);
	case FERRY_CODEC_ZSTD_STREAM:
		return library_stream(in, size, out);
	case FERRY_CODEC_ZSTD:
		return ZSTD_compressCCtx(zstd, out, ROOM, in, size, 3);
	}
	deflateReset(&deflater);
	deflater.next_in = (uint8_t *)in;
	deflater.avail_in = size;
	deflater.next_out = out;
	deflater.avail_out = ROOM;
	deflate(&deflater, Z_FINISH);
	return ROOM - deflater.avail_out;
}

static struct cost library_cost(unsigned int codec, unsigned int run)
{
	static uint8_t out[ROOM];
	struct cost cost = { 0 };
	uint64_t i, begin;
	size_t size = run * RAM_PAGE, n;

	ZSTD_CCtx_reset(stream, ZSTD_reset_session_only);
	ZSTD_CCtx_setParameter(stream, ZSTD_c_compressionLevel, 6);
	for (i = 0; i < runs; i++) {
		begin = now_ns();
		n = library(codec, ram.map + content[i] * RAM_PAGE, size, out);
		cost.ns += now_ns() - begin;
		cost.bytes += n < size ? n : size;
		cost.pages += run;
	}
	return cost;
}

/* --- both */

static void keep_best(struct cost *best, struct cost c)
{
	if (!best->pages || c.ns < best->ns)
		*best = c;
}

static void compare(unsigned int codec, unsigned int run)
{
	struct cost kernel = { 0 }, user = { 0 };
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		keep_best(&kernel, kernel_cost(codec));
		keep_best(&user, library_cost(codec, run));
	}
	printf("{\"codec\": \"%s\", \"pages_joined\": %u, \"kernel_ns_per_page\": %lu, \"library_ns_per_page\": %lu, "
	       "\"kernel_bytes_per_page\": %lu, \"library_bytes_per_page\": %lu, \"speed\": %.2f}\n",
	       codec_name(codec), run, kernel.ns / kernel.pages, user.ns / user.pages,
	       kernel.bytes / kernel.pages, user.bytes / user.pages,
	       (double)user.ns / user.pages / ((double)kernel.ns / kernel.pages));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const unsigned int codecs[] = {
		FERRY_CODEC_LZ4, FERRY_CODEC_ZSTD, FERRY_CODEC_ZSTD_STREAM, FERRY_CODEC_DEFLATE,
		FERRY_CODEC_LZ4HC,
	};
	static const unsigned int joined[] = { 1, 4, 16 };
	size_t i, j;

	if (argc != 2)
		die("bench-codec FILE");
	ferry_load_module();
	open_libraries();
	ram_create(&ram, &(struct ram_spec){ .size = 3 * PAGES * RAM_PAGE });
	for (i = 0; i < sizeof(codecs) / sizeof(*codecs); i++) {
		for (j = 0; j < sizeof(joined) / sizeof(*joined); j++) {
			fill(argv[1], joined[j]);
			compare(codecs[i], joined[j]);
		}
	}
	ram_destroy(&ram);
	return 0;
}
