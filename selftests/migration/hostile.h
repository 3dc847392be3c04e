/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What both sides of the hostile peer share: its connections, and how a case is named. */
#ifndef MIGRATION_HOSTILE_H
#define MIGRATION_HOSTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

#define PATIENCE_MS	120000
#define STREAMS		2

struct play {
	const char *name;
	void (*play)(void);
};

/* Each ends with an entry without a name. */
extern const struct play source_plays[], target_plays[];

/* The VM's one RAM block. */
extern const char *ram_name;
extern uint64_t ram_size;

extern int listener;		/* the target's */
extern int control;
extern int stream[FERRY_MAX_CHANNELS];
extern uint8_t content[FERRY_RECORD_MAX_PAGES * FERRY_PAGE_SIZE];	/* of records */

/* Ends the program with @status; see hostile.c for what it says. */
void die(int status, const char *what) __attribute__((noreturn));

/* A connection to the peer. */
int dial(void);

/* Bytes to the peer, who may have hung up already: that is its right. */
void put(int fd, const void *bytes, size_t len);
void put_preamble(int fd, enum wire_kind kind, unsigned int channel);
void put_frame(int fd, unsigned int type, const void *payload, uint32_t len);
void put_noise(int fd, size_t len);

/* False: the peer hung up. */
bool get(int fd, void *bytes, size_t len);
/* The next frame's type, 0 when the peer hung up. ABORT is printed. */
unsigned int get_frame(int fd);
/* Until ABORT or the end of the connection, which is printed. */
void wait_end(int fd);

#endif /* MIGRATION_HOSTILE_H */
