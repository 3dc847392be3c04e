// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TLS between two agents: who is let in, who is not, and that bytes arrive. The side
 * that is connected to is a thread that sends back what it gets.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "clock.h"
#include "cmocka-all.h"
#include "frames.h"
#include "pki.h"
#include "sanitized.h"
#include "tls.h"

#define SOON	5000	/* ms: longer than anything here takes */
#define KEY_A	"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
#define KEY_B	"ff112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF\n"

static char dir[] = "/tmp/kvmferry-tls.XXXXXX";
static char path[16][64];

/* A file's path; good until 16 more were asked for. */
static const char *at(const char *name)
{
	static unsigned int next;
	char *p = path[next++ % 16];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static struct tls_options psk(const char *name)
{
	return (struct tls_options){ .psk = at(name) };
}

static struct tls_options certificate(const char *name, const char *ca)
{
	char file[32];
	struct tls_options o = { .ca = at(ca) };

	snprintf(file, sizeof(file), "%s.pem", name);
	o.cert = at(file);
	snprintf(file, sizeof(file), "%s.key", name);
	o.key = at(file);
	return o;
}

/* By a process of its own, so that no key is in our memory but those that are read again. */
static int make_files(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	pid = fork();
	if (pid) {
		waitpid(pid, &status, 0);
		return status;
	}
	pki_authority(dir, "ca");
	pki_authority(dir, "other");
	pki_certificate(dir, "target", "ca", "DNS:target.example", 100);
	pki_certificate(dir, "address", "ca", "IP:192.0.2.7", 100);
	pki_certificate(dir, "source", "ca", "DNS:source.example", 100);
	pki_certificate(dir, "expired", "ca", "DNS:target.example", 1);
	pki_certificate(dir, "stranger", "other", "DNS:target.example", 100);
	pki_file(dir, "a", KEY_A, 0600);
	pki_file(dir, "b", KEY_B, 0600);
	_exit(0);
}

static int remove_files(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

/* ------------------------------------------------------------------------
 * Two sides
 * ------------------------------------------------------------------------ */

struct sides {
	struct connection client;
	struct connection server;
	struct tls *ours, *theirs;
	pthread_t thread;
	char fault[128];	/* of the server */
	struct failure why;	/* of the client */
};

static void await(const struct connection *c, short events)
{
	struct pollfd p = { .fd = c->fd, .events = events };

	poll(&p, 1, SOON);
}

static void *echo(void *opaque)
{
	struct sides *s = opaque;
	char buffer[CONNECTION_RECORD];
	ssize_t n, sent, at;

	for (;;) {
		n = connection_read(&s->server, buffer, sizeof(buffer));
		if (n < 0 && errno == EAGAIN) {
			await(&s->server, POLLIN);
			continue;
		}
		if (n <= 0)
			break;
		for (at = 0; at < n; at += sent > 0 ? sent : 0) {
			sent = connection_write(&s->server, buffer + at, (size_t)(n - at));
			if (sent < 0 && errno != EAGAIN)
				return NULL;
			if (sent < 0)
				await(&s->server, POLLOUT);
		}
	}
	if (n < 0)
		snprintf(s->fault, sizeof(s->fault), "%s", connection_fault(&s->server));
	shutdown(s->server.fd, SHUT_RDWR);
	return NULL;
}

static void open_sides(struct sides *s, const struct tls_options *client,
		       const struct tls_options *server)
{
	int fd[2];

	*s = (struct sides){ 0 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	s->client = (struct connection){ .fd = fd[0] };
	s->server = (struct connection){ .fd = fd[1] };
	if (client) {
		s->ours = tls_open(client, false, &s->why);
		assert_string_equal(s->why.text, "");
	}
	if (server) {
		s->theirs = tls_open(server, true, &s->why);
		assert_string_equal(s->why.text, "");
		assert_int_equal(tls_accept(s->theirs, &s->server), 0);
	}
	assert_int_equal(pthread_create(&s->thread, NULL, echo, s), 0);
}

static void close_sides(struct sides *s)
{
	shutdown(s->client.fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	connection_close(&s->client);
	connection_close(&s->server);
	tls_close(s->ours);
	tls_close(s->theirs);
}

/* The whole way: handshake, and one word there and back. */
static int talk(struct sides *s, const char *host)
{
	char word[4];
	ssize_t n;

	if (tls_connect(s->ours, &s->client, host, clock_ms() + SOON, &s->why))
		return -1;
	/* a target that refuses us may have gone already */
	if (connection_write(&s->client, "word", 4) != 4)
		return fail(&s->why, "%s", connection_fault(&s->client));
	do {
		await(&s->client, POLLIN);
		n = connection_read(&s->client, word, 4);
	} while (n < 0 && errno == EAGAIN);
	if (n == 4)
		return memcmp(word, "word", 4);
	return fail(&s->why, "%s", n ? connection_fault(&s->client) : "closed");
}

static void expect(const struct tls_options *client, const struct tls_options *server,
		   const char *host, const char *words)
{
	struct sides s;
	int result;

	open_sides(&s, client, server);
	result = talk(&s, host);
	close_sides(&s);
	if (!words && result)
		fail_msg("client: %s; server: %s", s.why.text, s.fault);
	if (words && (!result || !strstr(s.why.text, words)))
		fail_msg("not \"%s\", client: %s; server: %s", words, s.why.text, s.fault);
}

/* ------------------------------------------------------------------------
 * Who is let in
 * ------------------------------------------------------------------------ */

static void test_a_shared_key(void **state)
{
	struct tls_options a = psk("a"), b = psk("b");

	(void)state;
	expect(&a, &a, "any.example", NULL);
	expect(&a, &b, "any.example", "does not trust us");
}

static void test_certificates(void **state)
{
	struct tls_options source = certificate("source", "ca.pem");
	struct tls_options target = certificate("target", "ca.pem");
	struct tls_options address = certificate("address", "ca.pem");

	(void)state;
	expect(&source, &target, "target.example", NULL);
	expect(&source, &address, "192.0.2.7", NULL);
	expect(&source, &target, "another.example", "hostname mismatch");
	expect(&source, &target, "192.0.2.7", "IP address mismatch");
	expect(&source, &address, "192.0.2.8", "IP address mismatch");
	/* the source is not asked for a name, but no target either */
	expect(&target, &source, "target.example", "hostname mismatch");
}

static void test_certificates_of_strangers(void **state)
{
	struct tls_options source = certificate("source", "ca.pem");
	struct tls_options target = certificate("target", "ca.pem");
	struct tls_options expired = certificate("expired", "ca.pem");
	struct tls_options stranger = certificate("stranger", "other.pem");
	struct tls_options impostor = certificate("stranger", "ca.pem");

	(void)state;
	expect(&source, &stranger, "target.example", "self-signed certificate in certificate chain");
	expect(&source, &expired, "target.example", "certificate has expired");
	/* these trust the target, which does not trust them */
	expect(&impostor, &target, "target.example", "unknown ca");
	expect(&expired, &target, "target.example", "certificate expired");
}

static void test_a_key_and_certificates_do_not_mix(void **state)
{
	struct tls_options source = certificate("source", "ca.pem");
	struct tls_options target = certificate("target", "ca.pem");
	struct tls_options key = psk("a");

	(void)state;
	/* nobody without the key is believed, whatever certificate it has */
	expect(&key, &target, "target.example", "is not trusted");
	expect(&source, &key, "target.example", "the target");
}

static void test_clear_text_is_no_tls(void **state)
{
	struct tls_options key = psk("a");
	struct sides s;
	char byte;

	(void)state;
	/* a target in clear text sends back what it gets */
	expect(&key, NULL, "target.example", "no TLS with the target");

	open_sides(&s, NULL, &key);
	assert_int_equal(connection_write(&s.client, "KVMFERRY and so on, long enough", 31), 31);
	await(&s.client, POLLIN);
	pthread_join(s.thread, NULL);
	assert_string_not_equal(s.fault, "");
	/* an alert, and then the end; not one byte of ours */
	while (connection_read(&s.client, &byte, 1) > 0)
		assert_int_not_equal(byte, 'K');
	assert_int_equal(pthread_create(&s.thread, NULL, echo, &s), 0);
	close_sides(&s);
}

static void test_older_versions_are_refused(void **state)
{
	struct tls_options target = certificate("target", "ca.pem");
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	struct sides s;
	SSL *old;
	int result;

	(void)state;
	SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
	open_sides(&s, NULL, &target);
	old = SSL_new(context);
	SSL_set_fd(old, s.client.fd);
	SSL_set_connect_state(old);
	while ((result = SSL_do_handshake(old)) < 0 &&
	       SSL_get_error(old, result) == SSL_ERROR_WANT_READ)
		await(&s.client, POLLIN);
	assert_int_not_equal(result, 1);
	SSL_free(old);
	SSL_CTX_free(context);
	close_sides(&s);
	assert_non_null(strstr(s.fault, "unsupported protocol"));
}

static void test_a_silent_target(void **state)
{
	struct tls_options key = psk("a");
	struct failure why = { 0 };
	struct connection c;
	struct tls *t;
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	c = (struct connection){ .fd = fd[0] };
	t = tls_open(&key, false, &why);
	assert_int_equal(tls_connect(t, &c, "target.example", clock_ms() + 100, &why), -1);
	assert_non_null(strstr(why.text, "does not answer in time"));
	connection_close(&c);
	tls_close(t);
	close(fd[1]);
}

/* ------------------------------------------------------------------------
 * Bytes
 * ------------------------------------------------------------------------ */

/* 8 MiB there and back, through small buffers, written in pieces that were refused before. */
static void test_much_both_ways(void **state)
{
	static uint8_t data[8 << 20], back[CONNECTION_RECORD];
	struct tls_options key = psk("a");
	size_t sent = 0, got = 0;
	struct sides s;
	ssize_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	open_sides(&s, &key, &key);
	assert_int_equal(tls_connect(s.ours, &s.client, "x", clock_ms() + SOON, &s.why), 0);
	while (got < sizeof(data)) {
		n = sent < sizeof(data) ?
		    connection_write(&s.client, data + sent, sizeof(data) - sent) : 0;
		sent += n > 0 ? (size_t)n : 0;
		while ((n = connection_read(&s.client, back, sizeof(back))) > 0) {
			assert_memory_equal(back, data + got, (size_t)n);
			got += (size_t)n;
		}
		assert_true(n < 0 && errno == EAGAIN);
		await(&s.client, sent < sizeof(data) ? POLLIN | POLLOUT : POLLIN);
	}
	close_sides(&s);
	assert_string_equal(s.fault, "");
}

/* As without TLS: a COMMIT that has arrived is seen, whatever became of the connection. */
static void test_frames_before_the_end_are_seen(void **state)
{
	struct tls_options key = psk("a");
	struct failure why = { 0 };
	const uint8_t *payload;
	struct frames frames;
	struct wire_frame f;
	struct sides s;

	(void)state;
	open_sides(&s, &key, &key);
	assert_int_equal(talk(&s, "x"), 0);
	/* what it says comes back, and then the other side is gone */
	assert_int_equal(connection_write(&s.client, "KF\0\10\0\0\0\0", 8), 8);
	await(&s.client, POLLIN);
	shutdown(s.server.fd, SHUT_RDWR);
	assert_int_equal(frames_open(&frames, &s.client, &why), 0);
	assert_int_equal(frames_queue(&frames, WIRE_READY, NULL, 0, &why), 0);
	assert_int_equal(frames_flush(&frames, NULL), -1);	/* lost, yet ... */
	assert_int_equal(frames_fill(&frames, &why), 1);
	assert_int_equal(frames_next(&frames, &f, &payload, &why), 1);
	assert_int_equal(f.type, WIRE_COMMIT);
	assert_int_equal(frames_fill(&frames, &why), -1);
	frames_close(&frames);
	s.client.fd = s.server.fd;	/* for close_sides(), which shuts it down */
	pthread_join(s.thread, NULL);
	s.client = CONNECTION_CLOSED;
	connection_close(&s.server);
	tls_close(s.ours);
	tls_close(s.theirs);
}

/* ------------------------------------------------------------------------
 * What is forgotten
 * ------------------------------------------------------------------------ */

#define SECRET	32	/* bytes of a private key of P-256 */

/* The secret number of a key file, turned inside out, by a process of its own: no copy is left here. */
static void learn_secret(const char *name, uint8_t inverted[SECRET])
{
	uint8_t number[SECRET];
	int pipes[2], status;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (!pid) {
		BIO *file = BIO_new_file(at(name), "r");
		EVP_PKEY *key = PEM_read_bio_PrivateKey(file, NULL, NULL, NULL);
		BIGNUM *secret = NULL;

		if (!EVP_PKEY_get_bn_param(key, "priv", &secret) ||
		    BN_bn2lebinpad(secret, number, SECRET) != SECRET)
			_exit(1);
		for (int i = 0; i < SECRET; i++)
			number[i] ^= 0xff;
		_exit(write(pipes[1], number, SECRET) != SECRET);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(read(pipes[0], inverted, SECRET), SECRET);
	close(pipes[0]);
	close(pipes[1]);
}

/* Is it in these bytes, as the library's numbers are, or in the order of a file? */
static bool has_secret(const uint8_t *bytes, size_t len, const uint8_t inverted[SECRET])
{
	for (size_t at = 0; at + SECRET <= len; at++) {
		int little = 0, big = 0;

		while (little < SECRET && (bytes[at + little] ^ inverted[little]) == 0xff)
			little++;
		while (big < SECRET &&
		       (bytes[at + big] ^ inverted[SECRET - 1 - big]) == 0xff)
			big++;
		if (little == SECRET || big == SECRET)
			return true;
	}
	return false;
}

/* All memory of this process that can be written to, read through the kernel. */
static bool remembers(const uint8_t inverted[SECRET])
{
	static uint8_t bytes[1 << 16];
	FILE *maps = fopen("/proc/self/maps", "re");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	unsigned long from, to;
	bool found = false;
	char line[512];

	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx rw", &from, &to) != 2 || !strstr(line, " rw"))
			continue;
		for (; from < to && !found; from += sizeof(bytes) - SECRET) {
			ssize_t n = pread(mem, bytes, sizeof(bytes) < to - from ?
					  sizeof(bytes) : to - from, (off_t)from);

			if (n <= 0)
				break;
			found = has_secret(bytes, (size_t)n, inverted);
		}
	}
	fclose(maps);
	close(mem);
	return found;
}

/* Does a process still have the secret after it has forgotten it, but not its connection? */
static bool is_left(struct sides *s, const uint8_t inverted[SECRET], bool forget)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (forget) {
			tls_forget_key(&s->server);
			tls_close(s->theirs);
		}
		_exit(remembers(inverted));
	}
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_a_decoder_has_no_key(void **state)
{
	struct tls_options source = certificate("source", "ca.pem");
	struct tls_options target = certificate("target", "ca.pem");
	uint8_t inverted[SECRET];
	struct sides s;

	(void)state;
	if (SANITIZED)
		skip();		/* its shadow makes the search endless */
	learn_secret("target.key", inverted);
	open_sides(&s, &source, &target);
	assert_int_equal(talk(&s, "target.example"), 0);
	assert_true(is_left(&s, inverted, false));
	assert_false(is_left(&s, inverted, true));
	close_sides(&s);
}

/* ------------------------------------------------------------------------
 * What the operator gives
 * ------------------------------------------------------------------------ */

static void refuse(const struct tls_options *o, const char *words)
{
	struct failure why = { 0 };

	assert_true(tls_wanted(o));
	for (int server = 0; server < 2; server++) {
		why.text[0] = '\0';
		assert_null(tls_open(o, server, &why));
		if (!strstr(why.text, words))
			fail_msg("not \"%s\": %s", words, why.text);
	}
}

static const char *const bad_keys[] = { "short", "odd", "words", "empty" };

#define each_bad_key(name) (const char *const *name = bad_keys; name < bad_keys + 4; name++)

static void test_bad_files(void **state)
{
	struct tls_options o = { 0 };

	(void)state;
	assert_false(tls_wanted(&o));
	pki_file(dir, "public", KEY_A, 0640);
	pki_file(dir, "short", "0011223344556677\n", 0600);
	pki_file(dir, "odd", "0" KEY_A, 0600);
	pki_file(dir, "words", "this is not hexadecimal at all, but it is of the right length ok\n", 0600);
	pki_file(dir, "empty", "", 0600);

	o = psk("public");
	refuse(&o, "chmod 600");
	o = psk("none");
	refuse(&o, "No such file");
	for each_bad_key(name) {
		o = psk(*name);
		refuse(&o, "holds no shared key");
	}
	o = certificate("source", "ca.pem");
	o.psk = at("a");
	refuse(&o, "not both");
	o = certificate("source", "ca.pem");
	o.ca = NULL;
	refuse(&o, "all three");
	o = certificate("source", "none.pem");
	refuse(&o, "none.pem cannot be used");
	o = certificate("source", "ca.pem");
	o.key = at("target.key");
	refuse(&o, "key values mismatch");
	o = certificate("none", "ca.pem");
	refuse(&o, "none.pem cannot be used");
	o = certificate("source", "a");
	refuse(&o, "authority");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_shared_key),
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_certificates_of_strangers),
		cmocka_unit_test(test_a_key_and_certificates_do_not_mix),
		cmocka_unit_test(test_clear_text_is_no_tls),
		cmocka_unit_test(test_older_versions_are_refused),
		cmocka_unit_test(test_a_silent_target),
		cmocka_unit_test(test_much_both_ways),
		cmocka_unit_test(test_frames_before_the_end_are_seen),
		cmocka_unit_test(test_a_decoder_has_no_key),
		cmocka_unit_test(test_bad_files),
	};

	signal(SIGPIPE, SIG_IGN);	/* as main() of the agent does */
	tls_wipe_memory();
	return cmocka_run_group_tests_name("tls", tests, make_files, remove_files);
}
