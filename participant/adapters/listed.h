/* listed: the branches of one resource manager that keeps the list of its prepared branches itself
 * (PostgreSQL, MariaDB, whatever speaks XA), and what its participant does about them.
 *
 * Pure, as branches.h: events in, effects out. Unlike there, nothing is stored: the resource
 * manager's list is the log, and its clients prepare in sessions of their own.
 *
 *     ENLISTING --> ACTIVE --> VOTING --> PREPARED --> COMMITTING --> COMMITTED
 *                     |         |  |     (in doubt) \-> ABORTING ---> ABORTED
 *                     |         |  +----> READ_ONLY         \-------> HEURISTIC
 *                     |         +-------> REFUSED
 *         FOUND <-----+---- (the list shows it, and nobody has asked about it)
 *
 * Rules that hold in every state:
 *   - one vote of ballot 0, ever, without a log: so there is only one that it gives, *prepared* (or
 *     read-only, after which there is no branch to be prepared). Where it can't give it, it says
 *     BranchAborted to the coordinator, and a higher ballot decides (S1). So a restarted process
 *     that finds the branch in the list may vote for it, and one that doesn't need not know why;
 *   - work that is prepared is complete: one session did it all, and prepared it (S5). A branch is
 *     handed out once; after a restart a second enlistment is told that work may be lost;
 *   - it takes no delegation (INCARNATION_TWO_PHASE_ONLY): the list can't tell "committed" from
 * "never prepared", and with one phase nobody else would know;
 *   - a branch that is gone is never taken for success (ARCHITECTURE H7): the driver's evidence
 *     says what became of it, or it is a heuristic;
 *   - a branch that lands in the list late, after its outcome, is rolled back; what is found and
 *     belongs to nobody is resolved by asking for the outcome, each by itself (H8, L3).
 *
 * The contract with the shell:
 *   1. after each step carry out its effects in their order; messages may leave at once;
 *   2. a CALL is answered by exactly one RESULT, a step of its own; so is an ASK by one ANSWER;
 *   3. before the first NODE_UP the list was read once: what it shows must not be taken for
 * unknown;
 *   4. once the list was read, LIST_BEGIN says when that began, then come LIST_ITEMs and LIST_END;
 * what happened to branches meanwhile is minded here;
 *   5. a TICK comes when listed_deadline_ms is reached.
 */
#ifndef ADAPTERS_LISTED_H
#define ADAPTERS_LISTED_H

#include "base/bound.h"
#include "base/txid.h"
#include "paxos/types.h"
#include "proto/message.h"

#define LISTED_OPEN_MAX          1000000u /* branches that are not over */
#define LISTED_HELD_MAX          2000000u /* all, those included that are kept until their mark */
#define LISTED_ENLIST_TIMEOUT_MS 5000
#define LISTED_PATIENCE_MS       60000
#define LISTED_REPEAT_MS         2000  /* a vote, with jitter of a quarter */
#define LISTED_FORGOTTEN_MS      60000 /* the same, and asking, once told that it is forgotten */
#define LISTED_RETRY_MS          200   /* a call or question that failed; doubles */
#define LISTED_RETRY_MAX_MS      15000
#define LISTED_ASK_MS            1000  /* from finding a branch to the first question */
#define LISTED_HINTS_MS          1000  /* a look that bears a hint out lets others be believed */
#define LISTED_AT_ONCE           10000 /* one step speaks for so many at most */
#define LISTED_DISK_BYTES        16

struct listed_options {
    const char *name;
    uint64_t incarnation;
    uint64_t seed;        /* for jitter only */
    uint32_t patience_ms; /* 0: the default. See troth_database.h */
    bool forgets;         /* the resource manager wants FORGET calls */
    uint32_t held_max;    /* 0: LISTED_HELD_MAX. What comes beyond is refused, or let pass until it
                           * comes again; an operator is told */
};

struct listed;
/* TROTH_ERR_NO_MEMORY; TROTH_ERR_INVALID: a name that is none. */
int listed_new(struct listed **out, const struct listed_options *options);
void listed_free(struct listed *listed);

/* ---- Events ---------------------------------------------------------------------------------- */

enum listed_event_type {
    LISTED_TICK,
    LISTED_NODE_UP,    /* node, session, incarnation, disk */
    LISTED_NODE_DOWN,  /* session */
    LISTED_MESSAGE,    /* session, message */
    LISTED_ENLIST,     /* request, txid; gets exactly one ENLISTED */
    LISTED_HINT,       /* txid: the client has seen its prepare succeed. Believed without a look
                        * while one has borne out another hint lately, LISTED_HINTS_MS */
    LISTED_RESULT,     /* txid, result, receipt, detail: the answer to the CALL under way */
    LISTED_ANSWER,     /* txid, result (TROTH_ERR_*), outcome, bound: the answer to ASK */
    LISTED_RESOLVE,    /* request, txid, outcome, detail (who); gets exactly one RESOLVED */
    LISTED_LIST_BEGIN, /* began_ms */
    LISTED_LIST_ITEM,  /* txid, receipt, age_ms */
    LISTED_LIST_END,
};

struct listed_event {
    enum listed_event_type type;
    int64_t now_ms;
    struct troth_txid txid;
    uint64_t session;
    uint64_t request;
    uint32_t node;
    uint64_t incarnation;
    const uint8_t *disk;     /* LISTED_DISK_BYTES */
    struct message *message; /* borrowed; what is kept of it is moved out */
    int result;              /* enum driver_result, or TROTH_ERR_* */
    bool nothing_done;       /* as in struct driver_branch */
    uint64_t receipt;
    uint64_t age_ms;
    int64_t began_ms; /* as now_ms: when the list was asked for */
    enum paxos_outcome outcome;
    enum bound bound;   /* with an outcome: is the branch a part of the transaction? */
    const char *detail; /* may be NULL */
};

/* ---- Effects --------------------------------------------------------------------------------- */

enum listed_effect_type {
    LISTED_SEND,     /* session, node, message */
    LISTED_CALL,     /* txid, call, receipt, was_begun, is_older, was_prepared */
    LISTED_ASK,      /* txid, proposes_abort: Get, or Abort, at any node */
    LISTED_ENLISTED, /* request, txid, error, detail */
    LISTED_RESOLVED, /* request, txid, error, detail */
    LISTED_REFUSE,   /* session, node, detail: end the stream */
    LISTED_ALARM,    /* txid (may be zero), detail: an operator must see it */
};

enum listed_call {
    LISTED_CALL_NONE,
    LISTED_CALL_VOTE,
    LISTED_CALL_COMMIT,
    LISTED_CALL_ABORT,
    LISTED_CALL_FORGET, /* has no RESULT */
};

struct listed_effect {
    enum listed_effect_type type;
    struct troth_txid txid;
    uint64_t session;
    uint64_t request;
    uint32_t node;
    enum listed_call call;
    uint64_t receipt;
    bool was_begun;    /* an earlier call for this end may have been carried out */
    bool is_older;     /* an earlier process of this participant may have ended it */
    bool was_prepared; /* it is known to have been prepared */
    bool proposes_abort;
    int error;
    struct message message; /* owned by the effect */
    char detail[MESSAGE_DETAIL_BYTES];
};

/* A list that the caller zeroes once and gives to each step, which clears it first. */
struct listed_effects {
    struct listed_effect *items;
    size_t n;
    size_t capacity;
};
void listed_effects_release(struct listed_effects *effects);

/* One event. TROTH_ERR_NO_MEMORY: the process can't go on. */
int listed_step(struct listed *listed, const struct listed_event *event,
                struct listed_effects *effects);
/* When the next TICK is due; INT64_MAX when none is. */
int64_t listed_deadline_ms(const struct listed *listed);

/* ---- Looking --------------------------------------------------------------------------------- */

enum listed_state {
    LISTED_NONE,
    LISTED_ENLISTING,
    LISTED_ACTIVE,
    LISTED_VOTING,
    LISTED_PREPARED,
    LISTED_FOUND,
    LISTED_COMMITTING,
    LISTED_ABORTING,
    /* Over; kept until the mark. */
    LISTED_READ_ONLY,
    LISTED_REFUSED,
    LISTED_COMMITTED,
    LISTED_ABORTED,
    LISTED_HEURISTIC,
};
/* "enlisting", "active", "voting", "in doubt", "found", ... */
const char *listed_state_name(enum listed_state state);
enum listed_state listed_state(const struct listed *listed, struct troth_txid txid);
/* What the branch did by itself; NONE also for one that is not known. */
enum message_heuristic listed_heuristic(const struct listed *listed, struct troth_txid txid);

struct listed_branch_view {
    struct troth_txid txid;
    enum listed_state state;
    int64_t since_ms;   /* when it was heard of first */
    const char *detail; /* borrowed; "" */
};
/* Those that are not over; in no order. */
void listed_each(const struct listed *listed,
                 void (*each)(void *arg, const struct listed_branch_view *view), void *arg);

struct listed_counters {
    uint32_t nodes_attached;
    uint32_t open;
    uint32_t in_doubt;
    uint32_t found;
    uint64_t committed; /* since the start */
    uint64_t aborted;
    uint64_t heuristics;
};
void listed_counters(const struct listed *listed, struct listed_counters *counters);

#endif
