// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Encode and decode what wire.h draws.
 *
 * A decoder accepts exactly what an encoder can produce: bytes that have no
 * meaning must be zero, so that a later version can give them one.
 */
#include <stdbool.h>
#include <string.h>

#include "wire.h"

#define HELLO_FIXED	48
#define HELLO_RAM	72
#define DIGESTS_FIXED	8
#define DISK		(WIRE_DISK_NAME_SIZE + 8)
#define LIST_FIXED	8	/* of DOUBT and ENDED */
#define LIST_RANGE	24
#define LIST_ID		8

static const uint8_t magic[8] = WIRE_MAGIC;	/* without its NUL */

_Static_assert(sizeof(struct ferry_record) == 32, "the wire has 32 bytes");
_Static_assert(HELLO_FIXED + FERRY_MAX_RAM * HELLO_RAM <= WIRE_MAX_PAYLOAD,
	       "a HELLO fits into a frame");
_Static_assert(WIRE_DOUBT_MAX <= WIRE_MAX_PAYLOAD && WIRE_ENDED_MAX <= WIRE_MAX_PAYLOAD,
	       "so does a list of ranges");

static uint8_t *put(uint8_t *out, uint64_t value, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++)
		out[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
	return out + bytes;
}

static uint64_t get(const uint8_t *in, unsigned int bytes)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < bytes; i++)
		value = value << 8 | in[i];
	return value;
}

static bool is_zero(const uint8_t *in, size_t len)
{
	while (len--)
		if (*in++)
			return false;
	return true;
}

static int refuse(const char **why, const char *sentence)
{
	*why = sentence;
	return -1;
}

size_t wire_put_preamble(uint8_t out[WIRE_PREAMBLE_SIZE],
			 const struct wire_preamble *p)
{
	memcpy(out, magic, sizeof(magic));
	put(out + 8, p->version, 2);
	put(out + 10, p->kind, 1);
	put(out + 11, p->channel, 1);
	put(out + 12, 0, 4);
	memcpy(out + 16, p->id, WIRE_ID_SIZE);
	return WIRE_PREAMBLE_SIZE;
}

int wire_get_preamble(struct wire_preamble *p, const uint8_t *in, size_t len,
		      const char **why)
{
	if (len != WIRE_PREAMBLE_SIZE)
		return refuse(why, "a preamble has 32 bytes");
	if (memcmp(in, magic, sizeof(magic)) != 0)
		return refuse(why, "it does not begin as a kvmferry agent does");

	memset(p, 0, sizeof(*p));
	p->version = (uint16_t)get(in + 8, 2);
	p->kind = (enum wire_kind)get(in + 10, 1);
	p->channel = (unsigned int)get(in + 11, 1);
	memcpy(p->id, in + 16, WIRE_ID_SIZE);

	if (p->version != WIRE_VERSION)
		return refuse(why, "the agents speak different versions of the "
				   "protocol; install the same release on both hosts");
	if (p->kind != WIRE_CONTROL && p->kind != WIRE_STREAM)
		return refuse(why, "unknown kind of connection");
	if (p->channel >= (p->kind == WIRE_STREAM ? FERRY_MAX_CHANNELS : 1))
		return refuse(why, "channel number out of range");
	if (!is_zero(in + 12, 4))
		return refuse(why, "reserved bytes of the preamble are not zero");
	return 0;
}

size_t wire_put_frame(uint8_t out[WIRE_FRAME_SIZE], enum wire_type type,
		      uint32_t length)
{
	put(out, WIRE_FRAME_MAGIC, 2);
	put(out + 2, type, 2);
	put(out + 4, length, 4);
	return WIRE_FRAME_SIZE;
}

/* Is @length that of a list of 1 to @most items after a fixed part? */
static bool is_list(size_t length, size_t fixed, size_t item, size_t most)
{
	return length >= fixed + item && length <= fixed + most * item &&
	       (length - fixed) % item == 0;
}

static const char *frame_length_fault(enum wire_type type, uint32_t length)
{
	switch (type) {
	case WIRE_HELLO:
		return is_list(length, HELLO_FIXED, HELLO_RAM, FERRY_MAX_RAM) ?
			NULL : "HELLO has a length that no HELLO has";
	case WIRE_PASS_DONE:
	case WIRE_VERIFIED:
		return is_list(length, DIGESTS_FIXED, FERRY_HASH_SIZE, FERRY_MAX_RAM) ?
			NULL : "digests have a length that no digests have";
	case WIRE_DEVICE:
		return length && length <= WIRE_MAX_PAYLOAD ?
			NULL : "DEVICE is empty or too long";
	case WIRE_ABORT:
		return length < WIRE_TEXT_SIZE ? NULL : "ABORT is too long";
	case WIRE_READY:
	case WIRE_DISKS_READY:
		return length == WIRE_READY_SIZE ?
			NULL : "READY has a length that no READY has";
	case WIRE_DISKS:
		return is_list(length, 0, DISK, WIRE_MAX_DISKS) ?
			NULL : "DISKS has a length that no list of disks has";
	case WIRE_DOUBT:
		return is_list(length, LIST_FIXED, LIST_RANGE, WIRE_MAX_RANGES) ?
			NULL : "DOUBT has a length that no list of ranges has";
	case WIRE_ENDED:
		return is_list(length, LIST_FIXED, LIST_ID, WIRE_MAX_IDS) ?
			NULL : "ENDED has a length that no list of ids has";
	case WIRE_DEVICE_EOF:
	case WIRE_VERIFY:
	case WIRE_COMMIT:
	case WIRE_RUNNING:
	case WIRE_DOUBT_END:
	case WIRE_GUARDED:
	case WIRE_OPEN:
		return length ? "a frame without payload has one" : NULL;
	}
	return "unknown type of frame";
}

int wire_get_frame(struct wire_frame *f, const uint8_t *in, size_t len,
		   const char **why)
{
	const char *fault;

	if (len != WIRE_FRAME_SIZE)
		return refuse(why, "a frame begins with 8 bytes");
	if (get(in, 2) != WIRE_FRAME_MAGIC)
		return refuse(why, "no frame begins here");

	f->type = (enum wire_type)get(in + 2, 2);
	f->length = (uint32_t)get(in + 4, 4);
	fault = frame_length_fault(f->type, f->length);
	return fault ? refuse(why, fault) : 0;
}

/* A name of up to @size - 1 bytes, padded with zeros. */
static uint8_t *put_name(uint8_t *out, const char *name, size_t size)
{
	size_t length = strnlen(name, size - 1);

	memset(out, 0, size);
	memcpy(out, name, length);
	return out + size;
}

static int get_name(char *name, const uint8_t *in, size_t size, const char **why)
{
	size_t length = strnlen((const char *)in, size);

	if (!length)
		return refuse(why, "a name is empty");
	if (length == size)
		return refuse(why, "a name does not end");
	if (!is_zero(in + length, size - length))
		return refuse(why, "bytes after a name are not zero");
	/* It goes into logs and is compared with what QEMU prints on one line. */
	for (size_t i = 0; i < length; i++)
		if (in[i] <= ' ' || in[i] > '~')
			return refuse(why, "a name is not printable");
	memcpy(name, in, size);
	return 0;
}

size_t wire_put_hello(uint8_t out[WIRE_HELLO_MAX], const struct wire_hello *h)
{
	uint8_t *p = out;

	p = put(p, h->flags, 4);
	p = put(p, h->streams, 2);
	p = put(p, h->rams, 2);
	p = put(p, h->codecs, 8);
	memcpy(p, h->key, FERRY_KEY_SIZE);
	p += FERRY_KEY_SIZE;

	for (unsigned int i = 0; i < h->rams; i++) {
		p = put_name(p, h->ram[i].name, WIRE_NAME_SIZE);
		p = put(p, h->ram[i].size, 8);
	}
	return (size_t)(p - out);
}

static int get_ram(struct wire_ram *ram, const uint8_t *in, const char **why)
{
	if (get_name(ram->name, in, WIRE_NAME_SIZE, why))
		return -1;
	ram->size = get(in + WIRE_NAME_SIZE, 8);
	if (!ram->size || ram->size % FERRY_PAGE_SIZE || ram->size > INT64_MAX)
		return refuse(why, "the size of a RAM block is not a number of pages");
	return 0;
}

static bool ram_is_new(const struct wire_hello *h, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (!strcmp(h->ram[i].name, h->ram[n].name))
			return false;
	return true;
}

/* Whatever does not shrink is sent as it is, with any codec. */
static bool has_raw_pages(uint64_t codecs)
{
	return codecs & 1u << FERRY_CODEC_NONE;
}

int wire_get_hello(struct wire_hello *h, const uint8_t *in, size_t len,
		   const char **why)
{
	memset(h, 0, sizeof(*h));
	if (len < HELLO_FIXED)
		return refuse(why, "HELLO is too short");

	h->flags = (uint32_t)get(in, 4);
	h->streams = (unsigned int)get(in + 4, 2);
	h->rams = (unsigned int)get(in + 6, 2);
	h->codecs = get(in + 8, 8);
	memcpy(h->key, in + 16, FERRY_KEY_SIZE);

	if (h->flags & ~WIRE_HELLO_FLAGS)
		return refuse(why, "HELLO has unknown flags");
	if (!h->streams || h->streams > FERRY_MAX_CHANNELS)
		return refuse(why, "number of streams out of range");
	if (!h->rams || h->rams > FERRY_MAX_RAM)
		return refuse(why, "number of RAM blocks out of range");
	if (!has_raw_pages(h->codecs))
		return refuse(why, "HELLO does without raw pages");
	if (len != HELLO_FIXED + (size_t)h->rams * HELLO_RAM)
		return refuse(why, "HELLO's length disagrees with its RAM blocks");

	for (unsigned int i = 0; i < h->rams; i++) {
		if (get_ram(&h->ram[i], in + HELLO_FIXED + (size_t)i * HELLO_RAM, why))
			return -1;
		if (!ram_is_new(h, i))
			return refuse(why, "two RAM blocks have the same name");
	}
	return 0;
}

size_t wire_put_ready(uint8_t out[WIRE_READY_SIZE], uint64_t codecs)
{
	put(out, codecs, 8);
	return WIRE_READY_SIZE;
}

int wire_get_ready(uint64_t *codecs, const uint8_t *in, size_t len,
		   const char **why)
{
	if (len != WIRE_READY_SIZE)
		return refuse(why, "READY has a length that no READY has");
	*codecs = get(in, 8);
	return has_raw_pages(*codecs) ? 0 :
		refuse(why, "READY does without raw pages");
}

size_t wire_put_digests(uint8_t *out, const struct wire_digests *d)
{
	uint8_t *p = put(out, d->pass, 8);

	memcpy(p, d->digest, (size_t)d->rams * FERRY_HASH_SIZE);
	return DIGESTS_FIXED + (size_t)d->rams * FERRY_HASH_SIZE;
}

int wire_get_digests(struct wire_digests *d, const uint8_t *in, size_t len,
		     const char **why)
{
	memset(d, 0, sizeof(*d));
	if (!is_list(len, DIGESTS_FIXED, FERRY_HASH_SIZE, FERRY_MAX_RAM))
		return refuse(why, "digests have a length that no digests have");

	d->pass = get(in, 8);
	d->rams = (unsigned int)((len - DIGESTS_FIXED) / FERRY_HASH_SIZE);
	memcpy(d->digest, in + DIGESTS_FIXED, len - DIGESTS_FIXED);
	return 0;
}

/* ------------------------------------------------------------------------
 * Disks
 * ------------------------------------------------------------------------ */

size_t wire_put_disks(uint8_t out[WIRE_DISKS_MAX], const struct wire_disks *d)
{
	uint8_t *p = out;

	for (unsigned int i = 0; i < d->disks; i++) {
		p = put_name(p, d->disk[i].name, WIRE_DISK_NAME_SIZE);
		p = put(p, d->disk[i].sectors, 8);
	}
	return (size_t)(p - out);
}

static bool disk_is_new(const struct wire_disks *d, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (!strcmp(d->disk[i].name, d->disk[n].name))
			return false;
	return true;
}

int wire_get_disks(struct wire_disks *d, const uint8_t *in, size_t len,
		   const char **why)
{
	memset(d, 0, sizeof(*d));
	if (!is_list(len, 0, DISK, WIRE_MAX_DISKS))
		return refuse(why, "DISKS has a length that no list of disks has");
	d->disks = (unsigned int)(len / DISK);
	for (unsigned int i = 0; i < d->disks; i++, in += DISK) {
		if (get_name(d->disk[i].name, in, WIRE_DISK_NAME_SIZE, why))
			return -1;
		d->disk[i].sectors = get(in + WIRE_DISK_NAME_SIZE, 8);
		if (!disk_is_new(d, i))
			return refuse(why, "two disks have the same name");
	}
	return 0;
}

size_t wire_put_disks_ready(uint8_t out[WIRE_READY_SIZE], uint64_t disks)
{
	put(out, disks, 8);
	return WIRE_READY_SIZE;
}

uint64_t wire_get_disks_ready(const uint8_t in[WIRE_READY_SIZE])
{
	return get(in, 8);
}

/* The head of a list: the disk that all of it belongs to. */
static uint8_t *put_disk(uint8_t *out, unsigned int disk)
{
	return put(put(out, disk, 4), 0, 4);
}

static int get_disk(unsigned int *disk, const uint8_t *in, const char **why)
{
	*disk = (unsigned int)get(in, 4);
	if (*disk >= WIRE_MAX_DISKS)
		return refuse(why, "number of a disk out of range");
	return is_zero(in + 4, 4) ? 0 :
		refuse(why, "reserved bytes of a list are not zero");
}

size_t wire_put_doubt(uint8_t out[WIRE_DOUBT_MAX], const struct wire_doubt *d)
{
	uint8_t *p = put_disk(out, d->disk);

	for (unsigned int i = 0; i < d->ranges; i++) {
		p = put(p, d->range[i].id, 8);
		p = put(p, d->range[i].sector, 8);
		p = put(p, d->range[i].sectors, 8);
	}
	return (size_t)(p - out);
}

int wire_get_doubt(struct wire_doubt *d, const uint8_t *in, size_t len,
		   const char **why)
{
	if (!is_list(len, LIST_FIXED, LIST_RANGE, WIRE_MAX_RANGES))
		return refuse(why, "DOUBT has a length that no list of ranges has");
	if (get_disk(&d->disk, in, why))
		return -1;
	d->ranges = (unsigned int)((len - LIST_FIXED) / LIST_RANGE);
	in += LIST_FIXED;
	for (unsigned int i = 0; i < d->ranges; i++, in += LIST_RANGE)
		d->range[i] = (struct ferry_disk_range){
			.id = get(in, 8),
			.sector = get(in + 8, 8),
			.sectors = get(in + 16, 8),
		};
	return 0;
}

size_t wire_put_ended(uint8_t out[WIRE_ENDED_MAX], const struct wire_ended *e)
{
	uint8_t *p = put_disk(out, e->disk);

	for (unsigned int i = 0; i < e->ids; i++)
		p = put(p, e->id[i], 8);
	return (size_t)(p - out);
}

int wire_get_ended(struct wire_ended *e, const uint8_t *in, size_t len,
		   const char **why)
{
	if (!is_list(len, LIST_FIXED, LIST_ID, WIRE_MAX_IDS))
		return refuse(why, "ENDED has a length that no list of ids has");
	if (get_disk(&e->disk, in, why))
		return -1;
	e->ids = (unsigned int)((len - LIST_FIXED) / LIST_ID);
	in += LIST_FIXED;
	for (unsigned int i = 0; i < e->ids; i++, in += LIST_ID)
		e->id[i] = get(in, 8);
	return 0;
}

void wire_get_text(char out[WIRE_TEXT_SIZE], const uint8_t *in, size_t len)
{
	if (len > WIRE_TEXT_SIZE - 1)
		len = WIRE_TEXT_SIZE - 1;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)(in[i] < ' ' || in[i] == 0x7f ? '?' : in[i]);
	out[len] = '\0';
}

/* What is wrong with a record of pages, judged by its header alone. */
static const char *pages_fault(const struct wire_record *r)
{
	uint64_t bytes = (uint64_t)r->count << FERRY_PAGE_SHIFT;

	if (!r->count || r->count > FERRY_RECORD_MAX_PAGES)
		return "number of pages out of range";
	if (r->codec == FERRY_CODEC_NONE)
		return r->length == bytes ? NULL : "length of raw pages is wrong";
	if (r->codec >= FERRY_NR_CODECS)
		return "unknown codec";
	if (r->codec == FERRY_CODEC_ZSTD_STREAM)
		bytes += FERRY_RECORD_EXTRA;
	return r->length && r->length <= bytes ?
		NULL : "length of compressed pages out of range";
}

static const char *record_fault(const struct wire_record *r)
{
	if (r->type == FERRY_RECORD_PAGES)
		return pages_fault(r);
	if (r->codec || r->length)
		return "a record without payload has a codec or a length";

	switch (r->type) {
	case FERRY_RECORD_ZERO:
		return r->count && r->count <= FERRY_RECORD_MAX_ZERO ?
			NULL : "number of pages out of range";
	case FERRY_RECORD_PASS_END:
		if (r->block)
			return "the end of a pass names a RAM block";
		if (r->count & ~FERRY_PASS_FINAL)
			return "unknown flags of a pass";
		return r->page ? NULL : "passes are numbered from 1";
	default:
		return "unknown type of record";
	}
}

int wire_get_record(struct wire_record *r,
		    const uint8_t in[sizeof(struct ferry_record)],
		    const char **why)
{
	const char *fault;

	if (get(in, 4) != FERRY_RECORD_MAGIC)
		return refuse(why, "no record begins here");

	r->type = in[4];
	r->codec = in[5];
	r->block = (unsigned int)get(in + 6, 2);
	r->sequence = (uint32_t)get(in + 8, 4);
	r->count = (uint32_t)get(in + 12, 4);
	r->page = get(in + 16, 8);
	r->length = (uint32_t)get(in + 24, 4);
	r->crc = (uint32_t)get(in + 28, 4);

	fault = record_fault(r);
	return fault ? refuse(why, fault) : 0;
}

size_t wire_put_record(uint8_t out[sizeof(struct ferry_record)],
		       const struct wire_record *r)
{
	uint8_t *p = out;

	p = put(p, FERRY_RECORD_MAGIC, 4);
	p = put(p, r->type, 1);
	p = put(p, r->codec, 1);
	p = put(p, r->block, 2);
	p = put(p, r->sequence, 4);
	p = put(p, r->count, 4);
	p = put(p, r->page, 8);
	p = put(p, r->length, 4);
	put(p, r->crc, 4);
	return sizeof(struct ferry_record);
}
