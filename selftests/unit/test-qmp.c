// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The QMP client against servers that are slow, rude, or not QEMU at all.
 *
 * A server is a function in a thread at the other end of a socket pair.
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "qemu.h"
#include "qmp.h"
#include "cmocka-all.h"

#define GREETING	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, " \
			"\"package\": \"Debian\"}, \"capabilities\": [\"oob\"]}}\r\n"
#define OLD_GREETING	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 11, \"major\": 2}, " \
			"\"package\": \"\"}, \"capabilities\": []}}\r\n"
#define TIMEOUT		5000	/* ms; nothing here comes near it */
#define SHORT		200	/* ms, where a time-out is the point */

/* ------------------------------------------------------------------------
 * The server's end
 * ------------------------------------------------------------------------ */

static void say(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left) {
		ssize_t n = send(fd, text, left, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		text += n;
		left -= (size_t)n;
	}
}

/* Reads one line, and a file that comes with it. Returns false at the end. */
static bool hear(int fd, char *line, size_t size, int *file)
{
	size_t n = 0;

	while (n + 1 < size) {
		union {
			char bytes[CMSG_SPACE(sizeof(int))];
			struct cmsghdr align;
		} control;
		struct iovec v = { line + n, 1 };
		struct msghdr m = {
			.msg_iov = &v, .msg_iovlen = 1,
			.msg_control = control.bytes,
			.msg_controllen = sizeof(control.bytes),
		};

		if (recvmsg(fd, &m, 0) != 1)
			return false;
		if (file && m.msg_controllen)
			memcpy(file, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
		if (line[n] == '\n')
			break;
		n++;
	}
	line[n] = '\0';
	return true;
}

static json_int_t id_of(const char *line)
{
	json_t *o = json_loads(line, 0, NULL);
	json_int_t id = json_integer_value(json_object_get(o, "id"));

	json_decref(o);
	return id;
}

/* Replies to @line with the members @body, such as "\"return\": {}". */
static void reply(int fd, const char *line, const char *body)
{
	char text[4096];

	snprintf(text, sizeof(text), "{%s, \"id\": %lld}\r\n", body,
		 (long long)id_of(line));
	say(fd, text);
}

/* The first two steps of every server that is good for something. */
static void welcome(int fd)
{
	char line[1024];

	say(fd, GREETING);
	assert_true(hear(fd, line, sizeof(line), NULL));
	assert_non_null(strstr(line, "qmp_capabilities"));
	assert_non_null(strstr(line, "oob"));
	reply(fd, line, "\"return\": {}");
}

struct server {
	void (*serve)(int fd);
	int fd;
	pthread_t thread;
};

static struct server server;

static void *run(void *opaque)
{
	(void)opaque;
	server.serve(server.fd);
	return NULL;
}

static struct qmp *begin(void (*serve)(int fd), int timeout, struct failure *why)
{
	int pair[2];

	*why = (struct failure){ 0 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	server.serve = serve;
	server.fd = pair[1];
	assert_int_equal(pthread_create(&server.thread, NULL, run, NULL), 0);
	return qmp_adopt(pair[0], "vm.qmp", timeout, why);
}

static struct qmp *begin_well(void (*serve)(int fd))
{
	struct failure why;
	struct qmp *qmp = begin(serve, TIMEOUT, &why);

	if (!qmp)
		fail_msg("%s", why.text);
	return qmp;
}

static void end(struct qmp *qmp)
{
	qmp_close(qmp);
	shutdown(server.fd, SHUT_RDWR);
	pthread_join(server.thread, NULL);
	close(server.fd);
}

static void refused(void (*serve)(int fd), const char *because)
{
	struct failure why;

	assert_null(begin(serve, SHORT, &why));
	if (!strstr(why.text, because))
		fail_msg("\"%s\" does not say \"%s\"", why.text, because);
	end(NULL);
}

/* ------------------------------------------------------------------------
 * Greetings
 * ------------------------------------------------------------------------ */

static void serve_nothing(int fd)
{
	char line[64];

	hear(fd, line, sizeof(line), NULL);
}

static void serve_console(int fd)
{
	say(fd, "\r\nDebian GNU/Linux 12 vm ttyS0\r\n\r\nvm login: ");
	serve_nothing(fd);
}

static void serve_monitor(int fd)
{
	say(fd, "QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) ");
	serve_nothing(fd);
}

static void serve_other_json(int fd)
{
	say(fd, "{\"hello\": \"world\"}\r\n");
	serve_nothing(fd);
}

static void serve_array(int fd)
{
	say(fd, "[1, 2, 3]\r\n");
	serve_nothing(fd);
}

static void serve_half_a_greeting(int fd)
{
	say(fd, "{\"QMP\": {\"vers");
	shutdown(fd, SHUT_RDWR);
}

static void serve_slow_greeting(int fd)
{
	static const char greeting[] = GREETING;
	char line[1024];

	for (size_t i = 0; greeting[i]; i++) {
		send(fd, greeting + i, 1, MSG_NOSIGNAL);
		poll(NULL, 0, i % 16 ? 0 : 1);
	}
	hear(fd, line, sizeof(line), NULL);
	reply(fd, line, "\"return\": {}");
	serve_nothing(fd);
}

static void serve_old(int fd)
{
	char line[1024];

	say(fd, OLD_GREETING);
	hear(fd, line, sizeof(line), NULL);
	assert_null(strstr(line, "oob"));
	reply(fd, line, "\"return\": {}");
	hear(fd, line, sizeof(line), NULL);
	assert_null(strstr(line, "exec-oob"));
	reply(fd, line, "\"return\": {}");
	serve_nothing(fd);
}

static void test_wrong_sockets_are_named(void **state)
{
	(void)state;
	refused(serve_nothing, "no QMP greeting");
	refused(serve_console, "not a QMP socket");
	refused(serve_monitor, "human monitor");
	refused(serve_other_json, "no reply and no event");
	refused(serve_array, "not a QMP socket");
	refused(serve_half_a_greeting, "closed the connection");
}

/* A wrong socket may be the guest's keyboard: not one byte may go there. */
static void test_nothing_is_sent_before_the_greeting(void **state)
{
	struct pollfd p = { .events = POLLIN };
	struct failure why;
	int pair[2];
	char c;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_null(qmp_adopt(pair[0], "console", SHORT, &why));
	p.fd = pair[1];
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(read(pair[1], &c, 1), 0);
	close(pair[1]);
}

static void test_greeting_tells_the_version(void **state)
{
	struct qmp *qmp = begin_well(serve_slow_greeting);

	(void)state;
	assert_string_equal(qmp_version(qmp), "7.2.22");
	assert_int_equal(qmp_version_number(qmp), 70222);
	assert_int_equal(qmp_peer(qmp), getpid());
	end(qmp);
}

/* What no QEMU has: it must not become the version of one that we trust to know something. */
static void serve_absurd_version(int fd)
{
	char line[1024];

	say(fd, "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": -1, \"minor\": \"2\", \"major\": 4294967303}}, \"capabilities\": []}}\r\n");
	hear(fd, line, sizeof(line), NULL);
	reply(fd, line, "\"return\": {}");
	serve_nothing(fd);
}

static void test_absurd_version(void **state)
{
	struct qmp *qmp = begin_well(serve_absurd_version);

	(void)state;
	assert_string_equal(qmp_version(qmp), "0.0.0");
	assert_int_equal(qmp_version_number(qmp), 0);
	end(qmp);
}

static void test_old_qemu_without_oob(void **state)
{
	struct qmp *qmp = begin_well(serve_old);
	long n = qmp_send(qmp, -1, true, "migrate-pause", NULL, NULL);
	int done;

	(void)state;
	while (!(done = qmp_reply(qmp, n, NULL, NULL)))
		assert_int_equal(qmp_pump(qmp, NULL), 0);
	assert_int_equal(done, 1);
	end(qmp);
}

static void test_busy_socket_times_out(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char path[] = "/tmp/test-qmp.XXXXXX";
	struct failure why = { 0 };
	int fd = mkstemp(path), listener;

	(void)state;
	close(fd);
	unlink(path);
	strcpy(a.sun_path, path);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(listener, 0), 0);
	assert_null(qmp_open(path, SHORT, &why));
	assert_non_null(strstr(why.text, "another one"));
	/* That attempt still fills the queue: now even connecting fails. */
	why.text[0] = '\0';
	assert_null(qmp_open(path, SHORT, &why));
	assert_non_null(strstr(why.text, "another"));
	close(listener);
	unlink(path);
	why.text[0] = '\0';
	assert_null(qmp_open(path, SHORT, &why));
	assert_non_null(strstr(why.text, "cannot connect"));
}

/* ------------------------------------------------------------------------
 * Commands
 * ------------------------------------------------------------------------ */

static void serve_status(int fd)
{
	char line[1024];

	welcome(fd);
	while (hear(fd, line, sizeof(line), NULL)) {
		if (strstr(line, "\"query-status\""))
			reply(fd, line, "\"return\": {\"status\": \"running\", \"running\": true}");
		else
			reply(fd, line, "\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command is unknown\"}");
	}
}

static void test_execute(void **state)
{
	struct qmp *qmp = begin_well(serve_status);
	struct failure why = { 0 };
	char runstate[8];

	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(qemu_runstate(qmp, runstate, sizeof(runstate), NULL), 0);
		assert_string_equal(runstate, "running");
	}
	assert_int_equal(qmp_do(qmp, TIMEOUT, &why, "dance", "{s:s}", "how", "well"), -1);
	assert_string_equal(why.text, "dance: QEMU refused: The command is unknown");
	end(qmp);
}

/* Events before, between and in the middle of what is waited for. */
static void serve_events(int fd)
{
	char line[1024];

	welcome(fd);
	hear(fd, line, sizeof(line), NULL);
	say(fd, "{\"event\": \"RESUME\", \"timestamp\": {}}\r\n{\"event\": \"MIGRATION\", \"data\"");
	poll(NULL, 0, 20);
	say(fd, ": {\"status\": \"setup\"}}\r\n\r\n");
	reply(fd, line, "\"return\": {}");
	say(fd, "{\"event\": \"MIGRATION\", \"data\": {\"status\": \"active\"}}\r\n");
	serve_nothing(fd);
}

static char seen[128];

static void on_event(void *opaque, const char *name, const json_t *data)
{
	const char *status = json_string_value(json_object_get(data, "status"));

	assert_ptr_equal(opaque, seen);
	strcat(seen, name);
	strcat(seen, status ? status : "");
	strcat(seen, " ");
}

static void test_events_are_delivered_in_order(void **state)
{
	struct qmp *qmp = begin_well(serve_events);

	(void)state;
	seen[0] = '\0';
	qmp_on_event(qmp, on_event, seen);
	assert_int_equal(qmp_do(qmp, TIMEOUT, NULL, "migrate", NULL), 0);
	while (!strstr(seen, "active"))
		assert_int_equal(qmp_pump(qmp, NULL), 0);
	assert_string_equal(seen, "RESUME MIGRATIONsetup MIGRATIONactive ");
	end(qmp);
}

/* Answers the second command first, and one that nobody asked. */
static void serve_out_of_order(int fd)
{
	char first[1024], second[1024];

	welcome(fd);
	hear(fd, first, sizeof(first), NULL);
	hear(fd, second, sizeof(second), NULL);
	assert_non_null(strstr(second, "exec-oob"));
	say(fd, "{\"return\": 1, \"id\": 4711}\r\n{\"return\": 2}\r\n");
	reply(fd, second, "\"return\": \"second\"");
	poll(NULL, 0, 20);
	reply(fd, first, "\"return\": \"first\"");
	serve_nothing(fd);
}

static void test_replies_find_their_command(void **state)
{
	struct qmp *qmp = begin_well(serve_out_of_order);
	long first = qmp_send(qmp, -1, false, "stop", NULL, NULL);
	long second = qmp_send(qmp, -1, true, "query-x", NULL, NULL);
	json_t *result;

	(void)state;
	while (!qmp_reply(qmp, second, &result, NULL))
		assert_int_equal(qmp_pump(qmp, NULL), 0);
	assert_string_equal(json_string_value(result), "second");
	json_decref(result);
	assert_int_equal(qmp_reply(qmp, first, &result, NULL), 0);
	while (!qmp_reply(qmp, first, &result, NULL))
		assert_int_equal(qmp_pump(qmp, NULL), 0);
	assert_string_equal(json_string_value(result), "first");
	json_decref(result);
	/* Fetched once, a reply is gone. */
	assert_int_equal(qmp_reply(qmp, first, NULL, NULL), -1);
	end(qmp);
}

/* Answers the first command when the second has come. */
static void serve_late(int fd)
{
	char first[1024], second[1024];

	welcome(fd);
	hear(fd, first, sizeof(first), NULL);
	hear(fd, second, sizeof(second), NULL);
	reply(fd, first, "\"return\": \"late\"");
	reply(fd, second, "\"return\": \"in time\"");
	serve_nothing(fd);
}

static void test_late_reply_is_dropped(void **state)
{
	struct qmp *qmp = begin_well(serve_late);
	struct failure why = { 0 };
	int64_t began = clock_ms();
	json_t *result;

	(void)state;
	assert_null(qmp_execute(qmp, SHORT, &why, "stop", NULL));
	assert_in_range(clock_ms() - began, SHORT, SHORT + 2000);
	assert_non_null(strstr(why.text, "stop: no answer"));
	result = qmp_execute(qmp, TIMEOUT, NULL, "cont", NULL);
	assert_string_equal(json_string_value(result), "in time");
	json_decref(result);
	end(qmp);
}

static void serve_file(int fd)
{
	char line[1024];
	int file = -1;

	welcome(fd);
	hear(fd, line, sizeof(line), &file);
	assert_non_null(strstr(line, "getfd"));
	assert_non_null(strstr(line, "\"fdname\":\"tunnel\""));
	assert_true(file >= 0);
	assert_int_equal(write(file, "hello", 5), 5);
	close(file);
	reply(fd, line, "\"return\": {}");
	serve_nothing(fd);
}

static void test_file_is_passed(void **state)
{
	struct qmp *qmp = begin_well(serve_file);
	char text[8] = "";
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(qmp_getfd(qmp, ends[1], "tunnel", NULL), 0);
	close(ends[1]);
	assert_int_equal(read(ends[0], text, sizeof(text)), 5);
	assert_string_equal(text, "hello");
	/* Nobody holds a duplicate. */
	assert_int_equal(read(ends[0], text, sizeof(text)), 0);
	close(ends[0]);
	end(qmp);
}

/* ------------------------------------------------------------------------
 * Things that break
 * ------------------------------------------------------------------------ */

static void serve_garbage(int fd)
{
	char line[1024];

	welcome(fd);
	hear(fd, line, sizeof(line), NULL);
	say(fd, "{\"return\": {}, \"id\": \xff\xfe\r\n");
	serve_nothing(fd);
}

static void serve_death(int fd)
{
	char line[1024];

	welcome(fd);
	hear(fd, line, sizeof(line), NULL);
	say(fd, "{\"event\": \"SHUTDOWN\"}\r\n{\"return\": {}, \"i");
	shutdown(fd, SHUT_RDWR);
}

static void serve_endless_line(int fd)
{
	char block[65537];
	char line[1024];

	welcome(fd);
	hear(fd, line, sizeof(line), NULL);
	memset(block, ' ', sizeof(block) - 1);
	block[65536] = '\0';
	for (int i = 0; i < 200; i++)
		say(fd, block);
	serve_nothing(fd);
}

/* A reply of 4 MiB, which is long but not too long. */
static void serve_long_line(int fd)
{
	size_t size = 4 << 20;
	char *text = malloc(size + 1);
	char line[1024];

	welcome(fd);
	hear(fd, line, sizeof(line), NULL);
	memset(text, 'y', size);
	text[size] = '\0';
	say(fd, "{\"return\": \"");
	say(fd, text);
	snprintf(text, size, "\", \"id\": %lld}\r\n", (long long)id_of(line));
	say(fd, text);
	free(text);
	serve_nothing(fd);
}

static void breaks(void (*serve)(int fd), const char *because)
{
	struct qmp *qmp = begin_well(serve);
	struct failure why = { 0 };

	assert_null(qmp_execute(qmp, TIMEOUT, &why, "query-x", NULL));
	if (!strstr(why.text, because))
		fail_msg("\"%s\" does not say \"%s\"", why.text, because);
	/* And it stays broken, without blocking. */
	assert_int_equal(qmp_pump(qmp, NULL), -1);
	assert_null(qmp_execute(qmp, TIMEOUT, NULL, "query-x", NULL));
	end(qmp);
}

static void test_broken_connections(void **state)
{
	(void)state;
	breaks(serve_garbage, "not JSON");
	breaks(serve_death, "closed the connection");
	breaks(serve_endless_line, "a line of more than");
}

static void test_long_line(void **state)
{
	struct qmp *qmp = begin_well(serve_long_line);
	json_t *result = qmp_execute(qmp, TIMEOUT, NULL, "query-x", NULL);

	(void)state;
	assert_int_equal(json_string_length(result), 4 << 20);
	json_decref(result);
	end(qmp);
}

/* ------------------------------------------------------------------------
 * Identity
 * ------------------------------------------------------------------------ */

static const char *uuid_reply, *name_reply;

static void serve_identity(int fd)
{
	char line[1024];

	welcome(fd);
	while (hear(fd, line, sizeof(line), NULL))
		reply(fd, line, strstr(line, "uuid") ? uuid_reply : name_reply);
}

static void expect_identity(const char *uuid, const char *name, const char *is)
{
	char vm[QEMU_NAME_SIZE];
	struct qmp *qmp;

	uuid_reply = uuid;
	name_reply = name;
	qmp = begin_well(serve_identity);
	assert_int_equal(qemu_identity(qmp, vm, NULL), 0);
	assert_string_equal(vm, is);
	end(qmp);
}

static void test_identity(void **state)
{
	const char *no_uuid = "\"return\": {\"UUID\": \"00000000-0000-0000-0000-000000000000\"}";

	(void)state;
	expect_identity("\"return\": {\"UUID\": \"12345678-1234-1234-1234-123456789abc\"}",
			"\"return\": {\"name\": \"web\"}",
			"12345678-1234-1234-1234-123456789abc");
	expect_identity(no_uuid, "\"return\": {\"name\": \"web 1/../..\"}",
			"web_1_.._..");
	expect_identity(no_uuid, "\"return\": {\"name\": \"..\"}", "_.");
	expect_identity(no_uuid, "\"return\": {}", "unnamed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrong_sockets_are_named),
		cmocka_unit_test(test_nothing_is_sent_before_the_greeting),
		cmocka_unit_test(test_greeting_tells_the_version),
		cmocka_unit_test(test_absurd_version),
		cmocka_unit_test(test_old_qemu_without_oob),
		cmocka_unit_test(test_busy_socket_times_out),
		cmocka_unit_test(test_execute),
		cmocka_unit_test(test_events_are_delivered_in_order),
		cmocka_unit_test(test_replies_find_their_command),
		cmocka_unit_test(test_late_reply_is_dropped),
		cmocka_unit_test(test_file_is_passed),
		cmocka_unit_test(test_broken_connections),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_identity),
	};

	return cmocka_run_group_tests_name("qmp", tests, NULL, NULL);
}
