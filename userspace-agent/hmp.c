// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading what QEMU's human monitor prints.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hmp.h"

#define LINE_SIZE	1024	/* bytes; what a longer line has more is not needed */

/* Copies the next line without its end. Returns false when there is none. */
static bool next_line(const char **text, char line[LINE_SIZE])
{
	size_t length = strcspn(*text, "\r\n");
	size_t kept = length < LINE_SIZE ? length : LINE_SIZE - 1;

	if (!**text)
		return false;
	memcpy(line, *text, kept);
	line[kept] = '\0';
	*text += length;
	*text += strspn(*text, "\r\n");
	return true;
}

/* Cuts the last word off a line, and the blanks before it. */
static void cut_word(char *line)
{
	size_t length = strlen(line);

	while (length && line[length - 1] != ' ')
		length--;
	while (length && line[length - 1] == ' ')
		length--;
	line[length] = '\0';
}

/*
 * "   NAME   4 KiB  0xOFFSET 0xUSED 0xTOTAL ...". A name may hold blanks, so it is
 * what remains before the numbers once the page size (two words) is cut off.
 */
static bool read_ramblock(char *line, struct hmp_ramblock *block)
{
	char *numbers = strstr(line, "  0x");

	if (!numbers ||
	    sscanf(numbers, " 0x%*x 0x%" SCNx64 " 0x%" SCNx64, &block->used,
		   &block->total) != 2)
		return false;
	*numbers = '\0';
	cut_word(line);
	cut_word(line);
	line += strspn(line, " ");
	if (strlen(line) >= sizeof(block->name))
		return false;
	memcpy(block->name, line, strlen(line) + 1);
	return true;
}

bool hmp_next_ramblock(const char **text, struct hmp_ramblock *block)
{
	char line[LINE_SIZE];

	while (next_line(text, line))
		if (read_ramblock(line, block))
			return true;
	return false;
}

/* "  FIRST-LAST (prio 0, ram): NAME @OFFSET owner:{obj path=/objects/ram0}" */
static bool read_range(const char *line, struct hmp_range *range)
{
	static const char mark[] = " owner:{obj path=";
	const char *owner = strstr(line, mark);
	const char *offset;
	int after = 0;
	size_t length;

	sscanf(line, " %" SCNx64 "-%" SCNx64 " (prio %*d, ram):%n",
	       &range->first, &range->last, &after);
	if (!after || !owner)
		return false;
	/* The offset stands between the name and the owner, and only if not 0. */
	range->offset = 0;
	for (offset = owner; offset > line + after; offset--)
		if (!strncmp(offset, " @", 2))
			range->offset = strtoull(offset + 2, NULL, 16);

	owner += sizeof(mark) - 1;
	length = strcspn(owner, "}");
	if (length >= sizeof(range->owner) || owner[length] != '}')
		return false;
	memcpy(range->owner, owner, length);
	range->owner[length] = '\0';
	return range->last >= range->first;
}

bool hmp_next_range(struct hmp_mtree *mtree, struct hmp_range *range)
{
	char line[LINE_SIZE];

	while (next_line(&mtree->text, line)) {
		if (!strncmp(line, "FlatView", 8))
			mtree->system = false;
		else if (strstr(line, " AS \"memory\","))
			mtree->system = true;
		else if (mtree->system && read_range(line, range))
			return true;
	}
	return false;
}

bool hmp_host_address(const char *text, uint64_t *address)
{
	const char *is = strstr(text, ") is 0x");

	return is && !strncmp(text, "Host virtual address", 20) &&
	       sscanf(is, ") is 0x%" SCNx64, address) == 1;
}
