/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bitmaps, as in the kernel, bit by bit or word by word instead of fast. Their
 * sizes are multiples of a word.
 */
#ifndef KVMFERRY_LIB_LINUX_BITMAP_H
#define KVMFERRY_LIB_LINUX_BITMAP_H

#include <stdbool.h>
#include <string.h>

#include <linux/bits.h>

#define hweight_long(word)	((unsigned long)__builtin_popcountl(word))
#define DECLARE_BITMAP(name, bits)	unsigned long name[BITS_TO_LONGS(bits)]

static inline bool test_bit(unsigned long bit, const unsigned long *map)
{
	return map[BIT_WORD(bit)] & BIT_MASK(bit);
}

static inline void __set_bit(unsigned long bit, unsigned long *map)
{
	map[BIT_WORD(bit)] |= BIT_MASK(bit);
}

static inline void __clear_bit(unsigned long bit, unsigned long *map)
{
	map[BIT_WORD(bit)] &= ~BIT_MASK(bit);
}

static inline void bitmap_zero(unsigned long *map, unsigned int bits)
{
	memset(map, 0, BITS_TO_LONGS(bits) * sizeof(*map));
}

static inline void bitmap_fill(unsigned long *map, unsigned int bits)
{
	memset(map, 0xff, BITS_TO_LONGS(bits) * sizeof(*map));
}

static inline void bitmap_copy(unsigned long *to, const unsigned long *from,
			       unsigned int bits)
{
	memcpy(to, from, BITS_TO_LONGS(bits) * sizeof(*to));
}

static inline void bitmap_set(unsigned long *map, unsigned int first,
			      unsigned int bits)
{
	while (bits--)
		__set_bit(first++, map);
}

static inline void bitmap_clear(unsigned long *map, unsigned int first,
				int bits)
{
	while (bits-- > 0)
		__clear_bit(first++, map);
}

static inline bool bitmap_empty(const unsigned long *map, unsigned int bits)
{
	for (int i = 0; i < BITS_TO_LONGS((int)bits); i++)
		if (map[i])
			return false;
	return true;
}

static inline bool bitmap_subset(const unsigned long *a,
				 const unsigned long *b, unsigned int bits)
{
	for (int i = 0; i < BITS_TO_LONGS((int)bits); i++)
		if (a[i] & ~b[i])
			return false;
	return true;
}

static inline bool bitmap_equal(const unsigned long *a, const unsigned long *b,
				unsigned int bits)
{
	return !memcmp(a, b, BITS_TO_LONGS(bits) * sizeof(*a));
}

static inline unsigned int bitmap_weight(const unsigned long *map,
					 unsigned int bits)
{
	unsigned int weight = 0;

	for (int i = 0; i < BITS_TO_LONGS((int)bits); i++)
		weight += __builtin_popcountl(map[i]);
	return weight;
}

static inline void bitmap_or(unsigned long *to, const unsigned long *a,
			     const unsigned long *b, unsigned int bits)
{
	for (int i = 0; i < BITS_TO_LONGS((int)bits); i++)
		to[i] = a[i] | b[i];
}

/* True if anything is left. */
static inline bool bitmap_and(unsigned long *to, const unsigned long *a,
			      const unsigned long *b, unsigned int bits)
{
	for (int i = 0; i < BITS_TO_LONGS((int)bits); i++)
		to[i] = a[i] & b[i];
	return !bitmap_empty(to, bits);
}

static inline bool bitmap_andnot(unsigned long *to, const unsigned long *a,
				 const unsigned long *b, unsigned int bits)
{
	for (int i = 0; i < BITS_TO_LONGS((int)bits); i++)
		to[i] = a[i] & ~b[i];
	return !bitmap_empty(to, bits);
}

/* The first set bit from @bit on; @bits if there is none. */
static inline unsigned long find_next_bit(const unsigned long *map,
					  unsigned long bits, unsigned long bit)
{
	while (bit < bits && !test_bit(bit, map))
		bit++;
	return bit < bits ? bit : bits;
}

static inline unsigned long find_next_zero_bit(const unsigned long *map,
					       unsigned long bits,
					       unsigned long bit)
{
	while (bit < bits && test_bit(bit, map))
		bit++;
	return bit < bits ? bit : bits;
}

#define for_each_set_bit(bit, map, bits)				\
	for ((bit) = find_next_bit(map, bits, 0); (bit) < (bits);	\
	     (bit) = find_next_bit(map, bits, (bit) + 1))


#endif /* KVMFERRY_LIB_LINUX_BITMAP_H */
