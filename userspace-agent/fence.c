// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Persistent reservations of disks. What changes them goes through linux/pr.h, which
 * device-mapper passes on to every path. The rest goes through SG_IO: to read them, as
 * older kernels cannot otherwise; and to preempt and abort, as device-mapper makes
 * a mere PREEMPT of IOC_PR_PREEMPT_ABORT (6.1 to 7.3: dm_pr_preempt() forgets its argument),
 * and what the storage has already would still be written.
 */
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <linux/pr.h>
#include <scsi/scsi.h>
#include <scsi/sg.h>

#include "fence.h"

#define KEY_PREFIX	0x4b5646u	/* "KVF" */
#define KEYS_MAX	64
#define TRIES		4		/* a unit attention is told once for each path, say */
#define TIMEOUT		120000		/* ms; to abort requests may take long */

/* See the comment in fence.h; for linux/pr.h, and for SCSI. */
#define TYPE		PR_WRITE_EXCLUSIVE_REG_ONLY
#define SCSI_TYPE	5

uint64_t fence_key(enum fence_side side, const uint8_t id[WIRE_ID_SIZE])
{
	uint32_t salt;

	memcpy(&salt, id, sizeof(salt));
	return (uint64_t)KEY_PREFIX << 40 | (uint64_t)side << 32 | be32toh(salt);
}

static bool is_ours(uint64_t key)
{
	return key >> 40 == KEY_PREFIX;
}

static enum fence_side side_of(uint64_t key)
{
	return (enum fence_side)(key >> 32 & 0xff);
}

static int open_device(const struct disk *d, struct failure *why)
{
	int fd = open(d->path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? fail(why, "disk %s: cannot open it: %m", d->path) : fd;
}

/* ------------------------------------------------------------------------
 * A whole device?
 * ------------------------------------------------------------------------ */

static uint64_t read_size(const char *device)
{
	char path[PATH_MAX];
	uint64_t sectors = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/size", device);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%" SCNu64, &sectors) != 1)
		sectors = 0;
	fclose(file);
	return sectors;
}

static bool is_partition(const char *device)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/partition", device);
	return !access(path, F_OK);
}

/* Is all that lies below this device as large as it is, down to the last? */
static bool is_whole(const char *device, uint64_t sectors)
{
	char path[PATH_MAX];
	bool whole = read_size(device) == sectors && !is_partition(device);
	struct dirent *entry;
	DIR *below;

	if (!whole || (size_t)snprintf(path, sizeof(path), "%s/slaves", device) >= sizeof(path))
		return false;
	below = opendir(path);
	while (below && whole && (entry = readdir(below)))
		if (entry->d_name[0] != '.')
			whole = (size_t)snprintf(path, sizeof(path), "%s/slaves/%s", device,
						 entry->d_name) < sizeof(path) &&
				is_whole(path, sectors);
	if (below)
		closedir(below);
	return whole;
}

static int insist_on_whole(const struct disk *d, struct failure *why)
{
	char path[64];
	struct stat st;

	if (stat(d->path, &st))
		return fail(why, "disk %s: %m", d->path);
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(st.st_rdev),
		 minor(st.st_rdev));
	return is_whole(path, read_size(path)) ? 0 :
		fail(why, "disk %s: it is a part of a device only, and --fence pr would fence off all of it; give the VM a device of its own, or leave --fence out",
		     d->path);
}

/* ------------------------------------------------------------------------
 * Reading
 * ------------------------------------------------------------------------ */

/* What the disk says of keys and its reservation. */
struct registry {
	unsigned int keys;
	uint64_t key[KEYS_MAX];
	uint64_t holder;	/* its key; 0: it is not reserved */
};

enum { READ_KEYS = 0, READ_RESERVATION = 1 };

#define PR_IN		0x5e
#define COMMAND_SIZE	10
#define CONFLICT	0x18	/* RESERVATION CONFLICT, of SCSI and of linux/pr.h */
#define ANSWER_HEAD	8
#define ANSWER_SIZE	(ANSWER_HEAD + KEYS_MAX * 8)

/* The sense key, whichever format it has. */
static unsigned int sense_key(const struct sg_io_hdr *io)
{
	if (!io->sb_len_wr)
		return 0;
	return (io->sbp[0] & 0x7f) >= 0x72 ? io->sbp[1] & 0xf : io->sbp[2] & 0xf;
}

static int refuse_answer(const struct disk *d, const struct sg_io_hdr *io,
			 struct failure *why)
{
	if (sense_key(io) == ILLEGAL_REQUEST)
		return fail(why, "disk %s: its storage has no persistent reservations; leave --fence out",
			    d->path);
	return fail(why, "disk %s: its storage does not do what reservations need (status %#x, %#x, %#x; sense key %u)",
		    d->path, io->status, io->host_status, io->driver_status, sense_key(io));
}

/* @data goes in @direction. Returns 0, CONFLICT, or -1 with @why. */
static int send_scsi(const struct disk *d, int fd, uint8_t command[COMMAND_SIZE],
		     int direction, uint8_t *data, unsigned int size, struct failure *why)
{
	uint8_t sense[32];
	struct sg_io_hdr io = {
		.interface_id = 'S', .dxfer_direction = direction,
		.cmdp = command, .cmd_len = COMMAND_SIZE, .dxferp = data, .dxfer_len = size,
		.sbp = sense, .mx_sb_len = sizeof(sense), .timeout = TIMEOUT,
	};
	int tries = TRIES;

	do {
		if (ioctl(fd, SG_IO, &io))
			return fail(why, "disk %s: its storage is no SCSI device (%m), and only these can be fenced; leave --fence out",
				    d->path);
	} while (io.info & SG_INFO_CHECK && sense_key(&io) == UNIT_ATTENTION && --tries);
	if (io.status == CONFLICT)
		return CONFLICT;
	return (io.info & SG_INFO_OK_MASK) == SG_INFO_OK ? 0 : refuse_answer(d, &io, why);
}

/* PERSISTENT RESERVE IN. Returns bytes of the list in @answer behind its head, or -1. */
static int ask(const struct disk *d, int fd, unsigned int action,
	       uint8_t answer[ANSWER_SIZE], struct failure *why)
{
	uint8_t command[COMMAND_SIZE] = {
		PR_IN, (uint8_t)action, [7] = ANSWER_SIZE >> 8, [8] = ANSWER_SIZE & 0xff,
	};
	uint32_t length;
	int result;

	memset(answer, 0, ANSWER_SIZE);
	result = send_scsi(d, fd, command, SG_DXFER_FROM_DEV, answer, ANSWER_SIZE, why);
	if (result == CONFLICT)
		return fail(why, "disk %s: another host has it reserved, in the old way (RESERVE)",
			    d->path);
	if (result)
		return -1;
	memcpy(&length, answer + 4, sizeof(length));
	return be32toh(length) > INT_MAX ? INT_MAX : (int)be32toh(length);
}

static uint64_t key_at(const uint8_t *at)
{
	uint64_t key;

	memcpy(&key, at, sizeof(key));
	return be64toh(key);
}

static int read_registry(const struct disk *d, int fd, struct registry *r,
			 struct failure *why)
{
	uint8_t answer[ANSWER_SIZE];
	int length = ask(d, fd, READ_KEYS, answer, why);

	*r = (struct registry){ 0 };
	if (length < 0)
		return -1;
	if (length > KEYS_MAX * 8)
		return fail(why, "disk %s: more than %d keys are registered there", d->path,
			    KEYS_MAX);
	for (size_t at = 0; at < (size_t)length / 8; at++)
		r->key[r->keys++] = key_at(answer + ANSWER_HEAD + at * 8);
	length = ask(d, fd, READ_RESERVATION, answer, why);
	if (length >= 16)
		r->holder = key_at(answer + ANSWER_HEAD);
	return length < 0 ? -1 : 0;
}

static bool has_key(const struct registry *r, uint64_t key)
{
	for (unsigned int i = 0; i < r->keys; i++)
		if (r->key[i] == key)
			return true;
	return false;
}

/* ------------------------------------------------------------------------
 * Changing
 * ------------------------------------------------------------------------ */

/* Returns 0, CONFLICT, or -1 with @why. What failed otherwise was a unit attention, perhaps. */
static int command(const struct disk *d, int fd, unsigned long request, void *argument,
		   struct failure *why)
{
	int tries = TRIES, result;

	do
		result = ioctl(fd, request, argument);
	while (result > 0 && result != CONFLICT && --tries);
	if (!result || result == CONFLICT)
		return result;
	if (result > 0)
		return fail(why, "disk %s: its storage refuses a persistent reservation (status %#x)",
			    d->path, (unsigned int)result);
	return fail(why, "disk %s: no persistent reservation: %m%s", d->path,
		    errno == EOPNOTSUPP ? "; leave --fence out" : "");
}

static int must(int result, const struct disk *d, const char *what, struct failure *why)
{
	return result == CONFLICT ?
		fail(why, "disk %s: cannot %s: somebody else has changed its persistent reservations",
		     d->path, what) : result;
}

/* @key instead of whatever this host has there; its keys have been looked at. */
static int join(const struct disk *d, int fd, uint64_t key, struct failure *why)
{
	struct pr_registration r = { .new_key = key, .flags = PR_FL_IGNORE_KEY };

	return must(command(d, fd, IOC_PR_REGISTER, &r, why), d, "register with it", why);
}

static int clear(const struct disk *d, int fd, uint64_t key, struct failure *why)
{
	struct pr_clear c = { .key = key };

	return must(command(d, fd, IOC_PR_CLEAR, &c, why), d, "end its reservation from this host",
		    why);
}

static int reserve(const struct disk *d, int fd, uint64_t key, struct failure *why)
{
	struct pr_reservation r = { .key = key, .type = TYPE };

	return must(command(d, fd, IOC_PR_RESERVE, &r, why), d, "reserve it", why);
}

/* ------------------------------------------------------------------------
 * Probe, reserve, join, leave
 * ------------------------------------------------------------------------ */

static int admit(const struct disk *d, const struct registry *r, struct failure *why)
{
	for (unsigned int i = 0; i < r->keys; i++)
		if (!is_ours(r->key[i]))
			return fail(why, "disk %s: somebody else (a cluster, or the guest itself) has a key there, %#" PRIx64 "; leave --fence out",
				    d->path, r->key[i]);
	if (r->holder && side_of(r->holder) == FENCE_TARGET)
		return fail(why, "disk %s: it is still reserved against an earlier host of the VM; once that was restarted, kvmferry disk --disk NAME --unfence on the host of the VM",
			    d->path);
	return 0;
}

static int probe(const struct disk *d, int fd, struct registry *r, struct failure *why)
{
	return insist_on_whole(d, why) || read_registry(d, fd, r, why) || admit(d, r, why) ?
		-1 : 0;
}

int fence_probe(const struct disk *d, struct failure *why)
{
	int fd = open_device(d, why);
	struct registry r;
	int result;

	if (fd < 0)
		return -1;
	result = probe(d, fd, &r, why);
	close(fd);
	return result;
}

/* What an agent that died has left: keys, and perhaps the reservation. */
static int sweep(const struct disk *d, int fd, uint64_t key, const struct registry *r,
		 struct failure *why)
{
	if (!r->keys)
		return 0;
	log_info("disk %s: removing %u keys that an earlier migration has left there", d->path,
		 r->keys);
	return join(d, fd, key, why) || clear(d, fd, key, why) ? -1 : 0;
}

int fence_reserve(const struct disk *d, uint64_t key, struct failure *why)
{
	int fd = open_device(d, why);
	struct registry r;
	int result;

	if (fd < 0)
		return -1;
	result = probe(d, fd, &r, why) || sweep(d, fd, key, &r, why) ||
		 join(d, fd, key, why) || reserve(d, fd, key, why) ? -1 : 0;
	close(fd);
	return result;
}

static int insist_on_same(const struct disk *d, const struct registry *r, uint64_t theirs,
			  struct failure *why)
{
	return r->holder == theirs ? 0 :
		fail(why, "disk %s: the source has reserved it, but that does not show here; is it the same storage?",
		     d->path);
}

int fence_join(const struct disk *d, uint64_t key, uint64_t theirs, struct failure *why)
{
	int fd = open_device(d, why);
	struct registry r;
	int result;

	if (fd < 0)
		return -1;
	result = probe(d, fd, &r, why) || insist_on_same(d, &r, theirs, why) ||
		 join(d, fd, key, why) ? -1 : 0;
	close(fd);
	return result;
}

int fence_leave(const struct disk *d, uint64_t key, struct failure *why)
{
	struct pr_registration r = { .old_key = key };
	int fd = open_device(d, why);
	int result;

	if (fd < 0)
		return -1;
	result = must(command(d, fd, IOC_PR_REGISTER, &r, why), d, "take our key back", why);
	close(fd);
	return result;
}

/* ------------------------------------------------------------------------
 * Expel, lift
 * ------------------------------------------------------------------------ */

/* The storage's word that it has done it. */
static int prove(const struct disk *d, int fd, uint64_t key, uint64_t theirs,
		 struct failure *why)
{
	struct registry r;

	if (read_registry(d, fd, &r, why))
		return -1;
	return r.holder == key && !has_key(&r, theirs) ? 0 :
		fail(why, "disk %s: its storage says that the source was preempted, but shows it registered",
		     d->path);
}

#define PR_OUT			0x5f
#define PREEMPT_AND_ABORT	5
#define KEYS_SIZE		24	/* our key, the other's, flags */

static int preempt_and_abort(const struct disk *d, int fd, uint64_t key, uint64_t theirs,
			     struct failure *why)
{
	uint8_t command[COMMAND_SIZE] = { PR_OUT, PREEMPT_AND_ABORT, SCSI_TYPE, [8] = KEYS_SIZE };
	uint64_t keys[KEYS_SIZE / sizeof(uint64_t)] = { htobe64(key), htobe64(theirs) };

	return send_scsi(d, fd, command, SG_DXFER_TO_DEV, (uint8_t *)keys, KEYS_SIZE, why);
}

int fence_expel(const struct disk *d, uint64_t key, uint64_t theirs, struct failure *why)
{
	int fd = open_device(d, why);
	int result;

	if (fd < 0)
		return -1;
	result = preempt_and_abort(d, fd, key, theirs, why);
	if (result == CONFLICT)
		result = fail(why, "disk %s: the source cannot be fenced off, as its key or ours was removed there",
			      d->path);
	if (!result)
		result = prove(d, fd, key, theirs, why);
	close(fd);
	return result;
}

/* As the holder this host has that key; any other is refused by the storage. */
static int find_holder(const struct disk *d, int fd, uint64_t *key, struct failure *why)
{
	struct registry r;

	if (read_registry(d, fd, &r, why))
		return -1;
	*key = r.holder;
	return is_ours(r.holder) ? 0 :
		fail(why, "disk %s: no migration has it reserved", d->path);
}

int fence_lift(const struct disk *d, struct failure *why)
{
	int fd = open_device(d, why);
	uint64_t key;
	int result;

	if (fd < 0)
		return -1;
	result = find_holder(d, fd, &key, why) || clear(d, fd, key, why) ? -1 : 0;
	close(fd);
	return result;
}
