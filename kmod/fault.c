// SPDX-License-Identifier: GPL-2.0-only
/* The module parameter that arms a fault point. See fault.h. */

#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "fault.h"

static const char * const names[FERRY_NR_FAULTS] = {
	[FERRY_FAULT_NONE]		= "",
	[FERRY_FAULT_ATTACH_NOMEM]	= "attach-nomem",
	[FERRY_FAULT_RAM_NOMEM]		= "ram-nomem",
	[FERRY_FAULT_CHANNEL_NOMEM]	= "channel-nomem",
	[FERRY_FAULT_ENCODE_ERROR]	= "encode-error",
	[FERRY_FAULT_READ_ERROR]	= "read-error",
	[FERRY_FAULT_CRC_WRONG]		= "crc-wrong",
	[FERRY_FAULT_PROTECT_ALL]	= "protect-all",
	[FERRY_FAULT_FOREIGN_BLIND]	= "foreign-blind",
	[FERRY_FAULT_PIN_BLIND]		= "pin-blind",
	[FERRY_FAULT_HUGE_BLIND]	= "huge-blind",
	[FERRY_FAULT_MAPPING_BLIND]	= "mapping-blind",
	[FERRY_FAULT_ZSTREAM_NOMEM]	= "zstream-nomem",
	[FERRY_FAULT_WORK_NOMEM]	= "work-nomem",
	[FERRY_FAULT_SLOT_BLIND]	= "slot-blind",
	[FERRY_FAULT_OPENED_BLIND]	= "opened-blind",
	[FERRY_FAULT_BACKLOG_BLIND]	= "backlog-blind",
	[FERRY_FAULT_PREFAULT_PATIENT]	= "prefault-patient",
	[FERRY_FAULT_MEMORY_HIDDEN]	= "memory-hidden",
	[FERRY_FAULT_DISK_NOMEM]	= "disk-nomem",
	[FERRY_FAULT_GUARD_BLIND]	= "guard-blind",
	[FERRY_FAULT_RESUME_EARLY]	= "resume-early",
};

static int armed;

/**
 * ferry_fault() - Should this fault happen now?
 * @fault: the fault point that is being passed
 *
 * Context: Any.
 * Return: true while @fault is armed.
 */
bool ferry_fault(enum ferry_fault fault)
{
	return READ_ONCE(armed) == fault;
}

static int fault_set(const char *val, const struct kernel_param *kp)
{
	int i = __sysfs_match_string(names, FERRY_NR_FAULTS, val);

	if (i < 0)
		return i;
	WRITE_ONCE(armed, i);
	return 0;
}

static int fault_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", names[READ_ONCE(armed)]);
}

static const struct kernel_param_ops fault_ops = {
	.set = fault_set,
	.get = fault_get,
};

module_param_cb(fault, &fault_ops, NULL, 0600);
MODULE_PARM_DESC(fault, "name of the fault point to arm (test builds only)");
