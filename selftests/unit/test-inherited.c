// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Listening at a socket that systemd has passed: the protocol of sd_listen_fds(3), played
 * within this process.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "acceptor.h"
#include "cmocka-all.h"
#include "transport.h"

#define SOON	2000	/* ms: longer than anything here takes */

/* A TCP socket at any port of @host, as a socket unit makes it: blocking. */
static int tcp_socket(const char *host, bool listening)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(inet_pton(AF_INET, host, &address.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (listening)
		assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* Lets @fd be the first of @count descriptors that systemd has passed to @pid. */
static void pass(int fd, int count, pid_t pid)
{
	char text[16];

	if (fd != SD_LISTEN_FDS_START) {
		assert_int_equal(dup2(fd, SD_LISTEN_FDS_START), SD_LISTEN_FDS_START);
		close(fd);
	}
	for (int i = 1; i < count; i++)
		assert_int_equal(dup2(SD_LISTEN_FDS_START, SD_LISTEN_FDS_START + i),
				 SD_LISTEN_FDS_START + i);
	snprintf(text, sizeof(text), "%d", count);
	setenv("LISTEN_FDS", text, 1);
	snprintf(text, sizeof(text), "%d", (int)pid);
	setenv("LISTEN_PID", text, 1);
}

static int forget(void **state)
{
	(void)state;
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	close(SD_LISTEN_FDS_START);
	close(SD_LISTEN_FDS_START + 1);
	return 0;
}

static void assert_refused(bool insecure, const char *because)
{
	struct failure why = { 0 };
	struct acceptor a;

	assert_int_equal(acceptor_open(&a, NULL, NULL, insecure, &why), -1);
	if (!strstr(why.text, because))
		fail_msg("%s", why.text);
}

static void test_it_is_used(void **state)
{
	struct transport_peer peer = { 0 };
	struct acceptor a;
	int fd;

	(void)state;
	pass(tcp_socket("127.0.0.1", true), 1, getpid());
	assert_true(acceptor_inherits());
	assert_int_equal(acceptor_open(&a, NULL, NULL, false, NULL), 0);
	assert_int_equal(a.listener, SD_LISTEN_FDS_START);
	/* Nobody that is started from here shall take part, or believe that it should. */
	assert_true(fcntl(a.listener, F_GETFD) & FD_CLOEXEC);
	assert_null(getenv("LISTEN_FDS"));

	/* An empty socket must not block: nobody has come yet. */
	assert_false(acceptor_next(&a, &(struct arrival){ 0 }));
	peer.where = a.name;
	fd = transport_connect(&peer, SOON, NULL);
	assert_return_code(fd, 0);
	assert_false(acceptor_next(&a, &(struct arrival){ 0 }));
	assert_true(acceptor_timeout(&a) > 0);
	close(fd);
	acceptor_close(&a);
}

static void test_it_is_for_another_process(void **state)
{
	(void)state;
	pass(tcp_socket("127.0.0.1", true), 1, getppid());
	assert_false(acceptor_inherits());
	assert_refused(false, "0 sockets");
}

static void test_clear_text_stays_on_loopback(void **state)
{
	struct acceptor a;

	(void)state;
	pass(tcp_socket("0.0.0.0", true), 1, getpid());
	assert_refused(false, "--insecure");
	pass(tcp_socket("0.0.0.0", true), 1, getpid());
	assert_int_equal(acceptor_open(&a, NULL, NULL, true, NULL), 0);
	acceptor_close(&a);
}

static void test_other_things(void **state)
{
	int pair[2];

	(void)state;
	pass(tcp_socket("127.0.0.1", false), 1, getpid());
	assert_refused(false, "ListenStream=");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	close(pair[1]);
	pass(pair[0], 1, getpid());
	assert_refused(true, "ListenStream=");
	pass(open("/dev/null", O_RDONLY), 1, getpid());
	assert_refused(true, "ListenStream=");
}

static void test_two_at_once(void **state)
{
	(void)state;
	pass(tcp_socket("127.0.0.1", true), 2, getpid());
	assert_refused(false, "2 sockets");
}

#define PASS_TEST(name)	cmocka_unit_test_teardown(name, forget)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PASS_TEST(test_it_is_used),
		PASS_TEST(test_it_is_for_another_process),
		PASS_TEST(test_clear_text_stays_on_loopback),
		PASS_TEST(test_other_things),
		PASS_TEST(test_two_at_once),
	};

	return cmocka_run_group_tests_name("inherited", tests, NULL, NULL);
}
