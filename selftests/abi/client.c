// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One client. What it has open stands in slots, which its threads share without any lock: that a file is
 * closed, mapped or used by two at a time is what is tried here.
 */
#include "client.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "die.h"
#include "ferry.h"
#include "mutate.h"

#define SLOTS		4
#define THREADS		2
#define RAM_SIZE	(3 * RAM_CHUNK / 2)
#define MAX_RING	(512u << 10)
#define MAX_MAP		(FERRY_RING_DATA + 2 * MAX_RING)

static struct {
	const struct toys *toys;
	uint64_t seed;
	unsigned int steps;
	struct ram ram;		/* of the VM that this process is */
	int mem[2];		/* of ourselves, and of the guest */
	int device[SLOTS];
	int channel[SLOTS];
	uint64_t size[SLOTS];	/* of the channel's ring */
	void *ring[SLOTS];
	int disk[SLOTS];
} me;

/* ------------------------------------------------------------------------
 * The VM that is this process
 * ------------------------------------------------------------------------ */

static void punch(int fd, uint64_t size)
{
	uint64_t at = draw_below(size / RAM_PAGE), pages = 1 + draw_below(size / RAM_PAGE - at);

	fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at * RAM_PAGE, pages * RAM_PAGE);
}

/* What is no longer mapped, or no longer there, is no reason to die: the thread goes on after it. */
static __thread sigjmp_buf way_out;
static __thread volatile bool careful;

static void on_fault(int signal)
{
	if (careful)
		siglongjmp(way_out, 1);
	_exit(128 + signal);
}

static void write_ram(void)
{
	volatile uint8_t *at = me.ram.map;

	careful = true;
	if (!sigsetjmp(way_out, 1))
		for (unsigned int i = 0; i < 200; i++)
			at[draw_below(RAM_SIZE)] = draw();
	careful = false;
}

static void change_ram(void)
{
	uint64_t page = draw_below(RAM_SIZE / RAM_PAGE);

	switch (draw_below(20)) {
	case 0:
		munmap(me.ram.map + page * RAM_PAGE, RAM_PAGE);
		break;
	case 1:
		mmap(me.ram.map, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, me.ram.fd, 0);
		break;
	case 2:
		mprotect(me.ram.map + page * RAM_PAGE, RAM_PAGE, PROT_READ);
		break;
	case 3:
		mprotect(me.ram.map, RAM_SIZE, PROT_READ | PROT_WRITE);
		break;
	case 4:
		mmap(NULL, RAM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, me.ram.fd, page * RAM_PAGE);
		break;
	case 5:
		madvise(me.ram.map, RAM_SIZE, MADV_PAGEOUT);
		break;
	case 6:
		if (ftruncate(me.ram.fd, draw_rarely(2) ? RAM_SIZE : page * RAM_PAGE))
			die("truncate");
		break;
	case 7:
		if (!fork())
			_exit(0);
		break;
	case 8:
		punch(me.toys->vm.ram[me.toys->spare].fd, me.toys->vm.ram[me.toys->spare].size);
		break;
	default:
		punch(me.ram.fd, RAM_SIZE);
		write_ram();
	}
}

/* ------------------------------------------------------------------------
 * /dev/kvmferry
 * ------------------------------------------------------------------------ */

static int slot(void)
{
	return draw_below(SLOTS);
}

static void replace(int *file, int by)
{
	int old = __atomic_exchange_n(file, by, __ATOMIC_RELAXED);

	if (old > 2)
		close(old);
}

/* To the guest, or to this process. */
static void attach(int fd, bool guest)
{
	struct ferry_attach attach = {
		.pid = guest ? me.toys->vm.pid : getpid(), .mem_fd = me.mem[guest],
		.codecs = draw_below(1 << FERRY_NR_CODECS) | 1,
	};

	mutated_ioctl(fd, FERRY_ATTACH, &attach);
}

static void add_ram(int fd, bool guest)
{
	const struct ram *ram = guest ? &me.toys->vm.ram[draw_below(me.toys->vm.rams)] : &me.ram;
	struct ferry_add_ram add = {
		.fd = ram->fd, .id = draw_below(3), .address = (uintptr_t)ram->map,
		.size = ram->size, .offset = ram->offset,
	};

	mutated_ioctl(fd, FERRY_ADD_RAM, &add);
}

static void unmap_ring(int i)
{
	void *ring = __atomic_exchange_n(&me.ring[i], NULL, __ATOMIC_RELAXED);

	if (ring)
		munmap(ring, FERRY_RING_DATA + 2 * me.size[i]);
}

static void add_channel(int fd, int i)
{
	struct ferry_add_channel add = { .size = FERRY_RING_MIN << draw_below(4) };
	long file = mutated_ioctl(fd, FERRY_ADD_CHANNEL, &add);

	if (file < 0)
		return;
	/* A large one is as good as any, but many would be all the memory there is. */
	if (add.size > MAX_RING) {
		close(file);
		return;
	}
	unmap_ring(i);
	me.size[i] = add.size;
	replace(&me.channel[i], file);
}

static void ask(int fd)
{
	static struct ferry_group_cell cells[4];
	static uint64_t bitmap[64];
	struct ferry_status status = { .flags = draw_below(2) };
	struct ferry_pending pending = {
		.block = draw_below(3), .count = 64 * draw_below(13), .bitmap = (uintptr_t)bitmap,
	};
	struct ferry_digest digest = { .block = draw_below(3), .flags = draw_below(2) };
	struct ferry_group_stats groups = { 0 };
	struct ferry_group_map map = {
		.block = draw_below(3), .first = draw_below(2), .count = draw_below(4),
		.cells = (uintptr_t)cells,
	};
	struct ferry_compression_stats compression = { 0 };
	struct ferry_vm_stats vm = { .pid = draw_rarely(2) ? me.toys->vm.pid : 0 };
	struct ferry_info info = { 0 };

	switch (draw_below(8)) {
	case 0:
		mutated_ioctl(fd, FERRY_STATUS, &status);
		break;
	case 1:
		mutated_ioctl(fd, FERRY_PENDING, &pending);
		break;
	case 2:
		mutated_ioctl(fd, FERRY_DIGEST, &digest);
		break;
	case 3:
		mutated_ioctl(fd, FERRY_GROUP_STATS, &groups);
		break;
	case 4:
		mutated_ioctl(fd, FERRY_COMPRESSION_STATS, &compression);
		break;
	case 5:
		mutated_ioctl(fd, FERRY_VM_STATS, &vm);
		break;
	case 6:
		mutated_ioctl(fd, FERRY_GROUP_MAP, &map);
		break;
	default:
		mutated_ioctl(fd, FERRY_INFO, &info);
	}
}

static void set(int fd)
{
	uint32_t policy = draw_below(4);
	struct ferry_group group = {
		.policy = policy, .order = policy == FERRY_GROUP_STATIC ? draw_below(10) : 0,
		.read_order = draw_below(10), .flags = draw_below(2), .floor = draw_below(1000),
	};
	struct ferry_limit limit = {
		.pages_per_s = 100 + draw_below(100000), .max_slowdown = 1 + draw_below(99),
	};
	struct ferry_workers workers = { .cpu_limit = draw_below(120), .nice = draw_below(20) };

	switch (draw_below(3)) {
	case 0:
		mutated_ioctl(fd, FERRY_GROUP, &group);
		break;
	case 1:
		mutated_ioctl(fd, FERRY_LIMIT, &limit);
		break;
	default:
		mutated_ioctl(fd, FERRY_WORKERS, &workers);
	}
}

/* The ring is the kernel's: whoever could write to it would be believed by nobody, but may not all the same. */
static void map_ring(int i)
{
	uint64_t size = FERRY_RING_DATA + 2 * me.size[i];
	void *map;

	if (draw_rarely(3)) {
		map = mmap(NULL, draw_rarely(2) ? size : draw_odd() % MAX_MAP, draw_below(8),
			   draw_rarely(2) ? MAP_SHARED : MAP_PRIVATE, me.channel[i],
			   draw_rarely(2) ? 0 : draw_below(64) * RAM_PAGE);
		if (map != MAP_FAILED)
			munmap(map, RAM_PAGE);
		return;
	}
	unmap_ring(i);
	map = mmap(NULL, size, PROT_READ, MAP_SHARED, me.channel[i], 0);
	if (map == MAP_FAILED)
		return;
	if (!mprotect(map, size, PROT_READ | PROT_WRITE) ||
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, me.channel[i], 0) != MAP_FAILED)
		die("a ring can be written to");
	me.ring[i] = map;
}

static void look_at_ring(int i)
{
	struct pollfd p = { .fd = me.channel[i], .events = POLLIN };
	const volatile uint8_t *ring = me.ring[i];

	poll(&p, 1, draw_below(2));
	careful = true;
	if (ring && !sigsetjmp(way_out, 1))
		for (unsigned int n = 0; n < 64; n++)
			(void)ring[draw_below(FERRY_RING_DATA + 2 * me.size[i])];
	careful = false;
}

/* What is there, a part of it, or what is not there. */
static void consume(int i)
{
	struct ferry_consume consume = { .bytes = draw_rarely(4) ? draw_odd() : 0, .idle_ns = draw_odd() };

	if (ferry_ioctl(me.channel[i], FERRY_CONSUME, &consume))
		return;
	consume.bytes = consume.head - consume.tail;
	if (consume.bytes && draw_rarely(4))
		consume.bytes = draw_below(consume.bytes);
	mutated_ioctl(me.channel[i], FERRY_CONSUME, &consume);
}

/* Any command to any file. */
static void confuse(void)
{
	static uint8_t junk[4096];
	int *files[] = { me.device, me.channel, me.disk };

	for (unsigned int i = 0; i < 64; i++)
		junk[i] = draw_odd();
	ferry_ioctl(files[draw_below(3)][slot()],
		    _IOC(_IOC_READ | _IOC_WRITE, FERRY_IOCTL_TYPE, draw_below(0x60),
			 draw_rarely(2) ? draw_below(512) : 8 * draw_below(32)), junk);
	if (read(files[draw_below(3)][slot()], junk, 64) > 0 ||
	    write(files[draw_below(3)][slot()], junk, 64) > 0)
		die("a file of the module can be read or written");
}

static void pass(int fd)
{
	struct ferry_pass pass = { .flags = draw_below(2) };
	struct pollfd p = { .fd = fd, .events = POLLIN };

	mutated_ioctl(fd, FERRY_PASS, &pass);
	poll(&p, 1, draw_below(3));
}

/* A pass to its end, if this is all its channels. */
static void whole_pass(int i)
{
	struct pollfd p = { .fd = me.device[i], .events = POLLIN };
	struct ferry_pass pass = { .flags = draw_below(2) };

	if (ferry_ioctl(me.device[i], FERRY_PASS, &pass))
		return;
	for (int times = 0; times < 100; times++) {
		struct ferry_consume consume = { 0 };

		if (ferry_ioctl(me.channel[i], FERRY_CONSUME, &consume))
			return;
		consume.bytes = consume.head - consume.tail;
		ferry_ioctl(me.channel[i], FERRY_CONSUME, &consume);
		if (poll(&p, 1, 1) > 0)
			return;
	}
}

/* From nothing to the first pass, so that the rest has something to do. */
static void begin(int i)
{
	bool guest = draw_rarely(2);

	replace(&me.device[i], open("/dev/kvmferry", O_RDWR | O_CLOEXEC));
	attach(me.device[i], guest);
	add_ram(me.device[i], guest);
	if (draw_rarely(3))
		add_ram(me.device[i], draw_rarely(2));
	add_channel(me.device[i], i);
	whole_pass(i);
}

static void step(void)
{
	int i = slot(), fd = me.device[i];

	switch (draw_below(20)) {
	case 0:
		begin(i);
		break;
	case 1:
		attach(fd, draw_rarely(2));
		break;
	case 2:
		add_ram(fd, draw_rarely(2));
		break;
	case 3:
		add_channel(fd, slot());
		break;
	case 4:
		pass(fd);
		break;
	case 5:
		whole_pass(i);
		break;
	case 6:
		ask(fd);
		ask(fd);
		break;
	case 7:
		set(fd);
		break;
	case 8:
		map_ring(i);
		break;
	case 9:
	case 10:
		consume(i);
		break;
	case 11:
		confuse();
		break;
	case 12:
		change_ram();
		break;
	case 13:
		write_ram();
		break;
	case 14:
		replace(draw_rarely(2) ? &me.device[i] : &me.channel[i], -1);
		break;
	case 15:
		look_at_ring(i);
		break;
	default:
		if (draw_rarely(8))
			replace(&me.disk[i], -1);
		else
			me.disk[i] = disk_step(me.toys, me.disk[i]);
	}
}

static void *thread(void *number)
{
	draw_seed(me.seed + (uintptr_t)number);
	for (unsigned int n = 0; n < me.steps; n++)
		step();
	return NULL;
}

void client_run(const struct toys *toys, uint64_t seed, unsigned int steps)
{
	pthread_t threads[THREADS];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	me.toys = toys;
	me.seed = seed;
	me.steps = steps;
	ram_create(&me.ram, &(struct ram_spec) { .size = RAM_SIZE });
	must(unlink(me.ram.path));
	me.mem[0] = ferry_open_mem(getpid(), O_RDWR);
	me.mem[1] = ferry_open_mem(toys->vm.pid, O_RDWR);
	for (unsigned int i = 0; i < SLOTS; i++)
		me.device[i] = me.channel[i] = me.disk[i] = -1;
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, thread, (void *)(uintptr_t)i);
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}
