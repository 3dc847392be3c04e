// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The sandbox from the inside and the outside, and the decoder in it.
 *
 * Everything that has to be denied is also tried without the filter, where it must not end the process: else it
 * would not show that it was the filter.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/ssl.h>

#include "cell.h"
#include "clock.h"
#include "cmocka-all.h"
#include "hash.h"
#include "records.h"
#include "cellreport.h"
#include "sandbox.h"
#include "sanitized.h"
#include "tls.h"

#define SOON	10000		/* ms */
#define MIB	(1u << 20)
#define RAM	(8u * MIB)	/* four chunks: two for each of two streams */

static const uint8_t key[FERRY_KEY_SIZE] = "key";

static int make_ram(void)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, RAM), 0);
	return fd;
}

/* ------------------------------------------------------------------------
 * The sandbox
 * ------------------------------------------------------------------------ */

static int ram = -1;	/* for what is tried */

/* A process in a sandbox that does @what there; its status, of wait(2). */
static int in_sandbox(void (*what)(void), bool sealed)
{
	struct failure why = { 0 };
	int fd = make_ram(), status;
	struct sandbox s = { .keep = &fd, .count = 1, .file_end = RAM, .memory = 64u * MIB };
	pid_t pid;

	if (geteuid())
		skip();
	pid = sandbox_fork(&why);
	if (!pid) {
		if (sandbox_enter(&s, &why) || (sealed && sandbox_seal(&why)))
			_exit(99);
		ram = fd;
		what();
		_exit(0);
	}
	assert_string_equal(why.text, "");
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fd);
	return status;
}

static void try_open(void) { open("/", O_RDONLY); }
static void try_exec(void) { execl("/bin/true", "true", NULL); }
static void try_socket(void) { socket(AF_INET, SOCK_STREAM, 0); }
static void try_unix(void) { socket(AF_UNIX, SOCK_STREAM, 0); }
static void try_connect(void) { connect(ram, NULL, 0); }
static void try_ptrace(void) { ptrace(PTRACE_ATTACH, 1, NULL, NULL); }
static void try_fork(void) { if (!syscall(SYS_fork)) _exit(0); }
static void try_clone(void) { syscall(SYS_clone, 0, 0, 0, 0, 0); }
static void try_kill(void) { kill(2, SIGKILL); }
static void try_mount(void) { mount("", "/", "tmpfs", 0, NULL); }
static void try_unshare(void) { unshare(CLONE_NEWUSER); }
static void try_prctl(void) { prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0); }
static void try_truncate(void) { if (ftruncate(ram, 0)) _exit(1); }
static void try_grow(void) { fallocate(ram, FALLOC_FL_KEEP_SIZE, 0, RAM); }
static void try_dup(void) { dup(ram); }
static void try_ioctl(void) { syscall(SYS_ioctl, ram, 0, 0); }
static void try_bpf(void) { syscall(SYS_bpf, 0, NULL, 0); }
static void try_map_ram(void) { mmap(NULL, 4096, PROT_READ, MAP_SHARED, ram, 0); }
static void try_run_memory(void)
{
	mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static void try_make_code(void) { mprotect((void *)0x10000, 4096, PROT_READ | PROT_EXEC); }
static void try_send_away(void)
{
	struct sockaddr address = { .sa_family = AF_UNIX };

	sendto(ram, "x", 1, 0, &address, sizeof(address));
}

static void test_forbidden(void **state)
{
#define TRY(name) { #name, try_##name, false }
#define SANITIZER_DOES(name) { #name, try_##name, true }
	static const struct {
		const char *name;
		void (*what)(void);
		bool sanitizer;
	} tries[] = {
		TRY(exec), TRY(socket), TRY(unix), TRY(connect), TRY(ptrace), TRY(fork),
		TRY(clone), TRY(kill), TRY(mount), TRY(unshare), TRY(truncate), TRY(grow),
		TRY(dup), TRY(bpf), TRY(make_code), TRY(send_away),
		SANITIZER_DOES(open), SANITIZER_DOES(prctl), SANITIZER_DOES(ioctl),
		SANITIZER_DOES(map_ram), SANITIZER_DOES(run_memory),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		int status;

		if (SANITIZED && tries[i].sanitizer)
			continue;
		status = in_sandbox(tries[i].what, true);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("%s: status %x", tries[i].name, status);
		status = in_sandbox(tries[i].what, false);
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			fail_msg("%s, without the filter: status %x", tries[i].name, status);
	}
}

/* Without the filter: the other layers. Exit status 0 if nothing can be had. */
static void look_around(void)
{
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	if (open("/proc", O_RDONLY) >= 0 || open("/etc/passwd", O_RDONLY) >= 0 ||
	    open("/made", O_CREAT | O_WRONLY, 0600) >= 0)
		_exit(1);
	if (getuid() != 65534 || getgid() != 65534 || getpid() != 1)
		_exit(2);
	if (!setuid(0) || !mount("", "/", "tmpfs", 0, NULL))
		_exit(3);
	if (s != 0)	/* no descriptor but one was left */
		_exit(4);
}

static void test_layers(void **state)
{
	int status = in_sandbox(look_around, false);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* What a decoder does all day. */
static void work(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	char page[4096] = "page";
	char *big = malloc(40u * MIB);

	if (!big)
		_exit(1);
	memset(big, 1, 40u * MIB);
	free(big);
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	if (pwrite(ram, page, sizeof(page), RAM - sizeof(page)) != sizeof(page) ||
	    pread(ram, page, sizeof(page), RAM - sizeof(page)) != sizeof(page) ||
	    lseek(ram, 0, SEEK_DATA) < 0)
		_exit(2);
	if (fallocate(ram, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, RAM))
		_exit(3);
	clock_ms();
	poll(NULL, 0, 1);
}

static void test_allowed(void **state)
{
	int status = in_sandbox(work, true);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* The first process of a namespace does not get the signal SIGXFSZ, so there is an error to see. */
static void write_behind_end(void)
{
	if (pwrite(ram, "x", 1, RAM) != -1 || errno != EFBIG)
		_exit(1);
}

static void take_memory(void)
{
	if (malloc(80u * MIB))
		_exit(1);
}

static void test_limits(void **state)
{
	int status = in_sandbox(write_behind_end, true);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	status = in_sandbox(take_memory, true);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), SANITIZED);
}

/* ------------------------------------------------------------------------
 * What it says
 * ------------------------------------------------------------------------ */

static void test_reports(void **state)
{
	const struct cell_report last = { .bytes = 100, .pages = 10, .pass = 3 };
	const struct cell_report good = { .type = REPORT_PASS, .bytes = 100, .pages = 11, .pass = 4 };
	struct cell_report r = good;

	(void)state;
	assert_null(cell_report_check(&r, sizeof(r), &last));
	assert_non_null(cell_report_check(&r, sizeof(r) - 1, &last));
	assert_non_null(cell_report_check(&r, sizeof(r) + 1, &last));
	assert_non_null(cell_report_check(&r, 0, &last));
#define BAD(member, value) do {						\
	r = good;							\
	r.member = value;						\
	assert_non_null(cell_report_check(&r, sizeof(r), &last));		\
} while (0)
	BAD(type, 0);
	BAD(type, 5);
	BAD(type, REPORT_COUNTS);	/* with another pass */
	BAD(final, 2);
	BAD(bytes, 99);
	BAD(pages, 9);
	BAD(pass, 3);
	BAD(pass, 5);
}

static void test_report_text(void **state)
{
	const struct cell_report last = { 0 };
	struct cell_report r = { .type = REPORT_FAILED };

	(void)state;
	memset(r.text, 'x', sizeof(r.text));
	memcpy(r.text, "\033[31m\n", 6);
	assert_null(cell_report_check(&r, sizeof(r), &last));
	assert_int_equal(strlen(r.text), sizeof(r.text) - 1);
	assert_memory_equal(r.text, "?[31m?x", 7);
}

/* ------------------------------------------------------------------------
 * The decoder
 * ------------------------------------------------------------------------ */

/* A decoder of two streams, and the ends that the source would have. */
struct scene {
	int fd;
	struct apply_ram ram;
	int source[2];
	struct connection link[2];
	struct cell cell;
	struct records records[2];
	bool forgot;
	uint8_t content[4 * FERRY_PAGE_SIZE];
};

/* Forks the decoder, which has two streams that are connected. */
static void start(struct scene *s, void (*forget)(void *opaque))
{
	const struct cell_work work = {
		.ram = &s->ram, .rams = 1, .link = s->link, .n = 2, .key = key,
		.forget = forget, .opaque = s,
	};
	struct failure why = { 0 };

	if (geteuid())
		skip();
	if (cell_start(&s->cell, &work, &why))
		fail_msg("%s", why.text);
	for (int i = 0; i < 2; i++)
		connection_close(&s->link[i]);
}

static void forget(void *opaque)
{
	struct scene *s = opaque;

	s->forgot = true;
}

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	*state = s;
	s->fd = make_ram();
	s->ram = (struct apply_ram){ .fd = s->fd, .size = RAM };
	for (int i = 0; i < 2; i++) {
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		s->source[i] = pair[0];
		s->link[i] = (struct connection){ .fd = pair[1] };
	}
	for (size_t i = 0; i < sizeof(s->content); i++)
		s->content[i] = (uint8_t)(i / 64 + i / FERRY_PAGE_SIZE);
	s->cell = CELL_NONE;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	cell_stop(&s->cell);
	for (int i = 0; i < 2; i++)
		close(s->source[i]);
	close(s->fd);
	free(s);
	return 0;
}

static void send_records(struct scene *s, unsigned int stream)
{
	struct records *r = &s->records[stream];

	assert_int_equal(write(s->source[stream], r->bytes, r->len), r->len);
	r->len = 0;
}

static void end_pass(struct scene *s, uint64_t pass, uint32_t flags)
{
	for (unsigned int i = 0; i < 2; i++) {
		records_pass_end(&s->records[i], pass, flags);
		send_records(s, i);
	}
}

/* Until a pass has ended (true), or the streams are not in order any more. */
static bool await_pass(struct scene *s)
{
	int64_t deadline = clock_ms() + SOON;

	while (!cell_take_pass(&s->cell)) {
		struct pollfd p = { .fd = s->cell.fd, .events = POLLIN };

		if (s->cell.state != STREAMS_FLOW)
			return false;
		assert_true(clock_left(deadline) > 0);
		poll(&p, 1, clock_left(deadline));
	}
	return true;
}

static void assert_failed(struct scene *s, enum streams_state state, const char *words)
{
	assert_false(await_pass(s));
	assert_int_equal(s->cell.state, state);
	if (!strstr(s->cell.why.text, words))
		fail_msg("\"%s\" does not say \"%s\"", s->cell.why.text, words);
}

static void test_decodes(void **state)
{
	struct scene *s = *state;
	uint8_t page[FERRY_PAGE_SIZE], digest[FERRY_HASH_SIZE] = { 0 };
	struct hash *h = hash_new(key);

	start(s, forget);
	records_lz4(&s->records[0], 0, 3, 4, s->content);
	records_raw(&s->records[1], 0, 512 + 7, 1, s->content + FERRY_PAGE_SIZE);
	end_pass(s, 1, 0);
	assert_true(await_pass(s));
	assert_int_equal(s->cell.last.pass, 1);
	assert_int_equal(s->cell.last.final, 0);
	assert_int_equal(s->cell.last.pages, 5);
	assert_true(s->cell.last.bytes > FERRY_PAGE_SIZE);

	for (uint64_t i = 0; i < RAM / FERRY_PAGE_SIZE; i++) {
		assert_int_equal(pread(s->fd, page, sizeof(page), (off_t)(i * sizeof(page))),
				 sizeof(page));
		hash_toggle(h, 0, i, page, digest);
	}
	hash_free(h);
	assert_memory_equal(s->cell.last.digest[0], digest, sizeof(digest));
	assert_int_equal(pread(s->fd, page, sizeof(page), 4 * FERRY_PAGE_SIZE), sizeof(page));
	assert_memory_equal(page, s->content + FERRY_PAGE_SIZE, sizeof(page));

	records_zero(&s->records[0], 0, 3, 4);
	end_pass(s, 2, FERRY_PASS_FINAL);
	assert_true(await_pass(s));
	assert_int_equal(s->cell.last.pass, 2);
	assert_int_equal(s->cell.last.final, 1);
	/* what was forgotten there is still known here */
	assert_false(s->forgot);
}

static void test_refuses(void **state)
{
	struct scene *s = *state;

	start(s, forget);
	records_raw(&s->records[0], 0, 3, 1, s->content);
	s->records[0].bytes[100] ^= 1;
	send_records(s, 0);
	assert_failed(s, STREAMS_FAILED, "stream 0, record 0: checksum");
}

static void test_closed(void **state)
{
	struct scene *s = *state;

	start(s, forget);
	shutdown(s->source[1], SHUT_RDWR);
	assert_failed(s, STREAMS_CLOSED, "stream 1: the other side closed it");
}

static void test_killed(void **state)
{
	struct scene *s = *state;

	start(s, forget);
	end_pass(s, 1, 0);
	assert_true(await_pass(s));
	kill(s->cell.pid, SIGKILL);
	assert_failed(s, STREAMS_FAILED, "killed by signal 9");
	assert_int_equal(s->cell.pid, 0);
}

/* It is gone when cell_stop() returns, and has no file of RAM any more. */
static void test_stopped(void **state)
{
	struct scene *s = *state;
	pid_t pid;

	start(s, forget);
	pid = s->cell.pid;
	cell_stop(&s->cell);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

/* A line of /proc/PID/status, of the main thread or of any other. */
static void assert_status(pid_t pid, const char *line)
{
	char path[64], text[4096];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	fclose(file);
	if (!strstr(text, line))
		fail_msg("%s has no line \"%s\"", path, line);
}

static void test_from_outside(void **state)
{
	struct scene *s = *state;

	start(s, forget);
	end_pass(s, 1, 0);
	assert_true(await_pass(s));
	/* Threads have numbers of their own in this namespace, too. */
	assert_status(s->cell.pid, "\nThreads:\t3\n");
	for (pid_t id = s->cell.pid; id < s->cell.pid + 3; id++) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)s->cell.pid, (int)id);
		if (access(path, F_OK))
			continue;	/* somebody else has made a process in between */
		assert_status(id, "\nCapEff:\t0000000000000000\n");
		assert_status(id, "\nCapPrm:\t0000000000000000\n");
		assert_status(id, "\nCapBnd:\t0000000000000000\n");
		assert_status(id, "\nNoNewPrivs:\t1\n");
		assert_status(id, "\nSeccomp:\t2\n");
		assert_status(id, "\nUid:\t65534\t65534\t65534\t65534\n");
	}
}

/* ------------------------------------------------------------------------
 * The decoder, with TLS
 * ------------------------------------------------------------------------ */

/* The target's side of a handshake, up to the first byte behind it. */
static void *take_in(void *opaque)
{
	struct connection *c = opaque;
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	char byte;

	while (connection_read(c, &byte, 1) < 0 && errno == EAGAIN)
		poll(&p, 1, SOON);
	return NULL;
}

static void dont_block(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

static void secure(struct tls *server, struct tls *client, struct connection *theirs,
		   struct connection *ours)
{
	struct failure why = { 0 };
	pthread_t thread;

	dont_block(ours->fd);
	dont_block(theirs->fd);
	assert_int_equal(tls_accept(server, theirs), 0);
	assert_int_equal(pthread_create(&thread, NULL, take_in, theirs), 0);
	assert_int_equal(tls_connect(client, ours, "x", clock_ms() + SOON, &why), 0);
	assert_int_equal(connection_write(ours, "!", 1), 1);
	pthread_join(thread, NULL);
}

static void dont_forget(void *opaque)
{
	(void)opaque;
}

/* @source: our ends. */
static void start_secure(struct scene *s, struct connection source[2])
{
	static const char digits[] =
		"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";
	char path[] = "/tmp/kvmferry-psk.XXXXXX";
	const struct tls_options options = { .psk = path };
	int fd = mkstemp(path);
	struct tls *server, *client;

	assert_int_equal(write(fd, digits, strlen(digits)), strlen(digits));
	server = tls_open(&options, true, NULL);
	client = tls_open(&options, false, NULL);
	assert_true(server && client);
	for (int i = 0; i < 2; i++) {
		source[i] = (struct connection){ .fd = dup(s->source[i]) };
		secure(server, client, &s->link[i], &source[i]);
	}
	start(s, dont_forget);
	tls_close(server);
	tls_close(client);
	unlink(path);
	close(fd);
}

static void stop_secure(struct connection source[2])
{
	for (int i = 0; i < 2; i++)
		connection_close(&source[i]);
}

static void send_secure(struct scene *s, struct connection source[2], unsigned int stream)
{
	struct records *r = &s->records[stream];

	assert_int_equal(connection_write(&source[stream], r->bytes, r->len), r->len);
	r->len = 0;
}

static void pass_secure(struct scene *s, struct connection source[2], uint64_t pass)
{
	records_zero(&s->records[0], 0, 3, 4);
	for (unsigned int i = 0; i < 2; i++) {
		records_pass_end(&s->records[i], pass, 0);
		send_secure(s, source, i);
	}
	assert_true(await_pass(s));
	assert_int_equal(s->cell.last.pass, pass);
}

static void test_tls(void **state)
{
	struct scene *s = *state;
	struct connection source[2];

	start_secure(s, source);
	pass_secure(s, source, 1);
	/* the other side may ask for something to be sent back */
	assert_int_equal(SSL_key_update(source[0].ssl, SSL_KEY_UPDATE_REQUESTED), 1);
	pass_secure(s, source, 2);
	stop_secure(source);
}

/* What cannot be decrypted is answered with an alert, and is no reason to be killed. */
static void test_tls_damaged(void **state)
{
	static const uint8_t record[5 + 64] = { 23, 3, 3, 0, 64 };
	struct scene *s = *state;
	struct connection source[2];

	start_secure(s, source);
	pass_secure(s, source, 1);
	assert_int_equal(write(s->source[1], record, sizeof(record)), sizeof(record));
	assert_failed(s, STREAMS_CLOSED, "stream 1: the connection broke: decryption failed");
	stop_secure(source);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forbidden),
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_reports),
		cmocka_unit_test(test_report_text),
		TEST(test_decodes),
		TEST(test_refuses),
		TEST(test_closed),
		TEST(test_killed),
		TEST(test_stopped),
		TEST(test_from_outside),
		TEST(test_tls),
		TEST(test_tls_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
