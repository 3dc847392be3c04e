/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KTAP for tests written in C: a plan, one line per result, kselftest's exit status.
 *
 *	ktap_plan(2);
 *	ktap_ok(fd >= 0, "the device opens");
 *	ktap_skip("needs %d CPUs", "only one CPU", 2)   -- the reason first, then the name
 *	return ktap_finish();
 *
 * One translation unit per program: the counters are static.
 */
#ifndef KVMFERRY_KTAP_H
#define KVMFERRY_KTAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { KTAP_PASS = 0, KTAP_FAIL = 1, KTAP_SKIP = 4 };

static struct {
	unsigned int planned, done, failed, skipped;
} ktap;

/* How many results will follow; giving another number of them is a failure. Output is line buffered from here on. */
static inline void ktap_plan(unsigned int n)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	ktap.planned = n;
	printf("TAP version 13\n1..%u\n", n);
}

/* A diagnostic line. */
__attribute__((format(printf, 1, 2)))
static inline void ktap_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("# ", stdout);
	vprintf(format, args);
	putchar('\n');
	va_end(args);
}

/* One result, named by @format. Returns @pass, so that a caller can stop early. */
__attribute__((format(printf, 2, 3)))
static inline bool ktap_ok(bool pass, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("%sok %u - ", pass ? "" : "not ", ++ktap.done);
	vprintf(format, args);
	putchar('\n');
	va_end(args);
	ktap.failed += !pass;
	return pass;
}

/* One result that could not be had here, and @reason. */
__attribute__((format(printf, 2, 3)))
static inline void ktap_skip(const char *reason, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("ok %u - ", ++ktap.done);
	vprintf(format, args);
	printf(" # SKIP %s\n", reason);
	va_end(args);
	ktap.skipped++;
}

/* The whole program makes no sense here. */
static inline void __attribute__((noreturn)) ktap_skip_all(const char *reason)
{
	printf("TAP version 13\n1..0 # SKIP %s\n", reason);
	exit(KTAP_SKIP);
}

/* Nothing more can be tested; what is missing of the plan makes it a failure. */
static inline void __attribute__((noreturn)) ktap_bail(const char *reason)
{
	printf("Bail out! %s\n", reason);
	exit(KTAP_FAIL);
}

/* What main() returns. */
static inline int ktap_finish(void)
{
	if (ktap.done != ktap.planned) {
		ktap_note("planned %u results, gave %u", ktap.planned, ktap.done);
		return KTAP_FAIL;
	}
	if (ktap.failed)
		return KTAP_FAIL;
	return ktap.skipped == ktap.done ? KTAP_SKIP : KTAP_PASS;
}

#endif /* KVMFERRY_KTAP_H */
