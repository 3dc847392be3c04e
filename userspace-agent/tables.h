/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The numbers of a report, as tables: for who cannot see the pictures, and for programs,
 * which find each number as the log has it in an attribute data-value.
 */
#ifndef KVMFERRY_TABLES_H
#define KVMFERRY_TABLES_H

#include "runlog.h"

/* One row for each pass. */
void table_passes(FILE *out, const struct runlog *run);

/* What went on over time, thinned out. */
void table_samples(FILE *out, const struct runlog *run);

/**
 * table_members - every member of an event, one row each
 * @id:		of the table
 * @object:	members that are objects or arrays become rows of "name.member"
 */
void table_members(FILE *out, const char *id, const json_t *object);

/* What the agent said. */
void table_messages(FILE *out, const struct runlog *run);

#endif /* KVMFERRY_TABLES_H */
