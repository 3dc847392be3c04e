// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Taking connections in, and waiting for their preambles, within bounds.
 *
 * One epoll file holds the listening socket and all half-open connections, so that
 * the caller has a single file to poll.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "acceptor.h"
#include "clock.h"

#define BACKLOG	64

#define NOT_ENCRYPTED \
	"can be reached from other hosts, and connections would not be encrypted; use " \
	"TLS (--tls-psk, or --tls-cert and others), or listen at a loopback address " \
	"behind a tunnel, or allow it with --insecure"

static int watch(const struct acceptor *a, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(a->fd, EPOLL_CTL_ADD, fd, &event);
}

/* A socket that listens at one address, or -1. */
static int listen_one(const struct addrinfo *at, bool anywhere, struct failure *why)
{
	char name[TRANSPORT_NAME_SIZE];
	int fd = transport_socket(at, anywhere, NOT_ENCRYPTED, name, why);
	int one = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, at->ai_addr, at->ai_addrlen) || listen(fd, BACKLOG)) {
		fail(why, "cannot listen at %s: %s", name, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

/* The first address that works wins; the reason is that of the last one. */
static int listen_any(const char *where, bool anywhere, struct failure *why)
{
	struct failure last = { 0 };
	struct addrinfo *list = NULL;
	int fd = -1;

	if (transport_resolve(where, true, &list, why))
		return -1;
	for (const struct addrinfo *at = list; at && fd < 0; at = at->ai_next) {
		last = (struct failure){ 0 };
		fd = listen_one(at, anywhere, &last);
	}
	freeaddrinfo(list);
	if (fd < 0)
		fail(why, "%s", last.text);
	return fd;
}

bool acceptor_inherits(void)
{
	return sd_listen_fds(false) > 0;
}

/*
 * A socket made by somebody else: it has to be what we would have made, and the rule
 * about clear text holds for it as well.
 */
static int check_inherited(int fd, bool anywhere, struct failure *why)
{
	struct sockaddr_storage address = { 0 };
	char name[TRANSPORT_NAME_SIZE];
	socklen_t len = sizeof(address);
	int flags;

	if (sd_is_socket_inet(fd, AF_UNSPEC, SOCK_STREAM, true, 0) <= 0)
		return fail(why, "what systemd has passed is no TCP socket that listens; "
			    "see ListenStream= of the socket unit");
	if (getsockname(fd, (struct sockaddr *)&address, &len))
		return fail(why, "cannot tell the address of the socket that systemd has passed: %m");
	if (!transport_may_talk(&address, anywhere)) {
		transport_name(&address, name);
		return fail(why, "%s " NOT_ENCRYPTED, name);
	}
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return fail(why, "cannot set up the socket that systemd has passed: %m");
	return 0;
}

/* The socket that systemd has passed, or -1. Closed on exec from now on. */
static int listen_inherited(bool anywhere, struct failure *why)
{
	int count = sd_listen_fds(true);

	if (count != 1)
		return fail(why, "systemd has passed %d sockets; it takes one for each VM",
			    count);
	if (check_inherited(SD_LISTEN_FDS_START, anywhere, why)) {
		close(SD_LISTEN_FDS_START);
		return -1;
	}
	return SD_LISTEN_FDS_START;
}

int acceptor_open(struct acceptor *a, const char *where, struct tls *tls,
		  bool insecure, struct failure *why)
{
	struct sockaddr_storage address = { 0 };
	socklen_t len = sizeof(address);

	*a = (struct acceptor){ .fd = -1, .tls = tls, .anywhere = tls || insecure };
	for (size_t i = 0; i < ACCEPTOR_HALF_OPEN; i++)
		a->half[i].link = CONNECTION_CLOSED;

	a->listener = where ? listen_any(where, a->anywhere, why) :
		listen_inherited(a->anywhere, why);
	if (a->listener < 0)
		return -1;
	a->fd = epoll_create1(EPOLL_CLOEXEC);
	if (a->fd < 0 || watch(a, a->listener) ||
	    getsockname(a->listener, (struct sockaddr *)&address, &len)) {
		fail(why, "cannot listen: %s", strerror(errno));
		acceptor_close(a);
		return -1;
	}
	transport_name(&address, a->name);
	return 0;
}

static void drop(struct half_open *h, const char *because)
{
	log_info("dropped a connection from %s: %s", h->peer, because);
	connection_close(&h->link);
}

/*
 * One of ours, yet not one that we can serve, as after an update of one host only: it
 * is told why, as far as that costs no time. Then it is listened to until it hangs up, or its time is
 * over: what was not read would have the kernel reset the connection, answer and all.
 */
static void refuse(struct half_open *h, const char *because)
{
	uint8_t bytes[WIRE_FRAME_SIZE + WIRE_TEXT_SIZE];
	char *text = (char *)bytes + WIRE_FRAME_SIZE;
	int len = snprintf(text, WIRE_TEXT_SIZE, "%s", because);

	wire_put_frame(bytes, WIRE_ABORT, (uint32_t)len);
	connection_write(&h->link, bytes, WIRE_FRAME_SIZE + (size_t)len);
	shutdown(h->link.fd, SHUT_WR);
	h->refused = true;
	log_info("refused a connection from %s: %s", h->peer, because);
}

/* After refuse(). */
static void hear_out(struct half_open *h)
{
	uint8_t bytes[4096];
	ssize_t n = connection_read(&h->link, bytes, sizeof(bytes));

	if (!n || (n < 0 && errno != EAGAIN && errno != EINTR) || clock_ms() >= h->deadline)
		connection_close(&h->link);
}

/* A free place; if there is none, the oldest connection's. */
static struct half_open *make_place(struct acceptor *a)
{
	struct half_open *oldest = &a->half[0];

	for (size_t i = 0; i < ACCEPTOR_HALF_OPEN; i++) {
		if (a->half[i].link.fd < 0)
			return &a->half[i];
		if (a->half[i].deadline < oldest->deadline)
			oldest = &a->half[i];
	}
	if (oldest->refused)
		connection_close(&oldest->link);
	else
		drop(oldest, "newer connections wait, and it has not said what it wants");
	return oldest;
}

void acceptor_refuse(struct acceptor *a, struct connection *link, const char *peer,
		     const char *because)
{
	struct half_open *h = make_place(a);

	*h = (struct half_open){
		.link = *link,
		.deadline = clock_ms() + ACCEPTOR_PATIENCE_MS,
	};
	*link = CONNECTION_CLOSED;
	snprintf(h->peer, sizeof(h->peer), "%s", peer);
	refuse(h, because);
	if (watch(a, h->link.fd))
		connection_close(&h->link);
}

/* Takes in one connection. Returns false if none waits. */
static bool accept_one(struct acceptor *a)
{
	struct sockaddr_storage peer = { 0 };
	socklen_t len = sizeof(peer);
	struct failure why = { 0 };
	struct half_open *h;
	int fd = accept4(a->listener, (struct sockaddr *)&peer, &len,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return errno == ECONNABORTED || errno == EINTR;

	h = make_place(a);
	*h = (struct half_open){
		.link = { .fd = fd },
		.deadline = clock_ms() + ACCEPTOR_PATIENCE_MS,
	};
	transport_name(&peer, h->peer);
	if (!transport_may_talk(&peer, a->anywhere))
		drop(h, "it comes from another host, which needs TLS or --insecure");
	else if (a->tls && tls_accept(a->tls, &h->link))
		drop(h, "not enough memory for TLS");
	else if (transport_tune(fd, TRANSPORT_DEAD_MS + TRANSPORT_SLACK_MS, &why))
		drop(h, why.text);
	else if (watch(a, fd))
		drop(h, strerror(errno));
	return true;
}

/* Reads on, the TLS handshake included. Returns true when the preamble is complete and good. */
static bool read_on(struct half_open *h, struct wire_preamble *preamble)
{
	const char *why, *fault;
	ssize_t n;
	bool wait;

	if (h->refused) {
		hear_out(h);
		return false;
	}
	if (tls_missed(&h->link)) {
		refuse(h, "this target speaks TLS alone: send takes --tls-psk, or --tls-cert and others");
		return false;
	}
	n = connection_read(&h->link, h->bytes + h->have, WIRE_PREAMBLE_SIZE - h->have);
	wait = n < 0 && (errno == EAGAIN || errno == EINTR);
	fault = n < 0 ? connection_fault(&h->link) : NULL;

	if (clock_ms() >= h->deadline) {
		/* Also if a byte has just come: that is how the slow ones live. */
		drop(h, "it took too long to say what it wants");
		return false;
	}
	if (wait)
		return false;
	if (n <= 0) {
		drop(h, h->link.fault ? fault :
		     "it was closed before it said what it wants");
		return false;
	}

	h->have += (size_t)n;
	if (h->have < WIRE_PREAMBLE_SIZE) {
		/* Whoever cannot begin right is not worth the wait for the rest. */
		if (memcmp(h->bytes, WIRE_MAGIC, h->have < 8 ? h->have : 8) != 0)
			drop(h, "it does not begin as a kvmferry agent does");
		return false;
	}
	if (wire_get_preamble(preamble, h->bytes, h->have, &why)) {
		refuse(h, why);
		return false;
	}
	return true;
}

bool acceptor_next(struct acceptor *a, struct arrival *arrival)
{
	struct half_open *h;
	int budget = BACKLOG;	/* strangers must not keep the caller in here */

	while (budget-- && accept_one(a))
		;
	for (size_t i = 0; i < ACCEPTOR_HALF_OPEN; i++) {
		h = &a->half[i];
		if (h->link.fd < 0 || !read_on(h, &arrival->preamble))
			continue;
		epoll_ctl(a->fd, EPOLL_CTL_DEL, h->link.fd, NULL);
		tls_forget_key(&h->link);
		arrival->link = h->link;
		memcpy(arrival->peer, h->peer, sizeof(arrival->peer));
		h->link = CONNECTION_CLOSED;
		return true;
	}
	return false;
}

int acceptor_timeout(const struct acceptor *a)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < ACCEPTOR_HALF_OPEN; i++)
		if (a->half[i].link.fd >= 0 && a->half[i].deadline < next)
			next = a->half[i].deadline;
	if (next == INT64_MAX)
		return -1;
	return clock_left(next);
}

void acceptor_close(struct acceptor *a)
{
	if (a->listener < 0)
		return;
	for (size_t i = 0; i < ACCEPTOR_HALF_OPEN; i++)
		connection_close(&a->half[i].link);
	close(a->listener);
	if (a->fd >= 0)
		close(a->fd);
	a->listener = -1;
	a->fd = -1;
}
