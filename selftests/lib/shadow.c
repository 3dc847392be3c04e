// SPDX-License-Identifier: GPL-2.0-or-later
/* Applies records to a shadow of the VM's RAM, and compares the two. */
#include "shadow.h"

#include <sys/mman.h>

#include "codec.h"
#include "die.h"

static void *zeroes(uint64_t size)
{
	return must(mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
}

void shadow_init(struct shadow *s, const uint8_t *key)
{
	memset(s, 0, sizeof(*s));
	if (!key)
		return;
	s->hash = hash_new(key);
	if (!s->hash)
		die("no hash");
}

void shadow_add(struct shadow *s, uint32_t id, uint64_t pages)
{
	struct shadow_block *b = &s->block[id];

	b->pages = pages;
	b->map = zeroes(pages * RAM_PAGE);
	b->sent = zeroes(pages * sizeof(*b->sent));
}

void shadow_free(struct shadow *s)
{
	unsigned int i;

	for (i = 0; i < FERRY_MAX_RAM; i++) {
		struct shadow_block *b = &s->block[i];

		if (!b->map)
			continue;
		must(munmap(b->map, b->pages * RAM_PAGE));
		must(munmap(b->sent, b->pages * sizeof(*b->sent)));
	}
	for (i = 0; i < FERRY_MAX_CHANNELS; i++)
		decoder_free(s->decoder[i]);
	hash_free(s->hash);
	memset(s, 0, sizeof(*s));
}

void shadow_forget_sent(struct shadow *s)
{
	unsigned int i;

	for (i = 0; i < FERRY_MAX_RAM; i++)
		if (s->block[i].map)
			memset(s->block[i].sent, 0,
			       s->block[i].pages * sizeof(*s->block[i].sent));
}

/* Puts @pages pages in place; @content NULL means zero bytes. */
static void put_pages(struct shadow *s, uint32_t id, uint64_t page, uint64_t pages,
		      const uint8_t *content)
{
	struct shadow_block *b = &s->block[id];

	for (; pages--; page++) {
		uint8_t *at = b->map + page * RAM_PAGE;

		if (s->hash)
			hash_toggle(s->hash, id, page, at, b->digest);
		if (content)
			memcpy(at, content, RAM_PAGE);
		else
			memset(at, 0, RAM_PAGE);
		if (s->hash)
			hash_toggle(s->hash, id, page, at, b->digest);
		if (content)
			content += RAM_PAGE;
		b->sent[page]++;
	}
}

static void put_encoded(struct shadow *s, unsigned int channel, const struct wire_record *r,
			const uint8_t *payload)
{
	static uint8_t out[FERRY_RECORD_MAX_PAGES * FERRY_PAGE_SIZE];
	struct decoder **decoder = &s->decoder[channel];
	struct failure why = { 0 };

	if (!*decoder && !(*decoder = decoder_new()))
		s->fault = "no memory to decode";
	else if (decode(*decoder, r->codec, payload, r->length, out, r->count * FERRY_PAGE_SIZE, &why))
		s->fault = "a payload that cannot be decoded to its pages";
	else
		put_pages(s, r->block, r->page, r->count, out);
}

void shadow_sink(void *shadow, unsigned int channel,
		 const struct wire_record *r, const uint8_t *payload)
{
	struct shadow *s = shadow;
	struct shadow_block *b;

	if (s->fault || r->type == FERRY_RECORD_PASS_END)
		return;
	if (r->block >= FERRY_MAX_RAM || !s->block[r->block].map) {
		s->fault = "a record for an unknown RAM block";
		return;
	}
	b = &s->block[r->block];
	if (r->page >= b->pages || r->count > b->pages - r->page) {
		s->fault = "a record for pages past the RAM block";
		return;
	}
	if (r->type == FERRY_RECORD_ZERO) {
		put_pages(s, r->block, r->page, r->count, NULL);
		s->zero += r->count;
	} else if (r->codec == FERRY_CODEC_NONE) {
		put_pages(s, r->block, r->page, r->count, payload);
		s->raw += r->count;
	} else {
		put_encoded(s, channel, r, payload);
		s->encoded += r->count;
	}
}

/* Calls @fn for each page of the RAM with its content. */
static void each_page(const struct ram *ram,
		      void (*fn)(void *context, uint64_t page, const uint8_t *content),
		      void *context)
{
	uint8_t *buf = zeroes(RAM_CHUNK);
	uint64_t at, i;

	for (at = 0; at < ram->size; at += RAM_CHUNK) {
		uint64_t size = ram->size - at < RAM_CHUNK ? ram->size - at : RAM_CHUNK;

		ram_read(ram, at, buf, size);
		for (i = 0; i < size; i += RAM_PAGE)
			fn(context, (at + i) / RAM_PAGE, buf + i);
	}
	must(munmap(buf, RAM_CHUNK));
}

struct comparison {
	const struct shadow_block *block;
	uint32_t id;
	uint64_t differ;
};

static void compare_page(void *context, uint64_t page, const uint8_t *content)
{
	struct comparison *c = context;

	if (!memcmp(c->block->map + page * RAM_PAGE, content, RAM_PAGE))
		return;
	if (!c->differ++)
		printf("# block %u: page %lu differs, sent %u times\n", c->id,
		       (unsigned long)page, c->block->sent[page]);
}

uint64_t shadow_differences(const struct shadow *s, const struct ram *ram)
{
	struct comparison c = { .block = &s->block[ram->id], .id = ram->id };

	if (c.block->pages != ram_pages(ram))
		die("the shadow has another size");
	each_page(ram, compare_page, &c);
	return c.differ;
}

struct digestion {
	struct hash *hash;
	uint32_t id;
	uint8_t *digest;
};

static void digest_page(void *context, uint64_t page, const uint8_t *content)
{
	struct digestion *d = context;

	hash_toggle(d->hash, d->id, page, content, d->digest);
}

void shadow_digest_ram(const struct shadow *s, const struct ram *ram,
		       uint8_t digest[FERRY_HASH_SIZE])
{
	struct digestion d = { .hash = s->hash, .id = ram->id, .digest = digest };

	memset(digest, 0, FERRY_HASH_SIZE);
	each_page(ram, digest_page, &d);
}
