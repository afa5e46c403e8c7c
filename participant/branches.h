/* branches: all branches of one resource manager, and what its participant does about them.
 *
 * Pure: events in, effects out; no I/O, no clock, no thread. branches_step is the only mutator,
 * and recovery goes through it too (LOAD_*, then START).
 *
 *  (joins) --------+         (work comes with Prepare)
 *                  v              v
 *     ENLISTING --> ACTIVE --> PREPARING --> PREPARED --> COMMITTING --> COMMITTED
 *         |           | |       |  |  |      (in doubt)       |
 *         |           | |       |  |  +-> READ_ONLY           +--------> HAZARD
 *         |           | |       |  +----> COMMITTING (one phase, separate storage)
 *         |           | +----------> COMMITTING_ONE_PHASE ----> COMMITTED or ABORTED
 *         |           +---------+--------+--> ABORTING ----> ABORTED
 *         +----------------------------------------------------^
 *
 * Where each transition is: ENLISTING, ACTIVE and giving up in branches_enlist.c; PREPARING,
 * PREPARED, READ_ONLY and COMMITTING_ONE_PHASE in branches_vote.c; COMMITTING, ABORTING, COMMITTED,
 * ABORTED and HAZARD in branches_end.c. The table of allowed ones is in branches_table.c.
 *
 * Rules that hold in every state:
 *   - one vote of ballot 0 for a branch, ever: what was voted is remembered until the origin's
 *     mark has passed the txid; prepared also over restarts. After a restart nobody can know
 *     whether the branch had voted read-only before, so a branch of an older incarnation never
 *     votes: its loss is told by BranchAborted, and the coordinator's higher ballot decides (S1);
 *   - work that comes with Prepare is done once, ever: by the CALL that makes the vote. What was
 *     aborted is remembered until the mark although nothing was known of it, since a Prepare with
 *     work that another node's decision has overtaken would begin the branch anew;
 *   - a branch in doubt stays so until a decision comes (L2), whatever else happens;
 *   - "no such branch" is never taken for success (ARCHITECTURE H7): it ends as HAZARD, which stays
 * in the log for an operator.
 *
 * The contract with the shell (S4):
 *   1. step events one by one; after each step carry out its effects in their order. The STOREs
 *      go into the batch's database transaction at once: what they borrow is valid until the
 *      next step only;
 *   2. a SEND or CALL with `after_store` happens when the batch is on disk, not before: it may
 *      depend on a record of this step or of an earlier one of the batch, or on what the resource
 *      manager wrote in the batch. The others may happen at once. SENDs to one session keep their
 *      order;
 *   3. a CALL is answered by exactly one RESULT, at once or later; the step of the CALL comes
 *      first, its RESULT is a step of its own;
 *   4. lazy effects alone make no batch: they, and what the resource manager wrote in a CALL that
 * is lazy, may wait up to BRANCHES_LAZY_MS for one that is synced for another's sake. So a commit
 *      whose acknowledgement nobody waits for costs no sync of its own;
 *   5. when the batch can't be stored, the process ends: nothing of it may leave (ARCHITECTURE H9);
 *   6. a TICK event comes when branches_deadline_ms is reached.
 *
 * Time is monotonic milliseconds, and only waits and repeats; no decision rests on it.
 */
#ifndef PARTICIPANT_BRANCHES_H
#define PARTICIPANT_BRANCHES_H

#include "base/txid.h"
#include "paxos/types.h"
#include "proto/message.h"

/* Branches held at once, those that are kept until their origin's mark passes included. More
 * enlistments are refused. */
#define BRANCHES_MAX               2000000u
#define BRANCHES_OPEN_MAX          1000000u /* of these, not finished */
#define BRANCHES_ENLIST_TIMEOUT_MS 5000
#define BRANCHES_IDLE_TIMEOUT_MS   60000
/* Bytes of work that came with Prepare, of branches whose vote is being made. With more a branch
 * votes aborted: the resource manager may have to keep them while it waits for a lock. */
#define BRANCHES_WORK_BYTES_MAX (64u << 20)
/* A branch that was joined and is not committed by then is enlisted: its client may be gone, or its
 * work have come late. */
#define BRANCHES_JOIN_MS      1000
#define BRANCHES_ORPHAN_MS    3000  /* an active branch waits so long for its coordinator */
#define BRANCHES_REPEAT_MS    2000  /* a vote is repeated, with jitter of a quarter */
#define BRANCHES_FORGOTTEN_MS 60000 /* the same, once a node said that it has forgotten */
#define BRANCHES_RETRY_MS     500   /* a callback that failed is called again; doubles */
#define BRANCHES_RETRY_MAX_MS 30000
#define BRANCHES_LAZY_MS      20   /* well below ENGINE_KNOWN_DELAY_MS */
#define BRANCHES_MARK_MS      1000 /* marks are stored together, this long after the first */
/* One step speaks for so many branches in doubt or due at most; the next TICK goes on. */
#define BRANCHES_AT_ONCE    10000
#define BRANCHES_DISK_BYTES 16

struct branches_options {
    const char *name; /* the participant's, 1 to 47 characters */
    uint64_t incarnation;
    uint64_t seed;            /* for jitter only */
    uint32_t idle_timeout_ms; /* 0: the default */
    bool separate_storage;    /* see troth_participant.h */
};

struct branches;
/* TROTH_ERR_NO_MEMORY; TROTH_ERR_INVALID: a name that is none. */
int branches_new(struct branches **out, const struct branches_options *options);
void branches_free(struct branches *branches);

/* ---- Records --------------------------------------------------------------------------------- */

/* What is kept of a branch over a restart. The numbers are never changed. */
enum branches_record {
    BRANCHES_RECORD_PREPARED = 1,
    BRANCHES_RECORD_COMMITTING = 2, /* separate storage only: to commit, and that was begun */
    BRANCHES_RECORD_COMMITTED = 3,  /* until the mark */
    BRANCHES_RECORD_HAZARD = 4,     /* until an operator deletes it */
};
#define BRANCHES_RECORD_LAST BRANCHES_RECORD_HAZARD

/* ---- Events ---------------------------------------------------------------------------------- */

enum branches_event_type {
    /* Start-up, in this order. */
    BRANCHES_LOAD_NODE,   /* node, disk, incarnation: as STORE_NODE gave it */
    BRANCHES_LOAD_MARK,   /* txid: as STORE_MARK gave it */
    BRANCHES_LOAD_BRANCH, /* txid, record, set (prepared only; NULL when it can't be read). Txid 0:
                           * a row that can't be read at all */
    BRANCHES_START,       /* all is loaded, and every recover is answered */
    /* The world. */
    BRANCHES_TICK,
    BRANCHES_NODE_UP,   /* node, session, incarnation, disk: a session was greeted */
    BRANCHES_NODE_DOWN, /* session */
    BRANCHES_MESSAGE,   /* session, message */
    /* The resource manager. */
    BRANCHES_ENLIST,  /* request, txid, joins; gets exactly one ENLISTED */
    BRANCHES_GIVE_UP, /* txid, reason, detail */
    BRANCHES_RESULT,  /* txid, result, detail: the answer to the CALL under way; without one it
                       * is ignored */
};

struct branches_event {
    enum branches_event_type type;
    int64_t now_ms; /* monotonic; never runs back */
    struct troth_txid txid;
    uint64_t session; /* not 0; the shell's name for a stream to a node; never reused */
    uint64_t request; /* the shell's name for who waits for an enlistment */
    bool joins;       /* the client names the branch in its Commit: bound here, nobody is asked */
    uint32_t node;
    uint64_t incarnation;
    const uint8_t *disk; /* BRANCHES_DISK_BYTES */
    enum branches_record record;
    struct paxos_set *set;   /* a reference is taken if it is kept */
    struct message *message; /* borrowed; what is kept of it is moved out */
    int result;              /* a callback's: see troth_participant.h */
    enum paxos_reason reason;
    const char *detail; /* may be NULL */
};

/* ---- Effects --------------------------------------------------------------------------------- */

enum branches_effect_type {
    BRANCHES_STORE,      /* txid, record, set: insert or replace */
    BRANCHES_DELETE,     /* txid */
    BRANCHES_STORE_NODE, /* node, disk, incarnation: insert or replace */
    BRANCHES_STORE_MARK, /* txid: replace the origin's mark; delete its COMMITTED records below */
    BRANCHES_SEND,       /* session, node, message; after_store */
    BRANCHES_CALL,       /* txid, call, after_store; prepare: work */
    BRANCHES_ENLISTED,   /* request, txid, error, detail */
    BRANCHES_REFUSE,     /* session, node, error, detail: end the stream, it must not be used */
    BRANCHES_ALARM,      /* txid (may be zero), detail: an operator must see it */
};

enum branches_call {
    BRANCHES_CALL_NONE,
    BRANCHES_CALL_PREPARE,
    BRANCHES_CALL_COMMIT,
    BRANCHES_CALL_COMMIT_ONE_PHASE,
    BRANCHES_CALL_ABORT,
    BRANCHES_CALL_RECOVER, /* only as the answer to LOAD_BRANCH */
};

struct branches_effect {
    enum branches_effect_type type;
    bool after_store;
    bool lazy; /* STORE*, DELETE, SEND, CALL */
    struct troth_txid txid;
    uint64_t session;
    uint64_t request;
    uint64_t incarnation;
    uint32_t node;
    enum branches_record record;
    enum branches_call call;
    int error;
    struct paxos_set *set; /* borrowed until the next step, or held; may be NULL */
    struct work *work;     /* CALL prepare: what came with Commit, or NULL; owned by the effect */
    uint8_t disk[BRANCHES_DISK_BYTES];
    struct message message;            /* owned by the effect */
    char detail[MESSAGE_DETAIL_BYTES]; /* for humans */
};

/* A list that the caller zeroes once and gives to each step, which clears it first. */
struct branches_effects {
    struct branches_effect *items;
    size_t n;
    size_t capacity;
};
void branches_effects_release(struct branches_effects *effects);

/* One event. TROTH_ERR_NO_MEMORY: the process can't go on. Whatever a node or a user sends gives
 * effects, never an error. */
int branches_step(struct branches *branches, const struct branches_event *event,
                  struct branches_effects *effects);

/* When the next TICK is due; INT64_MAX when none is. */
int64_t branches_deadline_ms(const struct branches *branches);

/* ---- Looking --------------------------------------------------------------------------------- */

enum branch_state {
    BRANCH_NONE, /* not known */
    BRANCH_ENLISTING,
    BRANCH_ACTIVE,
    BRANCH_PREPARING,
    BRANCH_PREPARED,
    BRANCH_READ_ONLY,
    BRANCH_COMMITTING,
    BRANCH_COMMITTING_ONE_PHASE,
    BRANCH_COMMITTED,
    BRANCH_ABORTING,
    BRANCH_ABORTED,
    BRANCH_HAZARD,
};
#define BRANCH_STATE_LAST BRANCH_HAZARD
const char *branch_state_name(enum branch_state state);
enum branch_state branches_state(const struct branches *branches, struct troth_txid txid);

struct branches_counters {
    uint32_t nodes_attached;
    uint32_t active; /* not voted yet */
    uint32_t in_doubt;
    uint32_t held;      /* all that are known */
    uint64_t committed; /* since the start */
    uint64_t aborted;
    uint64_t hazards;
};
void branches_counters(const struct branches *branches, struct branches_counters *counters);

#endif
