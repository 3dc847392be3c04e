/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may run a VM after a crash: the rule.
 *
 * It needs nothing but the two owner records of a migration (journal.h), and holds if the
 * agents that wrote them have ended (they may be about to act), and if what the files say
 * is durable:
 *
 *  - The source may run the VM if its record says "owns". The target may if its record
 *    says "owns" or "running". Each knows that without the other.
 *  - Without a record at the source, the VM is the target's if that says so, else the
 *    source's.
 *  - "committed" on the source and "incoming" or none on the target, and no other record
 *    that says that the VM was ever there: the COMMIT was lost on the way. The operator may
 *    continue either, but only one, and so that it outlasts the next crash: the source
 *    once its record says "owns" again, the target once the source's QEMU is ended.
 *  - "committed" on the source and "owns" or "running" on a target whose QEMU is gone:
 *    the VM may have run there. What the source holds is older than its disks, and must
 *    never be continued; the VM begins anew from its disks.
 *  - Whatever else needs the record of a host that cannot be asked is nobody's until it can.
 *
 * selftests/model/switchover.pml is a proof of this rule, as far as a model is one: its
 * operator acts by verdict() itself.
 */
#ifndef KVMFERRY_VERDICT_H
#define KVMFERRY_VERDICT_H

#include "journal.h"

enum verdict {
	VERDICT_CONTRADICTION,	/* no crash leaves these two: a record was lost, or made up */
	VERDICT_NOBODY,		/* it cannot be told from these */
	VERDICT_SOURCE,
	VERDICT_TARGET,
	VERDICT_EITHER,		/* one of them, as the operator likes */
	VERDICT_COUNT,
};

/* What the records of @source and @target say of one migration. */
enum verdict verdict(enum journal_state source, enum journal_state target);

/* A word for programs. */
const char *verdict_name(enum verdict verdict);

#endif /* KVMFERRY_VERDICT_H */
