/* session: one request's way over the nodes, until its outcome is known or its time is over.
 *
 * Pure: session_step is the only mutator; it says which node to ask and when it wants to be woken.
 * It never guesses: an outcome is told only when a node said that it is decided. Since a node
 * that was asked and is silent may still have acted, Commit, Abort, Enlist and Get may be asked of
 * any number of nodes at once (they are idempotent, ARCHITECTURE H6), and the first definite answer
 * wins. Begin too: a second transaction merely expires.
 *
 *              +--------------------------------------------------------+
 *              v  attempt_ms passed, or UNAVAILABLE: on_tick, on_reply   |
 *   IDLE --> ASKING -----------------------------------------------------+
 *  on_start    |  probe time: on_tick asks every node what it knows
 *              |--> DONE  a definite answer: on_reply
 *              +--> DONE  deadline: on_tick (UNKNOWN, TIMEOUT or UNAVAILABLE)
 *
 * How many nodes answer at all is found out by probes: shortly before the deadline every node is
 * asked with Get, which answers at once and decides nothing. It tells "the outcome cannot be
 * known" (no majority answered) from "it is not decided yet", and often brings the outcome.
 *
 * A Commit that the work comes with is put to one node only, and once: to the first, which should
 * be the coordinating one. Every later ask is Abort, never Commit, which would lose the work (S5);
 * its answer may be committed all the same. So that a slow participant's transaction is not aborted
 * for it, the first node is asked what it knows before another is asked to abort; while it answers,
 * it is waited for:
 *
 *   WORK_HERE --on_start--> WORK_GIVEN --attempt_ms passed: doubts--> WORK_DOUBTED
 *                             |   ^                                      |   |
 *     UNAVAILABLE, STATE, ... |   +-----an answer: on_sign_of_life-------+   | attempt_ms passed
 *                             +--> WORK_ABORTED: Abort is asked for <--------+
 *
 *     struct session session;
 *     session_init(&session, &(struct session_options){.request = SESSION_COMMIT, .nodes = 3,
 *                  .first = 1, .attempt_ms = 2000, .timeout_ms = 10000});
 *     struct session_effects effects;
 *     session_step(&session, &(struct session_event){.type = SESSION_START, .now_ms = now},
 *                  &effects);
 *     // ask each of effects.asks; feed replies; come back with SESSION_TICK at effects.tick_ms
 */
#ifndef CLIENT_SESSION_H
#define CLIENT_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#define SESSION_NODES_MAX 31u /* as many as a cluster has */

enum session_request {
    SESSION_BEGIN,
    SESSION_ENLIST,
    SESSION_COMMIT,
    SESSION_ABORT,
    SESSION_GET,
    SESSION_COMMIT_WORK,
};

struct session_options {
    enum session_request request;
    uint32_t nodes; /* 1 to SESSION_NODES_MAX; they are called 0 to nodes - 1 */
    uint32_t first; /* the node to ask first, modulo `nodes`: the txid's, or whose turn it is */
    uint32_t attempt_ms; /* after so long without an answer another is asked too; above 0 */
    uint32_t timeout_ms; /* of all; above 0 */
};

enum session_event_type {
    SESSION_START,
    SESSION_REPLY, /* node, request, err, decided */
    SESSION_TICK,  /* the time that effects.tick_ms named; too early or late is no harm */
};
struct session_event {
    enum session_event_type type;
    int64_t now_ms;  /* monotonic */
    uint32_t random; /* for the jitter of the backoff */
    uint32_t node;
    enum session_request request; /* what this is the reply to: as in the ask */
    /* 0, or what the node or the way to it says: TROTH_ERR_UNAVAILABLE, _TIMEOUT (no answer in
     * the call's own time), _NOT_FOUND, _FORGOTTEN, _INVALID, _STATE, _ABORTED, _TOO_MANY; others
     * count as UNAVAILABLE. */
    int err;
    bool decided; /* err is 0 and the reply holds an outcome, committed or aborted */
};

struct session_ask {
    uint32_t node;
    /* The session's own, SESSION_GET for a probe, or SESSION_ABORT in place of a second
     * SESSION_COMMIT_WORK. */
    enum session_request request;
};
struct session_effects {
    struct session_ask asks[2 * SESSION_NODES_MAX];
    uint32_t n_asks;
    int64_t tick_ms; /* step again at this time, if no reply comes before */
    bool done;       /* told once; later events have no effects */
    bool answered;   /* done by the reply of this very event: its content is the result */
    int err;         /* when done: 0, or see session_step */
};

struct session_node {
    bool pending; /* the request was asked and has no reply yet */
    enum session_request asked;
    bool answered;     /* a reply that only a living node gives */
    uint32_t failures; /* in a row */
    int64_t ready_ms;  /* not to be asked again before */
};
struct session {
    struct session_options options;
    bool started;
    bool done;
    uint32_t cursor; /* whose turn it is */
    /* Of SESSION_COMMIT_WORK: what became of the work. */
    enum { WORK_HERE, WORK_GIVEN, WORK_DOUBTED, WORK_ABORTED } work;
    int64_t next_ask_ms;
    int64_t probe_ms;
    int64_t deadline_ms;
    struct session_node nodes[SESSION_NODES_MAX];
};

void session_init(struct session *session, const struct session_options *options);

/* One event. When effects->done:
 *   0                the reply in hand is the result
 *   _NOT_FOUND, _FORGOTTEN, _INVALID, _TOO_MANY (not of a Commit with work, which is aborted then);
 *                    for Enlist also _STATE, _ABORTED: a node said so
 *   _UNKNOWN         Commit, Abort, Get: the time is over and no majority of the nodes answered
 *   _TIMEOUT         the time is over, a majority answers, and it is not decided yet
 *   _UNAVAILABLE     Begin, Enlist: the time is over
 * A reply to a probe ends the session only if it holds an outcome, and never Begin or Enlist.
 */
void session_step(struct session *session, const struct session_event *event,
                  struct session_effects *effects);

/* "Commit", for texts. */
const char *session_request_name(enum session_request request);

#endif
