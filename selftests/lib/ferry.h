/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thin client of /dev/kvmferry for tests. What the kernel refuses comes back as a
 * negative errno; what must not fail ends the program.
 */
#ifndef SELFTESTS_FERRY_H
#define SELFTESTS_FERRY_H

#include <stdbool.h>
#include <sys/types.h>
#include <linux/kvmferry.h>

#include "ram.h"
#include "stream.h"

struct ferry_ring_client {
	int fd;
	uint64_t size;
	const struct ferry_ring *ring;
	struct stream stream;
};

struct ferry {
	int fd;
	int mem;
	uint8_t key[FERRY_KEY_SIZE];
	uint64_t codecs;	/* for ferry_setup(); LZ4 if nobody changes it */
	struct ferry_group group;	/* ditto; FERRY_GROUP_OFF: one page a fault */
	unsigned int channels;
	struct ferry_ring_client channel[FERRY_MAX_CHANNELS];
	stream_sink_fn *sink;
	void *context;
	uint64_t pass;		/* number of the pass that was begun last */
	/* for consumers that are to be slow: most bytes to take at a time, 0 is all */
	uint64_t bite;
};

/* Loads and unloads the module; both only in an emulated host. */
void ferry_load_module(void);
bool ferry_unload_module(void);
/* Arms the fault point of this name, "" disarms. False: this build has none. */
bool ferry_fault(const char *name);

/* ioctl() that returns -errno. */
long ferry_ioctl(int fd, unsigned long command, void *argument);
/* A descriptor of /proc/PID/mem, or -errno. */
int ferry_open_mem(pid_t pid, int flags);

/* Opens the device. Records go to @sink; NULL: they are only checked. */
void ferry_open(struct ferry *f, stream_sink_fn *sink, void *context);
/* In any state, at any time. */
void ferry_close(struct ferry *f);

int ferry_attach(struct ferry *f, pid_t pid, uint64_t codecs);
#define FERRY_BIT(name)	(1ull << FERRY_CODEC_##name)
/* -ENOTTY: a module from before there were groups. */
int ferry_group(struct ferry *f, const struct ferry_group *group);
int ferry_group_stats(struct ferry *f, struct ferry_group_stats *stats);
/* Slows writers down; 0 and 0: no longer. */
int ferry_limit(struct ferry *f, uint64_t pages_per_s, uint32_t max_slowdown);
int ferry_add_ram(struct ferry *f, const struct ram *ram);
/* Maps the new ring, too. */
int ferry_add_channel(struct ferry *f, uint64_t size);

/*
 * The usual beginning: attach to @pid, add @rams blocks, and @channels rings of
 * @size bytes. Must not fail. Groups are as f->group says, which is off if nobody has
 * changed it: tests that know the exact set of written pages want no page opened on
 * suspicion.
 */
void ferry_setup(struct ferry *f, pid_t pid, const struct ram *ram, unsigned int rams,
		 unsigned int channels, uint64_t size);

/* Process id of the kernel thread of a channel, 0 if there is none. */
pid_t ferry_worker(unsigned int channel);

/* Begin a pass; take what is on the rings; until the pass has ended. */
int ferry_begin(struct ferry *f, uint32_t flags);
uint64_t ferry_take(struct ferry *f, unsigned int channel);
/* 0, or -ENODATA if tracking was lost, -ETIME if nothing happens any more. */
int ferry_finish(struct ferry *f);
/* ferry_begin() and ferry_finish(). */
int ferry_pass(struct ferry *f, uint32_t flags);
/* A pass that must succeed. */
void ferry_must_pass(struct ferry *f, uint32_t flags);
/* Why a channel's stream was given up, or NULL. */
const char *ferry_fault_of_streams(const struct ferry *f);

int ferry_status(struct ferry *f, uint32_t flags, struct ferry_status *status);
/* Pages pending by a fresh scan. Must not fail. */
uint64_t ferry_pending_pages(struct ferry *f);
/*
 * The pending bitmap of a whole block, by a fresh scan; @bitmap has a bit for each
 * page, rounded up to 64.
 */
int ferry_pending(struct ferry *f, const struct ram *ram, uint64_t *bitmap);
/* One cell for each chunk of 2 MiB. */
int ferry_group_map(struct ferry *f, const struct ram *ram, struct ferry_group_cell *cells);
int ferry_digest(struct ferry *f, uint32_t id, uint32_t flags, uint8_t out[FERRY_HASH_SIZE]);

/* Words of a bitmap of @pages bits, and its bits. */
static inline uint64_t bitmap_words(uint64_t pages)
{
	return (pages + 63) / 64;
}

static inline bool bitmap_get(const uint64_t *map, uint64_t bit)
{
	return map[bit / 64] >> (bit % 64) & 1;
}

static inline void bitmap_set(uint64_t *map, uint64_t bit)
{
	map[bit / 64] |= 1ull << (bit % 64);
}

#endif /* SELFTESTS_FERRY_H */
