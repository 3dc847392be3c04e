/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which of the module's code ran: only in a build with FERRY_COVER=y, which is for
 * measuring tests.
 *
 * The compiler calls a function at the beginning of each basic block (as for the
 * kernel's own KCOV, which would take another kernel), and that function keeps the
 * address. What was kept is read from kvmferry-cover in debugfs, and made sense of by
 * selftests/abi/cover.sh.
 */
#ifndef FERRY_COVER_H
#define FERRY_COVER_H

#ifdef FERRY_COVER
void ferry_cover_init(void);
void __sanitizer_cov_trace_pc(void);	/* the compiler's */
void ferry_cover_exit(void);
#else
static inline void ferry_cover_init(void) { }
static inline void ferry_cover_exit(void) { }
#endif

#endif /* FERRY_COVER_H */
