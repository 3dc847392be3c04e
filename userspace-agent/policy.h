/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many pages a fault opens, in words: what the command line takes and what is
 * shown. linux/kvmferry.h tells what the numbers mean.
 */
#ifndef KVMFERRY_POLICY_H
#define KVMFERRY_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/kvmferry.h>

#define POLICY_WORDS		"off, contiguous, dynamic or static:N"
#define POLICY_READ_ORDER	FERRY_GROUP_MAX_ORDER	/* as the kernel's own */

/**
 * policy_parse - read "off", "contiguous", "dynamic" or "static:N"
 * @group:	out: @policy and @order; nothing else is touched
 *
 * N is a number of pages for policy_order(). Returns false if it is none of these.
 */
bool policy_parse(const char *text, struct ferry_group *group);

/**
 * policy_order - read a number of pages: a power of two from 1 to 512
 * @order:	out: its binary logarithm
 *
 * Returns false if it is no such number.
 */
bool policy_order(const char *text, uint32_t *order);

#define POLICY_WORD_SIZE	20

/* The reverse of policy_parse(): the word, in @word if it has to be made. */
const char *policy_word(const struct ferry_group *group, char word[POLICY_WORD_SIZE]);

/* FERRY_BACKEND_x in one word; "unknown" for one from the future. */
const char *policy_backend(uint32_t backend);

#endif /* KVMFERRY_POLICY_H */
