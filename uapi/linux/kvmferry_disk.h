/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * kvmferry: the ABI of disks, and its manual. Included by kvmferry.h, whose rules
 * for every command hold here, too.
 *
 * A disk of a VM is a device-mapper device with one target in its table:
 *
 *	dmsetup create vm1 --table "0 SECTORS ferry /dev/SHARED"
 *
 * which passes everything on to the device that the hosts share. One that is to
 * migrate is bound to a file of its own:
 *
 *	disk = ioctl(fd of /dev/kvmferry, FERRY_DISK_BIND)
 *
 *	at the source				at the target
 *	FERRY_DISK_CANCEL	fail what is in	FERRY_DISK_GUARD  hold what overlaps
 *				flight				  what is in doubt
 *	FERRY_DISK_LIST		what is in	FERRY_DISK_UNGUARD it has ended there,
 *				doubt				  or was fenced
 *	poll, LIST, ACK		what has ended	FERRY_DISK_RANGES what is guarded
 *	FERRY_DISK_RESUME	back to normal
 *
 * A request that was *cancelled* has been answered to the VM with an error (EIO),
 * while the storage still has it: it is *in doubt*. It may yet be carried out, at
 * any time, until the storage has said what became of it (then it has *ended*) or
 * the storage was fenced. As long as it is in doubt, nothing may be written, read
 * or discarded that overlaps it: a late write would land on newer data, and a late
 * read in memory that has another use. Its pages stay allocated meanwhile.
 *
 * The states of a disk:
 *
 *	PASS	normal: everything is passed on
 *	HOLD	what comes waits, in the order in which it came; what is in flight
 *		is let finish
 *	CANCEL	of the kinds that FERRY_DISK_CANCEL has named, what was in flight is
 *		in doubt, and what comes is failed at once with EIO. Flushes that come
 *		are answered at once as well: see there. Other kinds are passed on
 *	SETTLE	HOLD until nothing is in doubt; then PASS, by itself
 *
 * A disk that is not in PASS belongs to the file that made it so; other files get
 * -EBUSY if they want to change the state. When that file is closed, because the
 * process was killed for instance, the disk goes to SETTLE: the VM is left with a
 * disk that works, and with neither a lost nor a late write.
 *
 * Guarded ranges are no state, and belong to nobody: they outlive every file, in
 * every state, and only FERRY_DISK_UNGUARD opens them. (And removing the device,
 * or loading a table without this target, which the administrator has to do.)
 *
 * Only block I/O is seen. SCSI commands that are sent to the device as such (SG_IO,
 * as QEMU's scsi-block and scsi-generic do) pass by all of this, in every state.
 *
 * All sectors have 512 bytes and are counted from the beginning of the disk. Errors
 * of every command on the file of a disk: -ENODEV the device has been removed.
 */
#ifndef _UAPI_LINUX_KVMFERRY_DISK_H
#define _UAPI_LINUX_KVMFERRY_DISK_H

#include <linux/const.h>
#include <linux/types.h>

#define FERRY_DISK_MAX_RANGES		65536	/* guarded ranges of one disk */
#define FERRY_DISK_MAX_LIST		65536	/* entries of one answer */

/* States of a disk. */
#define FERRY_DISK_PASS			0
#define FERRY_DISK_HOLDING		1
#define FERRY_DISK_CANCELLING		2
#define FERRY_DISK_SETTLING		3

/* Kinds of requests, and their bits. */
#define FERRY_DISK_READ			0
#define FERRY_DISK_WRITE		1
#define FERRY_DISK_DISCARD		2
#define FERRY_DISK_WRITE_ZEROES		3
#define FERRY_DISK_FLUSH		4
#define FERRY_DISK_SECURE_ERASE		5
#define FERRY_DISK_NR_KINDS		6
#define FERRY_DISK_ALL_KINDS		((1 << FERRY_DISK_NR_KINDS) - 1)

/**
 * struct ferry_disk_bind - FERRY_DISK_BIND: a file for a disk
 * @fd:		a file descriptor of the block device, open in any way
 * @flags:	0
 * @reserved:	0
 *
 * On any file of /dev/kvmferry, which may be closed afterwards. Returns a file
 * descriptor (close-on-exec). It does not keep the device from being removed.
 *
 * A disk's file is polled: readable, requests that were in doubt have ended
 * and were not acknowledged yet; writable, the state is not PASS and the storage
 * has nothing more of this disk, so FERRY_DISK_RESUME would succeed; hang-up, the
 * device is gone.
 *
 * Errors: -EBADF no such file; -ENOTBLK no block device; -ENXIO no table of
 * the device has a target ferry (a partition of one, or a device on top of it, has
 * not); -ENOMEM; -EMFILE.
 */
struct ferry_disk_bind {
	__s32 fd;
	__u32 flags;
	__u64 reserved[3];
};

/**
 * struct ferry_disk_status - FERRY_DISK_STATUS
 * @flags:	in: 0
 * @state:	out: FERRY_DISK_PASS and so on
 * @sectors:	out: size of the disk
 * @in_flight:	out: requests that the storage has and the VM waits for
 * @in_doubt:	out: requests that the storage has and the VM does not wait for
 * @ended:	out: requests that were in doubt, have ended, and were not acknowledged
 * @held:	out: requests that wait here
 * @ranges:	out: guarded ranges
 * @oldest_ms:	out: how long the storage has had the oldest request in doubt
 * Counters since the device was made:
 * @cancelled:	requests that became in doubt
 * @failed:	requests that were failed without reaching the storage
 * @answered:	flushes that were answered without waiting for the storage
 * @flushed:	flushes that were then sent in their stead, and have ended; one may
 *		stand for several
 * @flush_errors: of these, how many failed
 * @flushing:	out: 1 while one is to be sent or under way
 * @reserved0:	0
 * @reserved:	0
 */
struct ferry_disk_status {
	__u32 flags;
	__u32 state;
	__u64 sectors;
	__u64 in_flight;
	__u64 in_doubt;
	__u64 ended;
	__u64 held;
	__u64 ranges;
	__u64 oldest_ms;
	__u64 cancelled;
	__u64 failed;
	__u64 answered;
	__u64 flushed;
	__u64 flush_errors;
	__u32 flushing;
	__u32 reserved0;
	__u64 reserved[4];
};

/**
 * struct ferry_disk_hold - FERRY_DISK_HOLD: let nothing more through
 * @flags:	0
 * @reserved0:	0
 * @reserved:	0
 *
 * From any state. When it returns, nothing new reaches the storage. What is held
 * outlasts FERRY_DISK_RESUME (it is sent then) but not FERRY_DISK_CANCEL (it is
 * failed, if it is of a kind to be cancelled).
 *
 * Errors: -EBUSY the state is another file's.
 */
struct ferry_disk_hold {
	__u32 flags;
	__u32 reserved0;
	__u64 reserved;
};

/**
 * struct ferry_disk_cancel - FERRY_DISK_CANCEL: fail what is in flight
 * @kinds:	bits (1 << FERRY_DISK_x): what to cancel. The rest is left to finish,
 *		and more of it is passed on
 * @flags:	FERRY_DISK_FAIL_FLUSHES
 * @cancelled:	out: requests that became in doubt by this
 * @failed:	out: requests that were held, and failed now
 * @kept:	out: requests that are still in flight: of other kinds, or with data
 *		in memory that cannot be kept from being freed (the kernel's own, as
 *		for metadata of some file systems; never the VM's). Wait for them, by
 *		poll
 * @reserved:	0
 *
 * From any state; again, to cancel more kinds. When it returns, every request of
 * these kinds has been failed to the VM but the ones in @kept.
 *
 * With FERRY_DISK_FLUSH among the kinds, flushes in flight are failed like all the
 * rest, and one that comes later is answered at once: with success, while a real one is
 * sent in its stead (see @flushing of FERRY_DISK_STATUS). This is for the VMM's own
 * flushes when it hands over a VM, which must succeed and may not wait. It would be
 * a lie to the guest: a guest's flush that had been under way to this disk when
 * CANCEL was called (in a queue or a thread of the VMM) gets the same answer. So cancel
 * with FERRY_DISK_FAIL_FLUSHES until the VMM has no more requests of the guest,
 * and then again without it.
 *
 * Errors: -EBUSY the state is another file's; -EINVAL @kinds has none, or unknown
 * ones.
 */
struct ferry_disk_cancel {
	__u32 kinds;
	__u32 flags;
	__u64 cancelled;
	__u64 failed;
	__u64 kept;
	__u64 reserved[2];
};

/* Flushes that come are failed, too. */
#define FERRY_DISK_FAIL_FLUSHES		_BITUL(0)

/**
 * struct ferry_disk_request - one request that the storage has, or had
 * @number:	its name, from 1, never used again for this disk
 * @sector:	first sector; 0 for a flush
 * @sectors:	how many; 0 for a flush
 * @age_ms:	since it was sent to the storage
 * @kind:	FERRY_DISK_READ and so on
 * @state:	FERRY_DISK_IN_FLIGHT and so on
 * @error:	FERRY_DISK_ENDED: 0 or an errno, as the storage has answered
 * @reserved:	0
 */
struct ferry_disk_request {
	__u64 number;
	__u64 sector;
	__u64 sectors;
	__u64 age_ms;
	__u32 kind;
	__u32 state;
	__u32 error;
	__u32 reserved;
};

/* States of a request, and their bits. */
#define FERRY_DISK_IN_FLIGHT		0	/* the VM waits for it */
#define FERRY_DISK_IN_DOUBT		1	/* cancelled */
#define FERRY_DISK_ENDED		2	/* cancelled, and no longer in doubt */
#define FERRY_DISK_ALL_STATES		7

/**
 * struct ferry_disk_list - FERRY_DISK_LIST: requests, in no particular order
 * @requests:	pointer to @room structures ferry_disk_request
 * @room:	in: how many there is room for, up to FERRY_DISK_MAX_LIST
 * @states:	in: bits (1 << FERRY_DISK_x): which requests
 * @count:	out: how many were written
 * @flags:	in: 0
 * @total:	out: how many there are; if more than @room, some were left out
 * @reserved:	0
 *
 * Errors: -E2BIG @room is too large; -EINVAL @states has none, or unknown ones;
 * -ENOMEM.
 */
struct ferry_disk_list {
	__u64 requests;
	__u32 room;
	__u32 states;
	__u32 count;
	__u32 flags;
	__u64 total;
	__u64 reserved[2];
};

/**
 * struct ferry_disk_ack - FERRY_DISK_ACK: forget a request that has ended
 * @number:	which; 0: all that have
 * @flags:	0
 * @reserved0:	0
 * @reserved:	0
 *
 * Leaving PASS and coming back to it forgets all of them as well. Errors: -ENOENT no such
 * request has ended.
 */
struct ferry_disk_ack {
	__u64 number;
	__u32 flags;
	__u32 reserved0;
	__u64 reserved;
};

/**
 * struct ferry_disk_resume - FERRY_DISK_RESUME: back to PASS
 * @flags:	FERRY_DISK_WHEN_SETTLED
 * @reserved0:	0
 * @reserved:	0
 *
 * Errors: -EBUSY the state is another file's, or requests are in doubt: with
 * FERRY_DISK_WHEN_SETTLED, the disk goes to SETTLE instead. Then the VM may run
 * at once, if its VMM sends again what was failed to it: a late read goes into a
 * buffer that the guest has not got back yet, and what the VM sends waits here until
 * no late write can come any more.
 */
struct ferry_disk_resume {
	__u32 flags;
	__u32 reserved0;
	__u64 reserved;
};

#define FERRY_DISK_WHEN_SETTLED		_BITUL(0)

/**
 * struct ferry_disk_range - one guarded range
 * @id:		its name, the caller's choice
 * @sector:	first sector
 * @sectors:	how many, at least 1
 */
struct ferry_disk_range {
	__u64 id;
	__u64 sector;
	__u64 sectors;
};

/**
 * struct ferry_disk_guard - FERRY_DISK_GUARD: hold what overlaps these ranges
 * @ranges:	pointer to @count structures ferry_disk_range
 * @count:	how many, at least 1
 * @flags:	0
 * @reserved:	0
 *
 * When it returns, no request of whatever kind reaches the storage if it overlaps one
 * of the ranges, nor if it overlaps one that waits and came earlier. What is in flight
 * already is not looked at. Flushes have no range and pass. Ranges may overlap each
 * other. All of them are taken, or none.
 *
 * Errors: -E2BIG there would be more than FERRY_DISK_MAX_RANGES; -EEXIST an id is
 * taken, or comes twice; -EINVAL a range is empty, or ends beyond the disk, or there
 * is none; -ENOMEM.
 */
struct ferry_disk_guard {
	__u64 ranges;
	__u32 count;
	__u32 flags;
	__u64 reserved[2];
};

/**
 * struct ferry_disk_unguard - FERRY_DISK_UNGUARD: a range is safe again
 * @id:		which
 * @flags:	FERRY_DISK_EVERY_RANGE
 * @reserved0:	0
 * @reserved:	0
 *
 * What has waited for it is sent, in the order in which it came.
 * Errors: -ENOENT no range has this id.
 */
struct ferry_disk_unguard {
	__u64 id;
	__u32 flags;
	__u32 reserved0;
	__u64 reserved;
};

/* All of them; @id is 0. */
#define FERRY_DISK_EVERY_RANGE		_BITUL(0)

/**
 * struct ferry_disk_ranges - FERRY_DISK_RANGES: what is guarded, by sector
 * @ranges:	pointer to @room structures ferry_disk_range
 * @room:	in: how many there is room for, up to FERRY_DISK_MAX_RANGES
 * @flags:	in: 0
 * @count:	out: how many were written
 * @total:	out: how many there are
 * @reserved0:	0
 * @reserved:	0
 *
 * Errors: -E2BIG @room is too large; -ENOMEM.
 */
struct ferry_disk_ranges {
	__u64 ranges;
	__u32 room;
	__u32 flags;
	__u32 count;
	__u32 total;
	__u64 reserved0;
	__u64 reserved;
};

/* On a file of /dev/kvmferry. */
#define FERRY_DISK_BIND		_IOWR(FERRY_IOCTL_TYPE, 0x20, struct ferry_disk_bind)

/* On the file of a disk. */
#define FERRY_DISK_STATUS	_IOWR(FERRY_IOCTL_TYPE, 0x50, struct ferry_disk_status)
#define FERRY_DISK_HOLD		_IOWR(FERRY_IOCTL_TYPE, 0x51, struct ferry_disk_hold)
#define FERRY_DISK_CANCEL	_IOWR(FERRY_IOCTL_TYPE, 0x52, struct ferry_disk_cancel)
#define FERRY_DISK_LIST		_IOWR(FERRY_IOCTL_TYPE, 0x53, struct ferry_disk_list)
#define FERRY_DISK_ACK		_IOWR(FERRY_IOCTL_TYPE, 0x54, struct ferry_disk_ack)
#define FERRY_DISK_RESUME	_IOWR(FERRY_IOCTL_TYPE, 0x55, struct ferry_disk_resume)
#define FERRY_DISK_GUARD	_IOWR(FERRY_IOCTL_TYPE, 0x56, struct ferry_disk_guard)
#define FERRY_DISK_UNGUARD	_IOWR(FERRY_IOCTL_TYPE, 0x57, struct ferry_disk_unguard)
#define FERRY_DISK_RANGES	_IOWR(FERRY_IOCTL_TYPE, 0x58, struct ferry_disk_ranges)

#endif /* _UAPI_LINUX_KVMFERRY_DISK_H */
