/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the benchmark and its part in QEMU (bench-preload.c) say to each other. */
#ifndef PERF_BENCH_PRELOAD_H
#define PERF_BENCH_PRELOAD_H

#include <stdint.h>

struct bench_answer {
	int64_t error;		/* 0 or -errno */
	uint64_t pages;		/* written since the last fetch */
};

#endif /* PERF_BENCH_PRELOAD_H */
