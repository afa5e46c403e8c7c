/* costs: what one transaction costs, counted in a world where nothing goes wrong, beside a formula.
 *
 * N participants with one write each, F failures survived, 2F + 1 nodes. A client asks one node to
 * commit; participants are on machines of their own; the coordinator's own acceptor is one of the
 * 2F + 1, and what it says to itself is no message. Counted from the client's Commit on:
 *
 *                      N >= 2 (Paxos Commit)          N = 1 (one phase, by delegation)
 *   messages           N (2F + 4) + 4F + 2            6F + 4
 *     commit, reply    2                              2
 *     prepare          N                              1 (commit one-phase)
 *     votes            N (2F + 1)                     1 (its result)
 *     2a               -                              2F (the delegation)
 *     2b               2F                             2F
 *     decision, ack    2N                             -
 *     known            2F (finished, lazily)          2F
 *   message delays     4 where F = 0, else 5          4 where F = 0, else 6
 *     until locks go   4 where F = 0, else 5          2 where F = 0, else 4
 *   stable delays      2                              2
 *   stable writes      N + 2F + 1                     2F + 2
 *
 * Thrifty, votes go to F + 1 acceptors: one of them is the coordinator's own.
 *
 *   messages           N (F + 4) + 3F + 2             4F + 4
 *   stable writes      N + F + 1                      F + 2
 *
 * Faster, each acceptor tells each participant, and the coordinator none: N times the number of
 * acceptors in place of N. Locks go after 4 messages, not 5 (where F > 0 and N > 1).
 *
 * Whole transactions, all from the client's first word on (its txid comes from a block that it
 * begun before). Stepwise, work goes to all participants at once, who are bound by Commit naming
 * them:
 *
 *   messages           2N more (work, answer)         the same
 *   message delays     2 more, of locks too           the same
 *
 * With the work in Commit, it goes on with Prepare, and nothing comes before it. One participant is
 * no exception then, since a branch that has work is never delegated to:
 *
 *   messages           N (2F + 4) + 4F + 2            the same: 6F + 6
 *   message delays     4 where F = 0, else 5; of locks too
 *   stable writes      N + 2F + 1                     the same: 2F + 2
 *
 * So 5 delays in place of 7 where F > 0 (work, answer, commit, prepare, vote, 2b, outcome: without
 * the first two), and 2N messages less.
 *
 * Delays are those until the client is told. Stable writes are syncs until then; behind it each
 * participant syncs once more, for the commit, and what nodes write about the end waits for a sync
 * that comes anyway.
 *
 * [GL 5] counts, thrifty: messages (N + 1)(F + 3) - 2, stable writes N + F + 1, delays 5 and 2
 * (2PC: 4 and 2). From there to ours: the client is no participant (+ 1 prepare, + 1 reply); votes
 * and 2b go to and from all 2F + 1 acceptors (+ NF + F); one acceptor is the coordinator's own (- 1
 * for 2b); N acks and 2F words that it is finished let acceptors forget (+ N + 2F). (N + 1)(F + 3)
 * - 2 + 2 + NF + F - 1 + N + 2F = N (2F + 4) + 4F + 2
 */
#ifndef TESTS_SIM_COSTS_H
#define TESTS_SIM_COSTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define COSTS_N_MAX 8u
#define COSTS_F_MAX 3u

enum costs_work {
    COSTS_FROM_COMMIT, /* work was done before, and is not counted */
    COSTS_STEPWISE,    /* from the first word of the work on */
    COSTS_WITH_COMMIT,
};
struct costs_how {
    bool thrifty, faster;
    enum costs_work work;
};
struct costs {
    uint64_t messages;
    uint64_t message_delays, stable_delays; /* until the client is told */
    uint64_t unlock_delays;                 /* messages until the last participant commits */
    uint64_t stable_writes;                 /* syncs, until then */
};
struct costs costs_by_formula(uint32_t n, uint32_t f, struct costs_how how);
/* Runs the world. */
struct costs costs_counted(uint32_t n, uint32_t f, struct costs_how how);
/* A table of all sizes; returns how many are not as the formula says. */
uint32_t costs_print(FILE *file);

#endif
