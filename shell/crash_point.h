/* crash_point: named places at which a test kills the process, by SIGKILL, as a power cut would.
 *
 * They exist in builds with the CMake option TROTH_CRASH_POINTS only (on with the sanitizers and in
 * the preset `crash`); in a release the macros are nothing. One is armed by the environment:
 *
 *     TROTH_CRASH_POINT=before.send.prepare        dies at its first pass
 *     TROTH_CRASH_POINT=before.send.prepare:3      dies at its third
 *
 * Names say where: before.STAGE.WHICH and after.STAGE.WHICH.
 *
 *     before.send.MESSAGE    MESSAGE is ready; neither it nor what else its batch holds has left
 *     after.send.MESSAGE     the batch with MESSAGE is on disk, and has left
 *     before.store.RECORD    the batch with RECORD is complete; what depends on it has not left,
 *                            the rest has
 *     after.store.RECORD     the batch with RECORD is on disk; what depends on it has not left
 *     before.reply.KIND, after.reply.KIND   the same around the reply to a client (trothd,
 *                            troth-shard)
 *     before.call.CALLBACK, after.call.CALLBACK   around a resource manager's callback (libtroth-
 *                            participant)
 *     before.ask.REQUEST, after.ask.REQUEST   around a request to a node (libtroth)
 *     before.answer.REQUEST, after.answer.REQUEST   a node's answer is there; the library has taken
 *                            it in, and the application has not seen it (libtroth)
 *     before.work.CALL, after.work.CALL   around a call to a shard (libtroth)
 *
 * What there is stands in the table of crash_points.c, which `trothd --list-crash-points` prints.
 * The table is the truth: a name that it lacks can't be armed, and a pass of one fails an
 * assertion.
 *
 * A place that is reached in one function and is to count in a later one (the batch's end) is noted
 * with CRASH_POINT_AT; CRASH_POINT_HERE stands where it comes true.
 *
 *     CRASH_POINT(CRASH_TROTHD, "before.store.", "start");
 *     ... COMMIT ...
 *     CRASH_POINT(CRASH_TROTHD, "after.store.", "start");
 */
#ifndef SHELL_CRASH_POINT_H
#define SHELL_CRASH_POINT_H

#include <stddef.h>
#include <stdio.h>

#define CRASH_POINT_VARIABLE   "TROTH_CRASH_POINT"
#define CRASH_POINT_NAME_BYTES 64
#define CRASH_POINT_WHY_BYTES  320

/* Whose code has the point. troth-shard has those of libtroth-participant, too. */
enum crash_program { CRASH_TROTHD, CRASH_PARTICIPANT, CRASH_SHARD, CRASH_CLIENT };

/* Reads the environment; the first caller's reading counts for the process. To be called before the
 * first pass. TROTH_ERR_INVALID: `why` says what is wrong with the variable and how to see the
 * list. In a build without crash points: 0, and a warning in the log if the variable is set. */
int crash_point_arm(char why[CRASH_POINT_WHY_BYTES]);
/* Prints all points, a line each: NAME PROGRAM what it is. In a build without them: says so and how
 * to build one on standard error, and returns TROTH_ERR_NOT_FOUND. */
int crash_point_list(FILE *out);

enum crash_place {
    CRASH_NOW,
    CRASH_SENT,         /* now, and what was given to the network before leaves */
    CRASH_BEFORE_STORE, /* the batch is about to be stored */
    CRASH_AFTER_STORE,  /* it is on disk */
    CRASH_AFTER_SEND,   /* all of it was given to the network */
};

#ifdef TROTH_CRASH_POINTS

/* Counts a pass of the program's point `stage` + `which`; if it is the armed one and its count is
 * reached, the process dies at `place`. */
void crash_point_pass(enum crash_program program, enum crash_place place, const char *stage,
                      const char *which);
/* Dies if a point was passed whose place this is. */
void crash_point_here(enum crash_place place);

#define CRASH_POINT(program, stage, which)           crash_point_pass(program, CRASH_NOW, stage, which)
#define CRASH_POINT_AT(program, place, stage, which) crash_point_pass(program, place, stage, which)
#define CRASH_POINT_HERE(place)                      crash_point_here(place)

#else

#define CRASH_POINT(program, stage, which)           ((void)0)
#define CRASH_POINT_AT(program, place, stage, which) ((void)0)
#define CRASH_POINT_HERE(place)                      ((void)0)

#endif

/* In front of and behind the store, and the sending, of the batch that is being made. */
#define CRASH_POINT_STORE(program, which)                                                          \
    do {                                                                                           \
        CRASH_POINT_AT(program, CRASH_BEFORE_STORE, "before.store.", which);                       \
        CRASH_POINT_AT(program, CRASH_AFTER_STORE, "after.store.", which);                         \
    } while (0)
#define CRASH_POINT_SEND(program, which)                                                           \
    do {                                                                                           \
        CRASH_POINT(program, "before.send.", which);                                               \
        CRASH_POINT_AT(program, CRASH_AFTER_SEND, "after.send.", which);                           \
    } while (0)

#endif
