/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How much effort the next record is worth: pure decisions, no locks, no clock.
 * User-space tests run the same code.
 */
#ifndef FERRY_COMPRESSION_H
#define FERRY_COMPRESSION_H

#include <linux/kvmferry.h>
#include <linux/types.h>

/**
 * struct ferry_ladder - the codecs that may be used, those with least effort first
 * @codec:	FERRY_CODEC_*
 * @rungs:	how many, at least 1
 */
struct ferry_ladder {
	u8 codec[FERRY_NR_CODECS];
	unsigned int rungs;
};

/**
 * struct ferry_meter - how fast a stream takes bytes while there are any; begins as
 *			zeroes
 * @since:	since when bytes wait without a gap, nanoseconds; 0: none wait
 * @busy:	nanoseconds with bytes waiting in the measurement under way
 * @bytes:	taken in it
 * @rate:	bytes a second, 0 before the first measurement
 * @smooth:	what waits, smoothed
 * @smoothed_at: nanoseconds, when
 * @watched:	nanoseconds with bytes waiting since @raised was last decided
 * @idle:	of them, those in which the network could have taken more
 * @untold:	nanoseconds with bytes waiting since that was last told
 * @records:	made since then
 * @low:	of them, those that found so little waiting that the rung below the two
 *		highest would have done
 * @high:	and so much that one above them would have done
 * @begun:	there is enough to know for the lowest rung
 * @raised:	how many rungs above the second may be used
 * @calm:	decisions in a row that took nothing back
 * @patience:	how many there have to be before @raised grows
 * @all_idle:	of all nanoseconds with bytes waiting, those in which the network could have
 *		taken more
 *
 * Protected by a lock of the caller.
 */
struct ferry_meter {
	u64 since;
	u64 busy;
	u64 bytes;
	u64 rate;
	u64 smooth;
	u64 smoothed_at;
	u64 watched;
	u64 idle;
	u64 untold;
	unsigned int records;
	unsigned int low;
	unsigned int high;
	bool begun;
	unsigned int raised;
	unsigned int calm;
	unsigned int patience;
	u64 all_idle;
};

/**
 * struct ferry_futility - how compressible a chunk was; begins as zeroes
 * @misses:	records in a row that did not get smaller, up to
 *		FERRY_FUTILITY_MAX
 * @skip:	records that are still to be sent without a try
 */
struct ferry_futility {
	u8 misses;
	u8 skip;
};

#define FERRY_FUTILITY_MAX	5

void ferry_ladder_make(struct ferry_ladder *ladder, u64 codecs);
unsigned int ferry_ladder_choose(const struct ferry_ladder *ladder,
				 struct ferry_meter *meter, u64 now,
				 u64 waiting, u64 size);

u64 ferry_meter_most(const struct ferry_meter *meter, u64 size, u64 record);
void ferry_meter_put(struct ferry_meter *meter, u64 now);
void ferry_meter_take(struct ferry_meter *meter, u64 now, u64 bytes,
		      u64 waiting, u64 idle);

bool ferry_futility_skip(struct ferry_futility *futility);
void ferry_futility_learn(struct ferry_futility *futility, bool smaller);

#endif /* FERRY_COMPRESSION_H */
