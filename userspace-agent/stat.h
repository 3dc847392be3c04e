/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `kvmferry stat`: the VMs that are being moved away from this host, as their kernel
 * sees them. Only looks: no VM notices.
 *
 * For people a small table for each VM. With --json one object per line for each VM:
 * "event" ("vm"), pid, state, pass, backend, the counts of the table in stat.c by
 * their names, "groups", an array: write faults by the binary logarithm of the
 * pages that were opened, and "codecs", an object: for each codec that was used, its pages,
 * the bytes that they became, and the microseconds that it took.
 */
#ifndef KVMFERRY_STAT_H
#define KVMFERRY_STAT_H

#include <jansson.h>
#include <linux/kvmferry.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "log.h"

/**
 * stat_run - show them
 * @pid:	only the VM of this process, which must be there; 0: all
 * @json:	for programs
 */
enum exit_status stat_run(pid_t pid, bool json);

/* One VM, as it is shown to people, and to programs. */
void stat_table(FILE *out, const struct ferry_vm_stats *vm);
json_t *stat_object(const struct ferry_vm_stats *vm);

#endif /* KVMFERRY_STAT_H */
