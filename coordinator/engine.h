/* engine: everything that one node knows of all transactions, and what it does about them.
 *
 * It is coordinator of the transactions begun here, acceptor for all, and leader of those that it
 * takes over. Pure: events in, effects out; no I/O, no clock, no thread. engine_step is the only
 * mutator, and recovery goes through it too (LOAD_*, then START).
 *
 * The contract with the shell (S4):
 *   1. step events one by one; after each step carry out its effects in their order:
 *      STORE and FORGET go into the batch's database transaction at once, since what they borrow
 *      is valid until the next step only;
 *   2. a SEND or REPLY with `after_store` leaves when the batch is on disk, not before: it may
 *      depend on a record of this step or of an earlier one of the batch. The others may leave
 *      at once. Those with one destination keep their order;
 *   3. a SEND to node `self` comes back as a NODE_MESSAGE event, under the same rule;
 *   4. lazy records alone make no batch: they may wait up to ENGINE_LAZY_MS for a batch that is
 *      synced for another's sake;
 *   5. when the batch can't be stored, the process ends: nothing of it may leave (ARCHITECTURE H9);
 *   6. a TICK event comes when engine_deadline_ms is reached.
 *
 * Time is monotonic milliseconds, and only suspects and waits; no decision rests on it.
 */
#ifndef COORDINATOR_ENGINE_H
#define COORDINATOR_ENGINE_H

#include "base/txid.h"
#include "paxos/acceptor.h"
#include "proto/message.h"

#define ENGINE_LAZY_MS               200
#define ENGINE_TIMEOUT_DEFAULT_MS    30000
#define ENGINE_TIMEOUT_MAX_MS        3600000
#define ENGINE_BEGIN_MAX             1024u    /* transactions that one Begin may begin */
#define ENGINE_OPEN_MAX              2000000u /* transactions known at once; Begin is refused above */
#define ENGINE_WAITERS_MAX           1024u    /* requests that wait for one transaction's outcome */
#define ENGINE_WORK_BYTES_MAX        (256u << 20) /* that came with Commit and is not voted on yet */
#define ENGINE_IDEMPOTENCY_KEY_BYTES 65u          /* with the NUL */

struct engine_options {
    uint16_t cell;
    uint32_t self;        /* this node's id, 1 to nodes */
    uint32_t nodes;       /* odd, 1 to PAXOS_NODES_MAX */
    uint32_t incarnation; /* durable, grows with every start */
    uint64_t seed;        /* for jitter only */
    /* Milliseconds; 0 means the default. */
    uint32_t timeout_default_ms;
    uint32_t repeat_ms;    /* an unanswered prepare, 1a or 2a is sent again; default 1,000 */
    uint32_t resolve_ms;   /* an undecided record is looked into; default 3,000 */
    uint32_t stagger_ms;   /* each rank below the preferred node waits this much more before it
                            * takes over; default 300 */
    uint32_t retention_ms; /* a finished transaction's outcome is kept; default 600,000 */
    uint32_t retained_max; /* with more of them the oldest go sooner, after
                            * ENGINE_RETAINED_MIN_MS at the least; default 262,144 */
    bool thrifty; /* votes go to F + 1 acceptors first, to all when that takes long [GL 5] */
    bool faster;  /* acceptors tell participants too, which so unlock a message sooner [GL 4.3] */
};

struct engine;
/* TROTH_ERR_NO_MEMORY, TROTH_ERR_INVALID. */
int engine_new(struct engine **out, const struct engine_options *options);
void engine_free(struct engine *engine);

/* ---- Events -----------------------------------------------------------------------------------
 */

enum engine_event_type {
    /* Start-up, in this order. */
    ENGINE_LOAD_MARK,   /* txid: an origin (hi) and its low-water mark (lo) */
    ENGINE_LOAD_RECORD, /* txid, record: as STORE gave it; NULL when it can't be read: this node
                         * then neither answers nor leads, and asks the others (ARCHITECTURE H10) */
    ENGINE_START, /* all is loaded and this node is admitted: take part. Of very many records the
                   * TICKs that follow see to the rest, the oldest first */
    /* The world. */
    ENGINE_TICK,
    ENGINE_NODE_TRUSTED,        /* node, incarnation: its stream is greeted, its heartbeats come */
    ENGINE_NODE_SUSPECTED,      /* node; at start every other node is suspected */
    ENGINE_NODE_MESSAGE,        /* node, message */
    ENGINE_ATTACHED,            /* session, participant */
    ENGINE_DETACHED,            /* session */
    ENGINE_PARTICIPANT_MESSAGE, /* session, message */
    /* Requests; each gets exactly one REPLY unless cancelled. */
    ENGINE_BEGIN,  /* request, timeout_ms, key, count */
    ENGINE_ENLIST, /* request, txid, participant */
    ENGINE_COMMIT, /* request, txid, branches (may be NULL), works (may be NULL) */
    ENGINE_ABORT,  /* request, txid, branches (may be NULL) */
    ENGINE_GET,    /* request, txid */
    ENGINE_CANCEL, /* request: nobody waits for its reply any more */
    ENGINE_STOP,   /* no more Begin; end what is active, finish what is preparing; see
                    * engine_is_idle */
};

struct engine_event {
    enum engine_event_type type;
    int64_t now_ms; /* monotonic; never runs back */
    uint32_t node;
    uint64_t incarnation;
    uint64_t session; /* not 0; the shell's name for a participant's stream; never reused */
    uint64_t request; /* not 0; the shell's name for a caller; never reused */
    struct troth_txid txid;
    struct paxos_participant participant;
    struct paxos_set *branches; /* borrowed; held if kept */
    /* Of each member of `branches` the work that comes with Commit, or NULL; borrowed, held if
     * kept. A member with work and the incarnation 0 is whichever is attached. */
    struct work *const *works;
    struct message *message; /* borrowed; what the engine keeps it moves out */
    struct acceptor *record; /* LOAD_RECORD: its contents are taken over */
    uint32_t timeout_ms;
    const char *key; /* idempotency key; NULL or "" for none */
    uint32_t count;  /* 0: 1; with a key no more than 1 */
};

/* ---- Effects ----------------------------------------------------------------------------------
 */

enum engine_effect_type {
    ENGINE_STORE,            /* txid, record; lazy */
    ENGINE_STORE_MARK,       /* txid: origin (hi) and mark (lo); lazy */
    ENGINE_DELETE_BELOW,     /* txid: delete the records of this origin (hi) with sequences below
                              * lo; lazy. All of them are finished: the mark says so. */
    ENGINE_DELETE,           /* txid: this record; lazy */
    ENGINE_STORE_HEURISTIC,  /* participant, message: txid, outcome (that it was told; NONE: none
                              * was known), heuristic, detail. Never lazy; kept until an operator
                              * forgets it, which is the shell's affair */
    ENGINE_SEND_NODE,        /* node, message; after_store */
    ENGINE_SEND_PARTICIPANT, /* session, message; after_store */
    ENGINE_REFUSE_SESSION,   /* session, error, detail: end the stream */
    ENGINE_REPLY,            /* request, reply */
    ENGINE_ALARM,            /* detail: an operator must see it; log it as an error */
};

struct engine_reply {
    int error; /* 0, or: INVALID, NOT_FOUND (never given out), FORGOTTEN, STATE (too late to
                * enlist), TOO_MANY, ABORTED (enlist: its work is lost), UNAVAILABLE */
    struct troth_txid txid; /* BEGIN: the first; the others have the sequences behind it */
    uint32_t timeout_ms;
    uint32_t count; /* BEGIN: how many were begun, maybe fewer than asked for */
    enum paxos_outcome outcome;
    enum paxos_reason reason;
    bool already;
};

struct engine_effect {
    enum engine_effect_type type;
    bool after_store;
    bool lazy;
    uint32_t node;
    uint64_t session;
    uint64_t request;
    int error;
    struct troth_txid txid;
    struct paxos_participant participant;
    const struct acceptor *record; /* borrowed until the next step */
    struct message message;        /* owned by the effect */
    struct engine_reply reply;
    char detail[MESSAGE_DETAIL_BYTES]; /* REPLY, REFUSE_SESSION, ALARM: for humans */
};

/* A list that the caller zeroes once and gives to each step, which clears it first. */
struct engine_effects {
    struct engine_effect *items;
    size_t n;
    size_t capacity;
};
void engine_effects_release(struct engine_effects *effects);

/* One event. TROTH_ERR_NO_MEMORY: the process can't go on. TROTH_ERR_CORRUPT: two outcomes were
 * seen for one transaction (S1 is broken): the process must stop before it sends anything.
 * Whatever a peer, participant or client sends gives effects, never an error. */
int engine_step(struct engine *engine, const struct engine_event *event,
                struct engine_effects *effects);

/* When the next TICK is due; INT64_MAX when none is. */
int64_t engine_deadline_ms(const struct engine *engine);
/* After STOP: nothing that this node coordinates is undecided any more. */
bool engine_is_idle(const struct engine *engine);

/* ---- Looking (never changes anything) ---------------------------------------------------------
 */

enum engine_state {
    ENGINE_STATE_ACTIVE = 1,
    ENGINE_STATE_PREPARING = 2,
    ENGINE_STATE_COMMITTED = 3,
    ENGINE_STATE_ABORTED = 4,
}; /* the numbers are those of troth.v1.State */

struct engine_branch_view {
    struct paxos_participant participant;
    struct paxos_accepted accepted;
    bool acked;
    bool attached;
};
struct engine_view {
    struct troth_txid txid;
    enum engine_state state;
    enum paxos_outcome outcome;
    enum paxos_reason reason;
    const char *detail;
    uint32_t ballot;
    uint32_t leader; /* node */
    int64_t age_ms;
    bool in_doubt; /* votes are stored here and no outcome is known */
    uint32_t n_branches;
    const struct engine_branch_view *branches;
};
/* Calls `each` with what is known of one or all transactions, oldest first by when they were first
 * heard of here; stops at its first non-zero return and returns that. For one:
 * TROTH_ERR_NOT_FOUND. The view lives as long as the call. `now_ms` for the ages. */
typedef int engine_view_fn(void *arg, const struct engine_view *view);
int engine_view_one(struct engine *engine, struct troth_txid txid, int64_t now_ms,
                    engine_view_fn *each, void *arg);
int engine_view_all(struct engine *engine, int64_t now_ms, engine_view_fn *each, void *arg);
/* The same, newest first. */
int engine_view_newest(struct engine *engine, int64_t now_ms, engine_view_fn *each, void *arg);

/* Calls `each` for every participant that has attached here since this node started, until it
 * returns non-zero; returns that. */
typedef int engine_participant_fn(void *arg, const struct paxos_participant *participant,
                                  bool attached);
int engine_participants(const struct engine *engine, engine_participant_fn *each, void *arg);
/* Fills the heartbeat that this node sends to the others every heartbeat interval. */
void engine_heartbeat(const struct engine *engine, struct message *heartbeat);

struct engine_counters {
    uint64_t begun;
    uint64_t committed; /* decided by this node as a leader */
    uint64_t aborted;
    uint64_t takeovers;
    uint64_t in_flight;
    uint64_t in_doubt;
    uint64_t undelivered;
    uint64_t records;
};
void engine_counters(const struct engine *engine, struct engine_counters *counters);

#endif
