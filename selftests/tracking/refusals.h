/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the refusals test share. Each result goes through one of the two expect functions. */
#ifndef TRACKING_REFUSALS_H
#define TRACKING_REFUSALS_H

#include "ferry.h"

#define SIZE	(4 * RAM_CHUNK)

/* SIZE bytes, mapped by this process, which is the VM. */
extern struct ram ram;

/* One result: the call gave -@want, or a success if @want is 0. */
void expect(int want, long got, const char *what);
void expect_that(bool right, const char *what);

/* A device file in the state that a test wants. One at a time. */
struct ferry *fresh(void);
struct ferry *attached(void);
struct ferry *ready(void);

void test_attach(void);
void test_rights(void);
void test_ram(void);
void test_channels(void);
void test_groups(void);
void test_limit(void);
void test_vm_stats(void);
void test_busy(void);
void test_pending(void);
void test_group_map(void);
void test_ring(void);

#endif /* TRACKING_REFUSALS_H */
