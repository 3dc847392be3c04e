// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the decoder may tell.
 */
#include <string.h>

#include "cellreport.h"
#include "wire.h"

_Static_assert(FAILURE_SIZE == WIRE_TEXT_SIZE, "a reason fits into an ABORT");

const char *cell_report_check(struct cell_report *r, size_t len, const struct cell_report *last)
{
	char text[WIRE_TEXT_SIZE];

	if (len != sizeof(*r))
		return "a report of a wrong size";
	if (r->type < REPORT_COUNTS || r->type > REPORT_FAILED || r->final > 1)
		return "a report of an unknown kind";
	if (r->bytes < last->bytes || r->pages < last->pages)
		return "counts that go backwards";
	if (r->pass != last->pass + (r->type == REPORT_PASS))
		return "a pass that is not the next one";
	wire_get_text(text, (const uint8_t *)r->text, strnlen(r->text, sizeof(r->text)));
	memcpy(r->text, text, sizeof(r->text));
	return NULL;
}
