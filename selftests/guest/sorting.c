// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Work for a guest that is measured: records in memory are made, shuffled, sorted in
 * place, and checked, which writes in order, at random, then in long runs that become
 * shorter, then not at all. One unit of work is a record that takes part in one step, so that
 * progress can be told at any time and not just after a whole sort.
 */
#include "sorting.h"

#include <stdbool.h>

#define SHORT	16	/* so few are sorted by insertion */
#define PORTION	256	/* records between two looks at the counter */

static uint64_t word(uint64_t key, uint64_t batch, unsigned int i)
{
	return (key + (batch << 32) + i) * 0x9e3779b97f4a7c15ull;
}

static uint64_t shuffle(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static void swap(struct record *a, struct record *b)
{
	struct record c = *a;

	*a = *b;
	*b = c;
}

static void make(struct record *r, uint64_t records, uint64_t batch, volatile uint64_t *done)
{
	uint64_t key;
	unsigned int i;

	for (key = 0; key < records; key++) {
		r[key].key = key;
		for (i = 0; i < 7; i++)
			r[key].rest[i] = word(key, batch, i);
		if (key % PORTION == 0)
			*done += PORTION;
	}
}

static bool is_good(const struct record *r, uint64_t key, uint64_t batch)
{
	unsigned int i;

	for (i = 0; i < 7; i++)
		if (r->rest[i] != word(key, batch, i))
			return false;
	return r->key == key;
}

static void mix(struct record *r, uint64_t records, uint64_t *random, volatile uint64_t *done)
{
	uint64_t i;

	for (i = records; i > 1; i--) {
		swap(&r[i - 1], &r[shuffle(random) % i]);
		if (i % PORTION == 0)
			*done += PORTION;
	}
}

static void insert(struct record *r, uint64_t records)
{
	struct record one;
	uint64_t i, j;

	for (i = 1; i < records; i++) {
		one = r[i];
		for (j = i; j && r[j - 1].key > one.key; j--)
			r[j] = r[j - 1];
		r[j] = one;
	}
}

/* Smaller records to the front; returns how many are there. Never none, never all. */
static uint64_t divide(struct record *r, uint64_t records)
{
	uint64_t a = r[0].key, b = r[records / 2].key, c = r[records - 1].key;
	uint64_t middle = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
	struct record *left = r - 1, *right = r + records;

	for (;;) {
		do
			left++;
		while (left->key < middle);
		do
			right--;
		while (right->key > middle);
		if (left >= right)
			return right - r + 1;
		swap(left, right);
	}
}

static void sort(struct record *r, uint64_t records, volatile uint64_t *done)
{
	uint64_t front;

	while (records > SHORT) {
		front = divide(r, records);
		*done += records;
		sort(r, front, done);
		r += front;
		records -= front;
	}
	insert(r, records);
	*done += records;
}

static uint64_t check(const struct record *r, uint64_t records, uint64_t batch,
		      volatile uint64_t *done)
{
	uint64_t i, wrong = 0;

	for (i = 0; i < records; i++) {
		wrong += !is_good(&r[i], i, batch);
		if (i % PORTION == 0)
			*done += PORTION;
	}
	return wrong;
}

uint64_t sorting_round(struct record *r, uint64_t records, uint64_t batch, uint64_t *random,
		       volatile uint64_t *done)
{
	make(r, records, batch, done);
	mix(r, records, random, done);
	sort(r, records, done);
	return check(r, records, batch, done);
}
