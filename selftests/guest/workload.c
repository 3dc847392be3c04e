// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guest that migrates: pid 1 of a small VM that writes to its memory all
 * the time and would notice any page that is stale, lost or misplaced.
 *
 * Theory of operation
 *
 * The working set is an array of pages. Each has a generation, which grows by
 * one with every write. What a page must hold is a function of its index and
 * its generation alone, so that every byte of it can be checked at any time:
 *
 *	kind		content
 *	zero		zero bytes in even generations, counters in odd ones
 *	text		stamp, then words that compress well
 *	noise		stamp, then bytes that do not compress
 *	counters	stamp, then counting numbers
 *	files		stamp, then a page of the file /files, where there is one
 *
 * The stamp names page and generation. A page that was put in the wrong place
 * therefore has a foreign index, one whose last write was lost an old
 * generation. The generations stand in a table of their own, on other pages; so
 * that a page and its entry in the table cannot be lost together unnoticed, each
 * thread also counts its writes, and the generations of its pages must add up to
 * that.
 *
 * A page belongs to one thread: page i to thread i modulo the number of threads.
 * Neighbouring pages thus have different owners, and are written concurrently,
 * but each page is always in a state that its owner knows.
 *
 * Most writes go to a hot window that moves through the working set, the rest
 * anywhere. Each write checks what was there before; in between, each thread
 * checks its pages in turn.
 *
 * Besides, or instead, each thread may sort: records of its own in memory, over and
 * over, as fast as it can (see sorting.c). That is what benchmarks measure.
 *
 * Words on the kernel's command line (or, started by hand, arguments):
 *	ws=MIB threads=N rate=PAGES verify=PAGES	the last two per second
 *	kind=KIND			of all pages; all but files take turns if not given
 *	sort=MIB			memory to sort, all threads together
 * Lines on the console are commands:
 *	rate N		write N pages per second
 *	stop		write none
 *	disk WORDS	a disk under load: see disk.c
 *	files WORDS	files on a disk: see files.c
 *	programs DEVICE	and
 *	run WORDS	programs of Debian's: see programs.c
 *	report		check all pages now, then say so in a line that begins
 *			with "guest: report"
 *	poweroff
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "disk.h"
#include "files.h"
#include "ledger.h"
#include "modules.h"
#include "programs.h"
#include "sorting.h"
#include "workload.h"

#define PAGE		4096
#define WORDS		(PAGE / sizeof(uint64_t))
#define STAMP		0x6b766d6665727279ULL	/* "kvmferry" */
#define MAX_THREADS	LEDGER_MAX_THREADS
#define TICK_MS		20	/* a thread sleeps between its portions */
#define PULSE_MS	5	/* how often the pause watcher looks */
#define HOT_PART	8	/* the hot window is one in this many pages */
#define HOT_SECONDS	5	/* and moves on after this long */

enum kind {
	KIND_ZERO,
	KIND_TEXT,
	KIND_NOISE,
	KIND_COUNTERS,
	KINDS,			/* that take turns */
	KIND_FILES = KINDS,
};

static const char *const kind_names[] = { "zero", "text", "noise", "counters", "files" };

struct worker {
	pthread_t thread;
	unsigned int number;
	uint64_t random;
	uint64_t writes;	/* ever, the sum of its pages' generations */
	uint64_t next;		/* page that the patrol checks next */
	unsigned int reported;	/* sweeps done on request */
	pthread_t sorter;
};

static struct {
	uint64_t pages;
	unsigned int threads;
	uint8_t *memory;
	uint32_t *generation;
	struct worker worker[MAX_THREADS];
	int kind;		/* of all pages, -1: they take turns */
	const uint8_t *files;	/* the content of /files */
	uint64_t file_pages;
	uint64_t records;	/* that each thread sorts; 0: none does */
	struct ledger *ledger;
	int console;		/* where lines go */
	int orders;		/* where commands come from */

	_Atomic unsigned int rate;	/* pages written per second, all threads */
	_Atomic unsigned int verify;	/* pages checked per second, all threads */
	_Atomic unsigned int reports;	/* sweeps requested */
	_Atomic unsigned int swept;	/* threads that finished the last one */
	_Atomic uint64_t checked;	/* pages, since the last line */
	_Atomic uint64_t written;	/* pages, ever */
	_Atomic unsigned int errors;
	_Atomic unsigned int longest_ms;
} guest;

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void sleep_ms(unsigned int ms)
{
	struct timespec t = { ms / 1000, (ms % 1000) * 1000000L };

	nanosleep(&t, NULL);
}

/* One write per line, so that lines of several threads never mix. */
void say(const char *format, ...)
{
	char line[256];
	va_list args;
	int n, m;

	n = snprintf(line, sizeof(line), "guest: ");
	va_start(args, format);
	m = vsnprintf(line + n, sizeof(line) - n - 1, format, args);
	va_end(args);
	n += m < (int)sizeof(line) - n - 1 ? m : (int)sizeof(line) - n - 2;
	line[n++] = '\n';
	if (write(guest.console, line, n) < 0)
		return;	/* nowhere left to complain */
}

static void die(const char *what)
{
	say("error: %s: %s", what, strerror(errno));
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	exit(1);
}

unsigned int count_error(void)
{
	return atomic_fetch_add(&guest.errors, 1);
}

static uint64_t seed(uint64_t page, uint32_t generation)
{
	return ((page + 1) * 0x9e3779b97f4a7c15ULL) ^
	       ((uint64_t)generation << 32 | generation) * 0xd1b54a32d192ed03ULL;
}

static void fill_text(uint64_t *w, uint64_t s)
{
	static const char token[16][8] = {
		"the     ", "ferry   ", "carries ", "a guest ",
		"over    ", "water   ", "and all ", "pages   ",
		"arrive  ", "dry     ", "in order", "before  ",
		"sunset  ", "while   ", "nobody  ", "looks\n  ",
	};
	uint64_t bits = 0;
	size_t i;

	for (i = 2; i < WORDS; i++, bits >>= 4) {
		if (!bits)
			bits = shuffle(&s);
		memcpy(&w[i], token[bits & 15], sizeof(w[i]));
	}
}

static void fill_noise(uint64_t *w, uint64_t s)
{
	size_t i;

	for (i = 2; i < WORDS; i++)
		w[i] = shuffle(&s);
}

static void fill_counters(uint64_t *w, uint64_t s)
{
	size_t i;

	for (i = 2; i < WORDS; i++)
		w[i] = (s >> 40) + i;
}

/* Each generation has another page of them. */
static void fill_files(uint64_t *w, uint64_t s)
{
	memcpy(w + 2, guest.files + s % guest.file_pages * PAGE + 16, PAGE - 16);
}

static enum kind kind_of(uint64_t page)
{
	return guest.kind >= 0 ? (enum kind)guest.kind : page / guest.threads % KINDS;
}

/* What page @page must hold in generation @generation. */
static void fill(uint64_t *w, uint64_t page, uint32_t generation)
{
	enum kind kind = kind_of(page);
	uint64_t s = seed(page, generation) | 1;

	if (kind == KIND_ZERO && generation % 2 == 0) {
		memset(w, 0, PAGE);
		return;
	}
	w[0] = STAMP;
	w[1] = page << 32 | generation;
	if (kind == KIND_TEXT)
		fill_text(w, s);
	else if (kind == KIND_NOISE)
		fill_noise(w, s);
	else if (kind == KIND_FILES)
		fill_files(w, s >> 16);
	else
		fill_counters(w, s);
}

static uint64_t *memory_of(uint64_t page)
{
	return (uint64_t *)(guest.memory + page * PAGE);
}

/* Say what is wrong with a page, in the words of one who looks for the cause. */
static void complain(uint64_t page, uint32_t want, const uint64_t *expected)
{
	const uint64_t *w = memory_of(page);
	size_t i = 0;

	while (i < WORDS - 1 && w[i] == expected[i])
		i++;
	if (w[0] == STAMP && w[1] >> 32 != page)
		say("error: page %llu at %p: misplaced, holds page %llu generation %u",
		    (unsigned long long)page, (void *)w,
		    (unsigned long long)(w[1] >> 32), (uint32_t)w[1]);
	else if (w[0] == STAMP && (uint32_t)w[1] != want)
		say("error: page %llu at %p: stale, generation %u instead of %u",
		    (unsigned long long)page, (void *)w, (uint32_t)w[1], want);
	else
		say("error: page %llu at %p generation %u: word %zu is %016llx, not %016llx",
		    (unsigned long long)page, (void *)w, want, i,
		    (unsigned long long)w[i], (unsigned long long)expected[i]);
}

/* Check a page; a bad one is counted once, and made good. */
static void check(uint64_t page)
{
	uint64_t expected[WORDS];

	fill(expected, page, guest.generation[page]);
	if (memcmp(memory_of(page), expected, PAGE)) {
		if (count_error() < COMPLAINTS)
			complain(page, guest.generation[page], expected);
		memcpy(memory_of(page), expected, PAGE);
	}
	atomic_fetch_add(&guest.checked, 1);
}

static void rewrite(struct worker *w, uint64_t page)
{
	check(page);
	guest.generation[page]++;
	w->writes++;
	fill(memory_of(page), page, guest.generation[page]);
	atomic_fetch_add(&guest.written, 1);
}

/* A page of this thread: three of four from the hot window of the moment. */
static uint64_t choose(struct worker *w)
{
	uint64_t mine = guest.pages / guest.threads;
	uint64_t hot = mine / HOT_PART;
	uint64_t r = shuffle(&w->random);
	uint64_t n = r >> 8;

	if (r & 3)
		n = now_ms() / 1000 / HOT_SECONDS % HOT_PART * hot + n % hot;
	return n % mine * guest.threads + w->number;
}

static void check_all(struct worker *w)
{
	uint64_t page, sum = 0;

	for (page = w->number; page < guest.pages; page += guest.threads) {
		check(page);
		sum += guest.generation[page];
	}
	if (sum != w->writes) {
		atomic_fetch_add(&guest.errors, 1);
		say("error: thread %u wrote %llu pages, the generations say %llu",
		    w->number, (unsigned long long)w->writes,
		    (unsigned long long)sum);
		w->writes = sum;
	}
}

static void patrol(struct worker *w)
{
	check(w->next);
	w->next += guest.threads;
	if (w->next >= guest.pages)
		w->next = w->number;
}

/*
 * How much of a rate is due after @ms, in pages of one thread; *debt keeps the
 * rest. After a long pause nobody catches up: a burst is not what was asked for.
 */
static unsigned int due(unsigned int rate, uint64_t ms, uint64_t *debt)
{
	uint64_t n;

	if (ms > 100)
		ms = 100;
	*debt += rate * ms;
	n = *debt / (1000 * guest.threads);
	*debt -= n * 1000 * guest.threads;
	return n;
}

static void *work(void *arg)
{
	uint64_t last = now_ms(), now, to_write = 0, to_check = 0;
	struct worker *w = arg;
	unsigned int n;

	for (;;) {
		now = now_ms();
		for (n = due(guest.rate, now - last, &to_write); n; n--)
			rewrite(w, choose(w));
		for (n = due(guest.verify, now - last, &to_check); n; n--)
			patrol(w);
		last = now;
		if (w->reported != guest.reports) {
			check_all(w);
			w->reported = guest.reports;
			atomic_fetch_add(&guest.swept, 1);
		}
		sleep_ms(TICK_MS);
	}
	return NULL;
}

/*
 * A guest's clock stands still while its VMM has stopped it, so this is what it
 * could notice of a migration, not the length of the blackout. A clock that goes back is
 * told for whoever looks for the cause: it has been seen on an emulated host.
 */
static void *watch(void *arg)
{
	uint64_t last = now_ms(), now;

	(void)arg;
	for (;; last = now) {
		sleep_ms(PULSE_MS);
		now = now_ms();
		if (now < last)
			say("the clock went back by %u ms", (unsigned int)(last - now));
		else if (now - last > guest.longest_ms + PULSE_MS)
			guest.longest_ms = now - last - PULSE_MS;
	}
	return NULL;
}

static void report(void)
{
	guest.swept = 0;
	guest.reports++;
	while (guest.swept < guest.threads)
		sleep_ms(TICK_MS);
	disk_tell();
	say("report: all %llu pages verified, %llu written, %u errors, longest pause %u ms",
	    (unsigned long long)guest.pages, (unsigned long long)guest.written,
	    guest.errors, guest.longest_ms);
}

static void power_off(void)
{
	say("powering off");
	tcdrain(guest.console);
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	exit(guest.errors ? 1 : 0);
}

static void obey(char *command)
{
	unsigned int n;

	if (sscanf(command, "rate %u", &n) == 1)
		guest.rate = n;
	else if (!strcmp(command, "stop"))
		guest.rate = 0;
	else if (!strncmp(command, "disk ", 5))
		disk_obey(command + 5);
	else if (!strncmp(command, "files ", 6))
		files_obey(command + 6);
	else if (!strncmp(command, "programs ", 9))
		programs_obey(command + 9);
	else if (!strncmp(command, "run ", 4))
		programs_run(command + 4);
	else if (!strcmp(command, "report"))
		report();
	else if (!strcmp(command, "poweroff"))
		power_off();
	else if (*command)
		say("unknown command '%s'", command);
}

static void *listen_to_console(void *arg)
{
	char line[128];
	size_t n = 0;
	char c;

	(void)arg;
	while (read(guest.orders, &c, 1) == 1) {
		if (c != '\n' && c != '\r') {
			if (n < sizeof(line) - 1)
				line[n++] = c;
			continue;
		}
		line[n] = '\0';
		n = 0;
		obey(line);
	}
	return NULL;
}

/* As pid 1 there is nothing yet: no /proc, no /dev, and a console that echoes. */
static void set_up_house(void)
{
	struct termios t;

	if (getpid() != 1) {
		guest.console = STDOUT_FILENO;
		guest.orders = STDIN_FILENO;
		return;
	}
	mkdir("/proc", 0755);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	guest.console = open("/dev/ttyS0", O_RDWR | O_NOCTTY);
	if (guest.console < 0)
		exit(1);	/* pid 1: a panic, which the VM's log shows */
	guest.orders = guest.console;
	if (tcgetattr(guest.console, &t) == 0) {
		t.c_lflag &= ~(ECHO | ICANON | ISIG | IEXTEN);
		t.c_iflag &= ~(ICRNL | IXON);
		tcsetattr(guest.console, TCSANOW, &t);
	}
	load_modules();
}

static int parse_kind(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(kind_names) / sizeof(kind_names[0]); i++)
		if (!strcmp(name, kind_names[i]))
			return i;
	errno = EINVAL;
	die(name);
	return -1;
}

static void read_orders(int argc, char **argv)
{
	unsigned int ws = 96, threads = 2, rate = 1000, verify = 4000, sort = 0, n;
	char text[2048] = "", name[16];
	char *word;
	int fd, i;

	guest.kind = -1;
	fd = open("/proc/cmdline", O_RDONLY);
	if (getpid() == 1 && fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
		die("/proc/cmdline");
	close(fd);
	for (i = 1; getpid() != 1 && i < argc; i++) {
		strncat(text, argv[i], sizeof(text) - strlen(text) - 2);
		strcat(text, " ");
	}
	for (word = strtok(text, " \n"); word; word = strtok(NULL, " \n")) {
		if (sscanf(word, "ws=%u", &n) == 1 && n)
			ws = n;
		else if (sscanf(word, "threads=%u", &n) == 1 && n)
			threads = n < MAX_THREADS ? n : MAX_THREADS;
		else if (sscanf(word, "rate=%u", &n) == 1)
			rate = n;
		else if (sscanf(word, "verify=%u", &n) == 1)
			verify = n;
		else if (sscanf(word, "sort=%u", &n) == 1)
			sort = n;
		else if (sscanf(word, "kind=%15s", name) == 1)
			guest.kind = parse_kind(name);
	}
	guest.threads = threads;
	guest.pages = ((uint64_t)ws << 20) / PAGE / threads * threads;
	guest.rate = rate;
	guest.verify = verify;
	guest.records = ((uint64_t)sort << 20) / sizeof(struct record) / threads;
}

static void *allocate(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static void open_files(void)
{
	int fd = open("/files", O_RDONLY);
	struct stat st;

	if (guest.kind != KIND_FILES)
		return;
	if (fd < 0 || fstat(fd, &st) || st.st_size < PAGE)
		die("/files");
	guest.file_pages = st.st_size / PAGE;
	guest.files = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (guest.files == MAP_FAILED)
		die("/files");
}

void start(pthread_t *thread, void *(*function)(void *), void *arg)
{
	errno = pthread_create(thread, NULL, function, arg);
	if (errno)
		die("pthread_create");
}

static void *sort_for_ever(void *arg)
{
	struct worker *w = arg;
	struct record *r = allocate(guest.records * sizeof(*r));
	volatile uint64_t *done = &guest.ledger->thread[w->number].records;
	uint64_t random = seed(w->number, 2) | 1, batch = 0, wrong;

	for (;;) {
		wrong = sorting_round(r, guest.records, ++batch, &random, done);
		guest.ledger->thread[w->number].sorts++;
		if (!wrong)
			continue;
		guest.errors += wrong;
		say("error: thread %u sorted %llu records wrong", w->number,
		    (unsigned long long)wrong);
	}
	return NULL;
}

static void start_sorting(void)
{
	unsigned int i;

	if (!guest.records)
		return;
	guest.ledger = allocate(sizeof(*guest.ledger));
	for (i = 0; i < LEDGER_WORDS; i++)
		guest.ledger->magic[i] = ledger_magic(i);
	for (i = 0; i < guest.threads; i++)
		start(&guest.worker[i].sorter, sort_for_ever, &guest.worker[i]);
}

static void tell_sorted(void)
{
	uint64_t records = 0, sorts = 0;
	unsigned int i;

	if (!guest.records)
		return;
	for (i = 0; i < guest.threads; i++) {
		records += guest.ledger->thread[i].records;
		sorts += guest.ledger->thread[i].sorts;
	}
	say("sorted %llu times, %llu records handled", (unsigned long long)sorts,
	    (unsigned long long)records);
}

int main(int argc, char **argv)
{
	unsigned int round;
	uint64_t page;
	pthread_t t;

	set_up_house();
	read_orders(argc, argv);
	open_files();
	guest.memory = allocate(guest.pages * PAGE);
	guest.generation = allocate(guest.pages * sizeof(guest.generation[0]));
	for (page = 0; page < guest.pages; page++)
		fill(memory_of(page), page, 0);
	say("up, %llu pages, %u threads", (unsigned long long)guest.pages,
	    guest.threads);

	for (unsigned int i = 0; i < guest.threads; i++) {
		struct worker *w = &guest.worker[i];

		w->number = i;
		w->next = i;
		w->random = seed(i, 1) | 1;
		start(&w->thread, work, w);
	}
	start_sorting();
	start(&t, watch, NULL);
	start(&t, listen_to_console, NULL);

	for (round = 1;; round++) {
		sleep_ms(1000);
		say("round %u, %llu pages verified, %u errors, longest pause %u ms",
		    round,
		    (unsigned long long)atomic_exchange(&guest.checked, 0),
		    guest.errors, guest.longest_ms);
		tell_sorted();
	}
}
