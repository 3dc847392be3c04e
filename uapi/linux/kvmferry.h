/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * kvmferry: the whole kernel ABI, and its manual, but for disks, which have a header
 * of their own: kvmferry_disk.h.
 *
 * /dev/kvmferry tracks, compresses and hands over the RAM of one running
 * virtual machine. One open file is one migrating VM:
 *
 *	fd = open("/dev/kvmferry")
 *	FERRY_INFO		which ABI, which features?
 *	FERRY_ATTACH		this process is the VM; a key for the page hashes
 *	FERRY_ADD_RAM	 x N	one call for each RAM block
 *	FERRY_ADD_CHANNEL x N	one ring each; returns a file of its own
 *	FERRY_GROUP		how many pages one fault opens, if not by default
 *	FERRY_LIMIT		how fast the guest may write, if it is to be slowed
 *	FERRY_WORKERS		how much CPU the channels may use
 *	FERRY_PASS	 x N	send every page that is pending
 *	FERRY_STATUS		how far it is, and what it cost
 *	FERRY_GROUP_STATS	what the groups brought and cost
 *	FERRY_GROUP_MAP		where in RAM they were opened
 *	FERRY_COMPRESSION_STATS	what each codec brought and cost
 *	FERRY_VM_STATS		the same of every VM, for onlookers
 *	FERRY_DIGEST		what the other side must hold by now
 *	close(fd)		the VM runs on, unprotected, unharmed
 *
 * and FERRY_DISK_BIND gives a file for one of its disks: see kvmferry_disk.h.
 *
 * A page is *pending* while it must still be sent. Every page is pending at
 * first; it becomes pending again when the VM or its VMM writes to it. A *pass*
 * walks all RAM once: each pending page is write-protected, copied, encoded
 * and put on the ring of its channel as part of a *record*. The VM runs all the
 * while. The pass that is started after the VM was stopped carries
 * FERRY_PASS_FINAL.
 *
 * A *channel* is one kernel thread, one ring and, in user space, one stream.
 * The file that FERRY_ADD_CHANNEL returns is polled (readable: there are bytes
 * to send; hang-up: there will be no more), mapped (see struct ferry_ring) and
 * told with FERRY_CONSUME how many bytes were sent. The bytes on the ring are
 * the bytes of the wire: user space sends them without looking at them.
 *
 * Everything here is in host byte order except struct ferry_record, which is
 * what the other host reads.
 *
 * Rules for every command: an unknown command gives -ENOTTY; an unknown flag
 * or a reserved field that is not zero gives -EINVAL; a bad pointer -EFAULT.
 * All structures have the same layout for 32-bit and 64-bit programs.
 * Opening the device takes the rights on its node (root by default).
 */
#ifndef _UAPI_LINUX_KVMFERRY_H
#define _UAPI_LINUX_KVMFERRY_H

#include <linux/const.h>
#include <linux/ioctl.h>
#include <linux/kvmferry_disk.h>
#include <linux/types.h>

/* Version of this ABI. A newer kernel keeps serving an older number. */
#define FERRY_ABI			1

/* A page is 4 KiB everywhere in this ABI. */
#define FERRY_PAGE_SHIFT		12
#define FERRY_PAGE_SIZE			4096

/* Limits, all checked: -E2BIG past them. */
#define FERRY_MAX_RAM			64	/* RAM blocks of one VM */
#define FERRY_MAX_CHANNELS		16	/* channels of one VM */
#define FERRY_RING_MIN			(64 << 10)	/* bytes */
#define FERRY_RING_MAX			(64 << 20)	/* bytes */

#define FERRY_KEY_SIZE			32	/* bytes of a hash key */
#define FERRY_HASH_SIZE			16	/* bytes of a page hash or digest */

/* ------------------------------------------------------------------------
 * Records: what the ring, the wire and the target have in common
 * ------------------------------------------------------------------------
 *
 * A channel's stream is a sequence of records, each a header, its payload, and
 * zero bytes up to the next multiple of FERRY_RECORD_ALIGN.
 *
 *	PAGES		`count` pages from `page` on; the payload is their
 *			contents, together encoded with `codec`.
 *	ZERO		`count` pages from `page` on hold only zero bytes.
 *			No payload.
 *	PASS_END	the channel has nothing more in this pass. `page` is
 *			the number of the pass, `count` its FERRY_PASS_ flags.
 *			No payload.
 *
 * All pages of one 2 MiB chunk travel on one channel, so a later record for a
 * page always follows an earlier one on the same stream.
 */
#define FERRY_RECORD_MAGIC		0x4b465231	/* "KFR1" */
#define FERRY_RECORD_ALIGN		8

#define FERRY_RECORD_PAGES		1
#define FERRY_RECORD_ZERO		2
#define FERRY_RECORD_PASS_END		3

/* Most pages in one record, and most bytes in one payload. */
#define FERRY_RECORD_MAX_PAGES		16	/* PAGES: 64 KiB decoded */
#define FERRY_RECORD_EXTRA		64	/* bytes; see CODEC_ZSTD_STREAM */
#define FERRY_RECORD_MAX_PAYLOAD	(16 * 4096 + FERRY_RECORD_EXTRA)
#define FERRY_RECORD_MAX_ZERO		512	/* ZERO: one chunk */

#define FERRY_CODEC_NONE		0	/* as they are */
#define FERRY_CODEC_LZ4			1	/* one LZ4 block */
#define FERRY_CODEC_LZ4HC		2	/* the same, smaller and made with more effort */
#define FERRY_CODEC_ZSTD		3	/* one Zstandard frame */
#define FERRY_CODEC_DEFLATE		4	/* one raw DEFLATE stream */
/*
 * The next piece of one Zstandard frame, flushed: a frame without end, in the order of
 * the channel's records with this codec, whose window is at most 2^25 bytes. The
 * payload may be FERRY_RECORD_EXTRA bytes longer than the pages.
 */
#define FERRY_CODEC_ZSTD_STREAM		5
#define FERRY_NR_CODECS			6

/**
 * struct ferry_record - header of a record, big-endian, 32 bytes
 * @magic:	FERRY_RECORD_MAGIC
 * @type:	FERRY_RECORD_*
 * @codec:	FERRY_CODEC_* of the payload, 0 without payload
 * @block:	RAM block, the @id given to FERRY_ADD_RAM; 0 for PASS_END
 * @sequence:	number of this record on its channel, from 0, wrapping
 * @count:	pages, or flags for PASS_END
 * @page:	index of the first page in its RAM block, or number of the pass
 * @length:	bytes of payload, without the padding
 * @crc:	CRC32C (seed and final inversion as in iSCSI) of this header
 *		with @crc zero, then of the payload, without the padding
 */
struct ferry_record {
	__be32 magic;
	__u8   type;
	__u8   codec;
	__be16 block;
	__be32 sequence;
	__be32 count;
	__be64 page;
	__be32 length;
	__be32 crc;
};

/* ------------------------------------------------------------------------
 * Page hashes and digests
 * ------------------------------------------------------------------------
 *
 * The hash of a page is the first FERRY_HASH_SIZE bytes of BLAKE2b-256 with
 * the key of FERRY_ATTACH over
 *
 *	le64 RAM block id, le64 page index, 4096 bytes of content
 *
 * except that a page of zero bytes has the hash 0. The digest of a RAM block
 * is the XOR of the hashes of its pages as they were last sent. A target that
 * begins with empty RAM and applies every record arrives at the same digest.
 */

/* ------------------------------------------------------------------------
 * Commands on /dev/kvmferry
 * ------------------------------------------------------------------------
 */

/**
 * struct ferry_info - FERRY_INFO: the handshake
 * @abi:	out: FERRY_ABI of this kernel module
 * @flags:	in: 0
 * @features:	out: FERRY_FEATURE_* bits
 * @codecs:	out: bit (1 << FERRY_CODEC_x) for each codec that works here
 * @version:	out: the module's version, NUL-terminated
 * @reserved:	0
 */
struct ferry_info {
	__u32 abi;
	__u32 flags;
	__u64 features;
	__u64 codecs;
	char  version[32];
	__u64 reserved[4];
};

#define FERRY_FEATURE_HUGE_PAGES	_BITULL(0)	/* transparent huge pages are tracked */
#define FERRY_FEATURE_FAULT_POINTS	_BITULL(1)	/* a test build: faults can be injected */
#define FERRY_FEATURE_GROUP		_BITULL(2)	/* FERRY_GROUP and what follows it */
#define FERRY_FEATURE_COMPRESSION	_BITULL(3)	/* FERRY_WORKERS, FERRY_COMPRESSION_STATS */
#define FERRY_FEATURE_DISK		_BITULL(4)	/* FERRY_DISK_BIND, the target "ferry" */
#define FERRY_FEATURE_GROUP_MAP		_BITULL(5)	/* FERRY_GROUP_MAP */

/**
 * struct ferry_attach - FERRY_ATTACH: name the process that is the VM
 * @pid:	process id, as seen in the caller's pid namespace
 * @mem_fd:	a file descriptor of /proc/PID/mem, open for reading and
 *		writing. To open it is to hold the right to ptrace the
 *		process, as the whole kernel, its security modules included,
 *		sees it. It also pins the identity: should @pid have been
 *		reused, the two no longer agree.
 * @flags:	0
 * @reserved0:	0
 * @codecs:	bit (1 << FERRY_CODEC_x) for each codec that may be used. Of several,
 *		one is chosen for each record so that the channel is kept
 *		busy; pages that do not shrink are sent as they are, with any.
 * @key:	secret key of the page hashes, best from getrandom(2)
 * @reserved:	0
 *
 * Errors: -EBUSY this file or this process is attached already; -ESRCH no such
 * process, or it is exiting, or @mem_fd is of another one; -EPERM @mem_fd is
 * no /proc/PID/mem open for writing; -EBADF no such file; -EOPNOTSUPP one of the
 * codecs is unknown here, or there is none; -ENOMEM.
 */
struct ferry_attach {
	__s32 pid;
	__s32 mem_fd;
	__u32 flags;
	__u32 reserved0;
	__u64 codecs;
	__u8  key[FERRY_KEY_SIZE];
	__u64 reserved;
};

/**
 * struct ferry_add_ram - FERRY_ADD_RAM: one RAM block of the VM
 * @fd:		the block's file: tmpfs or memfd, mapped shared by the VM
 * @id:		the name of the block in records, below FERRY_MAX_RAM
 * @address:	where the VM's process has mapped it
 * @size:	bytes
 * @offset:	where in the file it begins, bytes
 * @flags:	0
 * @reserved:	0
 *
 * @address, @size and @offset are multiples of the page size; @offset is a
 * multiple of 2 MiB. All pages of the block start out pending.
 *
 * Errors: -EBUSY a pass has begun, or the file is mapped a second time, by this
 * process or another (writes made there would be missed); -EEXIST the id or the
 * file range is taken; -EFAULT the process does not map this range of the file
 * at this address; -EACCES it maps it privately or read-only; -EOPNOTSUPP huge
 * pages of hugetlbfs; -ENODEV not a tmpfs file; -ENXIO not attached; -ESRCH the
 * process is gone; -ENOMEM; -EBADF; -E2BIG.
 */
struct ferry_add_ram {
	__s32 fd;
	__u32 id;
	__u64 address;
	__u64 size;
	__u64 offset;
	__u64 flags;
	__u64 reserved[3];
};

/**
 * struct ferry_add_channel - FERRY_ADD_CHANNEL: one more ring
 * @size:	bytes of its data: a power of two, FERRY_RING_MIN to _MAX
 * @flags:	0
 * @reserved:	0
 *
 * Returns a file descriptor (close-on-exec). The chunk with number n, counted
 * over all RAM blocks in the order in which they were added, belongs to the
 * channel n modulo the number of channels.
 *
 * Errors: -EBUSY a pass has begun; -ENXIO not attached; -ENOMEM; -E2BIG.
 */
struct ferry_add_channel {
	__u64 size;
	__u32 flags;
	__u32 reserved;
};

/**
 * struct ferry_group - FERRY_GROUP: how many pages one fault opens
 * @policy:	FERRY_GROUP_*, for write faults
 * @order:	FERRY_GROUP_STATIC: binary logarithm of the pages of a group, up
 *		to FERRY_GROUP_MAX_ORDER; otherwise 0
 * @read_order:	binary logarithm of the pages, aligned, that a fault makes readable
 *		again, up to FERRY_GROUP_MAX_ORDER; 0 only the page itself
 * @flags:	FERRY_GROUP_RESEND or 0
 * @floor:	pages: with FERRY_GROUP_DYNAMIC, no page is opened on suspicion
 *		once a pass sends no more than this many. Best the number of pages
 *		with which the switchover will begin
 * @reserved:	0
 *
 * A page that was sent is write-protected, so the guest's next write to it
 * costs an exit to KVM. Then a whole *group* of pages around it may be opened:
 * mapped writable at once, so that the next writes cost nothing. All pages of a
 * group lie in one 2 MiB chunk. What was opened counts as written, so it is
 * looked at again in the next pass; whether it has really changed is then told
 * by its content, which decides how later groups are made.
 *
 * In force from the next fault on; at any time after FERRY_ATTACH. Without it:
 * FERRY_GROUP_DYNAMIC, @read_order 9, @floor 0. Where the kernel offers no way to
 * do it (FERRY_GROUP_STATS says so) every setting is accepted and each fault
 * opens one page.
 *
 * Errors: -ENXIO not attached.
 */
struct ferry_group {
	__u32 policy;
	__u32 order;
	__u32 read_order;
	__u32 flags;
	__u64 floor;
	__u64 reserved[3];
};

#define FERRY_GROUP_OFF			0	/* one page a fault, reads as well */
#define FERRY_GROUP_STATIC		1	/* always 1 << @order, aligned */
#define FERRY_GROUP_CONTIGUOUS		2	/* as many as are writable around it */
#define FERRY_GROUP_DYNAMIC		3	/* what re-sending has taught */

#define FERRY_GROUP_MAX_ORDER		9	/* one chunk */

/* Send pages even if the target has their content already. */
#define FERRY_GROUP_RESEND		_BITUL(0)

/**
 * struct ferry_group_stats - FERRY_GROUP_STATS: what the groups brought and cost
 * @flags:	in: 0
 * @backend:	out: FERRY_BACKEND_*, how pages are opened on this kernel
 * @budget:	out: pages that may still be opened on suspicion in this pass
 * Counters since FERRY_ATTACH:
 * @write_faults: write faults of the guest on followed pages
 * @read_faults: read faults, and instruction fetches
 * @opened:	pages opened besides the ones that faulted
 * @opened_changed: of these, found changed when they were looked at again: the
 *		exits that were saved
 * @opened_unchanged: of these, found unchanged
 * @read_mapped: pages mapped for reading besides the ones that faulted
 * @skipped:	faults that could not be grouped: no memory, nested guest,
 *		system management mode, or a signal in between
 * @throttled:	times a vCPU was made to wait
 * @throttled_us: microseconds of waiting, over all vCPUs
 * @groups:	write faults by the binary logarithm, rounded down, of the pages
 *		that were opened, the faulting one included
 * @reserved:	0
 */
struct ferry_group_stats {
	__u32 flags;
	__u32 backend;
	__u64 budget;
	__u64 write_faults;
	__u64 read_faults;
	__u64 opened;
	__u64 opened_changed;
	__u64 opened_unchanged;
	__u64 read_mapped;
	__u64 skipped;
	__u64 throttled;
	__u64 throttled_us;
	__u64 groups[FERRY_GROUP_MAX_ORDER + 1];
	__u64 reserved[8];
};

/**
 * struct ferry_group_cell - the groups of one chunk of 2 MiB
 * @write_faults: write faults of the guest, wrapping
 * @opened:	pages opened besides the ones that faulted, wrapping
 */
struct ferry_group_cell {
	__u32 write_faults;
	__u32 opened;
};

/**
 * struct ferry_group_map - FERRY_GROUP_MAP: where in RAM groups were opened
 * @block:	RAM block id
 * @flags:	0
 * @first:	first chunk of the block
 * @count:	chunks, within the block
 * @cells:	pointer to @count of struct ferry_group_cell, out: counts since
 *		FERRY_ADD_RAM
 * @reserved:	0
 *
 * Errors: -ENOENT no such block; -EINTR.
 */
struct ferry_group_map {
	__u32 block;
	__u32 flags;
	__u64 first;
	__u64 count;
	__u64 cells;
	__u64 reserved[2];
};

#define FERRY_BACKEND_NONE		0	/* no grouping on this kernel */
#define FERRY_BACKEND_PAGE_FAULT	1	/* KVM's page fault handler */
#define FERRY_BACKEND_PREFAULT		2	/* KVM_PRE_FAULT_MEMORY */

/**
 * struct ferry_limit - FERRY_LIMIT: slow writers down
 * @pages_per_s: pages that the guest may begin to write to in a second; 0 any
 * @max_slowdown: percent of its time that a vCPU may be made to wait, up to
 *		FERRY_LIMIT_MAX_SLOWDOWN; 0 only together with @pages_per_s 0
 * @flags:	0
 * @reserved:	0
 *
 * A vCPU whose write opens a page, or a group, beyond this rate waits before it
 * goes on, at most 100 ms at a time. vCPUs that write nothing new never wait, and
 * a signal ends every wait. In force from the next fault on, at any time after
 * FERRY_ATTACH; off at first.
 *
 * Errors: -ENXIO not attached; -EOPNOTSUPP this kernel has no way to do it (see
 * FERRY_GROUP_STATS).
 */
struct ferry_limit {
	__u64 pages_per_s;
	__u32 max_slowdown;
	__u32 flags;
	__u64 reserved[2];
};

#define FERRY_LIMIT_MAX_SLOWDOWN	99

/**
 * struct ferry_pass - FERRY_PASS: send every page that is pending
 * @flags:	FERRY_PASS_*
 * @reserved0:	0
 * @pass:	out: number of the pass, from 1
 * @reserved:	0
 *
 * Returns at once; the device file becomes readable (poll) when the pass has
 * ended: when every channel has put its PASS_END record on its ring. A pass
 * waits for room on the rings, so somebody must be consuming them.
 *
 * Errors: -EBUSY a pass is running; -ENXIO no RAM or no channel yet; -ENODATA
 * tracking was lost, before or just now: FERRY_STATUS says why.
 */
struct ferry_pass {
	__u32 flags;
	__u32 reserved0;
	__u64 pass;
	__u64 reserved[2];
};

/*
 * The VM is stopped and its I/O has drained. Pages that somebody still holds a
 * reference to are sent and count as settled, instead of staying pending.
 */
#define FERRY_PASS_FINAL		_BITUL(0)

/**
 * struct ferry_status - FERRY_STATUS: how far it is
 * @flags:	in: FERRY_STATUS_*
 * @state:	out: FERRY_STATE_*
 * @pass:	out: number of the pass under way or last ended, 0 before any
 * @error:	out: with FERRY_STATE_LOST, why: a positive errno. ESRCH the
 *		process is gone; EBUSY RAM was mapped a second time; EFAULT the
 *		process no longer maps its RAM; EACCES it made it private or
 *		read-only; EIO a page could not be read back; ENOMEM
 * @ram_pages:	out: pages in all RAM blocks
 * @pending:	out: pages pending now
 * @memory:	out: bytes that are kept about the VM and its pages: more for more RAM
 * @channels:	out: bytes that the channels take, however much RAM there is: rings,
 *		batches, codecs
 * Counters since FERRY_ATTACH, in pages unless they say otherwise:
 * @taken:	taken for sending
 * @zero:	of these, sent as part of a ZERO record
 * @raw:	of these, sent with FERRY_CODEC_NONE
 * @encoded:	of these, sent with another codec
 * @bytes_wire:	bytes put on the rings: headers, payloads and padding
 * @bytes_encoded: bytes of payload that the @encoded pages became
 * @written:	found written by a scan of the page tables
 * @foreign:	made pending by a change of the VM's mappings: hole punching,
 *		reclaim, splitting of huge pages
 * @pinned:	sent, but left pending as somebody else held a reference
 * @protected_runs: runs of contiguous pages that were write-protected
 * @protected_huge: huge pages that were write-protected
 * @waits:	times a channel waited for room on its ring
 * @unchanged:	of @taken, those that the target has with this very content
 *		already; not sent, unless FERRY_GROUP_RESEND asks for it
 * @reserved:	0
 */
struct ferry_status {
	__u32 flags;
	__u32 state;
	__u32 pass;
	__u32 error;
	__u64 ram_pages;
	__u64 pending;
	__u64 memory;
	__u64 channels;
	__u64 taken;
	__u64 zero;
	__u64 raw;
	__u64 encoded;
	__u64 bytes_wire;
	__u64 bytes_encoded;
	__u64 written;
	__u64 foreign;
	__u64 pinned;
	__u64 protected_runs;
	__u64 protected_huge;
	__u64 waits;
	__u64 unchanged;
	__u64 reserved[7];
};

/* Scan the page tables first, so that @pending holds what was written since. */
#define FERRY_STATUS_SCAN		_BITUL(0)

#define FERRY_STATE_NEW			0	/* not attached */
#define FERRY_STATE_IDLE		1	/* tracking, no pass under way */
#define FERRY_STATE_PASS		2	/* a pass is under way */
/*
 * What the VM writes can no longer be followed. The migration has failed; the VM
 * itself is unharmed.
 */
#define FERRY_STATE_LOST		3

/**
 * struct ferry_workers - FERRY_WORKERS: how much CPU the channels may use
 * @cpu_limit:	percent of one CPU that their threads may use together, each an
 *		equal part; 0: as much as they get. Not in a pass with
 *		FERRY_PASS_FINAL
 * @nice:	of their threads, as in nice(2)
 * @flags:	0
 * @reserved0:	0
 * @reserved:	0
 *
 * At any time after FERRY_ATTACH; 0 and 0 without it. Errors: -ENXIO not attached.
 */
struct ferry_workers {
	__u32 cpu_limit;
	__s32 nice;
	__u32 flags;
	__u32 reserved0;
	__u64 reserved[2];
};

/**
 * struct ferry_codec_stats - what one codec brought and cost
 * @pages:	pages sent with it
 * @bytes:	bytes of payload that they became
 * @ns:		nanoseconds that it took, what it did not make smaller included
 */
struct ferry_codec_stats {
	__u64 pages;
	__u64 bytes;
	__u64 ns;
};

/**
 * struct ferry_compression_stats - FERRY_COMPRESSION_STATS
 * @flags:	in: 0
 * @reserved0:	0
 * @waiting:	out: bytes on the rings that were not consumed yet
 * @rate:	out: bytes a second that have been consumed lately while there were
 *		any, over all rings
 * Counters since FERRY_ATTACH:
 * @untried:	pages of @codec[FERRY_CODEC_NONE] that no codec was tried on, as what came
 *		before them in their chunk did not shrink
 * @cpu_ns:	CPU time of the channels' threads, nanoseconds
 * @slept_ns:	for how long they slept to keep within @cpu_limit, all together
 * @idle_ns:	for how long bytes waited though the network could have taken them, see
 *		FERRY_CONSUME; over all rings
 * @codec:	by FERRY_CODEC_*
 * @reserved:	0
 */
struct ferry_compression_stats {
	__u32 flags;
	__u32 reserved0;
	__u64 waiting;
	__u64 rate;
	__u64 untried;
	__u64 cpu_ns;
	__u64 slept_ns;
	__u64 idle_ns;
	struct ferry_codec_stats codec[8];
	__u64 reserved[3];
};

/**
 * struct ferry_vm_stats - FERRY_VM_STATS: any VM, seen from outside
 * @pid:	in: look for the VM with this process id or the next higher one,
 *		as the caller's pid namespace has it; out: the one found
 * @flags:	in: 0
 * @status:	out: as FERRY_STATUS, without a scan
 * @group:	out: as FERRY_GROUP_STATS
 * @compression: out: as FERRY_COMPRESSION_STATS
 * @reserved:	0
 *
 * On any file of the device, attached or not. Whoever may open the device may see
 * all VMs. Errors: -ESRCH there is none with such an id.
 */
struct ferry_vm_stats {
	__s32 pid;
	__u32 flags;
	struct ferry_status status;
	struct ferry_group_stats group;
	struct ferry_compression_stats compression;
	__u64 reserved[2];
};

/**
 * struct ferry_pending - FERRY_PENDING: which pages are pending
 * @block:	RAM block id
 * @flags:	in: 0
 * @first:	first page, a multiple of 64
 * @count:	pages, a multiple of 64, within the block rounded up to 64
 * @bitmap:	pointer to @count / 8 bytes; bit n of __u64 word w is page
 *		@first + 64 * w + n
 * @reserved:	0
 *
 * Scans the page tables first. Changes nothing: no page is taken.
 * Errors: -ENOENT no such block; -ENODATA tracking was lost.
 */
struct ferry_pending {
	__u32 block;
	__u32 flags;
	__u64 first;
	__u64 count;
	__u64 bitmap;
	__u64 reserved[2];
};

/**
 * struct ferry_digest - FERRY_DIGEST: the digest of a RAM block
 * @block:	RAM block id
 * @flags:	FERRY_DIGEST_*
 * @digest:	out: FERRY_HASH_SIZE bytes
 * @reserved:	0
 *
 * Errors: -ENOENT no such block; -EBUSY a pass is under way; -EINTR.
 */
struct ferry_digest {
	__u32 block;
	__u32 flags;
	__u8  digest[FERRY_HASH_SIZE];
	__u64 reserved[2];
};

/* Of the RAM as it is, read anew, instead of as it was last sent. */
#define FERRY_DIGEST_FULL		_BITUL(0)

/* ------------------------------------------------------------------------
 * The file of a channel
 * ------------------------------------------------------------------------
 */

/**
 * struct ferry_ring - first page of a channel's mapping, read only
 * @head:	bytes ever put on the ring (advanced by the kernel after the
 *		bytes are in place; read it with acquire semantics)
 * @tail:	bytes ever consumed
 * @size:	bytes of data in the ring
 *
 * A channel is mapped with PROT_READ, MAP_SHARED, at offset 0. The data begins
 * at FERRY_RING_DATA and is mapped twice in a row, so that what lies between
 * tail and head is always contiguous at
 *
 *	FERRY_RING_DATA + (tail & (size - 1))
 *
 * and the whole mapping has FERRY_RING_DATA + 2 * size bytes. The kernel keeps
 * its own head and tail and never reads these.
 */
struct ferry_ring {
	__u64 head;
	__u64 tail;
	__u64 size;
};

#define FERRY_RING_DATA			FERRY_PAGE_SIZE

/**
 * struct ferry_consume - FERRY_CONSUME: bytes that may be overwritten
 * @bytes:	in: how many, from the tail on
 * @idle_ns:	in: for how long the network could have taken more, since this was last
 *		told: the sender was late, or the target did not read. Where there is
 *		much of that, less effort is made to compress. 0: not told this time
 * @head:	out: the head
 * @tail:	out: the tail, after the bytes were consumed
 *
 * On the file of a channel. Errors: -EINVAL more bytes than there are.
 */
struct ferry_consume {
	__u64 bytes;
	__u64 idle_ns;
	__u64 head;
	__u64 tail;
};

#define FERRY_IOCTL_TYPE		0xF7

#define FERRY_INFO		_IOWR(FERRY_IOCTL_TYPE, 0x00, struct ferry_info)
#define FERRY_ATTACH		_IOWR(FERRY_IOCTL_TYPE, 0x01, struct ferry_attach)
#define FERRY_ADD_RAM		_IOWR(FERRY_IOCTL_TYPE, 0x02, struct ferry_add_ram)
#define FERRY_ADD_CHANNEL	_IOWR(FERRY_IOCTL_TYPE, 0x03, struct ferry_add_channel)
#define FERRY_PASS		_IOWR(FERRY_IOCTL_TYPE, 0x04, struct ferry_pass)
#define FERRY_STATUS		_IOWR(FERRY_IOCTL_TYPE, 0x05, struct ferry_status)
#define FERRY_PENDING		_IOWR(FERRY_IOCTL_TYPE, 0x06, struct ferry_pending)
#define FERRY_DIGEST		_IOWR(FERRY_IOCTL_TYPE, 0x07, struct ferry_digest)
#define FERRY_GROUP		_IOWR(FERRY_IOCTL_TYPE, 0x08, struct ferry_group)
#define FERRY_GROUP_STATS	_IOWR(FERRY_IOCTL_TYPE, 0x09, struct ferry_group_stats)
#define FERRY_LIMIT		_IOWR(FERRY_IOCTL_TYPE, 0x0a, struct ferry_limit)
#define FERRY_VM_STATS		_IOWR(FERRY_IOCTL_TYPE, 0x0b, struct ferry_vm_stats)

#define FERRY_WORKERS		_IOWR(FERRY_IOCTL_TYPE, 0x0c, struct ferry_workers)
#define FERRY_COMPRESSION_STATS	_IOWR(FERRY_IOCTL_TYPE, 0x0d, struct ferry_compression_stats)

#define FERRY_GROUP_MAP		_IOWR(FERRY_IOCTL_TYPE, 0x0e, struct ferry_group_map)

#define FERRY_CONSUME		_IOWR(FERRY_IOCTL_TYPE, 0x40, struct ferry_consume)

#endif /* _UAPI_LINUX_KVMFERRY_H */
