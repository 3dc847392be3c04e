/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Named fault points: places where a test can make things go wrong.
 *
 * Compiled out unless the module is built with FERRY_FAULT=y. Armed by name, one
 * at a time, through /sys/module/kvmferry/parameters/fault; an empty name
 * disarms. Every name here has a test in selftests/tracking or selftests/storage.
 */
#ifndef FERRY_FAULT_H
#define FERRY_FAULT_H

#include <linux/types.h>

enum ferry_fault {
	FERRY_FAULT_NONE,

	/* "attach-nomem": FERRY_ATTACH fails with -ENOMEM after its last step */
	FERRY_FAULT_ATTACH_NOMEM,
	/* "ram-nomem": FERRY_ADD_RAM fails with -ENOMEM after its last step */
	FERRY_FAULT_RAM_NOMEM,
	/* "channel-nomem": FERRY_ADD_CHANNEL fails so, with its thread running */
	FERRY_FAULT_CHANNEL_NOMEM,
	/* "encode-error": the codec fails on every page; they are sent raw */
	FERRY_FAULT_ENCODE_ERROR,
	/* "zstream-nomem": no memory for the codec zstd-stream; the rung below is used */
	FERRY_FAULT_ZSTREAM_NOMEM,
	/* "read-error": no page can be read back; tracking is lost with EIO */
	FERRY_FAULT_READ_ERROR,
	/* "crc-wrong": every record carries a wrong CRC; the target refuses it */
	FERRY_FAULT_CRC_WRONG,

	/* "work-nomem": no fault can be queued; each is skipped */
	FERRY_FAULT_WORK_NOMEM,

	/* "disk-nomem": a table with target "ferry" fails so, after its last step */
	FERRY_FAULT_DISK_NOMEM,

	/*
	 * Negative controls: each breaks one rule, most of them of protect.h, so
	 * that the test which guards the rule can be seen to fail.
	 */

	/* "protect-all": protects more than was taken, and loses writes */
	FERRY_FAULT_PROTECT_ALL,
	/* "foreign-blind": ignores changes of the VM's mappings */
	FERRY_FAULT_FOREIGN_BLIND,
	/* "pin-blind": ignores references that others hold */
	FERRY_FAULT_PIN_BLIND,
	/* "huge-blind": takes a huge page that is mapped writable for a clean one */
	FERRY_FAULT_HUGE_BLIND,
	/* "mapping-blind": does not look whether the VM's mappings are as they were */
	FERRY_FAULT_MAPPING_BLIND,
	/* "slot-blind": opens a page without asking which memory slot it is in */
	FERRY_FAULT_SLOT_BLIND,
	/* "opened-blind": takes a page that a group has opened for a clean one */
	FERRY_FAULT_OPENED_BLIND,
	/* "backlog-blind": chooses codecs as if nothing waited on the ring */
	FERRY_FAULT_BACKLOG_BLIND,
	/* "prefault-patient": lets KVM_PRE_FAULT_MEMORY spin for ever */
	FERRY_FAULT_PREFAULT_PATIENT,
	/* "memory-hidden": page hashes take twice what the status tells */
	FERRY_FAULT_MEMORY_HIDDEN,
	/* "guard-blind": lets through what overlaps a guarded range of a disk */
	FERRY_FAULT_GUARD_BLIND,
	/* "resume-early": resumes a disk while requests are in doubt */
	FERRY_FAULT_RESUME_EARLY,

	FERRY_NR_FAULTS
};

#ifdef FERRY_FAULT
#define FERRY_HAS_FAULTS	true
bool ferry_fault(enum ferry_fault fault);
#else
#define FERRY_HAS_FAULTS	false
static inline bool ferry_fault(enum ferry_fault fault)
{
	return false;
}
#endif

#endif /* FERRY_FAULT_H */
