/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCP connections between two agents: how they are made, and who may be spoken to.
 * acceptor.h takes them in, frames.h speaks on the control connection.
 *
 * All sockets made here are non-blocking and close-on-exec, send small messages
 * at once, and notice a dead peer by themselves (keep-alive and
 * TCP_USER_TIMEOUT).
 *
 * Clear text is allowed on the loopback interface only, unless the operator said
 * --insecure. That rule stands in one place, transport_may_talk(), and is asked
 * about the addresses a socket really has, not about the names it was given.
 *
 * Functions that fail return -1 with the reason in @why.
 */
#ifndef KVMFERRY_TRANSPORT_H
#define KVMFERRY_TRANSPORT_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "connection.h"
#include "log.h"
#include "tls.h"
#include "wire.h"

#define TRANSPORT_NAME_SIZE	64	/* "[IPv6]:PORT" and its NUL */
#define TRANSPORT_SOURCES_MAX	16	/* as many as there may be streams */
#define TRANSPORT_DEAD_MS	20000	/* see transport_tune() */
#define TRANSPORT_SLACK_MS	5000

/**
 * transport_may_talk - the rule about clear text
 * @address:	address of a peer, or the one to listen at
 * @anywhere:	there is TLS, or the operator allowed clear text everywhere
 *
 * Returns true if bytes may be exchanged with @address.
 */
bool transport_may_talk(const struct sockaddr_storage *address, bool anywhere);

/**
 * transport_resolve - addresses of HOST:PORT, or [IPv6]:PORT
 * @where:	the text
 * @passive:	to listen there, not to connect
 * @list:	out: to be freed with freeaddrinfo()
 * @why:	the reason of a failure
 *
 * Returns 0, or -1.
 */
int transport_resolve(const char *where, bool passive, struct addrinfo **list,
		      struct failure *why);

/* Writes an address as people do: 127.0.0.1:4444, [::1]:4444. */
void transport_name(const struct sockaddr_storage *address,
		    char name[TRANSPORT_NAME_SIZE]);

/*
 * Gives a connected socket the properties described above. A peer that has not answered for @dead_ms is
 * dead: TRANSPORT_DEAD_MS for who connected, and TRANSPORT_SLACK_MS more for who accepted, so that
 * the source gives up first. It knows better why. Returns 0, or -1.
 */
int transport_tune(int fd, unsigned int dead_ms, struct failure *why);

/**
 * transport_socket - a socket for one address, if we may talk there
 * @address:	to connect to, or to listen at
 * @anywhere:	as for transport_may_talk()
 * @otherwise:	what to say after the address's name if it may not
 * @name:	out: the address, as people write it
 * @why:	the reason of a failure
 *
 * Returns a socket, neither bound nor connected yet, or -1.
 */
int transport_socket(const struct addrinfo *address, bool anywhere,
		     const char *otherwise, char name[TRANSPORT_NAME_SIZE],
		     struct failure *why);

/**
 * transport_sources - the addresses of this host that data may leave from
 * @text:	one or more addresses, no names, with commas in between
 * @list:	out: TRANSPORT_SOURCES_MAX at most
 * @why:	the reason of a failure
 *
 * Returns how many, or -1.
 */
int transport_sources(const char *text,
		      struct sockaddr_storage list[TRANSPORT_SOURCES_MAX],
		      struct failure *why);

/**
 * struct transport_peer - whom to connect to, and how
 * @where:	HOST:PORT, or [IPv6]:PORT
 * @from:	our address on this connection; NULL: what the kernel chooses
 * @tls:	speak TLS with these keys; NULL: clear text
 * @insecure:	clear text may leave the loopback interface
 */
struct transport_peer {
	const char *where;
	const struct sockaddr_storage *from;
	struct tls *tls;
	bool insecure;
};

/**
 * transport_connect - connect
 * @peer:	whom to connect to; TLS is not begun yet
 * @timeout_ms:	for all addresses of the host together
 * @why:	the reason of a failure
 *
 * Blocks. Returns a socket, or -1.
 */
int transport_connect(const struct transport_peer *peer, int timeout_ms,
		      struct failure *why);

/**
 * transport_dial - connect, and send the preamble
 * @c:		out: the connection; closed on failure
 * @peer:	whom to connect to
 * @preamble:	what this connection is for
 * @timeout_ms:	for all of it
 * @why:	the reason of a failure
 *
 * Blocks. Returns 0, or -1.
 */
int transport_dial(struct connection *c, const struct transport_peer *peer,
		   const struct wire_preamble *preamble, int timeout_ms,
		   struct failure *why);

/**
 * transport_stream - give a connected socket the properties of a data stream
 * @fd:		a socket of this file
 * @bytes_per_s: send no faster; 0: as fast as it goes
 * @why:	the reason of a failure
 *
 * What waits shall wait on the ring, where the kernel module sees it and decides how
 * much effort the next page is worth, not in the socket.
 *
 * Returns 0, or -1.
 */
int transport_stream(int fd, uint64_t bytes_per_s, struct failure *why);

/**
 * transport_send - send all of @len bytes, however often the connection is full
 * @c:		a connection of this file
 * @data:	the bytes
 * @len:	how many
 * @timeout_ms:	for each time the peer makes no progress
 * @why:	the reason of a failure
 *
 * Blocks. Returns 0, or -1.
 */
int transport_send(struct connection *c, const void *data, size_t len, int timeout_ms,
		   struct failure *why);

#endif /* KVMFERRY_TRANSPORT_H */
