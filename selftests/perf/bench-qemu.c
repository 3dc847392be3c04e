// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The benchmark's runs on a Linux guest that sorts, under QEMU. Rounds begin at a fixed
 * beat, whoever follows the guest; what counts are the host's exits and the guest's work
 * in a fixed time.
 */
#include "bench-group.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench-preload.h"
#include "die.h"
#include "../guest/ledger.h"

#define LEARN_ROUNDS	3	/* before anything is counted */
#define LOOK		(RAM_CHUNK)

struct guest {
	const struct bench_qemu *q;
	struct ram ram;
	uint64_t ledger;	/* offset of that page in the RAM */
	int log;		/* socket */
	char counters[64];	/* KVM's folder for this VM */
};

/* --- KVM's log, which only QEMU itself can fetch */

static uint64_t ask(struct guest *g, char request)
{
	struct bench_answer answer;

	if (write(g->log, &request, 1) != 1 ||
	    recv(g->log, &answer, sizeof(answer), MSG_WAITALL) != sizeof(answer))
		die("bench-preload.so does not answer");
	if (answer.error)
		die("KVM's dirty log: %s", strerror(-answer.error));
	return answer.pages;
}

static void log_begin(void *context)
{
	ask(context, 'b');
}

static uint64_t log_round(void *context)
{
	return ask(context, 'f');
}

static void log_end(void *context)
{
	ask(context, 'e');
}

static int connect_log(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = must(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	must(connect(fd, (void *)&address, sizeof(address)));
	return fd;
}

/* --- what is counted */

static void find_counters(struct guest *g)
{
	char pattern[64];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "/sys/kernel/debug/kvm/%d-*", g->q->pid);
	if (glob(pattern, 0, NULL, &found) || found.gl_pathc != 1 ||
	    strlen(found.gl_pathv[0]) >= sizeof(g->counters))
		die("no statistics of that VM in debugfs");
	strcpy(g->counters, found.gl_pathv[0]);
	globfree(&found);
}

static uint64_t counter(const struct guest *g, const char *name)
{
	char path[128], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/%s", g->counters, name);
	fd = must(open(path, O_RDONLY | O_CLOEXEC));
	must(read(fd, text, sizeof(text) - 1));
	close(fd);
	return strtoull(text, NULL, 10);
}

static bool is_ledger(const uint8_t *page)
{
	const struct ledger *ledger = (const void *)page;
	unsigned int i;

	for (i = 0; i < LEDGER_WORDS; i++)
		if (ledger->magic[i] != ledger_magic(i))
			return false;
	return true;
}

static void find_ledger(struct guest *g)
{
	static uint8_t buffer[LOOK];
	uint64_t at, page;

	for (at = 0; at < g->ram.size; at += LOOK) {
		ram_read(&g->ram, at, buffer, LOOK);
		for (page = 0; page < LOOK; page += RAM_PAGE) {
			if (is_ledger(buffer + page)) {
				g->ledger = at + page;
				return;
			}
		}
	}
	die("this guest does not sort");
}

static uint64_t work_done(const struct guest *g)
{
	struct ledger ledger;
	uint64_t sum = 0;
	unsigned int i;

	ram_read(&g->ram, g->ledger, &ledger, sizeof(ledger));
	for (i = 0; i < LEDGER_MAX_THREADS; i++)
		sum += ledger.thread[i].records;
	return sum;
}

/* --- the runs */

/* Waits for the beat, if it is not over. Returns whether it was. */
static bool wait_for(uint64_t *next_us, unsigned int interval_ms)
{
	uint64_t now = bench_now_us();
	bool late = now > *next_us;

	if (late)
		*next_us = now;
	else
		usleep(*next_us - now);
	*next_us += interval_ms * 1000ull;
	return late;
}

static void measure(const struct guest *g, struct tracker *t, struct bench_result *r)
{
	uint64_t begin = bench_now_us(), next = begin + g->q->interval_ms * 1000ull;
	struct counts before, after;

	tracker_counts(t, &before);
	r->work = -work_done(g);
	r->exits = -counter(g, "exits");
	r->irq_exits = -counter(g, "irq_exits");
	while (bench_now_us() - begin < g->q->seconds * 1000000ull) {
		r->late += wait_for(&next, g->q->interval_ms);
		tracker_round(t);
		r->rounds++;
	}
	r->irq_exits += counter(g, "irq_exits");
	r->exits += counter(g, "exits");
	r->work += work_done(g);
	r->seconds = (bench_now_us() - begin) / 1e6;
	tracker_counts(t, &after);
	bench_counts_add(&r->counts, &after, &before);
}

static void run(const struct guest *g, struct tracker *t, const struct policy *policy)
{
	struct bench_result r = {
		.pattern = "linux-sort",
		.phase = "steady",
		.pages_written = BENCH_UNKNOWN,
		.differ = BENCH_UNKNOWN,
	};
	uint64_t next;
	unsigned int i;

	if (!tracker_begin(t, policy)) {
		printf("# linux-sort, %s: this module has no groups\n", policy->name);
		return;
	}
	next = bench_now_us();
	for (i = 0; i < LEARN_ROUNDS; i++) {
		wait_for(&next, g->q->interval_ms);
		tracker_round(t);
	}
	measure(g, t, &r);
	bench_report(t, &r);
	tracker_end(t);
}

static const struct policy *find_policy(const char *name)
{
	const struct policy *policy;

	for (policy = policies; policy->name; policy++)
		if (!strcmp(policy->name, name))
			return policy;
	die("no policy %s", name);
}

void bench_qemu(const struct bench_qemu *q, char **policy_names)
{
	static struct guest g;
	static struct tracker t;

	g.q = q;
	ram_find(&g.ram, q->pid, q->ram);
	g.log = connect_log(q->log_socket);
	find_counters(&g);
	find_ledger(&g);
	t.pid = q->pid;
	t.ram = &g.ram;
	t.rams = 1;
	t.log = (struct kvm_log) { log_begin, log_round, log_end, &g };
	for (; *policy_names; policy_names++)
		run(&g, &t, find_policy(*policy_names));
}
