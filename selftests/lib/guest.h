/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a test VM and its guest program (guest.S) say to each other: a mailbox
 * for each vCPU. The guest writes to a port when it has nothing to do; the VMM
 * fills the mailbox in and lets it run on.
 */
#ifndef SELFTESTS_GUEST_H
#define SELFTESTS_GUEST_H

/* Guest-physical layout of the low memory, which no test tracks. */
#define GUEST_LOW_SIZE		0x400000
#define GUEST_CODE		0x1000
#define GUEST_BOXES		0x8000
#define GUEST_BOX_SIZE		0x100
#define GUEST_LIST		0x10000	/* dwords, up to the end of the low memory */

/* In system management mode a CPU runs the code here (16 bits), and saves itself behind it. */
#define GUEST_SMM		0x38000
#define GUEST_SMM_BOX		0x39000

#define GUEST_PORT		0x42	/* a byte written here: ready for a job */

#define GUEST_NOP		0
#define GUEST_STORE		1	/* @value, @value + 1 ... to @count places, @stride apart */
#define GUEST_XADD		2	/* lock xadd of 1, ditto */
#define GUEST_CMPXCHG		3	/* lock cmpxchg of the value found + 1, ditto */
#define GUEST_READ		4	/* sums dwords into @sum, ditto */
#define GUEST_STOS		5	/* rep stosl, @count dwords of @value */
#define GUEST_MOVS		6	/* rep movsl, @count dwords from @from to @base */
#define GUEST_LIST_STORE	7	/* @value to each of the @count addresses in the list */
#define GUEST_NOISE		8	/* @count dwords that do not compress; @value seeds them */
/*
 * Until @stop: add 1 to the counter of a random page of @count, check and renew
 * its negative beside it, scribble elsewhere in the page, read @reads other pages,
 * idle for @delay rounds of a loop. The counters lie at @slot in each page; @done is
 * the sum they must have.
 */
#define GUEST_RANDOM		9

#define BOX_OP			0
#define BOX_BASE		4
#define BOX_COUNT		8
#define BOX_STRIDE		12
#define BOX_VALUE		16
#define BOX_FROM		20
#define BOX_STOP		24
#define BOX_ERRORS		28
#define BOX_DONE		32
#define BOX_SLOT		40
#define BOX_SEED		44
#define BOX_SUM			48
#define BOX_READS		52
#define BOX_DELAY		56

#ifndef __ASSEMBLER__
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

struct guest_box {
	uint32_t op;
	uint32_t base;
	uint32_t count;
	uint32_t stride;
	uint32_t value;
	uint32_t from;
	volatile uint32_t stop;
	volatile uint32_t errors;
	volatile uint64_t done;
	uint32_t slot;
	uint32_t seed;
	volatile uint32_t sum;
	uint32_t reads;
	uint32_t delay;
};

static_assert(offsetof(struct guest_box, stop) == BOX_STOP, "mailbox layout");
static_assert(offsetof(struct guest_box, done) == BOX_DONE, "mailbox layout");
static_assert(offsetof(struct guest_box, delay) == BOX_DELAY, "mailbox layout");

extern const char guest_code[], guest_code_end[];
extern const char guest_smm[], guest_smm_end[];
#endif /* __ASSEMBLER__ */

#endif /* SELFTESTS_GUEST_H */
