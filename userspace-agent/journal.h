/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The durable owner record: who owns the VM, should anything crash.
 *
 * QEMU has no fence: it would run the same VM on both hosts. These records are
 * the fence. Each side keeps one small file for a migration in its state
 * directory, VM.MIGRATION.source or VM.MIGRATION.target:
 *
 *	source	owns		the VM is here; the target must not run it
 *		committed	the target owns it; whether it runs is not known
 *		gone		the target has said that it runs
 *	target	incoming	the VM is not here yet
 *		owns		COMMIT has come in; from now on it is here
 *		running		it was started here
 *
 * When journal_write() returns, the new state is on stable storage.
 *
 * What follows from them after a crash is said by verdict.h.
 */
#ifndef KVMFERRY_JOURNAL_H
#define KVMFERRY_JOURNAL_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "qemu.h"
#include "wire.h"

#define JOURNAL_DIR	"/var/lib/kvmferry"

enum journal_side {
	JOURNAL_SOURCE,
	JOURNAL_TARGET,
};

enum journal_state {
	JOURNAL_OWNS,		/* source and target */
	JOURNAL_COMMITTED,	/* source */
	JOURNAL_GONE,		/* source */
	JOURNAL_INCOMING,	/* target */
	JOURNAL_RUNNING,	/* target */
	/* In no record: */
	JOURNAL_NONE,		/* that host has none of this migration */
	JOURNAL_UNKNOWN,	/* that host cannot be asked */
};

#define JOURNAL_STATES	(JOURNAL_UNKNOWN + 1)

/* One owner record, as it stands or shall stand in its file. */
struct journal {
	enum journal_side side;
	enum journal_state state;
	char vm[QEMU_NAME_SIZE];	/* from qemu_identity() */
	uint8_t id[WIRE_ID_SIZE];	/* of the migration */
	char peer[256];			/* HOST:PORT of the other side */
	pid_t pid;			/* of the QEMU here */
	uint64_t started;		/* when it started, clock ticks after boot */
	uint64_t device_bytes;		/* its device state had when it came here; 0: not known */
	pid_t agent;			/* that wrote it; 0: not said */
	uint64_t agent_started;
	uint8_t after[WIRE_ID_SIZE];	/* source: the migration by which it came; or zeros */
	char path[PATH_MAX];		/* of the file */
};

/**
 * journal_init - fill in a record, without writing it
 * @dir:	state directory; made if it is missing. It is looked through for how the VM came
 * @pid:	of the QEMU here
 *
 * Returns 0, or -1 with @why when @dir cannot be used.
 */
int journal_init(struct journal *j, const char *dir, enum journal_side side,
		 const char *vm, const uint8_t id[WIRE_ID_SIZE], const char *peer,
		 pid_t pid, struct failure *why);

/**
 * journal_write - make @state the durable state
 *
 * Returns 0 when it is on stable storage; -1 with @why: @j->state is then what the
 * file says now. If that is the new state, a crash of the host may bring back the old
 * one, and the caller must assume the worse.
 */
int journal_write(struct journal *j, enum journal_state state,
		  struct failure *why);

/* Removes the record, durably. A record that is not there is no error. */
int journal_remove(struct journal *j, struct failure *why);

/* Reads one file. Returns 0, or -1 with @why if it is damaged or unreadable. */
int journal_read(struct journal *j, const char *path, struct failure *why);

/* Is the QEMU, or the agent, of this record still there? */
bool journal_has_qemu(const struct journal *j);
bool journal_has_agent(const struct journal *j);

/**
 * journal_visit_fn - one record, or @trouble with one that cannot be read
 *
 * Returns 0 to go on.
 */
typedef int journal_visit_fn(const struct journal *j, const struct failure *trouble,
			     void *opaque);

/**
 * journal_each - call @visit for each record
 * @dir:	state directory; one that is missing has none
 * @vm:		from qemu_identity(); NULL: of all VMs
 *
 * Returns what @visit returned last, or 0.
 */
int journal_each(const char *dir, const char *vm, journal_visit_fn *visit, void *opaque);

/**
 * journal_sync - make durable what the files of @dir say
 *
 * What is read before may be undone by the next crash. Returns 0, or -1 with @why.
 */
int journal_sync(const char *dir, struct failure *why);

/**
 * journal_admits - may this VM be moved away from, or to, this host?
 * @dir:	state directory; one that is missing admits everything
 * @side:	which role this host would have
 * @vm:		from qemu_identity()
 * @pid:	of the QEMU here
 *
 * As source: no, if a record says that the VM was committed away, unless it came
 * back since, or that record is "gone" and of another QEMU process. As
 * target: no, if a record says that a live QEMU here other than @pid owns it.
 *
 * Returns 0 for yes; -1 with @why, naming the file and the remedy.
 */
int journal_admits(const char *dir, enum journal_side side, const char *vm,
		   pid_t pid, struct failure *why);

/**
 * journal_was_attempt - is this the beginning of the id of a migration that did not come?
 * @dir:	state directory
 * @vm:		from qemu_identity()
 * @id:		the first @size bytes of a migration's id
 *
 * True if this host was its target, and its record still says "incoming".
 */
bool journal_was_attempt(const char *dir, const char *vm, const uint8_t *id, size_t size);

/**
 * journal_device_bytes - how large was the VM's device state when it came here?
 * @dir:	state directory
 * @vm:		from qemu_identity()
 *
 * Returns bytes, or 0 if no record tells.
 */
uint64_t journal_device_bytes(const char *dir, const char *vm);

/**
 * journal_forget - remove what earlier migrations left about a VM
 * @except:	the record to keep
 *
 * To be called once the target runs the VM (side target), and before the source sends
 * COMMIT (side source): older records are then history. Until that they stand, as
 * they do again after a rollback.
 *
 * Returns true if there were any.
 */
bool journal_forget(const char *dir, const struct journal *except);

enum journal_side journal_other_side(enum journal_side side);
const char *journal_side_name(enum journal_side side);
const char *journal_state_name(enum journal_state state);

/* The reverse of these, also for JOURNAL_NONE and JOURNAL_UNKNOWN; false: no such word. */
bool journal_side_of(const char *word, enum journal_side *side);
bool journal_state_of(const char *word, enum journal_state *state);

/* A migration's id, in hexadecimal digits. */
#define JOURNAL_ID_DIGITS	(2 * WIRE_ID_SIZE)
void journal_put_id(char text[JOURNAL_ID_DIGITS + 1], const uint8_t id[WIRE_ID_SIZE]);
bool journal_get_id(uint8_t id[WIRE_ID_SIZE], const char *text);

#endif /* KVMFERRY_JOURNAL_H */
