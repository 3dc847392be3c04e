/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that is known of who owns a VM: the owner records of this host, and those of the
 * other one as `kvmferry recover --json` has told them there.
 *
 * A host may have records of several migrations of one VM. The last of them decides; which
 * that is follows from what is kept: once a target runs the VM, and before a source
 * commits it, every older record there is deleted (journal_forget()).
 */
#ifndef KVMFERRY_OWNERS_H
#define KVMFERRY_OWNERS_H

#include <jansson.h>

#include "verdict.h"

#define OWNERS_MAX	16

/* A record, and which of its processes were there when it was read. */
struct owner {
	struct journal record;
	bool qemu;
	bool agent;
};

/* One host, one VM. */
struct owners {
	bool known;			/* false: that host could not be asked */
	char vm[QEMU_NAME_SIZE];
	char host[80];			/* its name */
	unsigned int count;
	struct owner owner[OWNERS_MAX];
};

/**
 * struct ruling - the migration that decides, and what is said of it
 * @known:	false: there is no record of the VM at all, so nothing to rule
 * @side:	which this host is
 * @here, there: what the two hosts say
 * @mine, theirs: their records, if any
 * @apart:	the target has no record of it, but one of another migration, which says that
 *		the VM was there at some time
 */
struct ruling {
	bool known;
	uint8_t id[WIRE_ID_SIZE];
	enum journal_side side;
	enum journal_state here, there;
	const struct owner *mine, *theirs;
	bool apart;
	enum verdict verdict;
};

/**
 * owners_read - the records of this host
 * @dir:	state directory; what it says is made durable first
 *
 * Returns 0, or -1 with @why: one record that cannot be read is too many.
 */
int owners_read(struct owners *o, const char *dir, const char *vm, struct failure *why);

/* As an array, for programs and for owners_parse(). */
json_t *owners_json(const struct owners *o);

/**
 * owners_parse - the records of another host
 * @file:	lines of `kvmferry recover --json`, of which that of @vm counts
 *
 * Returns 0, or -1 with @why.
 */
int owners_parse(struct owners *o, FILE *file, const char *vm, struct failure *why);

/* The rule for @here, which may run the VM or may not, given what @there says. */
struct ruling owners_judge(const struct owners *here, const struct owners *there);

#endif /* KVMFERRY_OWNERS_H */
