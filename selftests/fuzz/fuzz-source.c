// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzing a source whose target is hostile: `kvmferry send` as a whole, but for the network, QEMU and the
 * kernel module, against a script (script.h) that a peer plays. Guest RAM never changes and nothing is
 * sent of it: what the target says is all that there is.
 *
 * The properties, whatever the target says:
 *
 *  - after COMMIT the VM never runs here again, and before it always does in the end;
 *  - COMMIT comes only after the right digests, and after what is in doubt is guarded;
 *  - QEMU is ended only when the target has said that the VM runs there;
 *  - the owner record says the same, and no file or memory is left over.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attend.h"
#include "check.h"
#include "clock.h"
#include "outgoing.h"
#include "peer.h"
#include "scratch.h"
#include "script.h"
#include "vm.h"

#define REQUESTS	2	/* that are in doubt once the disk is cancelled */

/* The world around the agent. What both threads use is under the lock. */
static struct {
	pthread_mutex_t lock;
	pthread_t agent;
	struct script script;
	const struct source *source;
	int control;		/* the peer's end, -1 before it is there */
	int agents;		/* the agent's, until it has it */

	/* QEMU */
	int event;		/* an eventfd in the stead of its QMP socket */
	int device;		/* its end of the tunnel */
	enum outgoing_status status;
	bool gone;
	bool runs;
	bool quit;

	/* the kernel module */
	uint64_t pass;

	/* its disk: requests in doubt have the numbers 1 and 2 */
	int disk;		/* an eventfd: some have ended */
	bool cancelled;
	uint32_t ended;		/* bit (1 << number) */
	uint32_t acked;
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
 * In the stead of transport.c and sender.c
 * ------------------------------------------------------------------------ */

int transport_dial(struct connection *c, const struct transport_peer *peer,
		   const struct wire_preamble *preamble, int timeout_ms, struct failure *why)
{
	int pair[2];

	(void)peer;
	(void)timeout_ms;
	*c = CONNECTION_CLOSED;
	if (preamble->kind == WIRE_CONTROL) {
		c->fd = world.agents;
		world.agents = -1;
		return 0;
	}
	/* Nobody reads the streams, as nobody writes to them. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return fail(why, "no socket");
	close(pair[1]);
	c->fd = pair[0];
	return 0;
}

int transport_stream(int fd, uint64_t bytes_per_s, struct failure *why)
{
	(void)fd;
	(void)bytes_per_s;
	(void)why;
	return 0;
}

int sender_start(struct sender *s, struct failure *why)
{
	(void)s;
	(void)why;
	return 0;
}

void sender_stop(struct sender *s)
{
	connection_close(&s->link);
}

/* ------------------------------------------------------------------------
 * In the stead of outgoing.c, check.c and QMP
 * ------------------------------------------------------------------------ */

struct qmp *__wrap_qmp_open(const char *path, int timeout, struct failure *why);
void __wrap_qmp_close(struct qmp *qmp);
int __wrap_qmp_fd(const struct qmp *qmp);
bool __wrap_qmp_sending(const struct qmp *qmp);
int __wrap_qmp_pump(struct qmp *qmp, struct failure *why);
const char *__wrap_qmp_version(const struct qmp *qmp);
int __wrap_check_vm(struct qmp *qmp, enum journal_side side, const char *state_dir,
		    struct ramblocks *rams, struct vmdisks *disks, check_line_fn *line, void *opaque,
		    struct failure *why);
int __wrap_qemu_identity(struct qmp *qmp, char name[QEMU_NAME_SIZE], struct failure *why);
int __wrap_storage_expect(struct source *s, uint64_t *us, struct failure *why);
void __wrap_progress_pass(struct progress *p, const struct kernel_counts *counts,
			  unsigned int blackout_ms, bool ended);

struct qmp *__wrap_qmp_open(const char *path, int timeout, struct failure *why)
{
	(void)path;
	(void)timeout;
	(void)why;
	return (struct qmp *)&world;
}

void __wrap_qmp_close(struct qmp *qmp)
{
	(void)qmp;
}

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

int __wrap_qmp_pump(struct qmp *qmp, struct failure *why)
{
	uint64_t count;
	bool gone;

	(void)qmp;
	if (read(world.event, &count, sizeof(count)) < 0)
		return 0;
	lock();
	gone = world.gone;
	if (world.status != OUTGOING_NONE)
		((struct source *)world.source)->outgoing = world.status;
	unlock();
	return gone ? fail(why, "QEMU has gone") : 0;
}

const char *__wrap_qmp_version(const struct qmp *qmp)
{
	(void)qmp;
	return "0.0.0";
}

int __wrap_check_vm(struct qmp *qmp, enum journal_side side, const char *state_dir,
		    struct ramblocks *rams, struct vmdisks *disks, check_line_fn *line, void *opaque,
		    struct failure *why)
{
	(void)qmp;
	(void)side;
	(void)state_dir;
	(void)line;
	(void)opaque;
	(void)why;
	*rams = (struct ramblocks){
		.pid = getpid(), .count = 2, .total = FUZZ_RAM0_SIZE + FUZZ_RAM1_SIZE,
		.block = {
			{ .name = FUZZ_RAM0, .size = FUZZ_RAM0_SIZE, .fd = -1 },
			{ .name = FUZZ_RAM1, .size = FUZZ_RAM1_SIZE, .fd = -1 },
		},
	};
	*disks = (struct vmdisks){
		.count = 1,
		.disk = { {
			.name = FUZZ_DISK, .sectors = FUZZ_DISK_SECTORS, .disk = { .fd = world.disk },
			.kinds = FERRY_DISK_ALL_KINDS,
		} },
	};
	return 0;
}

int __wrap_qemu_identity(struct qmp *qmp, char name[QEMU_NAME_SIZE], struct failure *why)
{
	(void)qmp;
	(void)why;
	strcpy(name, "vm");
	return 0;
}

/* It would ask QEMU. */
int __wrap_storage_expect(struct source *s, uint64_t *us, struct failure *why)
{
	(void)s;
	(void)why;
	*us = 0;
	return 0;
}

void __wrap_progress_pass(struct progress *p, const struct kernel_counts *counts,
			  unsigned int blackout_ms, bool ended)
{
	(void)p;
	(void)counts;
	(void)blackout_ms;
	(void)ended;
}

void outgoing_watch(struct source *s)
{
	world.source = s;
}

int outgoing_look(struct source *s, bool *running, struct failure *why)
{
	(void)s;
	(void)why;
	*running = world.runs;
	return 0;
}

int outgoing_stop(struct source *s, struct failure *why)
{
	(void)why;
	world.runs = false;
	s->stopped = true;
	return 0;
}

int outgoing_stopped(struct source *s, struct failure *why)
{
	return attend(s, 0, why);
}

void outgoing_cont(struct source *s)
{
	if (s->committed)
		abort();
	if (s->stopped)
		world.runs = true;
	s->stopped = false;
}

int outgoing_migrate(struct source *s, struct failure *why)
{
	int qemu;

	if (tunnel_open(&s->tunnel, &qemu, why))
		return -1;
	lock();
	world.device = qemu;
	unlock();
	return attend(s, 0, why);
}

static bool is_over(const struct source *s)
{
	return s->outgoing == OUTGOING_FAILED || s->outgoing == OUTGOING_COMPLETED;
}

int outgoing_continue(struct source *s, struct failure *why)
{
	lock();
	if (world.device >= 0 && send(world.device, "QEVM", 4, MSG_NOSIGNAL) != 4)
		world.gone = true;
	unlock();
	if (attend_until(s, is_over, "QEMU did not hand over", why))
		return -1;
	return s->outgoing == OUTGOING_COMPLETED ? 0 : fail(why, "QEMU failed");
}

void outgoing_cancel(struct source *s)
{
	tunnel_close(&s->tunnel);
}

int outgoing_quit(struct source *s, struct failure *why)
{
	(void)why;
	if (!s->committed || !s->running || world.runs)
		abort();
	world.quit = true;
	return 0;
}

/* ------------------------------------------------------------------------
 * In the stead of kernel.c: RAM that hashes to 0 and is sent at once
 * ------------------------------------------------------------------------ */

int kernel_open(struct kernel *k, struct failure *why)
{
	(void)why;
	*k = (struct kernel){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .info.codecs = 1 };
	return 0;
}

void kernel_close(struct kernel *k)
{
	peer_shut(&k->fd);
}

int kernel_attach(struct kernel *k, pid_t pid, uint64_t codecs, const uint8_t key[FERRY_KEY_SIZE],
		  struct failure *why)
{
	(void)k;
	(void)pid;
	(void)key;
	return codecs ? 0 : fail(why, "no codec");
}

int kernel_add_ram(struct kernel *k, unsigned int id, const struct ramblock *b, struct failure *why)
{
	(void)k;
	(void)id;
	(void)b;
	(void)why;
	return 0;
}

int kernel_add_channel(struct kernel *k, size_t size, struct channel *c, struct failure *why)
{
	(void)k;
	(void)size;
	(void)why;
	c->fd = -1;
	return 0;
}

int kernel_pass(struct kernel *k, bool final, uint64_t *pass, struct failure *why)
{
	(void)final;
	(void)why;
	lock();
	*pass = ++world.pass;
	unlock();
	peer_ring(k->fd);
	return 0;
}

int kernel_counts(struct kernel *k, bool scan, struct kernel_counts *counts, struct failure *why)
{
	(void)k;
	(void)scan;
	(void)why;
	*counts = (struct kernel_counts){ .status = { .pass = (uint32_t)world.pass } };
	return 0;
}

int kernel_digest(struct kernel *k, unsigned int id, bool full, uint8_t digest[FERRY_HASH_SIZE],
		  struct failure *why)
{
	(void)k;
	(void)id;
	(void)full;
	(void)why;
	memset(digest, 0, FERRY_HASH_SIZE);
	return 0;
}

int kernel_workers(struct kernel *k, unsigned int cpu_limit, int nice, struct failure *why)
{
	(void)k;
	(void)cpu_limit;
	(void)nice;
	(void)why;
	return 0;
}

int kernel_group(struct kernel *k, const struct ferry_group *group, struct failure *why)
{
	(void)k;
	(void)group;
	(void)why;
	return 0;
}

/* A module that cannot tell. */
int kernel_group_map(struct kernel *k, unsigned int id, uint64_t first, uint64_t count,
		     struct ferry_group_cell *cells, struct failure *why)
{
	(void)k;
	(void)id;
	(void)first;
	(void)count;
	(void)cells;
	(void)why;
	return 1;
}

int kernel_limit(struct kernel *k, uint64_t pages_per_s, unsigned int max_slowdown, struct failure *why)
{
	(void)k;
	(void)pages_per_s;
	(void)max_slowdown;
	(void)why;
	return 0;
}

/* ------------------------------------------------------------------------
 * In the stead of disk.c
 * ------------------------------------------------------------------------ */

int disk_open(struct disk *d, const char *path, struct failure *why)
{
	(void)d;
	(void)path;
	return fail(why, "not here");
}

void disk_close(struct disk *d)
{
	(void)d;
}

int disk_status(const struct disk *d, struct ferry_disk_status *status, struct failure *why)
{
	(void)d;
	(void)why;
	*status = (struct ferry_disk_status){ 0 };
	return 0;
}

int disk_cancel(const struct disk *d, uint32_t kinds, bool fail_flushes, struct ferry_disk_cancel *result,
		struct failure *why)
{
	(void)d;
	(void)kinds;
	(void)fail_flushes;
	(void)why;
	*result = (struct ferry_disk_cancel){ .cancelled = world.cancelled ? 0 : REQUESTS };
	world.cancelled = true;
	return 0;
}

int disk_resume(const struct disk *d, struct failure *why)
{
	(void)d;
	(void)why;
	if (world.source->committed)
		abort();
	world.cancelled = false;
	return 0;
}

struct ferry_disk_request *disk_list(const struct disk *d, uint32_t states, unsigned int *count,
				     struct failure *why)
{
	struct ferry_disk_request *list = calloc(REQUESTS + 1, sizeof(*list));
	uint64_t bell;

	(void)d;
	(void)why;
	if (!list || (read(world.disk, &bell, sizeof(bell)) < 0 && !world.cancelled))
		abort();
	*count = 0;
	lock();
	for (unsigned int n = 1; n <= REQUESTS; n++) {
		uint32_t state = world.ended >> n & 1 ? FERRY_DISK_ENDED : FERRY_DISK_IN_DOUBT;

		if (!(world.acked >> n & 1) && states >> state & 1)
			list[(*count)++] = (struct ferry_disk_request){
				.number = n, .sector = 8 * n, .sectors = 8, .kind = FERRY_DISK_WRITE,
				.state = state,
			};
	}
	unlock();
	return list;
}

int disk_ack(const struct disk *d, uint64_t number, struct failure *why)
{
	(void)d;
	lock();
	if (!(world.ended >> number & 1) || world.acked >> number & 1) {
		unlock();
		return fail(why, "no such request has ended");
	}
	world.acked |= 1u << number;
	unlock();
	return 0;
}

/* ------------------------------------------------------------------------
 * The peer, in a thread of its own
 * ------------------------------------------------------------------------ */

static void qemu_is(uint8_t how)
{
	lock();
	world.gone = how == 2;
	if (world.status == OUTGOING_NONE)
		world.status = how ? OUTGOING_FAILED : OUTGOING_COMPLETED;
	unlock();
	peer_ring(world.event);
}

/* The storage ends one of its requests. */
static void disk_ends(uint8_t number)
{
	lock();
	world.ended |= 1u << number;
	unlock();
	peer_ring(world.disk);
}

/* Until the source has begun this pass, of which it does not say a word. */
static void await_pass(uint64_t pass, int *patience)
{
	int64_t deadline = clock_ms() + *patience;
	bool begun = false;

	while (!begun && clock_left(deadline)) {
		lock();
		begun = world.pass >= pass;
		unlock();
		if (!begun)
			poll(NULL, 0, 1);
	}
	*patience = clock_left(deadline);
}

static void take(const struct script_step *step, int *patience)
{
	switch (step->what) {
	case SCRIPT_FRAME:
		peer_say_frame(world.control, step);
		break;
	case SCRIPT_RAW:
		peer_say(world.control, step->bytes, step->length);
		break;
	case SCRIPT_WAIT:
		peer_hear_frame(world.control, patience);
		break;
	case SCRIPT_PASS:
		await_pass(step->length ? step->bytes[0] : 0, patience);
		break;
	case SCRIPT_DEVICE:
		lock();
		if (!step->length)
			peer_shut(&world.device);
		unlock();
		break;
	case SCRIPT_QEMU:
		qemu_is(step->length ? step->bytes[0] % 3 : 0);
		break;
	case SCRIPT_STREAM:
		disk_ends(step->length ? 1 + step->bytes[0] % REQUESTS : 1);
		break;
	case SCRIPT_SIGNAL:
		pthread_kill(world.agent, SIGTERM);
		break;
	default:
		break;
	}
	lock();
	peer_drain(world.device);
	unlock();
}

/* After the last step the peer is gone, QEMU has decided, the storage has ended all, the operator leaves. */
static void *play(void *unused)
{
	struct script_step step;
	int patience = PEER_PATIENCE;

	(void)unused;
	while (script_next(&world.script, &step))
		take(&step, &patience);
	peer_shut(&world.control);
	lock();
	peer_shut(&world.device);
	unlock();
	qemu_is(1);
	for (uint8_t n = 1; n <= REQUESTS; n++)
		disk_ends(n);
	pthread_kill(world.agent, SIGTERM);
	return NULL;
}

/* ------------------------------------------------------------------------
 * One run
 * ------------------------------------------------------------------------ */

static void set_up(const uint8_t *data, size_t size)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		abort();
	world.agent = pthread_self();
	world.script = (struct script){ data, data + size };
	world.source = NULL;
	world.control = pair[0];
	world.agents = pair[1];
	world.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	world.disk = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	world.device = -1;
	world.status = OUTGOING_NONE;
	world.gone = world.quit = world.cancelled = false;
	world.runs = true;
	world.pass = 0;
	world.ended = world.acked = 0;
}

static void clean_up(void)
{
	peer_shut(&world.agents);
	peer_shut(&world.device);
	close(world.event);
	close(world.disk);
	peer_signals_end();
}

/* There is at most one record: its state, or -1 without any. */
static int record_state(void)
{
	struct journal j;
	char path[PATH_MAX];

	if (!scratch_only(path, sizeof(path)))
		return -1;
	if (journal_read(&j, path, NULL))
		abort();
	return j.state;
}

static void judge(enum exit_status status)
{
	int state = record_state();

	switch (status) {
	case EXIT_DONE:
	case EXIT_HELD:
		if (state != JOURNAL_GONE || world.runs || !world.quit)
			abort();
		break;
	case EXIT_DOUBT:
		if (state != JOURNAL_COMMITTED || world.runs || world.quit)
			abort();
		break;
	default:
		if (state >= 0 || !world.runs || world.quit || world.cancelled)
			abort();
	}
	scratch_empty();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct source_options options = {
		.qmp = "qemu", .to = "there", .state_dir = scratch_dir(), .channels = 1,
		.ring_bytes = FERRY_RING_MIN, .codecs = 1, .downtime_ms = 300, .max_passes = 3,
		.timeout_ms = 1000, .verify = size && data[0] == SCRIPT_WAIT,
	};
	int files = scratch_files();
	enum exit_status status;
	pthread_t peer;

	scratch_hush();
	set_up(data, size);
	peer_signals_begin();
	if (pthread_create(&peer, NULL, play, NULL))
		abort();
	status = source_run(&options);
	pthread_join(peer, NULL);
	judge(status);
	clean_up();
	if (scratch_files() != files)
		abort();
	return 0;
}
