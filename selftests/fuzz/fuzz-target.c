// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzing a target whose source is hostile: `kvmferry receive` as a whole, with threads and
 * all, against a script (script.h) that a peer plays. Not there are the listening
 * socket, QEMU and the disks' kernel module: what they do is written down here instead.
 *
 * The properties, whatever the source says:
 *
 *  - the VM runs only after a COMMIT, with a durable record that says so, and with all guarded
 *    that was told to be in doubt;
 *  - if it does not come here, QEMU is ended, its RAM is empty, no record is left and nothing
 *    stays guarded;
 *  - no file, thread or memory is left over.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer.h"
#include "repair.h"
#include "sandbox.h"
#include "scratch.h"
#include "script.h"
#include "target.h"
#include "vm.h"

#define MAX_GUARDS	4096
#define MAX_STREAMS	8

/* The world around the agent. What both threads use is under the lock. */
static struct {
	pthread_mutex_t lock;
	pthread_t agent;
	struct script script;

	/* connections: the peer's ends, and those that wait to be accepted */
	int control;
	int stream[MAX_STREAMS];
	uint32_t sequence[MAX_STREAMS];
	struct arrival waiting[MAX_STREAMS + 4];
	unsigned int arrivals;	/* how many of them */
	int knock;		/* an eventfd: someone waits */

	/* QEMU */
	int ram;
	int event;		/* an eventfd in the stead of its QMP socket */
	int device;		/* its end of the tunnel */
	enum incoming_status status;
	bool gone;
	bool started;
	bool quit;
	bool ran;

	/* disks */
	uint64_t guarded[MAX_GUARDS];
	unsigned int guards;

	/* what the source has said */
	bool commit;
	bool doubt_end;
	bool raw;		/* nobody knows what */
} world = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void lock(void)
{
	pthread_mutex_lock(&world.lock);
}

static void unlock(void)
{
	pthread_mutex_unlock(&world.lock);
}

/* ------------------------------------------------------------------------
 * In the stead of acceptor.c
 * ------------------------------------------------------------------------ */

int acceptor_open(struct acceptor *a, const char *where, struct tls *tls, bool insecure,
		  struct failure *why)
{
	(void)where;
	(void)tls;
	(void)insecure;
	(void)why;
	a->fd = dup(world.knock);
	a->listener = a->fd;
	return 0;
}

bool acceptor_next(struct acceptor *a, struct arrival *arrival)
{
	uint64_t count;
	bool any;

	(void)a;
	lock();
	any = world.arrivals;
	if (any) {
		*arrival = world.waiting[0];
		memmove(&world.waiting[0], &world.waiting[1],
			--world.arrivals * sizeof(world.waiting[0]));
	} else if (read(world.knock, &count, sizeof(count)) < 0) {
		any = false;
	}
	unlock();
	return any;
}

void acceptor_refuse(struct acceptor *a, struct connection *link, const char *peer,
		     const char *because)
{
	(void)a;
	(void)peer;
	(void)because;
	connection_close(link);
}

int acceptor_timeout(const struct acceptor *a)
{
	(void)a;
	return -1;
}

void acceptor_close(struct acceptor *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	a->listener = -1;
}

/* ------------------------------------------------------------------------
 * In the stead of incoming.c, and of QMP
 * ------------------------------------------------------------------------ */

static void name_block(struct ramblock *b, const char *name, uint64_t offset, uint64_t size)
{
	struct stat st;

	if (fstat(world.ram, &st))
		abort();
	*b = (struct ramblock){
		.size = size, .offset = offset, .fd = world.ram, .device = st.st_dev,
		.inode = st.st_ino,
	};
	strcpy(b->name, name);
}

int incoming_open(struct incoming *in, const char *path, const char *state_dir,
		  struct failure *why)
{
	(void)path;
	(void)state_dir;
	(void)why;
	*in = (struct incoming){ .vm = "vm", .rams = { .pid = getpid(), .count = 2 } };
	name_block(&in->rams.block[0], FUZZ_RAM0, 0, FUZZ_RAM0_SIZE);
	name_block(&in->rams.block[1], FUZZ_RAM1, FUZZ_RAM0_SIZE, FUZZ_RAM1_SIZE);
	in->rams.total = FUZZ_RAM0_SIZE + FUZZ_RAM1_SIZE;
	in->disks.count = 1;
	strcpy(in->disks.disk[0].name, FUZZ_DISK);
	in->disks.disk[0].sectors = FUZZ_DISK_SECTORS;
	return 0;
}

/* incoming.c's own would bring the rest of that file with it. */
int incoming_pair(const struct incoming *in, const struct wire_hello *hello,
		  struct apply_ram rams[FERRY_MAX_RAM], struct failure *why)
{
	if (hello->rams != in->rams.count)
		return fail(why, "another number of RAM blocks");
	for (unsigned int i = 0; i < hello->rams; i++) {
		const struct ramblock *ours = &in->rams.block[strcmp(hello->ram[i].name, FUZZ_RAM0) != 0];

		if (strcmp(hello->ram[i].name, ours->name) != 0 || hello->ram[i].size != ours->size)
			return fail(why, "another RAM block");
		rams[i] = (struct apply_ram){ ours->fd, ours->offset, ours->size };
	}
	return 0;
}

int incoming_start(struct incoming *in, int fd, struct failure *why)
{
	(void)in;
	(void)why;
	lock();
	world.device = dup(fd);
	world.started = true;
	unlock();
	return 0;
}

int incoming_query(struct incoming *in, struct failure *why)
{
	lock();
	in->status = world.status;
	unlock();
	return in->status == INCOMING_FAILED ? fail(why, "QEMU failed") : 0;
}

int incoming_pump(struct incoming *in, struct failure *why)
{
	uint64_t count;
	bool gone;

	lock();
	gone = world.gone;
	unlock();
	if (read(world.event, &count, sizeof(count)) < 0)
		return 0;
	return gone ? fail(why, "QEMU has gone") : incoming_query(in, why);
}

/* The one record in the folder; false without one that can be read. */
static bool read_record(struct journal *j)
{
	struct journal at;

	if (journal_init(&at, scratch_dir(), JOURNAL_TARGET, "vm", (const uint8_t *)FUZZ_ID, "peer",
			 getpid(), NULL))
		abort();
	return !journal_read(j, at.path, NULL);
}

int incoming_run(struct incoming *in, unsigned int timeout_s, struct failure *why)
{
	struct journal j;

	(void)timeout_s;
	lock();
	if (world.ran || world.quit || in->status != INCOMING_COMPLETED ||
	    !(world.commit || world.raw) || (world.guards && !(world.doubt_end || world.raw)))
		abort();
	if (!read_record(&j) || j.state != JOURNAL_OWNS)
		abort();
	in->asked = true;
	world.ran = !world.gone;
	unlock();
	return world.ran ? 0 : fail(why, "QEMU has gone");
}

void incoming_quit(struct incoming *in)
{
	(void)in;
	if (world.ran)
		abort();
	world.quit = true;
}

void incoming_close(struct incoming *in)
{
	(void)in;
}

int __wrap_qmp_fd(const struct qmp *qmp);
bool __wrap_qmp_sending(const struct qmp *qmp);
pid_t __wrap_sandbox_fork(struct failure *why);
int __wrap_sandbox_enter(const struct sandbox *s, struct failure *why);
int __wrap_sandbox_seal(struct failure *why);

int __wrap_qmp_fd(const struct qmp *qmp)
{
	(void)qmp;
	return world.event;
}

bool __wrap_qmp_sending(const struct qmp *qmp)
{
	(void)qmp;
	return false;
}

/* The decoder is a process like any other; what it reads is for fuzz-apply to find. */
pid_t __wrap_sandbox_fork(struct failure *why)
{
	(void)why;
	return fork();
}

int __wrap_sandbox_enter(const struct sandbox *s, struct failure *why)
{
	(void)s;
	(void)why;
	return 0;
}

int __wrap_sandbox_seal(struct failure *why)
{
	(void)why;
	return 0;
}

/* ------------------------------------------------------------------------
 * In the stead of disk.c
 * ------------------------------------------------------------------------ */

static unsigned int find_guard(uint64_t id)
{
	unsigned int i;

	for (i = 0; i < world.guards && world.guarded[i] != id; i++)
		;
	return i;
}

int disk_guard(const struct disk *d, const struct ferry_disk_range *ranges, unsigned int count,
	       struct failure *why)
{
	unsigned int before = world.guards;

	(void)d;
	for (unsigned int i = 0; i < count; i++) {
		if (world.guards == MAX_GUARDS || find_guard(ranges[i].id) < world.guards ||
		    !ranges[i].sectors || ranges[i].sector >= FUZZ_DISK_SECTORS ||
		    ranges[i].sectors > FUZZ_DISK_SECTORS - ranges[i].sector) {
			world.guards = before;
			return fail(why, "the kernel refuses a range");
		}
		world.guarded[world.guards++] = ranges[i].id;
	}
	return 0;
}

int disk_unguard(const struct disk *d, uint64_t id, struct failure *why)
{
	unsigned int i = find_guard(id);

	(void)d;
	if (i == world.guards)
		return fail(why, "the kernel knows no such range");
	world.guarded[i] = world.guarded[--world.guards];
	return 0;
}

struct ferry_disk_range *disk_ranges(const struct disk *d, unsigned int *count, struct failure *why)
{
	struct ferry_disk_range *ranges = calloc(world.guards + 1, sizeof(*ranges));

	(void)d;
	(void)why;
	if (!ranges)
		abort();
	*count = world.guards;
	for (unsigned int i = 0; i < world.guards; i++)
		ranges[i].id = world.guarded[i];
	return ranges;
}

int disk_open(struct disk *d, const char *path, struct failure *why)
{
	(void)d;
	(void)path;
	return fail(why, "not here");
}

int disk_status(const struct disk *d, struct ferry_disk_status *status, struct failure *why)
{
	(void)d;
	(void)status;
	return fail(why, "not here");
}

void disk_close(struct disk *d)
{
	(void)d;
}

/* ------------------------------------------------------------------------
 * The peer, in a thread of its own
 * ------------------------------------------------------------------------ */

/* A connection to the agent. Returns our end. */
static int dial(enum wire_kind kind, unsigned int channel)
{
	struct arrival *arrival;
	int pair[2];

	lock();
	if (world.arrivals == sizeof(world.waiting) / sizeof(world.waiting[0])) {
		unlock();
		return -1;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		abort();
	arrival = &world.waiting[world.arrivals++];
	*arrival = (struct arrival){
		.link = { .fd = pair[1] },
		.preamble = { .version = WIRE_VERSION, .kind = kind, .channel = channel },
		.peer = "peer",
	};
	memcpy(arrival->preamble.id, FUZZ_ID, WIRE_ID_SIZE);
	unlock();
	peer_ring(world.knock);
	return pair[0];
}

static void say_frame(const struct script_step *step)
{
	if (!step->length)
		return;
	lock();
	world.commit |= step->bytes[0] == WIRE_COMMIT;
	world.doubt_end |= step->bytes[0] == WIRE_DOUBT_END;
	unlock();
	peer_say_frame(world.control, step);
}

static void say_records(const struct script_step *step)
{
	unsigned int n;
	uint8_t *copy;

	if (!step->length)
		return;
	n = step->bytes[0] % MAX_STREAMS;
	copy = malloc(step->length);
	if (!copy)
		abort();
	memcpy(copy, step->bytes + 1, step->length - 1);
	world.sequence[n] = repair_records(copy, step->length - 1, world.sequence[n]);
	if (world.stream[n] < 0) {
		world.stream[n] = dial(WIRE_STREAM, n);
		world.sequence[n] = repair_records(copy, step->length - 1, 0);
	}
	peer_say(world.stream[n], copy, step->length - 1);
	free(copy);
}

static void qemu_writes(const struct script_step *step)
{
	lock();
	if (step->length)
		peer_say(world.device, step->bytes, step->length);
	else
		peer_shut(&world.device);
	unlock();
}

static void qemu_is(uint8_t how)
{
	lock();
	world.gone = how == 2;
	if (world.status == INCOMING_NONE)
		world.status = how ? INCOMING_FAILED : INCOMING_COMPLETED;
	unlock();
	peer_ring(world.event);
}

static void take(const struct script_step *step, int *patience)
{
	switch (step->what) {
	case SCRIPT_FRAME:
		say_frame(step);
		break;
	case SCRIPT_RAW:
		lock();
		world.raw = true;
		unlock();
		peer_say(world.control, step->bytes, step->length);
		break;
	case SCRIPT_WAIT:
		peer_hear_frame(world.control, patience);
		break;
	case SCRIPT_STREAM:
		say_records(step);
		break;
	case SCRIPT_DEVICE:
		qemu_writes(step);
		break;
	case SCRIPT_QEMU:
		qemu_is(step->length ? step->bytes[0] % 3 : 0);
		break;
	case SCRIPT_CLOSE:
		peer_shut(step->length ? &world.stream[step->bytes[0] % MAX_STREAMS] : &world.control);
		break;
	case SCRIPT_STRANGER:
		peer_shut(&world.control);
		world.control = dial(WIRE_CONTROL, 0);
		break;
	case SCRIPT_SIGNAL:
		pthread_kill(world.agent, SIGTERM);
		break;
	default:
		break;
	}
	/* QEMU reads what it is given. */
	lock();
	peer_drain(world.device);
	unlock();
}

/* After the last step everything is gone at once, and QEMU has decided. */
static void *play(void *unused)
{
	struct script_step step;
	int patience = PEER_PATIENCE;

	(void)unused;
	while (script_next(&world.script, &step))
		take(&step, &patience);
	lock();
	peer_shut(&world.device);
	unlock();
	qemu_is(1);
	peer_shut(&world.control);
	for (unsigned int i = 0; i < MAX_STREAMS; i++)
		peer_shut(&world.stream[i]);
	pthread_kill(world.agent, SIGTERM);
	return NULL;
}

/* ------------------------------------------------------------------------
 * One run
 * ------------------------------------------------------------------------ */

static void set_up(const uint8_t *data, size_t size)
{
	world.agent = pthread_self();
	world.script = (struct script){ data, data + size };
	world.arrivals = 0;
	for (unsigned int i = 0; i < MAX_STREAMS; i++)
		world.stream[i] = -1;
	world.knock = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	world.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	world.ram = memfd_create("ram", MFD_CLOEXEC);
	if (world.knock < 0 || world.event < 0 || world.ram < 0 ||
	    ftruncate(world.ram, FUZZ_RAM0_SIZE + FUZZ_RAM1_SIZE))
		abort();
	world.device = -1;
	world.status = INCOMING_NONE;
	world.gone = world.started = world.quit = world.ran = false;
	world.commit = world.doubt_end = world.raw = false;
	world.guards = 0;
	world.control = dial(WIRE_CONTROL, 0);
}

static void clean_up(void)
{
	while (world.arrivals)
		close(world.waiting[--world.arrivals].link.fd);
	peer_shut(&world.device);
	close(world.knock);
	close(world.event);
	close(world.ram);
	peer_signals_end();
}

static bool ram_is_empty(void)
{
	struct stat st;

	return !fstat(world.ram, &st) && !st.st_blocks;
}

static void judge(enum exit_status status)
{
	struct journal j;
	bool recorded = read_record(&j);

	switch (status) {
	case EXIT_DONE:
	case EXIT_HELD:
		if (!recorded || j.state != JOURNAL_RUNNING || world.quit ||
		    (status == EXIT_DONE) != !world.guards)
			abort();
		break;
	case EXIT_DOUBT:
		if (!recorded || j.state != JOURNAL_OWNS || world.ran || world.quit)
			abort();
		break;
	default:
		if (recorded || world.ran || world.guards || !ram_is_empty() ||
		    world.started > world.quit)
			abort();
	}
	if (scratch_empty() != recorded)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct target_options options = {
		.qmp = "qemu", .listen = "here", .state_dir = scratch_dir(), .timeout_s = 1,
	};
	int files = scratch_files();
	enum exit_status status;
	pthread_t peer;

	scratch_hush();
	set_up(data, size);
	peer_signals_begin();
	if (pthread_create(&peer, NULL, play, NULL))
		abort();
	status = target_run(&options);
	pthread_join(peer, NULL);
	judge(status);
	clean_up();
	if (scratch_files() != files)
		abort();
	return 0;
}
