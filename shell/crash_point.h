/* crash_point: named places at which a test kills the process, by SIGKILL, as a power cut would.
 *
 * They exist in builds with the CMake option TROTH_CRASH_POINTS only (on with the sanitizers); in a
 * release the macros are nothing. One is armed by the environment:
 *
 *     TROTH_CRASH_POINT=before.send.prepare        dies at its first pass
 *     TROTH_CRASH_POINT=before.send.prepare:3      dies at its third
 *
 * Names say where: STAGE.WHAT.WHICH.
 *
 *     before.send.MESSAGE   MESSAGE is ready; neither it nor what else its batch holds has left
 *     after.send.MESSAGE    the batch with MESSAGE is on disk, and has left
 *     before.store.RECORD   the batch with RECORD is complete; what depends on it has not left,
 *                           the rest has
 *     after.store.RECORD    the batch with RECORD is on disk; what depends on it has not left
 *     before.reply.OUTCOME, after.reply.OUTCOME   the same around the reply to a client (trothd)
 *     before.call.CALLBACK, after.call.CALLBACK   around a resource manager's callback (libtroth-
 *                           participant)
 *
 *     MESSAGE   message_type_name(): enlist, vote, ack, one-phase-result, ..., prepare, decision,
 *               phase1a, phase1b, phase2a, phase2b, ...; those to other processes only
 *     RECORD    trothd: votes (of ballot 0), ballot (a higher one was promised or accepted),
               outcome, finished, mark, deletion;
 *               participants: prepared, committing, committed, hazard, deletion, node, mark
 *     OUTCOME   none, committed, aborted, error
 *     CALLBACK  prepare, commit, commit-one-phase, abort, recover
 *
 * A place that is reached in one function and is to count in a later one (the batch's end) is noted
 * with CRASH_POINT_AT; CRASH_POINT_HERE stands where it comes true.
 */
#ifndef SHELL_CRASH_POINT_H
#define SHELL_CRASH_POINT_H

enum crash_place {
    CRASH_NOW,
    CRASH_BEFORE_STORE, /* the batch is about to be stored */
    CRASH_AFTER_STORE,  /* it is on disk */
    CRASH_AFTER_SEND,   /* all of it was given to the network */
    CRASH_PLACES,
};

#ifdef TROTH_CRASH_POINTS

/* Counts a pass of the point `stage` + `which`; if it is the armed one and its count is reached,
 * the process dies at `place`. */
void crash_point_pass(enum crash_place place, const char *stage, const char *which);
/* Dies if a point was passed whose place this is. */
void crash_point_here(enum crash_place place);

#define CRASH_POINT(stage, which)           crash_point_pass(CRASH_NOW, stage, which)
#define CRASH_POINT_AT(place, stage, which) crash_point_pass(place, stage, which)
#define CRASH_POINT_HERE(place)             crash_point_here(place)

#else

#define CRASH_POINT(stage, which)           ((void)0)
#define CRASH_POINT_AT(place, stage, which) ((void)0)
#define CRASH_POINT_HERE(place)             ((void)0)

#endif
#endif
