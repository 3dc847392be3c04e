// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzing `kvmferry report`: whatever a log says, the page has no markup of its making.
 */
#include <stdlib.h>
#include <string.h>

#include "report.h"

/* What a log could only have brought in by itself, as the page has no such elements. */
static const char *const foreign[] = { "<script", "<img", "<a ", "<iframe" };

static void must_be_harmless(const char *page)
{
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		if (strstr(page, foreign[i]))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct failure why = { 0 };
	FILE *in, *out;
	struct runlog *run;
	char *page = NULL;
	size_t length;

	if (!size)
		return 0;
	in = fmemopen((void *)data, size, "r");
	run = runlog_read(in, &why);
	fclose(in);
	if (!run != !!why.text[0])
		abort();
	if (!run)
		return 0;
	out = open_memstream(&page, &length);
	report_write(out, run);
	fclose(out);
	must_be_harmless(page);
	free(page);
	runlog_free(run);
	return 0;
}
