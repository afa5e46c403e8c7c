/* engine_state: what the engine's files share. Nothing outside of engine*.c includes it.
 *
 * A transaction (struct tx) as this node sees it, in up to three roles at once:
 *   acceptor     `record`, always there, often empty
 *   leader       `leader`, while this node drives it (as its coordinator at ballot 0, or by
 * takeover) coordinator  `branches`, from enlistment until each participant has acknowledged
 *
 *                 commit              leader decides           all acknowledged
 *     ACTIVE ---------------> LEADING ---------------> DECIDED -------------------> FINISHED
 *       |                      ^   ^                   ^  ^  |                      ^
 *       |     takeover         |   |                   |  |  | told by another node |
 *       |   +------------------+   |                   |  |  +----------------------+
 *       |   |                      |   told            |  |
 *       |  KEPT (votes stored here, led elsewhere) ----+  |
 *       |                                                 |
 *       +------------- abort before any prepare ----------+
 *
 * KEPT is also the stage of a transaction that somebody asks about here and that another node
 * coordinates. Transitions are checked against a table in tx_move.
 */
#ifndef COORDINATOR_ENGINE_STATE_H
#define COORDINATOR_ENGINE_STATE_H

#include <stdlib.h>

/* A hash table that can not grow ends the process, as any step without memory does. */
#define uthash_fatal(text) abort()
#include <uthash.h>

#include "coordinator/engine.h"
#include "paxos/leader.h"

#define ENGINE_KNOWN_DELAY_MS                                                                      \
    100 /* a decision that is not finished by then is told to the nodes                            \
         */
#define ENGINE_SEQUENCE_MAX    (UINT64_MAX / 2) /* what a peer says beyond it is no sequence */
#define ENGINE_NAMES_MAX       65536u           /* participants ever heard of */
#define ENGINE_WAIT_ALARM_MS   60000 /* a decision that is not acknowledged for so long is told */
#define ENGINE_HOUSEKEEPING_MS 1000  /* marks are spread and the old is forgotten */
#define ENGINE_REPEAT_MAX_MS   30000 /* repeats of a decision become as rare as this */
#define ENGINE_RETAINED_MAX    262144u
#define ENGINE_RETAINED_MIN_MS 10000 /* a finished outcome is kept for so long, however many */
#define ENGINE_RECENT          4096u /* a power of two */
#define ENGINE_BACKOFF_MS      50    /* after a lost duel, at least; doubles up to 2^5 times that */
/* Thrifty: how long the others of the few may take, before it is measured and at the least. */
#define ENGINE_PATIENCE_FIRST_MS 200
#define ENGINE_PATIENCE_MIN_MS   20
#define ENGINE_CERTAIN_TRIES     5 /* at this repeat an uncertain branch is told: engine_needs.c */
#define ENGINE_TELL_ALL_MAX      64 /* attached participants; with more, an abort is not told to all */
#define ENGINE_BOUND_SETS        64u
#define ENGINE_UNANSWERED_MAX    3 /* then a leader that should know counts as lost */
/* The only member of the set of a transaction in which nobody took part. */
#define ENGINE_NOBODY "_nobody"

struct rm;
struct tx;

/* A transaction's part at one participant, linked into the participant's list until it is over. */
struct branch {
    struct tx *tx;
    struct rm *rm;
    struct branch *prev;
    struct branch *next;
    uint64_t incarnation;
    struct work *work; /* that came with Commit, while its vote may be asked for; or NULL */
    bool acked;        /* needs nothing more from us */
    bool uncertain;    /* committed, and not known here whether it voted prepared or read-only:
                        * engine_needs.c */
};

/* A participant that this node has heard of. */
struct rm {
    struct paxos_participant participant; /* with the last incarnation that attached; 0: none yet */
    uint64_t session;                     /* 0: not attached */
    struct branch *pending;               /* branches that are not acked */
    struct branch *resending; /* the next of them to be sent since it attached; NULL: all are */
    UT_hash_handle by_name;
    UT_hash_handle by_session;
};

enum waiter_kind { WAITER_COMMIT, WAITER_ABORT, WAITER_GET, WAITER_ENLIST };
/* Somebody who waits for a transaction's outcome, or for another node's answer about it. */
struct waiter {
    struct tx *tx;
    struct waiter *next;
    enum waiter_kind kind;
    uint64_t request;          /* the shell's, or the asking node's */
    uint32_t node;             /* 0: the shell's */
    uint64_t session;          /* an enlistment by a participant: whom to answer; else 0 */
    struct paxos_set *set;     /* what an Ask carries along; may be NULL */
    struct work *const *works; /* of a Commit with work: each member's, or NULL; not kept */
    UT_hash_handle by_request; /* of the shell's requests only */
};

enum tx_stage { TX_ACTIVE, TX_KEPT, TX_LEADING, TX_DECIDED, TX_FINISHED };

struct tx {
    struct troth_txid txid;
    enum tx_stage stage;
    bool damaged;        /* the stored record can't be read: this acceptor stays silent */
    bool told;           /* the other nodes were told of the outcome */
    bool deadline_taken; /* the deadline has passed and was acted upon */
    bool stored;         /* the log has a record of it */
    bool unstored;       /* the record here knows more than that in the log */
    bool loaded;   /* the record is as the log had it at the start, and was not looked at since */
    bool asked;    /* votes may exist somewhere: a prepare, a delegation or a ballot went out */
    bool has_work; /* its Commit came with some */
    bool wants_ballot; /* it was preempted and opens a higher ballot when the timer is due */
    bool delivers;     /* this node sees to phase two */
    bool is_decided_elsewhere; /* a participant has acknowledged an outcome not known here */
    bool they_know;            /* faster: the acceptors have told the participants */
    bool is_heuristic;  /* a branch ended by itself; its row goes to disk before `finished` */
    bool has_own_votes; /* its leader's own acceptor has them all; the others' are waited for */
    bool counted_in_doubt;
    bool counted_undelivered;
    uint8_t tries;      /* of what the timer repeats; grows the wait */
    uint8_t unanswered; /* questions to the leading node since its last answer */
    enum paxos_reason reason;
    struct acceptor record;
    struct leader *leader;
    struct branch *branches; /* n_branches; in DECIDED, the set's order */
    uint32_t n_branches;
    uint32_t branches_capacity;
    uint32_t unacked;
    uint32_t acceptors; /* mask of nodes that may hold something of it (thrifty); 0: all */
    uint32_t timeout_ms;
    int64_t own_votes_ms; /* since when has_own_votes */
    int64_t since_ms;
    int64_t deadline_ms; /* INT64_MAX: none */
    int64_t timer_ms;
    size_t timer_slot;      /* in the heap, from 1; 0: no timer */
    char *detail;           /* why aborted; NULL: nothing to say */
    char *key;              /* idempotency key or NULL */
    struct waiter *waiters; /* the last one first */
    uint32_t n_waiters;
    struct tx *prev; /* all, by when first heard of */
    struct tx *next;
    struct tx *open_prev; /* begun here and not finished, by sequence */
    struct tx *open_next;
    UT_hash_handle by_txid;
    UT_hash_handle by_key;
};

/* An origin is a node in one incarnation: a txid's hi. */
struct mark_sample {
    int64_t at_ms;
    uint64_t mark;
};
#define MARK_SAMPLES 64
struct origin {
    uint64_t hi;
    uint64_t mark;   /* sequences below it are finished everywhere */
    uint64_t stored; /* as the log has it */
    uint64_t swept;  /* records below it are deleted */
    uint64_t told_to_participants;
    size_t n_finished;                        /* of its transactions, in memory */
    struct mark_sample samples[MARK_SAMPLES]; /* a ring: when the mark was where */
    unsigned sample_first;
    unsigned sample_n;
    UT_hash_handle hh;
};

struct node_state {
    bool trusted;
    bool was_trusted; /* since this node started */
    bool is_slow;     /* it kept thrifty votes waiting, and has accepted nothing since */
};

/* How long the others of the few are waited for (thrifty). */
struct patience {
    bool is_measured;
    int64_t smoothed;  /* delay, in eighths of a millisecond */
    int64_t variation; /* of it, the same */
    int64_t wait_ms;
    int64_t grown_ms; /* when it was doubled last */
};

/* A set as a Commit with work named it, and with the incarnations filled in. */
struct bound_set {
    struct paxos_set *asked; /* NULL: none */
    struct paxos_set *bound;
};

/* With the time beside the pointer, so that a sift touches no transaction that stays. */
struct timer {
    int64_t at_ms;
    struct tx *tx;
};

struct engine {
    struct engine_options options;
    bool started;
    bool stopping;
    int64_t now_ms;
    int64_t started_ms;
    uint64_t random;
    uint64_t origin_hi; /* of this node and incarnation */
    uint64_t sequence_next;
    uint64_t mark_max; /* set by STOP: its own mark goes no further */
    struct node_state nodes[PAXOS_NODES_MAX + 1];
    struct patience patience;
    struct tx *txs; /* by txid */
    /* What was looked for last, by a hash of the txid: nearly all that is under way, so that a
     * message's transaction is found without a walk through memory that nobody has touched for
     * long. Outcomes are kept for the retention time, a hundred times as many as are under way. */
    struct tx *recent[ENGINE_RECENT];
    struct tx *txs_by_key;
    struct tx *first; /* by age */
    struct tx *last;
    struct tx *open_first; /* own and not finished, by sequence */
    struct tx *open_last;
    size_t n_txs;
    size_t n_finished;
    struct tx *recovering; /* the next one to see to since the start; NULL: all are */
    bool resends;          /* some participant's branches are not all sent since it attached */
    struct timer *heap;    /* heap[1] is due first */
    size_t heap_n;
    size_t heap_capacity;
    struct rm *rms_by_name;
    struct rm *rms_by_session;
    struct waiter *waiters;                         /* by request */
    struct bound_set bound_sets[ENGINE_BOUND_SETS]; /* the last ones, by what was asked for */
    uint64_t work_bytes;                            /* of all branches */
    struct origin *origins;
    int64_t housekeeping_ms;
    int64_t alarmed_ms; /* when an operator was told last of who holds the mark back */
    struct engine_counters counters;
    struct engine_effects *effects; /* of the step under way */
    int error;                      /* the first one of the step under way */
};

/* ---- engine_effects.c: what leaves a step -------------------------------------------------------
 */

/* Adds an empty effect; on no memory sets engine->error and returns a place whose contents are
 * lost, so that callers need no check. */
struct engine_effect *effect_add(struct engine *engine, enum engine_effect_type type);
/* An effect that sends; the caller fills the message, whose type and txid are set. */
struct message *effect_to_node(struct engine *engine, uint32_t node, enum message_type type,
                               struct troth_txid txid);
/* The same, for what rests on a record of this transaction though its type does not say so. */
struct message *effect_to_node_stored(struct engine *engine, uint32_t node, enum message_type type,
                                      struct troth_txid txid);
struct message *effect_to_rm(struct engine *engine, uint64_t session, enum message_type type,
                             struct troth_txid txid);
void effect_store(struct engine *engine, struct tx *tx, bool lazy);
void effect_alarm(struct engine *engine, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void effects_clear(struct engine_effects *effects);
/* Keeps the step's first error. */
void engine_fail(struct engine *engine, int error);
uint32_t engine_random_below(struct engine *engine, uint32_t limit);

/* ---- engine_table.c: finding, making, timing, ending
 * ---------------------------------------------- */

struct tx *tx_find(struct engine *engine, struct troth_txid txid);
/* Makes one in stage KEPT or ACTIVE. NULL and engine->error when there is no memory. */
struct tx *tx_new(struct engine *engine, struct troth_txid txid, enum tx_stage stage);
void tx_remove(struct engine *engine, struct tx *tx);
/* Changes the stage; asserts that the transition is in the table. */
void tx_move(struct tx *tx, enum tx_stage stage);
/* A txid that a node of this cluster could have given out. */
bool tx_is_possible(const struct engine *engine, struct troth_txid txid);
/* One of this node's that it has not given out yet. Nothing may be kept or promised for it: whoever
 * asks has guessed, and the transaction that will bear it must not find that decided. */
bool tx_is_unborn(const struct engine *engine, struct troth_txid txid);
bool tx_is_own(const struct engine *engine, const struct tx *tx);
enum paxos_outcome tx_outcome(const struct tx *tx);
void tx_set_detail(struct tx *tx, const char *text);
/* Sets the one timer; INT64_MAX takes it away. */
void tx_timer(struct engine *engine, struct tx *tx, int64_t at_ms);
/* It does not hold the low-water mark back any more. */
void tx_unlink_open(struct engine *engine, struct tx *tx);
/* The transaction whose timer is due, or NULL. */
struct tx *tx_due(struct engine *engine);
/* Brings the counters up to date with the transaction; after any change of record or stage. */
void tx_count(struct engine *engine, struct tx *tx);
int tx_branch_find(const struct tx *tx, const char *name);
/* Appends a branch and links it; NULL and engine->error when there is no memory. */
struct branch *tx_branch_add(struct engine *engine, struct tx *tx,
                             const struct paxos_participant *participant);
/* Makes the branches be exactly those of the set. */
void tx_branches_from_set(struct engine *engine, struct tx *tx, const struct paxos_set *set);
/* Whether the branches are those of the set, in its order. */
bool tx_branches_are(const struct tx *tx, const struct paxos_set *set);
void branch_over(struct tx *tx, struct branch *branch);

/* ---- engine_waiters.c: who waits for an answer
 * ------------------------------------------------------ */

struct answer {
    int error;
    enum paxos_outcome outcome;
    enum paxos_reason reason;
    bool already;
    const char *detail; /* NULL: the error's own words */
};
/* Answers whoever asks, without keeping him. */
void waiter_answer(struct engine *engine, const struct waiter *waiter, struct troth_txid txid,
                   struct answer answer);
struct answer answer_outcome(const struct tx *tx);
struct answer answer_not_known(void);
/* What an enlistment gets when it is refused because of the transaction's end. */
struct answer answer_too_late(const struct tx *tx);
/* Keeps a copy until it is told, cancelled or answered; NULL and engine->error without memory. */
struct waiter *waiter_keep(struct engine *engine, struct tx *tx, const struct waiter *from);
/* Where nothing is stored and all who wait only look: answers them that nothing is known, and drops
 * the transaction, for Get decides nothing. */
bool waiters_only_look(struct engine *engine, struct tx *tx);
void waiter_free(struct engine *engine, struct waiter *waiter);
void waiters_cancel(struct engine *engine, uint64_t request);
/* Tells all who wait; the outcome is known, or the transaction is forgotten. */
void waiters_tell(struct engine *engine, struct tx *tx, int error);
/* Drops a transaction that was known only because somebody asked. */
void waiter_drop_if_empty(struct engine *engine, struct tx *tx);

/* ---- engine_requests.c: what clients and other nodes ask
 * ----------------------------------------- */

void requests_begin(struct engine *engine, const struct engine_event *event);
void requests_enlist(struct engine *engine, const struct engine_event *event);
void requests_commit_abort_get(struct engine *engine, const struct engine_event *event);
void requests_ask(struct engine *engine, uint32_t node, struct message *message);
void requests_answer(struct engine *engine, uint32_t node, struct message *message);
/* A participant enlists its own branch. */
void requests_enlist_message(struct engine *engine, struct rm *rm, struct troth_txid txid);
/* Passes the waiting questions on to the node that begins with the txid. */
void requests_forward(struct engine *engine, struct tx *tx);

/* ---- engine_coordinate.c: from begin to the last acknowledgement
 * --------------------------------- */

/* 0; ABORTED (work was lost, and the transaction is aborted for it), STATE, TOO_MANY. */
int coordinate_enlist(struct engine *engine, struct tx *tx,
                      const struct paxos_participant *participant, bool *already);
/* `named`: by the client, and enlisted; or NULL. Their work is in the branches. */
void coordinate_commit(struct engine *engine, struct tx *tx, struct paxos_set *named);
/* Aborts an ACTIVE transaction: nobody was asked to prepare, so no ballot is needed. */
void coordinate_abort_active(struct engine *engine, struct tx *tx, enum paxos_reason reason,
                             const char *detail);
/* The outcome is in the record: answers, and phase two where this node leads. */
void coordinate_decided(struct engine *engine, struct tx *tx);
void coordinate_ack(struct engine *engine, struct rm *rm, const struct message *message);
/* No outcome will ever be known here: tells who waits, and drops it. */
void coordinate_forgotten(struct engine *engine, struct tx *tx);
void coordinate_branch_aborted(struct engine *engine, struct rm *rm, const struct message *message);
/* Sends the branch what it needs next: a prepare, a one-phase commit, a decision, or nothing. */
void coordinate_send_branch(struct engine *engine, struct tx *tx, struct branch *branch);
void coordinate_repeat(struct engine *engine, struct tx *tx);
/* The end of a DECIDED transaction: all that work needed is freed, the outcome is kept. */
void tx_finish(struct engine *engine, struct tx *tx);
/* Decided in an earlier life of this node, and perhaps not delivered: phase two again. */
void coordinate_resume(struct engine *engine, struct tx *tx);
/* Ends a DECIDED transaction that nobody has to acknowledge any more. */
void coordinate_finish_if_acked(struct engine *engine, struct tx *tx);

/* ---- engine_needs.c: who needs the decision
 * -------------------------------------------------------- */

/* As far as the leader knows the votes; when another node has decided it may not know them all. */
void needs_by_leader(struct engine *engine, struct tx *tx);
/* As far as this node's record does. */
void needs_by_record(struct engine *engine, struct tx *tx);
/* Asks the other nodes for the votes that are missed, if any are. */
void needs_ask_votes(struct engine *engine, const struct tx *tx);
/* The answer. */
void needs_hear_votes(struct engine *engine, struct tx *tx, const struct message *message);

/* ---- engine_work.c: the work that comes with Commit
 * ------------------------------------------------ */

/* *bound: the members of a Commit with work for an ACTIVE transaction, with the incarnation of each
 * that names none: its branch's, or the attached one's; to be released. Or TROTH_ERR_UNAVAILABLE
 * (one of them is not attached), TOO_MANY, with the answer's text in `detail`; INVALID. */
int work_bind(struct engine *engine, const struct tx *tx, const struct waiter *commit,
              struct paxos_set **bound, char detail[MESSAGE_DETAIL_BYTES]);
/* The members are enlisted: their branches get their work. */
void work_keep(struct engine *engine, struct tx *tx, const struct waiter *commit);
/* Its vote is not asked for any more. */
void work_drop(struct engine *engine, struct branch *branch);
void work_drop_all(struct engine *engine, struct tx *tx);
void work_release_sets(struct engine *engine);

/* ---- engine_heuristic.c: what branches did by themselves
 * ------------------------------------------- */

/* Stores what the acknowledgement says of its branch, if that is not what the outcome says. `tx` is
 * NULL where it is not known here: any node keeps it, whoever coordinates. */
void heuristic_keep(struct engine *engine, struct tx *tx, const struct rm *rm,
                    const struct message *ack);

/* ---- engine_accept.c: the acceptor's part
 * ---------------------------------------------------------- */

void accept_vote(struct engine *engine, struct rm *rm, const struct message *message);
void accept_phase1a(struct engine *engine, uint32_t node, const struct message *message);
void accept_phase2a(struct engine *engine, uint32_t node, const struct message *message);
/* Tells a node that misses votes of a committed transaction which this one holds. */
void accept_tell_votes(struct engine *engine, uint32_t node, const struct message *message);
/* Puts the outcome into the record; stores it, with a later batch, where votes may exist. What this
 * node leads is stored once it is finished, or by accept_store_outcome when that takes long. */
void accept_learn(struct engine *engine, struct tx *tx, enum paxos_outcome outcome,
                  enum paxos_reason reason, bool finished);
void accept_store_outcome(struct engine *engine, struct tx *tx);

/* ---- engine_lead.c: the leader's part
 * -------------------------------------------------------------- */

/* Makes this node the leader at ballot 0, with the set of the branches. */
int lead_begin(struct engine *engine, struct tx *tx, struct paxos_set *set);
/* Opens a higher ballot, as a new leader where there was none. */
void lead_take_over(struct engine *engine, struct tx *tx);
/* Where this node's acceptor is a majority by itself (F = 0), a record that is on disk with all its
 * votes at ballot 0 is the decision: learns it from there, and writes nothing before the end.
 * False, and nothing has happened, where it is not, or where the record is not known to be on disk.
 */
bool lead_learn_own(struct engine *engine, struct tx *tx);
void lead_message(struct engine *engine, uint32_t node, const struct message *message);
void lead_one_phase_result(struct engine *engine, struct rm *rm, const struct message *message);
void lead_repeat(struct engine *engine, struct tx *tx);
void lead_known(struct engine *engine, const struct message *message);
void lead_drop(struct tx *tx);
/* Another node holds votes and misses the outcome. */
void lead_resolve(struct engine *engine, uint32_t node, const struct message *message);

/* ---- engine_thrifty.c: votes go to F + 1 acceptors first
 * ------------------------------------------------------- */

void thrifty_init(struct engine *engine);
/* Those that a transaction's votes go to at first, a mask; 0, which is all, where too few are
 * trusted and quick, and where it is switched off. */
uint32_t thrifty_choose(const struct engine *engine);
/* Whether the node may have been sent a vote. */
bool thrifty_may_hold(const struct tx *tx, uint32_t node);
/* The node has accepted all votes of ballot 0. `tx` is NULL when it is over. */
void thrifty_accepted(struct engine *engine, uint32_t node, struct tx *tx);
/* The transaction's leader has decided. */
void thrifty_decided(struct engine *engine, const struct tx *tx);
/* Its votes are asked for once more: from now on they go to all. */
void thrifty_give_up(struct engine *engine, struct tx *tx);

/* ---- engine_watch.c: who takes over, and when
 * ------------------------------------------------------- */

void watch_trusted(struct engine *engine, uint32_t node);
void watch_suspected(struct engine *engine, uint32_t node);
/* Sets the timer of a transaction that is kept here and not decided. */
void watch_kept(struct engine *engine, struct tx *tx);
/* The timer of a KEPT transaction is due. */
void watch_due(struct engine *engine, struct tx *tx);
/* Nobody drives it as far as this node can tell; of KEPT transactions. */
bool watch_is_lost(const struct engine *engine, const struct tx *tx);
bool watch_is_trusted(const struct engine *engine, uint32_t node);
/* Trusted, or not told of yet by a node that has just started. */
bool watch_may_live(const struct engine *engine, uint32_t node);
/* The node that should bring it to its end: the origin, or the last ballot's owner. */
uint32_t watch_leading_node(const struct engine *engine, const struct tx *tx);

/* ---- engine_marks.c: low-water marks, and forgetting
 * ------------------------------------------------- */

/* Below its origin's mark, and no record of it here (ARCHITECTURE H3). */
bool marks_forgotten(struct engine *engine, struct troth_txid txid);
/* Nothing is stored of it here, and it is below the mark: it is known only because somebody asks,
 * and no ballot may be opened for it (S6). */
bool marks_forgot(struct engine *engine, const struct tx *tx);
void marks_raise(struct engine *engine, uint64_t origin_hi, uint64_t mark);
/* Another node says that all of this origin's below it are finished: that is stored here too, so
 * that nobody decides one of them anew when that node is gone (S6). */
void marks_learn(struct engine *engine, struct troth_txid mark);
/* Tells a node that was away the marks of all origins: heartbeats carry the living ones' only. */
void marks_tell_node(struct engine *engine, uint32_t node);
void marks_load(struct engine *engine, uint64_t origin_hi, uint64_t mark);
uint64_t marks_own(const struct engine *engine);
void marks_housekeeping(struct engine *engine);
/* Tells a participant that attaches the marks of all origins, also of those that are gone. */
void marks_tell_session(struct engine *engine, uint64_t session);
/* A transaction of this origin has finished (1), or is not in memory any more (-1). */
void marks_count_finished(struct engine *engine, uint64_t origin_hi, int more);
void marks_release(struct engine *engine);

/* ---- engine_sessions.c: participants
 * -------------------------------------------------------------------- */

/* How many more participants may be heard of. */
uint32_t sessions_room(const struct engine *engine);
/* Whether this one may be: known by name, or below the limit. */
bool sessions_has_room(struct engine *engine, const char *name);
struct rm *sessions_rm(struct engine *engine, const char *name);
/* NULL: never heard of. */
struct rm *sessions_find(struct engine *engine, const char *name);
struct rm *sessions_by_id(struct engine *engine, uint64_t session);
void sessions_attached(struct engine *engine, const struct engine_event *event);
void sessions_detached(struct engine *engine, uint64_t session);
/* Goes on with what waited for participants that have come back. */
void sessions_resend(struct engine *engine);
void sessions_release(struct engine *engine);

#endif
