/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the decoder tells its parent: messages of one fixed size on a SOCK_SEQPACKET pair
 * of the two, from one build of one program, so in its own byte order.
 *
 * The decoder reads what a stranger sends, so it may have become a stranger itself. All that its
 * parent believes is what cell_report_check() lets pass: it sizes nothing, it indexes nothing, and
 * its text is printable.
 */
#ifndef KVMFERRY_CELLREPORT_H
#define KVMFERRY_CELLREPORT_H

#include <stddef.h>
#include <stdint.h>
#include <linux/kvmferry.h>

#include "log.h"

enum cell_report_type {
	REPORT_COUNTS = 1,	/* a sign of life */
	REPORT_PASS,		/* every stream has ended the next pass */
	REPORT_CLOSED,		/* a stream came to an end */
	REPORT_FAILED,		/* a stream brought what could not be applied */
};

/**
 * struct cell_report - one message
 * @type:	enum cell_report_type
 * @final:	PASS: 1 if it was a final one, else 0
 * @bytes:	received so far on all streams
 * @pages:	applied so far
 * @pass:	number of the last pass that ended, 0 for none
 * @digest:	PASS: of each RAM block, as of its end
 * @text:	CLOSED, FAILED: why
 */
struct cell_report {
	uint32_t type;
	uint32_t final;
	uint64_t bytes;
	uint64_t pages;
	uint64_t pass;
	uint8_t digest[FERRY_MAX_RAM][FERRY_HASH_SIZE];
	char text[FAILURE_SIZE];
};

/**
 * cell_report_check - may this be believed?
 * @r:		what came; its text is made one printable line
 * @len:	bytes that came
 * @last:	the last report that passed; zero bytes before the first
 *
 * Returns NULL, or what is wrong with it, a static string.
 */
const char *cell_report_check(struct cell_report *r, size_t len, const struct cell_report *last);

#endif /* KVMFERRY_CELLREPORT_H */
