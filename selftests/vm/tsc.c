// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Print the frequency of this machine's time stamp counter in kHz.
 *
 * The emulated host's counter is this machine's. Its kernel would measure it against
 * an emulated timer, which on a busy machine comes out wrong by any factor, and from
 * then on every time-out in the host would be wrong by the same factor.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

struct moment {
	uint64_t ticks;
	double ms;
};

/* Both clocks at once: of many tries the one that nothing came between. */
static struct moment now(void)
{
	uint64_t best = UINT64_MAX;
	struct moment m = { 0, 0 };
	int i;

	for (i = 0; i < 1000; i++) {
		struct timespec t;
		uint64_t before = __rdtsc(), after;

		clock_gettime(CLOCK_MONOTONIC_RAW, &t);
		after = __rdtsc();
		if (after - before >= best)
			continue;
		best = after - before;
		m.ticks = before + best / 2;
		m.ms = (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
	}
	return m;
}

int main(void)
{
	struct timespec nap = { 0, 100000000 };
	struct moment a = now(), b;

	nanosleep(&nap, NULL);
	b = now();
	printf("%.0f\n", (double)(b.ticks - a.ticks) / (b.ms - a.ms));
	return 0;
}
