// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connections: who may be spoken to, how strangers are kept off, frames, the tunnel.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "acceptor.h"
#include "cmocka-all.h"
#include "frames.h"
#include "transport.h"
#include "tunnel.h"

#define SOON	2000	/* ms: longer than anything here takes */

static const struct wire_preamble control = {
	.version = WIRE_VERSION,
	.kind = WIRE_CONTROL,
	.id = "a migration id.",
};

static void count_message(void *opaque, enum log_level level, const char *text)
{
	(void)level;
	(void)text;
	(*(int *)opaque)++;
}

/* ------------------------------------------------------------------------
 * Who may be spoken to
 * ------------------------------------------------------------------------ */

static bool may_talk(const char *host, bool insecure)
{
	struct sockaddr_storage address = { 0 };
	struct sockaddr_in *in4 = (struct sockaddr_in *)&address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address;

	if (inet_pton(AF_INET, host, &in4->sin_addr) == 1)
		address.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1)
		address.ss_family = AF_INET6;
	else
		fail_msg("%s", host);
	return transport_may_talk(&address, insecure);
}

static void test_plaintext_stays_on_loopback(void **state)
{
	static const char *const inside[] = {
		"127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1",
	};
	static const char *const outside[] = {
		"0.0.0.0", "126.0.0.1", "128.0.0.1", "192.168.1.1", "::", "fe80::1",
		"::2", "::ffff:10.0.0.1", "2001:db8::1", "::127.0.0.1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++)
		assert_true(may_talk(inside[i], false));
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		assert_false(may_talk(outside[i], false));
		assert_true(may_talk(outside[i], true));
	}
}

static void test_listening_elsewhere_is_refused(void **state)
{
	struct failure why = { 0 };
	struct acceptor a;

	(void)state;
	assert_int_equal(acceptor_open(&a, "0.0.0.0:0", NULL, false, &why), -1);
	assert_non_null(strstr(why.text, "--insecure"));
	assert_int_equal(acceptor_open(&a, "0.0.0.0:0", NULL, true, &why), 0);
	acceptor_close(&a);
}

static void test_connecting_elsewhere_is_refused(void **state)
{
	struct failure why = { 0 };

	(void)state;
	assert_int_equal(transport_connect(&(struct transport_peer){ .where = "192.0.2.1:9" },
					   SOON, &why), -1);
	assert_non_null(strstr(why.text, "--insecure"));
}

static void test_addresses(void **state)
{
	static const char *const bad[] = {
		"", ":", "localhost", "localhost:", ":1", "::1:80", "[::1]", "[::1:80",
		"[]:80", "127.0.0.1:port", "127.0.0.1:99999x",
	};
	struct addrinfo *list;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct failure why = { 0 };

		assert_int_equal(transport_resolve(bad[i], false, &list, &why), -1);
		assert_true(why.text[0]);
	}
	assert_int_equal(transport_resolve("[::1]:80", false, &list, NULL), 0);
	assert_int_equal(list->ai_family, AF_INET6);
	freeaddrinfo(list);
	assert_int_equal(transport_resolve("127.0.0.1:80", false, &list, NULL), 0);
	assert_int_equal(list->ai_family, AF_INET);
	freeaddrinfo(list);
}

static void test_nobody_listens(void **state)
{
	struct failure why = { 0 };
	struct acceptor a;
	char where[TRANSPORT_NAME_SIZE];

	(void)state;
	assert_int_equal(acceptor_open(&a, "127.0.0.1:0", NULL, false, &why), 0);
	memcpy(where, a.name, sizeof(where));
	acceptor_close(&a);
	assert_int_equal(transport_connect(&(struct transport_peer){ .where = where }, SOON, &why), -1);
	assert_non_null(strstr(why.text, "refused"));
}

/* ------------------------------------------------------------------------
 * Strangers
 * ------------------------------------------------------------------------ */

struct port {
	struct acceptor a;
	struct arrival arrival;
	int messages;
};

static int open_port(void **state)
{
	struct port *p = calloc(1, sizeof(*p));

	*state = p;
	log_set_hook(count_message, &p->messages);
	return acceptor_open(&p->a, "127.0.0.1:0", NULL, false, NULL);
}

static int close_port(void **state)
{
	struct port *p = *state;

	acceptor_close(&p->a);
	log_set_hook(NULL, NULL);
	free(p);
	return 0;
}

static struct connection dial(const struct port *p, const struct wire_preamble *preamble)
{
	const struct transport_peer peer = { .where = p->a.name };
	struct connection c;

	assert_int_equal(transport_dial(&c, &peer, preamble, SOON, NULL), 0);
	return c;
}

static int dial_raw(const struct port *p)
{
	const struct transport_peer peer = { .where = p->a.name };
	int fd = transport_connect(&peer, SOON, NULL);

	assert_true(fd >= 0);
	return fd;
}

/* Waits for the acceptor to have something to do, then lets it. */
static bool go_on(struct port *p)
{
	struct pollfd poll_fd = { .fd = p->a.fd, .events = POLLIN };

	assert_int_equal(poll(&poll_fd, 1, SOON), 1);
	return acceptor_next(&p->a, &p->arrival);
}

static unsigned int half_open(const struct port *p)
{
	unsigned int n = 0;

	for (size_t i = 0; i < ACCEPTOR_HALF_OPEN; i++)
		n += p->a.half[i].link.fd >= 0;
	return n;
}

static void test_arrival(void **state)
{
	struct port *p = *state;
	struct connection c = dial(p, &control);

	while (!go_on(p))
		;
	assert_int_equal(p->arrival.preamble.kind, WIRE_CONTROL);
	assert_memory_equal(p->arrival.preamble.id, control.id, WIRE_ID_SIZE);
	assert_int_equal(strncmp(p->arrival.peer, "127.0.0.1:", 10), 0);
	assert_int_equal(half_open(p), 0);
	assert_int_equal(acceptor_timeout(&p->a), -1);
	assert_int_equal(p->messages, 0);
	connection_close(&p->arrival.link);
	connection_close(&c);
}

static void test_source_addresses(void **state)
{
	struct sockaddr_storage from[TRANSPORT_SOURCES_MAX];
	struct transport_peer peer = { .where = ((struct port *)*state)->a.name };
	struct failure why = { 0 };
	struct port *p = *state;
	struct connection c;

	assert_int_equal(transport_sources("127.0.0.3,127.0.0.4,::1,198.51.100.9", from, &why), 4);
	peer.from = &from[1];
	assert_int_equal(transport_dial(&c, &peer, &control, SOON, &why), 0);
	while (!go_on(p))
		;
	assert_int_equal(strncmp(p->arrival.peer, "127.0.0.4:", 10), 0);
	connection_close(&p->arrival.link);
	connection_close(&c);

	peer.from = &from[2];
	assert_int_equal(transport_dial(&c, &peer, &control, SOON, &why), -1);
	assert_non_null(strstr(why.text, "of another kind"));
	why = (struct failure){ 0 };
	peer.from = &from[3];
	assert_int_equal(transport_dial(&c, &peer, &control, SOON, &why), -1);
	assert_non_null(strstr(why.text, "cannot send from 198.51.100.9"));
}

static void test_bad_source_addresses(void **state)
{
	static const char *const bad[] = {
		"", ",", "127.0.0.1,", ",::1", "host.example", "127.0.0.1:5", "[::1]", "1.2.3.4.5",
		"1::1,1::2,1::3,1::4,1::5,1::6,1::7,1::8,1::9,1::10,1::11,1::12,1::13,1::14,1::15,1::16,1::17",
	};
	struct sockaddr_storage from[TRANSPORT_SOURCES_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct failure why = { 0 };

		if (transport_sources(bad[i], from, &why) != -1 || !why.text[0])
			fail_msg("taken: %s", bad[i]);
	}
}

static void test_preamble_in_pieces(void **state)
{
	struct port *p = *state;
	uint8_t bytes[WIRE_PREAMBLE_SIZE];
	int fd = dial_raw(p);

	wire_put_preamble(bytes, &control);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		assert_int_equal(send(fd, bytes + i, 1, 0), 1);
		while (!p->arrival.link.fd && !go_on(p) && half_open(p) == 1 &&
		       p->a.half[0].have < i + 1)
			;
	}
	assert_true(p->arrival.link.fd > 0);
	connection_close(&p->arrival.link);
	close(fd);
}

static void test_garbage_is_dropped_at_once(void **state)
{
	struct port *p = *state;
	int fd = dial_raw(p);
	char byte;

	assert_int_equal(send(fd, "GET ", 4, 0), 4);
	do {
		assert_false(go_on(p));
	} while (half_open(p));
	assert_int_equal(p->messages, 1);
	assert_true(recv(fd, &byte, 1, MSG_DONTWAIT) <= 0);
	close(fd);
}

static void test_another_version_is_told_so(void **state)
{
	struct port *p = *state;
	struct wire_preamble newer = control;
	char answer[WIRE_FRAME_SIZE + WIRE_TEXT_SIZE + 1] = { 0 };
	struct connection c;

	newer.version++;
	c = dial(p, &newer);
	do {
		assert_false(go_on(p));
	} while (!p->messages);
	/* What it says meanwhile does not cost it the answer. */
	assert_int_equal(send(c.fd, answer, sizeof(answer), 0), sizeof(answer));
	assert_false(go_on(p));
	assert_true(recv(c.fd, answer, sizeof(answer) - 1, 0) > WIRE_FRAME_SIZE);
	assert_memory_equal(answer, "KF\0\12", 4);
	assert_non_null(strstr(answer + WIRE_FRAME_SIZE, "version"));
	connection_close(&c);
	do {
		assert_false(go_on(p));
	} while (half_open(p));
	assert_int_equal(p->messages, 1);
}

/* Nor does what was not read of it. */
static void test_refused_one_is_told_so(void **state)
{
	struct port *p = *state;
	char answer[WIRE_FRAME_SIZE + WIRE_TEXT_SIZE + 1] = { 0 };
	struct connection c = dial(p, &control);

	while (!go_on(p))
		;
	assert_int_equal(send(c.fd, answer, sizeof(answer), 0), sizeof(answer));
	acceptor_refuse(&p->a, &p->arrival.link, p->arrival.peer, "busy");
	assert_int_equal(p->arrival.link.fd, -1);
	assert_false(go_on(p));
	assert_int_equal(recv(c.fd, answer, sizeof(answer), 0), WIRE_FRAME_SIZE + 4);
	assert_memory_equal(answer + WIRE_FRAME_SIZE, "busy", 4);
	connection_close(&c);
	do {
		assert_false(go_on(p));
	} while (half_open(p));
	assert_int_equal(p->messages, 1);
}

static void test_closing_early(void **state)
{
	struct port *p = *state;

	close(dial_raw(p));
	do {
		assert_false(go_on(p));
	} while (!p->messages);
	assert_int_equal(half_open(p), 0);
	assert_int_equal(p->messages, 1);
}

static void test_slow_one_is_dropped(void **state)
{
	struct port *p = *state;
	int fd = dial_raw(p);

	assert_false(go_on(p));
	assert_int_equal(half_open(p), 1);
	assert_in_range(acceptor_timeout(&p->a), ACCEPTOR_PATIENCE_MS - SOON,
			ACCEPTOR_PATIENCE_MS);

	/* A byte now and then does not help, once its time is over. */
	p->a.half[0].deadline = 0;
	assert_int_equal(acceptor_timeout(&p->a), 0);
	assert_int_equal(send(fd, "K", 1, 0), 1);
	assert_false(go_on(p));
	assert_int_equal(half_open(p), 0);
	assert_int_equal(p->messages, 1);
	close(fd);
}

static void test_many_slow_ones_do_not_block_a_good_one(void **state)
{
	struct port *p = *state;
	int slow[3 * ACCEPTOR_HALF_OPEN];
	struct connection c;
	bool arrived = false;

	for (size_t i = 0; i < sizeof(slow) / sizeof(slow[0]); i++)
		slow[i] = dial_raw(p);
	c = dial(p, &control);
	while (!arrived) {
		arrived = go_on(p);
		assert_true(half_open(p) <= ACCEPTOR_HALF_OPEN);
	}
	for (size_t i = 0; i < sizeof(slow) / sizeof(slow[0]); i++)
		close(slow[i]);
	connection_close(&p->arrival.link);
	connection_close(&c);
}

/* A peer that does not read is not the network; what is no TCP tells nothing. */
static void test_who_keeps_bytes_waiting(void **state)
{
	static const uint8_t bytes[1 << 16];
	struct port *p = *state;
	struct connection c = dial(p, &control), local = CONNECTION_CLOSED;
	int64_t held;
	int fd[2];

	while (!go_on(p))
		;
	/* until nothing has fitted for a while */
	for (int still = 0; still < 3; usleep(20000))
		for (still++; connection_write(&c, bytes, sizeof(bytes)) > 0;)
			still = 0;
	held = connection_held_us(&c);
	assert_true(held >= 0);
	usleep(400000);
	assert_in_range(connection_held_us(&c) - held, 0, 200000);
	connection_close(&p->arrival.link);
	connection_close(&c);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	local.fd = fd[0];
	assert_int_equal(connection_held_us(&local), -1);
	connection_close(&local);
	close(fd[1]);
}

/* ------------------------------------------------------------------------
 * Frames
 * ------------------------------------------------------------------------ */

struct pair {
	struct frames c;	/* the side under test */
	int peer;
	struct failure why;
};

static int open_pair(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));
	struct connection link = CONNECTION_CLOSED;
	int fd[2];

	*state = p;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd))
		return -1;
	p->peer = fd[1];
	link.fd = fd[0];
	return frames_open(&p->c, &link, &p->why);
}

static int close_pair(void **state)
{
	struct pair *p = *state;

	frames_close(&p->c);
	close(p->peer);
	free(p);
	return 0;
}

static void test_frame_in_pieces(void **state)
{
	static const uint8_t bytes[] = "KF\0\12\0\0\0\3no!" "KF\0\6\0\0\0\0";
	struct pair *p = *state;
	const uint8_t *payload;
	struct wire_frame f;
	int frames = 0;

	for (size_t i = 0; i + 1 < sizeof(bytes); i++) {
		assert_int_equal(send(p->peer, bytes + i, 1, 0), 1);
		assert_int_equal(frames_fill(&p->c, &p->why), 1);
		assert_int_equal(frames_fill(&p->c, &p->why), 0);
		if (!frames_next(&p->c, &f, &payload, &p->why))
			continue;
		frames++;
		assert_int_equal(f.type, frames == 1 ? WIRE_ABORT : WIRE_VERIFY);
		assert_true(frames == 2 || !memcmp(payload, "no!", 3));
	}
	assert_int_equal(frames, 2);
}

static void test_oversize_frame(void **state)
{
	struct pair *p = *state;
	const uint8_t *payload;
	struct wire_frame f;

	assert_int_equal(send(p->peer, "KF\0\4\0\1\0\1", 8, 0), 8);
	assert_int_equal(frames_fill(&p->c, &p->why), 1);
	assert_int_equal(frames_next(&p->c, &f, &payload, &p->why), -1);
	assert_non_null(strstr(p->why.text, "protocol"));
}

static void test_frames_before_the_end_are_seen(void **state)
{
	struct pair *p = *state;
	const uint8_t *payload;
	struct wire_frame f;

	assert_int_equal(send(p->peer, "KF\0\10\0\0\0\0", 8, 0), 8);
	shutdown(p->peer, SHUT_RDWR);
	assert_int_equal(frames_queue(&p->c, WIRE_READY, NULL, 0, &p->why), 0);
	assert_int_equal(frames_flush(&p->c, NULL), -1);	/* lost, yet ... */
	assert_int_equal(frames_fill(&p->c, &p->why), 1);
	assert_int_equal(frames_next(&p->c, &f, &payload, &p->why), 1);
	assert_int_equal(f.type, WIRE_COMMIT);
	assert_int_equal(frames_next(&p->c, &f, &payload, &p->why), 0);
	assert_int_equal(frames_fill(&p->c, &p->why), -1);
}

static void test_bulk_leaves_room_for_short_frames(void **state)
{
	static const uint8_t bulk[WIRE_MAX_PAYLOAD];
	struct pair *p = *state;
	size_t queued = 0;

	while (frames_room(&p->c)) {
		queued += frames_room(&p->c);
		assert_int_equal(frames_queue(&p->c, WIRE_DEVICE, bulk,
					      frames_room(&p->c), &p->why), 0);
	}
	assert_in_range(queued, 3 * WIRE_MAX_PAYLOAD, FRAMES_OUT_SIZE);
	assert_int_equal(frames_queue(&p->c, WIRE_ABORT, "why", 3, &p->why), 0);
	assert_int_equal(frames_queue(&p->c, WIRE_DEVICE, bulk, sizeof(bulk), &p->why),
			 -1);
}

/* Everything that was queued comes out, in order, through a socket that stutters. */
static void test_much_both_ways(void **state)
{
	struct pair *p = *state;
	struct connection link = { .fd = p->peer };
	struct frames other;
	struct failure why = { 0 };
	uint8_t bulk[WIRE_MAX_PAYLOAD];
	unsigned int sent = 0, got = 0;

	assert_int_equal(frames_open(&other, &link, &why), 0);
	while (got < 100) {
		const uint8_t *payload;
		struct wire_frame f;

		if (sent < 100 && frames_room(&p->c) == WIRE_MAX_PAYLOAD) {
			memset(bulk, (int)sent, sizeof(bulk));
			assert_int_equal(frames_queue(&p->c, WIRE_DEVICE, bulk,
						      1 + sent * 600, &why), 0);
			sent++;
		}
		assert_true(frames_flush(&p->c, &why) >= 0);
		assert_true(frames_fill(&other, &why) >= 0);
		while (frames_next(&other, &f, &payload, &why) > 0) {
			assert_int_equal(f.length, 1 + got * 600);
			assert_int_equal(payload[f.length - 1], (uint8_t)got);
			got++;
		}
	}
	frames_close(&other);
	p->peer = -1;
}

static void test_waiting_has_an_end(void **state)
{
	struct pair *p = *state;
	const uint8_t *payload;
	struct wire_frame f;

	assert_int_equal(frames_wait(&p->c, &f, &payload, 20, &p->why), -1);
	assert_non_null(strstr(p->why.text, "in time"));
}

/* ------------------------------------------------------------------------
 * The tunnel
 * ------------------------------------------------------------------------ */

static void test_tunnel(void **state)
{
	struct pair *p = *state;
	struct tunnel *t = malloc(sizeof(*t));
	uint8_t bytes[64];
	int qemu;

	assert_int_equal(tunnel_open(t, &qemu, &p->why), 0);
	assert_int_equal(tunnel_events(t, &p->c), POLLIN);

	assert_int_equal(send(qemu, "device", 6, 0), 6);
	assert_int_equal(tunnel_move(t, &p->c, &p->why), 0);
	assert_int_equal(frames_flush(&p->c, &p->why), 1);
	assert_int_equal(recv(p->peer, bytes, sizeof(bytes), 0), 14);
	assert_memory_equal(bytes, "KF\0\4\0\0\0\6device", 14);

	assert_int_equal(tunnel_deliver(t, (const uint8_t *)"back", 4, &p->why), 0);
	assert_int_equal(recv(qemu, bytes, sizeof(bytes), 0), 4);
	assert_int_equal(tunnel_deliver_eof(t, &p->why), 0);
	assert_int_equal(recv(qemu, bytes, sizeof(bytes), 0), 0);
	assert_int_equal(tunnel_deliver(t, (const uint8_t *)"x", 1, &p->why), -1);

	close(qemu);
	assert_int_equal(tunnel_move(t, &p->c, &p->why), 0);
	assert_int_equal(frames_flush(&p->c, &p->why), 1);
	assert_int_equal(recv(p->peer, bytes, sizeof(bytes), 0), 8);
	assert_memory_equal(bytes, "KF\0\5\0\0\0\0", 8);
	assert_int_equal(tunnel_events(t, &p->c), 0);
	tunnel_close(t);
	free(t);
}

static void test_tunnel_to_a_qemu_that_does_not_read(void **state)
{
	static const uint8_t bulk[WIRE_MAX_PAYLOAD];
	struct pair *p = *state;
	struct tunnel *t = malloc(sizeof(*t));
	size_t put = 0, got = 0;
	uint8_t bytes[4096];
	ssize_t n;
	int qemu;

	assert_int_equal(tunnel_open(t, &qemu, &p->why), 0);
	while (!tunnel_is_full(t)) {
		assert_int_equal(tunnel_deliver(t, bulk, sizeof(bulk), &p->why), 0);
		put += sizeof(bulk);
	}
	assert_int_equal(tunnel_events(t, &p->c), POLLIN | POLLOUT);
	while (got < put) {
		n = recv(qemu, bytes, sizeof(bytes), MSG_DONTWAIT);
		assert_true(n > 0 || errno == EAGAIN);
		got += n > 0 ? (size_t)n : 0;
		assert_int_equal(tunnel_move(t, &p->c, &p->why), 0);
	}
	assert_false(tunnel_is_full(t));

	/* One that has gone takes everything, that is nothing. */
	close(qemu);
	for (int i = 0; i < 10; i++)
		assert_int_equal(tunnel_deliver(t, bulk, sizeof(bulk), &p->why), 0);
	assert_false(tunnel_is_full(t));
	tunnel_close(t);
	free(t);
}

#define PORT_TEST(name)	cmocka_unit_test_setup_teardown(name, open_port, close_port)
#define PAIR_TEST(name)	cmocka_unit_test_setup_teardown(name, open_pair, close_pair)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plaintext_stays_on_loopback),
		cmocka_unit_test(test_listening_elsewhere_is_refused),
		cmocka_unit_test(test_connecting_elsewhere_is_refused),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_bad_source_addresses),
		PORT_TEST(test_source_addresses),
		PORT_TEST(test_arrival),
		PORT_TEST(test_preamble_in_pieces),
		PORT_TEST(test_garbage_is_dropped_at_once),
		PORT_TEST(test_another_version_is_told_so),
		PORT_TEST(test_refused_one_is_told_so),
		PORT_TEST(test_closing_early),
		PORT_TEST(test_slow_one_is_dropped),
		PORT_TEST(test_many_slow_ones_do_not_block_a_good_one),
		PORT_TEST(test_who_keeps_bytes_waiting),
		PAIR_TEST(test_frame_in_pieces),
		PAIR_TEST(test_oversize_frame),
		PAIR_TEST(test_frames_before_the_end_are_seen),
		PAIR_TEST(test_bulk_leaves_room_for_short_frames),
		PAIR_TEST(test_much_both_ways),
		PAIR_TEST(test_waiting_has_an_end),
		PAIR_TEST(test_tunnel),
		PAIR_TEST(test_tunnel_to_a_qemu_that_does_not_read),
	};

	return cmocka_run_group_tests_name("transport", tests, NULL, NULL);
}
