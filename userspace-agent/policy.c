// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How many pages a fault opens, in words.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"

#define STATIC_PREFIX	"static:"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *word;
	uint32_t policy;
} policies[] = {
	{ "off",	FERRY_GROUP_OFF },
	{ "contiguous",	FERRY_GROUP_CONTIGUOUS },
	{ "dynamic",	FERRY_GROUP_DYNAMIC },
};

static const char *const backends[] = {
	[FERRY_BACKEND_NONE] = "none",
	[FERRY_BACKEND_PAGE_FAULT] = "page-fault",
	[FERRY_BACKEND_PREFAULT] = "prefault",
};

bool policy_order(const char *text, uint32_t *order)
{
	char *end;
	unsigned long pages = strtoul(text, &end, 10);
	uint32_t n;

	/* strtoul() also takes a sign and blanks */
	if (*text < '0' || *text > '9' || *end)
		return false;
	for (n = 0; n <= FERRY_GROUP_MAX_ORDER; n++) {
		if (pages != 1ul << n)
			continue;
		*order = n;
		return true;
	}
	return false;
}

bool policy_parse(const char *text, struct ferry_group *group)
{
	const size_t prefix = strlen(STATIC_PREFIX);
	size_t i;

	if (!strncmp(text, STATIC_PREFIX, prefix)) {
		group->policy = FERRY_GROUP_STATIC;
		return policy_order(text + prefix, &group->order);
	}
	for (i = 0; i < COUNT(policies); i++) {
		if (strcmp(text, policies[i].word) != 0)
			continue;
		group->policy = policies[i].policy;
		group->order = 0;
		return true;
	}
	return false;
}

const char *policy_word(const struct ferry_group *group, char word[POLICY_WORD_SIZE])
{
	size_t i;

	for (i = 0; i < COUNT(policies); i++)
		if (policies[i].policy == group->policy)
			return policies[i].word;
	snprintf(word, POLICY_WORD_SIZE, STATIC_PREFIX "%u", 1u << group->order);
	return word;
}

const char *policy_backend(uint32_t backend)
{
	return backend < COUNT(backends) ? backends[backend] : "unknown";
}
