/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The switchover, as a model that spin searches for a way to break it.
 *
 * Theory of operation
 *
 *	Source(m) <== frames ==> Target(m)	the agents of migration m, 1 or 2
 *	    |                        |
 *	 qemu[0]                  qemu[m]	either may hold the guest
 *	 owner[0]                 owner[m]	the owner records
 *
 * Source() goes through the stages of stages.c and Target() through those of target.c,
 * as far as the other side, a QEMU or a record can tell a difference; stages that are
 * named and do nothing can not be told apart. Steps that nobody outside could tell apart
 * either are one (atomic). Misfortune() crashes an agent, a QEMU or a host, or
 * breaks a connection, between any two steps and as often as it likes. Operator() is
 * patient and forgetful: he reads records, sees which processes are there, and may do
 * what verdict.h and the agents' last words allow, at any time or never. A crashed
 * agent does not come back; what comes back is a second migration that he begins.
 *
 * There is no clock. What should happen stands next to what may happen instead: a
 * time-out, a signal, a full disk (fails). So whatever can be late is late, too.
 *
 * A connection is TCP's: all that was sent arrives, in order and once, up to a point
 * where nothing more does. The sender need not notice (cut). A frame that came and is
 * never read is that of a receiver who fails first. Each migration has a connection of
 * its own; what was sent on an old one stays there for the agent at its end, which may
 * be slow, but alive.
 *
 * What must hold, and what violated() calls it:
 *
 *	once	there are never two QEMUs that run the guest
 *	latest	the guest is never run from a state that another QEMU has overtaken
 *	owned	the source's agent lets the guest run only while its record is not
 *		"committed", the target's only once its record is "owns"
 *	kept	no agent ends the last QEMU that has the guest, unless another crashed
 *	told	the agents have ended and nobody runs the guest: then the operator was
 *		told, or a record says so (unless a QEMU crashed that ran it, as any may)
 *	settled	... and there is something that he may do about it, unless a QEMU crashed
 *	arrived	nothing went wrong: the guest runs at the target, and both records say so
 *
 * To read on: Source(), Target(), then the operator's rules. To see one way to break a rule:
 *
 *	selftests/model/check.sh --trace HASTY
 */

/*
 * Rules broken on purpose, one at a time, and what check.sh wants to be violated by each.
 * Whoever runs as the second was overtaken by the first: which of once and latest is found
 * is a matter of who was looked at first.
 */
#define COMMIT_FIRST	1	/* once or latest: COMMIT is sent before the record is written */
#define BYTES_LEFT	2	/* once or latest: the source runs on although bytes of COMMIT have left */
#define RECORD_STAYS	3	/* owned: ... although its record may still say "committed" */
#define UNWRITTEN	4	/* owned: the target runs it although "owns" could not be written */
#define GIVE_UP_LATE	5	/* kept or latest: the target gives up when the connection breaks, after COMMIT, too */
#define SEND_AGAIN	6	/* once or latest: a source that was committed may send once more */
#define HASTY		7	/* once or latest or kept: the operator does not wait for the target's agent to end */
#define TOO_OLD		8	/* once or latest: he deletes the target's record if only its QEMU is gone */
#define EITHER		9	/* once or latest: he continues the target next to the source's QEMU */
#define SPEECHLESS	10	/* settled: there is no rule for a target without a record */
#define UNSYNCED	11	/* once or latest: he believes records that may not be durable */

#ifndef BREAK
#define BREAK		0
#endif
#define broken(rule)	(BREAK == rule)

#define MIGRATIONS	2
#define SOURCE		0	/* the index of its QEMU and record; a target's is its migration */

/* Those of journal.h. */
mtype:state = { JOURNAL_NONE, JOURNAL_OWNS, JOURNAL_COMMITTED, JOURNAL_GONE, JOURNAL_INCOMING,
		JOURNAL_RUNNING, JOURNAL_UNKNOWN };

/* The agent's own rule, printed by verdict.c: is_source(), is_target(), is_either(). */
#include "verdict.pml"

/* Those of wire.h; LAST_PASS is what comes on the streams. */
mtype:frame = { WIRE_HELLO, WIRE_READY, LAST_PASS, WIRE_PASS_DONE, WIRE_DEVICE, WIRE_COMMIT,
		WIRE_RUNNING };

mtype:agent = { TO_COME, ACTS, ENDED };
mtype:guest = { EMPTY, PAUSED, RUNS, DEAD };

typedef Qemu {
	mtype:guest guest;
	bool newest		/* no other QEMU has run the guest since it was loaded */
};

typedef Owner {
	mtype:state seen;	/* by whoever reads the file */
	mtype:state durable	/* after a crash of the host; differs while it is written, and
				   when that failed */
};

Qemu qemu[MIGRATIONS + 1];
Owner owner[MIGRATIONS + 1];
byte named;				/* the migration in the source's record */

mtype:agent source[MIGRATIONS + 1];
mtype:agent target[MIGRATIONS + 1];

chan to_target[MIGRATIONS + 1] = [2] of { mtype:frame };
chan to_source[MIGRATIONS + 1] = [2] of { mtype:frame };
bool cut[MIGRATIONS + 1];
bool was_running[MIGRATIONS + 1];	/* a flag of HELLO */

/* Last words of agents, void once the guest runs somewhere. */
bool operator_knows;		/* status 3; its QEMU has ended; or what he did himself */
bool paused_here;		/* the source: no COMMIT has left, but the record may still say so */
byte never_asked;		/* the target of this migration: QEMU was not told to run the guest */

/* For properties only. */
bool trouble;			/* anything was not as it should be */
bool crashed;			/* a QEMU did */
bool crashed_running;		/* ... that ran the guest */

/* ------------------------------------------------------------------------
 * Properties
 * ------------------------------------------------------------------------ */

#define print(words)	printf(#words)
#define violated(property) print(violated: property\n); assert(false)

#define agents_ended	(source[1] != ACTS && source[2] != ACTS && target[1] != ACTS && target[2] != ACTS)
#define nobody_runs	(qemu[SOURCE].guest != RUNS && qemu[1].guest != RUNS && qemu[2].guest != RUNS)
#define has_guest(q)	(qemu[q].newest && (qemu[q].guest == PAUSED || qemu[q].guest == RUNS))
#define mine(o)		(owner[o].seen == JOURNAL_OWNS || owner[o].seen == JOURNAL_RUNNING)

/* A dead QEMU at the source, and no record that says more, is a VM that has crashed: no news. */
#define vm_crashed	(crashed_running || (qemu[SOURCE].guest == DEAD && owner[SOURCE].seen == JOURNAL_NONE))
#define is_told		(operator_knows || owner[SOURCE].seen == JOURNAL_COMMITTED || \
			 mine(SOURCE) || mine(1) || mine(2) || vm_crashed)
#define has_arrived	(qemu[1].guest == RUNS && owner[SOURCE].durable == JOURNAL_GONE && \
			 owner[1].durable == JOURNAL_RUNNING)

/* ------------------------------------------------------------------------
 * QEMUs
 * ------------------------------------------------------------------------ */

/* QMP cont, whoever says it. */
inline let_run(q)
{
	d_step {
		if
		:: !nobody_runs -> violated(once)
		:: nobody_runs && !qemu[q].newest -> violated(latest)
		:: else
		fi;
		qemu[SOURCE].newest = (q == SOURCE);
		qemu[1].newest = (q == 1);
		qemu[2].newest = (q == 2);
		qemu[q].guest = RUNS;
		operator_knows = false;
		paused_here = false;
		never_asked = 0
	}
}

/* Of the source as it was when it sent its device state, which is on the way. */
inline load(q)
{
	d_step {
		qemu[q].guest == EMPTY ->
		qemu[q].guest = PAUSED;
		qemu[q].newest = qemu[SOURCE].newest
	}
}

/* An agent ends its QEMU. */
inline quit(q)
{
	d_step {
		if
		:: has_guest(q) && !crashed && (q == SOURCE || !has_guest(SOURCE)) &&
		   (q == 1 || !has_guest(1)) && (q == 2 || !has_guest(2)) -> violated(kept)
		:: else
		fi;
		if
		:: qemu[q].guest != EMPTY -> qemu[q].guest = DEAD
		:: else
		fi
	}
}

/* ------------------------------------------------------------------------
 * Records and frames
 * ------------------------------------------------------------------------ */

/*
 * What may come instead of what should (fails), and what comes from outside or from a
 * disk (strike): without limit, or, as two migrations are too many states for that, at
 * most FAULTS of them. To fail is free for whom something has struck before.
 */
#ifdef FAULTS
byte faults = FAULTS;
#define may_strike	(faults > 0)
#define strike		d_step { may_strike -> faults--; trouble = true }
#define follows		(cut[m] || qemu[SOURCE].guest == DEAD || qemu[m].guest == DEAD)
#define fails		d_step { follows || may_strike -> faults = (follows -> faults : faults - 1); trouble = true }
#else
#define may_strike	true
#define strike		trouble = true
#define fails		trouble = true
#endif

/* journal_write(), and journal_remove(): a rename or an unlink that is then made durable. */
#define write(o, what, otherwise) \
	if \
	:: owner[o].seen = what -> \
		if \
		:: owner[o].durable = what \
		:: strike -> goto otherwise \
		fi \
	:: strike -> goto otherwise \
	fi

inline send(connection, what)
{
	if
	:: atomic { !cut[m] -> connection ! what }
	:: cut[m]
	fi
}

/* Or the other side is silent, or has given up: WIRE_ABORT only says why. */
#define await(connection, what, otherwise) \
	if \
	:: connection ? what \
	:: fails -> goto otherwise \
	fi

/*
 * An agent ends, in whichever way, and its connection with it. Frames that it has sent
 * may still arrive, those that it has not read are gone.
 */
inline hang_up(agent, connection, m)
{
	d_step {
		agent = ENDED;
		cut[m] = true;
		do
		:: nempty(connection) -> connection ? _
		:: empty(connection) -> break
		od
	}
}

/* ------------------------------------------------------------------------
 * The source
 * ------------------------------------------------------------------------ */

/*
 * All stages of stages.c are entered here, in their order and by their names: check.sh
 * compares. A new one that changes nothing for the model needs its line, no more.
 */
#define enter(stage)	print(source: stage\n)

/* journal_admits() */
#define admits_source	(broken(SEND_AGAIN) || \
			 (owner[SOURCE].seen != JOURNAL_COMMITTED && owner[SOURCE].seen != JOURNAL_GONE))

proctype Source(byte m)
{
end:	source[m] == ACTS;
	{
	atomic {
		enter(check);
		if
		:: admits_source && qemu[SOURCE].guest != DEAD
		:: else -> goto ended
		:: fails -> goto ended
		fi
	}
	atomic {
		enter(connect);
		was_running[m] = (qemu[SOURCE].guest == RUNS);
		send(to_target[m], WIRE_HELLO)
	}
	atomic {
		await(to_source[m], WIRE_READY, roll_back);
		enter(record)
	}
	write(SOURCE, JOURNAL_OWNS, roll_back);
	atomic {
		named = m;
		enter(attach);
		enter(passes);
		enter(stop);
		if
		:: qemu[SOURCE].guest != DEAD -> qemu[SOURCE].guest = PAUSED
		:: fails -> goto roll_back
		fi;
		enter(drain);
		enter(handover);
		enter(settle);
		send(to_target[m], LAST_PASS)
	}
	atomic {
		await(to_source[m], WIRE_PASS_DONE, roll_back);
		enter(device);
		send(to_target[m], WIRE_DEVICE)
	}
	atomic {
		await(to_source[m], WIRE_DEVICE, roll_back);
		enter(resettle);
		send(to_target[m], LAST_PASS)
	}
	atomic {
		await(to_source[m], WIRE_PASS_DONE, roll_back);
		enter(guard);
		enter(commit);
		if
		:: broken(COMMIT_FIRST) -> send(to_target[m], WIRE_COMMIT)
		:: else
		fi
	}
	write(SOURCE, JOURNAL_COMMITTED, withdraw);
	if
	:: send(to_target[m], WIRE_COMMIT)	/* bytes have left; it may not arrive */
	:: cut[m] -> goto withdraw		/* no byte has left */
	:: broken(BYTES_LEFT) -> send(to_target[m], WIRE_COMMIT); fails -> goto withdraw
	fi;
	atomic {
		enter(running);
		await(to_source[m], WIRE_RUNNING, doubt)
	}
	write(SOURCE, JOURNAL_GONE, moved);

moved:
	atomic {
		enter(retire);
		if
		:: quit(SOURCE)
		:: skip				/* --keep-source */
		fi;
		enter(disks);
		goto ended
	}

doubt:
	operator_knows = true;
	goto ended;

withdraw:				/* undo_commit(): no byte of COMMIT has left */
	if
	:: owner[SOURCE].seen == JOURNAL_OWNS
	:: owner[SOURCE].seen != JOURNAL_OWNS -> write(SOURCE, JOURNAL_OWNS, stay_paused)
	fi;
	goto roll_back;
stay_paused:
	atomic {
		if
		:: broken(RECORD_STAYS) -> goto roll_back
		:: else -> operator_knows = true; paused_here = true; goto forget
		fi
	}

roll_back:
	atomic {
		if
		:: was_running[m] && qemu[SOURCE].guest == PAUSED ->
			if
			:: owner[SOURCE].seen == JOURNAL_COMMITTED || owner[SOURCE].durable == JOURNAL_COMMITTED ->
				violated(owned)
			:: else
			fi;
			let_run(SOURCE)
		:: was_running[m] && qemu[SOURCE].guest != RUNS -> operator_knows = true
		:: else
		fi
	}
forget:
	if
	:: named == m -> write(SOURCE, JOURNAL_NONE, ended)
	:: else
	fi;
ended:
	hang_up(source[m], to_source[m], m)
	} unless { source[m] == ENDED }
}

/* ------------------------------------------------------------------------
 * The target
 * ------------------------------------------------------------------------ */

/* journal_admits() */
#define other(m)	(MIGRATIONS + 1 - m)
#define admits_target(m) (!mine(other(m)) || qemu[other(m)].guest == DEAD)

proctype Target(byte m)
{
end:	target[m] == ACTS;
	{
	/* WAITING */
	atomic {
		await(to_target[m], WIRE_HELLO, ended);
		if
		:: admits_target(m)
		:: else -> goto give_up
		fi
	}
	write(m, JOURNAL_INCOMING, give_up);
	send(to_source[m], WIRE_READY);

	/* RECEIVING */
	do
	:: atomic { to_target[m] ? LAST_PASS -> send(to_source[m], WIRE_PASS_DONE) }
	:: atomic { to_target[m] ? WIRE_DEVICE -> load(m); send(to_source[m], WIRE_DEVICE) }
	:: to_target[m] ? WIRE_COMMIT -> break
	:: fails ->
		if
		:: to_target[m] ? WIRE_COMMIT -> break		/* committed after all */
		:: goto give_up
		fi
	od;

	/* COMMITTED */
	write(m, JOURNAL_OWNS, unwritten);
take_over:
	atomic {
		if
		:: qemu[m].guest == PAUSED && was_running[m] ->
			if
			:: owner[m].durable != JOURNAL_OWNS -> violated(owned)
			:: else
			fi;
			let_run(m)
		:: qemu[m].guest == PAUSED && !was_running[m]
		:: fails -> goto doubt_unasked
		:: fails -> goto doubt		/* it was told to run, and did not */
		fi;
		if
		:: send(to_source[m], WIRE_RUNNING)
		:: fails -> goto doubt		/* it runs, but QEMU did not say so */
		:: broken(GIVE_UP_LATE) && cut[m] -> goto give_up
		fi
	}
	write(m, JOURNAL_RUNNING, history);
history:
	write(other(m), JOURNAL_NONE, ended);
	goto ended;

give_up:
	if
	:: quit(m)
	:: skip					/* --keep-target */
	fi;
	write(m, JOURNAL_NONE, ended);
	goto ended;

unwritten:
	if
	:: broken(UNWRITTEN) -> goto take_over
	:: else
	fi;
doubt_unasked:
	never_asked = m;
doubt:
	operator_knows = true;
ended:
	hang_up(target[m], to_target[m], m)
	} unless { target[m] == ENDED }
}

/* ------------------------------------------------------------------------
 * What comes from outside
 * ------------------------------------------------------------------------ */

inline crash_agent(agent, connection, m)
{
	atomic { agent == ACTS && may_strike -> strike; hang_up(agent, connection, m) }
}

#define is_alive(q)	(qemu[q].guest == PAUSED || qemu[q].guest == RUNS)

inline end_qemu(q)
{
	d_step {
		crashed = crashed || is_alive(q);
		crashed_running = crashed_running || qemu[q].guest == RUNS;
		qemu[q].guest = (is_alive(q) -> DEAD : qemu[q].guest)
	}
}

inline crash_qemu(q)
{
	atomic { is_alive(q) && may_strike -> strike; end_qemu(q) }
}

inline break_connection(m)
{
	atomic { !cut[m] && may_strike -> strike; cut[m] = true }
}

/* After a crash of the host: what was not made durable is there, or is not. */
inline reread(o)
{
	if
	:: owner[o].seen = owner[o].durable
	:: owner[o].durable = owner[o].seen
	fi
}

inline lose(agent, connection, m)
{
	if
	:: agent == ACTS -> hang_up(agent, connection, m)
	:: else
	fi
}

inline crash_source_host()
{
	atomic {
		may_strike -> strike;
		lose(source[1], to_source[1], 1);
		lose(source[2], to_source[2], 2);
		end_qemu(SOURCE);
		reread(SOURCE)
	}
}

inline crash_target_host()
{
	atomic {
		may_strike -> strike;
		lose(target[1], to_target[1], 1);
		lose(target[2], to_target[2], 2);
		end_qemu(1);
		end_qemu(2);
		reread(1);
		reread(2)
	}
}

proctype Misfortune()
{
end:	do
	:: crash_agent(source[1], to_source[1], 1)
	:: crash_agent(source[2], to_source[2], 2)
	:: crash_agent(target[1], to_target[1], 1)
	:: crash_agent(target[2], to_target[2], 2)
	:: crash_qemu(SOURCE)
	:: crash_qemu(1)
	:: crash_qemu(2)
	:: break_connection(1)
	:: break_connection(2)
	:: crash_source_host()
	:: crash_target_host()
	od
}

/* ------------------------------------------------------------------------
 * The operator
 * ------------------------------------------------------------------------ */

/* He runs sync first. What does not get durable by that says nothing. */
#define unsynced(o)	(owner[o].seen != owner[o].durable)
#define stands(o)	(!unsynced(o) || broken(UNSYNCED))

/* He does not act upon a record, or a message, before its agent has ended. */
#define source_ended	(source[1] != ACTS && source[2] != ACTS)
#define target_ended(m)	(target[m] != ACTS || broken(HASTY))

/*
 * What he reads on either host. Whose record at the source is not of a migration has none of
 * it there; a source without any is told of the VM by the other host's last record.
 */
#define at_source(m)	(named == m -> owner[SOURCE].seen : JOURNAL_NONE)
#define at_target	(owner[SOURCE].seen != JOURNAL_NONE -> owner[named].seen : \
			 (mine(1) || mine(2) -> JOURNAL_OWNS : JOURNAL_NONE))
#define both_stand(m)	(source_ended && target_ended(m) && stands(SOURCE) && stands(m))

/* The rule after a crash: what one host can say alone, and what takes both. */
#define may_source	(source_ended && stands(SOURCE) && qemu[SOURCE].guest == PAUSED && \
			 (is_source(owner[SOURCE].seen, JOURNAL_UNKNOWN) || \
			  (stands(1) && stands(2) && is_source(owner[SOURCE].seen, at_target))))
#define may_target(m)	(target_ended(m) && qemu[m].guest == PAUSED && \
			 ((stands(m) && is_target(JOURNAL_UNKNOWN, owner[m].seen)) || left_to(m)))
#define left_to(m)	(either(m) && owner[m].seen != JOURNAL_NONE && \
			 (qemu[SOURCE].guest == DEAD || broken(EITHER)))

/* "Committed", but the target never ran it, and its agent will not: either may, but only one. */
#define either(m)	(both_stand(m) && is_either(at_source(m), owner[m].seen) && \
			 !(broken(SPEECHLESS) && owner[m].seen == JOURNAL_NONE))
#define may_take_back	(qemu[SOURCE].guest == PAUSED && \
			 (either(1) || either(2) || \
			  (source_ended && paused_here && !(owner[SOURCE].seen == JOURNAL_NONE && stands(SOURCE)))))
#define may_give_away(m) (qemu[SOURCE].guest == PAUSED && qemu[m].guest == PAUSED && both_stand(m) && \
			 ((either(m) && owner[m].seen != JOURNAL_NONE) || is_target(at_source(m), owner[m].seen)))

/* It never ran there, and now it cannot: the target's claim is void. */
#define may_unclaim(m)	(target_ended(m) && qemu[m].guest == DEAD && owner[m].seen != JOURNAL_NONE && \
			 (never_asked == m || broken(TOO_OLD)))

#define may_act		(may_source || may_target(1) || may_target(2) || may_take_back || \
			 may_give_away(1) || may_give_away(2) || may_unclaim(1) || may_unclaim(2) || \
			 unsynced(SOURCE) || unsynced(1) || unsynced(2))

proctype Operator()
{
end:	do
	:: atomic { may_source -> let_run(SOURCE) }
	:: atomic { may_target(1) -> let_run(1) }
	:: atomic { may_target(2) -> let_run(2) }
	/* Either, but only one: so the source's record says so first (or goes, by hand), or its QEMU. */
	:: atomic { may_take_back -> operator_knows = true; owner[SOURCE].seen = JOURNAL_OWNS }
	:: atomic { may_take_back -> operator_knows = true; owner[SOURCE].seen = JOURNAL_NONE }
	:: atomic { may_give_away(1) || may_give_away(2) -> operator_knows = true; qemu[SOURCE].guest = DEAD }
	:: atomic { may_unclaim(1) -> operator_knows = true; owner[1].seen = JOURNAL_NONE }
	:: atomic { may_unclaim(2) -> operator_knows = true; owner[2].seen = JOURNAL_NONE }
	:: atomic { unsynced(SOURCE) && source_ended -> owner[SOURCE].durable = owner[SOURCE].seen }
	:: atomic { unsynced(1) && target_ended(1) -> owner[1].durable = owner[1].seen }
	:: atomic { unsynced(2) && target_ended(2) -> owner[2].durable = owner[2].seen }
#ifndef ONE_MIGRATION
	/* Once more; should the guest be paused, he knows. */
	:: d_step { source[1] == ENDED && source[2] == TO_COME && qemu[SOURCE].guest != DEAD && admits_source ->
		trouble = true;
		operator_knows = operator_knows || qemu[SOURCE].guest == PAUSED;
		paused_here = false;
		source[2] = ACTS;
		target[2] = ACTS }
#endif
	od
}

proctype Judge()
{
end:	do
	:: atomic { agents_ended && nobody_runs && !is_told -> violated(told) }
	/* Other broken rules lead here, too, but worse is wanted of them. */
	:: atomic { agents_ended && nobody_runs && !crashed && !may_act && (!BREAK || broken(SPEECHLESS)) ->
		violated(settled) }
	:: atomic { agents_ended && !trouble && !has_arrived -> violated(arrived) }
	od
}

init
{
	byte i;

	d_step {
		do
		:: i <= MIGRATIONS ->
			qemu[i].guest = EMPTY;
			owner[i].seen = JOURNAL_NONE;
			owner[i].durable = JOURNAL_NONE;
			source[i] = TO_COME;
			target[i] = TO_COME;
			i++
		:: else -> break
		od;
		i = 0;
		qemu[SOURCE].guest = RUNS;
		qemu[SOURCE].newest = true;
		source[1] = ACTS;
		target[1] = ACTS
	}
	atomic {
		run Source(1);
		run Target(1);
		run Source(2);
		run Target(2);
		run Misfortune();
		run Operator();
		run Judge()
	}
}
