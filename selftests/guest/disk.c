// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A disk under load, on which any block that is stale, lost or misplaced would be noticed.
 *
 * Theory of operation
 *
 * The disk is used in blocks of 4 KiB, which is what a disk never tears. Each has a
 * generation, which grows by one with every write. What a block must hold is a function
 * of its number, its generation and the thread that wrote it, down to the last byte; the
 * first words say which these are, so that a wrong block can be told by name. What the
 * disk should hold stands in the guest's memory:
 *
 *	block		holds
 *	blank		zeros: never written
 *	written		its generation
 *	discarded	zeros, or its generation still: a discard is advice
 *	unknown		anything: an I/O error has left it open, or it was found wrong once
 *
 * A late write shows as an older generation, a late discard as zeros, a lost write as
 * either of them.
 *
 * Sixteen neighbouring blocks are a chunk, which belongs to one thread: chunk i to thread
 * i modulo the number of threads. A request stays within a chunk, so each block has one
 * request at a time and is always in a state that its owner knows. Requests are direct:
 * the guest's page cache would hide the disk. Each thread waits for its own, so there
 * are as many requests at a time as threads.
 *
 * Commands, behind the word "disk":
 *	DEVICE WORDS...	begin, with
 *			depth=N		threads (8)
 *			mib=N		of the disk from its beginning (16)
 *			mix=MIX		reads, writes or both (both)
 *			fsync=N		instead of every Nth request of a thread (64; 0: never)
 *			discard=N	instead of every Nth (0: never)
 *			rest=MS		between two requests of a thread (2)
 *			There is one disk; mib= of the first time stays.
 *	stop		let what is outstanding end; then a line "disk stopped"
 *	verify		the same; then read all, and a line "disk verified"
 *	tell		a line "disk DEVICE: ..." now; report has it too
 */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "workload.h"

#define BLOCK		4096ul
#define WORDS		(BLOCK / sizeof(uint64_t))
#define HEAD		3			/* words before the filling */
#define STAMP		0x6b766d6469736b73ULL	/* "kvmdisks" */
#define CHUNK		16			/* blocks */
#define MAX_DEPTH	64

enum mix { READS, WRITES, BOTH, MIXES };
static const char *const mix_names[] = { "reads", "writes", "both" };

enum kind { READ, WRITE, FLUSH, DISCARD, KINDS };
static const char *const kind_names[] = { "read", "write", "flush", "discard" };

struct block {
	uint32_t generation;
	uint8_t writer;
	enum { BLANK, WRITTEN, DISCARDED, UNKNOWN } state : 8;
};

struct orders {
	unsigned int depth, mib, mix, fsync, discard, rest;
};

struct worker {
	pthread_t thread;
	unsigned int number;
	uint64_t random;
	uint64_t requests;
	uint64_t *buffer;		/* of a chunk */
	_Atomic uint64_t since;		/* when the outstanding request was sent; 0: there is none */
};

static struct {
	char device[32];
	int fd;
	struct orders orders;
	struct block *block;
	uint64_t blocks;
	struct worker worker[MAX_DEPTH];

	_Atomic unsigned int working;	/* threads */
	atomic_bool stop, verify;
	_Atomic uint64_t done[KINDS];
	_Atomic unsigned int errors;
	_Atomic uint64_t longest_ms;
} disk;

static void fill(uint64_t *w, uint64_t number, const struct block *b)
{
	uint64_t s = ((number + 1) * 0x9e3779b97f4a7c15ULL ^
		      ((uint64_t)b->generation << 8 | b->writer) * 0xd1b54a32d192ed03ULL) | 1;
	size_t i;

	w[0] = STAMP;
	w[1] = number << 32 | b->generation;
	w[2] = b->writer;
	for (i = HEAD; i < WORDS; i++)
		w[i] = shuffle(&s);
}

static bool is_blank(const uint64_t *w)
{
	return !w[0] && !memcmp(w, w + 1, BLOCK - sizeof(*w));
}

static bool complains(void)
{
	disk.errors++;
	return count_error() < COMPLAINTS;
}

/* Say what is wrong with a block, in the words of one who looks for the cause. */
static void complain(const uint64_t *w, uint64_t number, const struct block *b,
		     const uint64_t *expected)
{
	char want[64] = "zeros";
	size_t i = 0;

	if (b->state != BLANK)
		snprintf(want, sizeof(want), "generation %u of thread %u", b->generation, b->writer);
	while (i < WORDS - 1 && w[i] == expected[i])
		i++;
	if (is_blank(w))
		say("error: disk block %llu: zeros instead of %s", (unsigned long long)number, want);
	else if (w[0] == STAMP && i < HEAD)
		say("error: disk block %llu: block %llu generation %u of thread %llu instead of %s",
		    (unsigned long long)number, (unsigned long long)(w[1] >> 32), (uint32_t)w[1],
		    (unsigned long long)w[2], want);
	else
		say("error: disk block %llu: word %zu is %016llx instead of %s",
		    (unsigned long long)number, i, (unsigned long long)w[i], want);
}

/* A bad block is counted once. */
static void check(const uint64_t *w, uint64_t number)
{
	uint64_t expected[WORDS] = {};
	struct block *b = &disk.block[number];

	if (b->state == UNKNOWN)
		return;
	if (b->state != BLANK)
		fill(expected, number, b);
	if (!memcmp(w, expected, BLOCK) || (b->state == DISCARDED && is_blank(w)))
		return;
	if (complains())
		complain(w, number, b, expected);
	b->state = UNKNOWN;
}

static void set_state(uint64_t first, uint64_t count, int state)
{
	for (; count; count--)
		disk.block[first++].state = state;
}

/* The system call itself: 0 or an errno. */
static int carry_out(struct worker *w, enum kind kind, uint64_t first, uint64_t count)
{
	uint64_t range[2] = { first * BLOCK, count * BLOCK };
	off_t at = (off_t)range[0];
	ssize_t size = (ssize_t)range[1], n = size;
	int ret = 0;

	switch (kind) {
	case READ:
		n = pread(disk.fd, w->buffer, size, at);
		break;
	case WRITE:
		n = pwrite(disk.fd, w->buffer, size, at);
		break;
	case FLUSH:
		ret = fsync(disk.fd);
		break;
	default:
		ret = ioctl(disk.fd, BLKDISCARD, range);
	}
	if (ret || n < 0)
		return errno;
	return n == size ? 0 : EIO;
}

static bool request(struct worker *w, enum kind kind, uint64_t first, uint64_t count)
{
	uint64_t ms;
	int error;

	w->since = now_ms();
	error = carry_out(w, kind, first, count);
	ms = now_ms() - w->since;
	w->since = 0;
	if (ms > disk.longest_ms)
		disk.longest_ms = ms;	/* of two at once, one may be lost */
	disk.done[kind]++;
	if (error && complains())
		say("error: disk %s of blocks %llu to %llu, generation %u: %s", kind_names[kind],
		    (unsigned long long)first, (unsigned long long)(first + count - 1),
		    disk.block[first].generation, strerror(error));
	return !error;
}

static void read_blocks(struct worker *w, uint64_t first, uint64_t count)
{
	uint64_t i;

	if (!request(w, READ, first, count))
		return;
	for (i = 0; i < count; i++)
		check(w->buffer + i * WORDS, first + i);
}

static void write_blocks(struct worker *w, uint64_t first, uint64_t count)
{
	uint64_t i;

	for (i = 0; i < count; i++) {
		struct block *b = &disk.block[first + i];

		b->generation++;
		b->writer = w->number;
		fill(w->buffer + i * WORDS, first + i, b);
	}
	set_state(first, count, request(w, WRITE, first, count) ? WRITTEN : UNKNOWN);
}

static void discard_blocks(struct worker *w, uint64_t first, uint64_t count)
{
	uint64_t i;
	bool ok = request(w, DISCARD, first, count);

	for (i = first; i < first + count; i++)
		if (!ok || disk.block[i].state == WRITTEN)
			disk.block[i].state = ok ? DISCARDED : UNKNOWN;
}

static bool is_due(const struct worker *w, unsigned int every)
{
	return every && w->requests % every == 0;
}

static void next_request(struct worker *w)
{
	uint64_t mine = disk.blocks / CHUNK / disk.orders.depth;
	uint64_t r = shuffle(&w->random) >> 8;
	uint64_t chunk = r / 1024 % mine * disk.orders.depth + w->number;
	uint64_t from = r % CHUNK, count = r / CHUNK % (CHUNK - from) + 1;
	uint64_t first = chunk * CHUNK + from;

	w->requests++;
	if (is_due(w, disk.orders.fsync))
		request(w, FLUSH, 0, 0);
	else if (is_due(w, disk.orders.discard))
		discard_blocks(w, first, count);
	else if (disk.orders.mix == WRITES || (disk.orders.mix == BOTH && shuffle(&w->random) >> 63))
		write_blocks(w, first, count);
	else
		read_blocks(w, first, count);
}

static void tell_end(void)
{
	if (disk.verify)
		say("disk verified, all %llu blocks, %u errors", (unsigned long long)disk.blocks,
		    disk.errors);
	else
		say("disk stopped");
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t chunk;

	while (!disk.stop) {
		next_request(w);
		sleep_ms(disk.orders.rest);
	}
	if (disk.verify)
		for (chunk = w->number; chunk < disk.blocks / CHUNK; chunk += disk.orders.depth)
			read_blocks(w, chunk * CHUNK, CHUNK);
	if (atomic_fetch_sub(&disk.working, 1) == 1)
		tell_end();
	return NULL;
}

static void refuse(const char *why)
{
	disk.errors++;
	count_error();
	say("error: disk: %s", why);
}

static void start_work(void)
{
	unsigned int i;

	disk.working = disk.orders.depth;
	for (i = 0; i < disk.orders.depth; i++) {
		struct worker *w = &disk.worker[i];

		w->number = i;
		w->requests = i;	/* or all would flush at the same time */
		w->random ^= (i + 1) * 0x9e3779b97f4a7c15ULL;
		if (!w->buffer)
			w->buffer = aligned_alloc(BLOCK, CHUNK * BLOCK);
		start(&w->thread, work, w);
		pthread_detach(w->thread);
	}
}

/* The first time: what is to be on the disk, nothing, needs a table. */
static bool open_disk(const char *device, unsigned int mib)
{
	snprintf(disk.device, sizeof(disk.device), "%s", device);
	disk.fd = open(device, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (disk.fd < 0) {
		refuse(strerror(errno));
		return false;
	}
	disk.blocks = ((uint64_t)mib << 20) / BLOCK;
	disk.block = calloc(disk.blocks, sizeof(disk.block[0]));
	return true;
}

static bool read_word(struct orders *o, const char *word)
{
	char name[8];

	if (sscanf(word, "mix=%7s", name) == 1) {
		for (o->mix = READS; o->mix < MIXES; o->mix++)
			if (!strcmp(name, mix_names[o->mix]))
				return true;
		return false;
	}
	return sscanf(word, "depth=%u", &o->depth) == 1 || sscanf(word, "mib=%u", &o->mib) == 1 ||
	       sscanf(word, "fsync=%u", &o->fsync) == 1 ||
	       sscanf(word, "discard=%u", &o->discard) == 1 || sscanf(word, "rest=%u", &o->rest) == 1;
}

static void begin(const char *device, char **words)
{
	struct orders o = { .depth = 8, .mib = 16, .mix = BOTH, .fsync = 64, .rest = 2 };
	const char *word;

	while ((word = strtok_r(NULL, " ", words)))
		if (!read_word(&o, word))
			return refuse(word);
	if (!o.depth || o.depth > MAX_DEPTH || o.mib < 4)
		return refuse("depth= is 1 to 64, mib= at least 4");
	if (disk.working)
		return refuse("it is busy");
	if (disk.block && strcmp(device, disk.device) != 0)
		return refuse("it is another one");
	if (!disk.block && !open_disk(device, o.mib))
		return;
	disk.orders = o;
	disk.stop = disk.verify = false;
	start_work();
}

static void end(bool verify)
{
	if (!disk.block || (disk.stop && disk.working))
		return refuse("it is not used, or is about to end");
	disk.verify = verify;
	disk.stop = true;
	if (!disk.working && verify)
		start_work();
	else if (!disk.working)
		tell_end();
}

void disk_obey(char *words)
{
	char *rest, *word = strtok_r(words, " ", &rest);

	if (!word)
		refuse("which?");
	else if (!strcmp(word, "stop"))
		end(false);
	else if (!strcmp(word, "verify"))
		end(true);
	else if (!strcmp(word, "tell"))
		disk_tell();
	else
		begin(word, &rest);
}

void disk_tell(void)
{
	uint64_t now = now_ms(), oldest = now, since;
	unsigned int i, outstanding = 0;

	if (!disk.block)
		return;
	for (i = 0; i < disk.orders.depth; i++) {
		since = disk.worker[i].since;
		outstanding += since != 0;
		if (since && since < oldest)
			oldest = since;
	}
	say("disk %s: %llu reads, %llu writes, %llu flushes, %llu discards, %u errors, "
	    "%u outstanding, oldest %llu ms, longest ever %llu ms", disk.device,
	    (unsigned long long)disk.done[READ], (unsigned long long)disk.done[WRITE],
	    (unsigned long long)disk.done[FLUSH], (unsigned long long)disk.done[DISCARD],
	    disk.errors, outstanding, (unsigned long long)(now - oldest),
	    (unsigned long long)disk.longest_ms);
}
