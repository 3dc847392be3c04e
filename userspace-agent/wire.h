/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wire: every byte that two agents exchange. Encode and decode, no I/O.
 *
 * A migration has one control connection and 1 to FERRY_MAX_CHANNELS data
 * streams, all opened by the source to one port of the target.
 *
 * Each connection begins with a *preamble* from the source:
 *
 *	0   8  "KVMFERRY"
 *	8   2  version, WIRE_VERSION
 *	10  1  kind: WIRE_CONTROL or WIRE_STREAM
 *	11  1  channel number of a stream, else 0
 *	12  4  0
 *	16  16 migration id, random, the same on all connections of a migration
 *
 * A data stream then carries records, as struct ferry_record in
 * linux/kvmferry.h describes them, until the source closes it. Nothing flows
 * back on it.
 *
 * The control connection carries *frames* in both directions:
 *
 *	0   2  0x4b46 ("KF")
 *	2   2  type, enum wire_type
 *	4   4  length of the payload, at most WIRE_MAX_PAYLOAD
 *	8      payload
 *
 * All numbers are big-endian. A frame that is out of place, too long, too short
 * or of an unknown type ends the migration with WIRE_ABORT.
 *
 *	source                          target
 *	HELLO            ->                           who, which RAM, which key
 *	                 <-             READY         RAM paired, QEMU prepared
 *	[DISKS]          ->                           disks that could be cancelled
 *	                 <-             [DISKS_READY] those that could be guarded
 *	(N streams)      ->
 *	... records of pass 1, 2, ...
 *	                 <-             PASS_DONE     for each pass, with digests
 *	... the VM is stopped, its disk requests are cancelled, a final pass
 *	[DOUBT ...]      ->                           ranges that the storage may write to
 *	[DOUBT_END]      ->
 *	                 <-             [GUARDED]     nothing here touches them
 *	                 <-             PASS_DONE     all RAM is there
 *	[VERIFY]         ->
 *	                 <-             [VERIFIED]    digests of RAM read anew
 *	DEVICE           <->            DEVICE        QEMU's own stream, opaque
 *	DEVICE_EOF       <->            DEVICE_EOF
 *	... one more final pass: saving device state may write to RAM
 *	                 <-             PASS_DONE
 *	... source QEMU: completed
 *	COMMIT           ->                           the target owns the VM
 *	                 <-             RUNNING       and it runs there (see HELLO)
 *	[ENDED ...]      ->                           the storage is done with some
 *	                 <-             [OPEN]        and nothing is guarded any more
 *
 * What is in brackets comes only if it is asked for: DISKS if the source has disks
 * whose requests it can cancel, DOUBT and the rest if DISKS_READY allowed some.
 *
 * Until COMMIT has been sent either side may send ABORT with a reason; the source
 * then runs on. After it the source never runs again.
 */
#ifndef KVMFERRY_WIRE_H
#define KVMFERRY_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <linux/kvmferry.h>

#define WIRE_VERSION		3
#define WIRE_MAGIC		"KVMFERRY"
#define WIRE_PREAMBLE_SIZE	32
#define WIRE_FRAME_SIZE		8
#define WIRE_FRAME_MAGIC	0x4b46
#define WIRE_MAX_PAYLOAD	(64u << 10)
#define WIRE_ID_SIZE		16
#define WIRE_NAME_SIZE		64	/* of a RAM block's id, with its NUL */
#define WIRE_TEXT_SIZE		512	/* of a reason, with its NUL */
#define WIRE_MAX_DISKS		64
#define WIRE_DISK_NAME_SIZE	128	/* with its NUL */
#define WIRE_MAX_RANGES		2048	/* in one DOUBT */
#define WIRE_MAX_IDS		4096	/* in one ENDED */

enum wire_kind {
	WIRE_CONTROL = 1,
	WIRE_STREAM = 2,
};

enum wire_type {
	WIRE_HELLO = 1,
	WIRE_READY = 2,
	WIRE_PASS_DONE = 3,
	WIRE_DEVICE = 4,
	WIRE_DEVICE_EOF = 5,
	WIRE_VERIFY = 6,
	WIRE_VERIFIED = 7,
	WIRE_COMMIT = 8,
	WIRE_RUNNING = 9,
	WIRE_ABORT = 10,
	WIRE_DISKS = 11,
	WIRE_DISKS_READY = 12,
	WIRE_DOUBT = 13,
	WIRE_DOUBT_END = 14,
	WIRE_GUARDED = 15,
	WIRE_ENDED = 16,
	WIRE_OPEN = 17,
};

struct wire_preamble {
	uint16_t version;
	enum wire_kind kind;
	unsigned int channel;
	uint8_t id[WIRE_ID_SIZE];
};

/*
 * The VM was running when the migration began. Without this flag it was paused,
 * stays paused at the target, and RUNNING only says that the target owns it.
 */
#define WIRE_HELLO_RUNNING	(1u << 0)

/* The source reserves its disks, so that the target can cut it off: see fence.h. */
#define WIRE_HELLO_FENCE	(1u << 1)

#define WIRE_HELLO_FLAGS	(WIRE_HELLO_RUNNING | WIRE_HELLO_FENCE)

/* A RAM block as both sides name it: QEMU's block id, and its bytes. */
struct wire_ram {
	char name[WIRE_NAME_SIZE];
	uint64_t size;
};

/*
 * WIRE_HELLO
 *
 *	0   4  flags: WIRE_HELLO_*
 *	4   2  number of streams, 1 .. FERRY_MAX_CHANNELS
 *	6   2  number of RAM blocks, 1 .. FERRY_MAX_RAM
 *	8   8  codecs that the source can use, bit (1 << FERRY_CODEC_x)
 *	16  32 key of the page hashes
 *	48  72 per RAM block: 64 bytes of name, NUL-padded; 8 bytes of size.
 *	       Its place in this list is its id in records.
 */
struct wire_hello {
	uint32_t flags;
	unsigned int streams;
	unsigned int rams;
	uint64_t codecs;
	uint8_t key[FERRY_KEY_SIZE];
	struct wire_ram ram[FERRY_MAX_RAM];
};

/*
 * WIRE_READY
 *
 *	0   8  codecs that records may use: those of HELLO that the target decodes
 *
 * Raw pages (FERRY_CODEC_NONE) are always among them.
 */

/*
 * WIRE_PASS_DONE: every stream has delivered PASS_END of this pass, and all
 * records before it were applied. WIRE_VERIFIED: the same with pass 0.
 *
 *	0   8  number of the pass
 *	8   16 per RAM block: its digest
 */
struct wire_digests {
	uint64_t pass;
	unsigned int rams;
	uint8_t digest[FERRY_MAX_RAM][FERRY_HASH_SIZE];
};

/*
 * WIRE_DISKS: the VM's disks whose requests in flight could be cancelled
 *
 *	0   136 per disk, 1 .. WIRE_MAX_DISKS: 128 bytes of name, NUL-padded: the QOM
 *	        path of the device that the guest sees; 8 bytes of size, in sectors of 512
 *	        bytes. Its place in this list is its number in what follows.
 *
 * WIRE_DISKS_READY
 *
 *	0   8  disks that the target could guard, bit (1 << number)
 */
struct wire_disks {
	unsigned int disks;
	struct {
		char name[WIRE_DISK_NAME_SIZE];
		uint64_t sectors;
	} disk[WIRE_MAX_DISKS];
};

/*
 * WIRE_DOUBT: ranges of a disk that a cancelled request may still change
 *
 *	0   4  number of the disk, one of DISKS_READY
 *	4   4  0
 *	8   24 per range, 1 .. WIRE_MAX_RANGES: 8 bytes of id, 8 of first sector, 8 of
 *	       sectors. Ids are new ones for each disk.
 *
 * As many as are needed, then DOUBT_END, once.
 */
struct wire_doubt {
	unsigned int disk;
	unsigned int ranges;
	struct ferry_disk_range range[WIRE_MAX_RANGES];
};

/*
 * WIRE_ENDED: the storage has ended these requests, or never will touch the range
 *
 *	0   4  number of the disk
 *	4   4  0
 *	8   8  per range, 1 .. WIRE_MAX_IDS: its id
 *
 * After RUNNING: until then the target does not listen.
 */
struct wire_ended {
	unsigned int disk;
	unsigned int ids;
	uint64_t id[WIRE_MAX_IDS];
};

/*
 * All others have no payload, but DEVICE's and ABORT's. DEVICE's payload
 * is 1 .. WIRE_MAX_PAYLOAD bytes of QEMU's stream. ABORT's is the reason, text
 * without NUL, shorter than WIRE_TEXT_SIZE.
 */

struct wire_frame {
	enum wire_type type;
	uint32_t length;
};

/* Most bytes of payload that a HELLO, and a PASS_DONE or VERIFIED, can have. */
#define WIRE_HELLO_MAX		(48 + FERRY_MAX_RAM * 72)
#define WIRE_READY_SIZE		8
#define WIRE_DIGESTS_MAX	(8 + FERRY_MAX_RAM * FERRY_HASH_SIZE)
#define WIRE_DISKS_MAX		(WIRE_MAX_DISKS * 136)
#define WIRE_DOUBT_MAX		(8 + WIRE_MAX_RANGES * 24)
#define WIRE_ENDED_MAX		(8 + WIRE_MAX_IDS * 8)

/*
 * Encoders write exactly the documented size to @out and return it in bytes.
 * Decoders take @len bytes and return 0, or -1 with *why set to a sentence (a
 * static string) that says what is wrong with them. They never read past @len
 * and accept nothing but what the tables above allow.
 */
size_t wire_put_preamble(uint8_t out[WIRE_PREAMBLE_SIZE],
			 const struct wire_preamble *p);
int wire_get_preamble(struct wire_preamble *p, const uint8_t *in, size_t len,
		      const char **why);

size_t wire_put_frame(uint8_t out[WIRE_FRAME_SIZE], enum wire_type type,
		      uint32_t length);
int wire_get_frame(struct wire_frame *f, const uint8_t *in, size_t len,
		   const char **why);

size_t wire_put_hello(uint8_t out[WIRE_HELLO_MAX], const struct wire_hello *h);
int wire_get_hello(struct wire_hello *h, const uint8_t *in, size_t len,
		   const char **why);

size_t wire_put_ready(uint8_t out[WIRE_READY_SIZE], uint64_t codecs);
int wire_get_ready(uint64_t *codecs, const uint8_t *in, size_t len,
		   const char **why);
size_t wire_put_digests(uint8_t *out, const struct wire_digests *d);
int wire_get_digests(struct wire_digests *d, const uint8_t *in, size_t len,
		     const char **why);

size_t wire_put_disks(uint8_t out[WIRE_DISKS_MAX], const struct wire_disks *d);
int wire_get_disks(struct wire_disks *d, const uint8_t *in, size_t len,
		   const char **why);
size_t wire_put_disks_ready(uint8_t out[WIRE_READY_SIZE], uint64_t disks);
uint64_t wire_get_disks_ready(const uint8_t in[WIRE_READY_SIZE]);
size_t wire_put_doubt(uint8_t out[WIRE_DOUBT_MAX], const struct wire_doubt *d);
int wire_get_doubt(struct wire_doubt *d, const uint8_t *in, size_t len,
		   const char **why);
size_t wire_put_ended(uint8_t out[WIRE_ENDED_MAX], const struct wire_ended *e);
int wire_get_ended(struct wire_ended *e, const uint8_t *in, size_t len,
		   const char **why);

/*
 * The text of an ABORT as one printable, NUL-terminated line: it goes into our
 * operator's terminal, and came from the network.
 */
void wire_get_text(char out[WIRE_TEXT_SIZE], const uint8_t *in, size_t len);

/* A record's header in host byte order. */
struct wire_record {
	unsigned int type;
	unsigned int codec;
	unsigned int block;
	uint32_t sequence;
	uint32_t count;
	uint64_t page;
	uint32_t length;
	uint32_t crc;
};

/*
 * Decodes and checks everything that a header alone can tell: magic, type,
 * codec, count, length. Whether block and page exist, the caller knows.
 */
int wire_get_record(struct wire_record *r,
		    const uint8_t in[sizeof(struct ferry_record)],
		    const char **why);
size_t wire_put_record(uint8_t out[sizeof(struct ferry_record)],
		       const struct wire_record *r);

/* Bytes of a record's payload on the wire, padding included. */
static inline size_t wire_padded(size_t length)
{
	return (length + FERRY_RECORD_ALIGN - 1) & ~(size_t)(FERRY_RECORD_ALIGN - 1);
}

/*
 * CRC32C of @len bytes, continuing @crc (0 to begin). The portable variant is
 * what runs on a processor without the instruction for it.
 */
uint32_t wire_crc32c(uint32_t crc, const void *data, size_t len);
uint32_t wire_crc32c_portable(uint32_t crc, const void *data, size_t len);

#endif /* KVMFERRY_WIRE_H */
