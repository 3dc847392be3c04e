// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Making TCP connections between two agents.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "transport.h"

/* Bytes in the socket of a data stream that TCP could not send yet. */
#define NOT_SENT	(128u << 10)

/* Keep-alive: probe a silent peer after 5 s, every 5 s; dead after 3 probes. */
#define KEEPALIVE_IDLE_S	5
#define KEEPALIVE_INTERVAL_S	5
#define KEEPALIVE_PROBES	3

static bool is_loopback4(struct in_addr a)
{
	return ntohl(a.s_addr) >> 24 == 127;
}

static bool is_loopback6(const struct in6_addr *a)
{
	struct in_addr mapped;

	if (!IN6_IS_ADDR_V4MAPPED(a))
		return IN6_IS_ADDR_LOOPBACK(a);
	memcpy(&mapped, a->s6_addr + 12, sizeof(mapped));
	return is_loopback4(mapped);
}

bool transport_may_talk(const struct sockaddr_storage *address, bool anywhere)
{
	if (anywhere)
		return true;
	switch (address->ss_family) {
	case AF_INET:
		return is_loopback4(((const struct sockaddr_in *)address)->sin_addr);
	case AF_INET6:
		return is_loopback6(&((const struct sockaddr_in6 *)address)->sin6_addr);
	default:
		return false;
	}
}

void transport_name(const struct sockaddr_storage *address,
		    char name[TRANSPORT_NAME_SIZE])
{
	char text[INET6_ADDRSTRLEN] = "?";

	if (address->ss_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)address;

		inet_ntop(AF_INET6, &a->sin6_addr, text, sizeof(text));
		snprintf(name, TRANSPORT_NAME_SIZE, "[%s]:%u", text,
			 ntohs(a->sin6_port));
	} else {
		const struct sockaddr_in *a = (const struct sockaddr_in *)address;

		inet_ntop(AF_INET, &a->sin_addr, text, sizeof(text));
		snprintf(name, TRANSPORT_NAME_SIZE, "%s:%u", text, ntohs(a->sin_port));
	}
}

/* Takes "HOST:PORT" or "[IPv6]:PORT" apart, into @host and the port's text. */
static const char *split(const char *where, char *host, size_t size)
{
	const char *colon = strrchr(where, ':');
	const char *begin = where;
	const char *end = colon;

	if (!colon || !colon[1])
		return NULL;
	if (*begin == '[') {
		if (end == begin || end[-1] != ']')
			return NULL;
		begin++;
		end--;
	} else if (memchr(begin, ':', (size_t)(end - begin))) {
		return NULL;	/* an IPv6 address without its brackets */
	}
	if (end <= begin || (size_t)(end - begin) >= size)
		return NULL;

	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = '\0';
	return colon + 1;
}

int transport_resolve(const char *where, bool passive, struct addrinfo **list,
		      struct failure *why)
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0),
	};
	char host[256];
	const char *port = split(where, host, sizeof(host));
	int error;

	if (!port)
		return fail(why, "\"%s\" is no address; write HOST:PORT or [IPv6]:PORT",
			    where);
	error = getaddrinfo(host, port, &hints, list);
	if (error)
		return fail(why, "cannot resolve \"%s\": %s", where,
			    gai_strerror(error));
	return 0;
}

int transport_tune(int fd, unsigned int dead_ms, struct failure *why)
{
	const struct {
		int level, name, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S },
		{ IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, (int)dead_ms },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (setsockopt(fd, options[i].level, options[i].name,
			       &options[i].value, sizeof(options[i].value)))
			return fail(why, "cannot set up a TCP connection: %s",
				    strerror(errno));
	return 0;
}

int transport_stream(int fd, uint64_t bytes_per_s, struct failure *why)
{
	unsigned int not_sent = NOT_SENT;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &not_sent,
		       sizeof(not_sent)))
		return fail(why, "cannot set up a data stream: %m");
	if (bytes_per_s && setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE,
				      &bytes_per_s, sizeof(bytes_per_s)))
		return fail(why, "cannot limit a data stream to %" PRIu64 " bytes a second: %m",
			    bytes_per_s);
	return 0;
}

static int wait_for(int fd, short events, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t deadline = clock_ms() + timeout_ms;
	int n;

	do {
		n = poll(&p, 1, clock_left(deadline));
	} while (n < 0 && errno == EINTR);
	return n;
}

/* Returns 0 when @fd is connected, or a positive errno. */
static int finish_connect(int fd, const struct addrinfo *to, int64_t deadline)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (!connect(fd, to->ai_addr, to->ai_addrlen))
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	if (wait_for(fd, POLLOUT, clock_left(deadline)) <= 0)
		return ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len))
		return errno;
	return error;
}

int transport_socket(const struct addrinfo *address, bool anywhere,
		     const char *otherwise, char name[TRANSPORT_NAME_SIZE],
		     struct failure *why)
{
	struct sockaddr_storage storage = { 0 };
	int fd;

	memcpy(&storage, address->ai_addr, address->ai_addrlen);
	transport_name(&storage, name);
	if (!transport_may_talk(&storage, anywhere))
		return fail(why, "%s %s", name, otherwise);

	fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return fd < 0 ? fail(why, "cannot make a socket: %s", strerror(errno)) : fd;
}

int transport_sources(const char *text,
		      struct sockaddr_storage list[TRANSPORT_SOURCES_MAX],
		      struct failure *why)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST,
	};
	char address[INET6_ADDRSTRLEN + 1];
	struct addrinfo *found;
	int n = 0;

	for (;; text++) {
		size_t length = strcspn(text, ",");

		if (n == TRANSPORT_SOURCES_MAX)
			return fail(why, "there are more than %d", n);
		snprintf(address, sizeof(address), "%.*s", (int)length, text);
		if (length >= sizeof(address) || !length ||
		    getaddrinfo(address, NULL, &hints, &found))
			return fail(why, "\"%s\" is no address", address);
		list[n] = (struct sockaddr_storage){ 0 };
		memcpy(&list[n++], found->ai_addr, found->ai_addrlen);
		freeaddrinfo(found);
		text += length;
		if (!*text)
			return n;
	}
}

/* Gives a socket that is to be connected to @to our address. */
static int bind_source(int fd, const struct addrinfo *to,
		       const struct sockaddr_storage *from, struct failure *why)
{
	char name[TRANSPORT_NAME_SIZE];
	int one = 1;

	transport_name(from, name);
	if (from->ss_family != to->ai_family)
		return fail(why, "%s cannot be the source: the target's address is of another kind",
			    name);
	/* The port is chosen by connect(), which knows which of them are free for it. */
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) ||
	    bind(fd, (const struct sockaddr *)from, to->ai_addrlen))
		return fail(why, "cannot send from %s: %m", name);
	return 0;
}

static int connect_one(const struct addrinfo *to, const struct transport_peer *peer,
		       int64_t deadline, struct failure *why)
{
	char name[TRANSPORT_NAME_SIZE];
	bool anywhere = peer->tls || peer->insecure;
	int fd = transport_socket(to, anywhere, "is another host, and the connection "
				  "would not be encrypted; use TLS (--tls-psk, or "
				  "--tls-cert and others), or a tunnel to a loopback "
				  "address, or allow it with --insecure", name, why);
	int error;

	if (fd < 0)
		return -1;
	if (peer->from && bind_source(fd, to, peer->from, why))
		goto err_close;
	error = finish_connect(fd, to, deadline);
	if (error) {
		fail(why, "cannot connect to %s: %s; is \"kvmferry receive\" running "
		     "there?", name, strerror(error));
		goto err_close;
	}
	if (transport_tune(fd, TRANSPORT_DEAD_MS, why))
		goto err_close;
	return fd;

err_close:
	close(fd);
	return -1;
}

int transport_connect(const struct transport_peer *peer, int timeout_ms,
		      struct failure *why)
{
	int64_t deadline = clock_ms() + timeout_ms;
	struct failure last = { 0 };
	struct addrinfo *list = NULL;
	int fd = -1;

	if (transport_resolve(peer->where, false, &list, why))
		return -1;
	for (const struct addrinfo *to = list; to && fd < 0; to = to->ai_next) {
		last = (struct failure){ 0 };
		fd = connect_one(to, peer, deadline, &last);
	}
	freeaddrinfo(list);
	if (fd < 0)
		fail(why, "%s", last.text);
	return fd;
}

/* TLS, if it is wanted, and the preamble. */
static int introduce(struct connection *c, const struct transport_peer *peer,
		     const struct wire_preamble *preamble, int64_t deadline,
		     struct failure *why)
{
	uint8_t bytes[WIRE_PREAMBLE_SIZE];
	char host[256];

	split(peer->where, host, sizeof(host));
	if (peer->tls && tls_connect(peer->tls, c, host, deadline, why))
		return -1;
	return transport_send(c, bytes, wire_put_preamble(bytes, preamble),
			      clock_left(deadline), why);
}

int transport_dial(struct connection *c, const struct transport_peer *peer,
		   const struct wire_preamble *preamble, int timeout_ms,
		   struct failure *why)
{
	int64_t deadline = clock_ms() + timeout_ms;

	*c = CONNECTION_CLOSED;
	c->fd = transport_connect(peer, timeout_ms, why);
	if (c->fd < 0)
		return -1;
	if (!introduce(c, peer, preamble, deadline, why))
		return 0;
	connection_close(c);
	return -1;
}

int transport_send(struct connection *c, const void *data, size_t len, int timeout_ms,
		   struct failure *why)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = connection_write(c, p, len);

		if (n >= 0) {
			p += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			if (!wait_for(c->fd, POLLOUT, timeout_ms))
				return fail(why, "the other side took no bytes for "
					    "%d ms", timeout_ms);
		} else if (errno != EINTR) {
			return fail(why, "cannot send to the other side: %s",
				    connection_fault(c));
		}
	}
	return 0;
}
