/* foreign: the branches of transaction managers that are not Troth, as X/Open XA wants them [XA].
 *
 * Pure: events in, effects out, as branches.h; foreign_step is the only mutator.
 *
 *                         +--------------- PREPARE: read-only, or nothing done ------------> gone
 *     START               |                +---- COMMIT -----> COMMITTING ----> gone, or HEURISTIC
 *       \                 |                |
 *        ACTIVE --PREPARE--> PREPARING --> PREPARED
 *         | \  \             |             |
 *         |  \  \            v             +---- ROLLBACK ---> ROLLING_BACK --> gone
 *         |   \  \--ONE_PHASE--> COMMITTING_ONE_PHASE --> gone
 *         |    \
 *         |     \---ROLLBACK--> ROLLING_BACK --> gone
 *         \--FAIL, given up, idle--> ROLLING_BACK --> DOOMED --ROLLBACK, asked again, idle--> gone
 *
 *     PREPARED --FORCE_*--> COMMITTING or ROLLING_BACK --> HEURISTIC --FORGET--> gone
 *
 * In the words of [XA] table 6-4: ACTIVE is S1, and S2 (idle) when no thread is associated;
 * PREPARED is S3, DOOMED is S4 (rollback only), HEURISTIC is S5, gone is S0.
 *
 * Rules:
 *   - what is PREPARED stays so until it is told, whatever happens and however long it takes;
 *   - a branch that was lost is not known: nothing here makes it anew but START (ARCHITECTURE H2);
 *   - "no such branch" of the resource manager is not success: a commit ends as HEURISTIC (H7);
 *   - txids are never repeated: start number and counter, both of this participant (H5).
 *
 * The contract with the shell is that of branches.h, with these effects: records and calls in
 * their order; an ANSWER always leaves when the batch is on disk. [XA]: X/Open C193. */
#ifndef PARTICIPANT_FOREIGN_H
#define PARTICIPANT_FOREIGN_H

#include "participant/branches.h"
#include "participant/troth_foreign.h"

/* Of a txid's sequence: the rest counts starts. */
#define FOREIGN_COUNTER_BITS 40
/* A start's number must fit into the rest, or no branch is begun any more. */
#define FOREIGN_STARTS_MAX ((1u << (64 - FOREIGN_COUNTER_BITS)) - 1)

struct foreign_options {
    uint32_t starts;          /* the participant's; rises with each */
    uint32_t idle_timeout_ms; /* 0: BRANCHES_IDLE_TIMEOUT_MS */
    bool separate_storage;    /* see troth_participant.h */
};

struct foreign;
/* TROTH_ERR_NO_MEMORY. */
int foreign_new(struct foreign **out, const struct foreign_options *options);
/* NULL is let be. */
void foreign_free(struct foreign *all);

/* What is kept of a branch over a restart. The numbers are never changed; the first ones are those
 * of troth_foreign_state. */
enum foreign_record {
    FOREIGN_RECORD_PREPARED = TROTH_FOREIGN_PREPARED,
    FOREIGN_RECORD_HEUR_COMMITTED = TROTH_FOREIGN_HEUR_COMMITTED,
    FOREIGN_RECORD_HEUR_ROLLED_BACK = TROTH_FOREIGN_HEUR_ROLLED_BACK,
    FOREIGN_RECORD_HEUR_HAZARD = TROTH_FOREIGN_HEUR_HAZARD,
    FOREIGN_RECORD_COMMITTING = 5, /* separate storage only: a commit was begun */
};
#define FOREIGN_RECORD_LAST FOREIGN_RECORD_COMMITTING

/* ---- Events ---------------------------------------------------------------------------------- */

enum foreign_event_type {
    FOREIGN_LOAD,    /* at start: xid, txid, record, as STORE gave them */
    FOREIGN_VERB,    /* verb, xid, request; gets exactly one ANSWER */
    FOREIGN_ENLIST,  /* txid, request; gets exactly one ENLISTED, at once */
    FOREIGN_GIVE_UP, /* txid, reason, detail */
    FOREIGN_RESULT,  /* txid, result, detail: the answer to the CALL under way */
    FOREIGN_TICK,
};
struct foreign_event {
    enum foreign_event_type type;
    enum troth_foreign_verb verb;
    int64_t now_ms; /* monotonic; never runs back */
    const struct troth_xid *xid;
    struct troth_txid txid;
    enum foreign_record record;
    uint64_t request; /* not 0; the shell's name for who waits */
    int result;
    enum paxos_reason reason;
    const char *detail; /* may be NULL */
};

/* ---- Effects --------------------------------------------------------------------------------- */

enum foreign_effect_type {
    FOREIGN_STORE,    /* xid, txid, record: insert or replace */
    FOREIGN_DELETE,   /* txid; committed: with a commit's data, else with what undoes it */
    FOREIGN_CALL,     /* txid, call; after_store */
    FOREIGN_ANSWER,   /* request, result, txid, detail; when the batch is on disk */
    FOREIGN_ENLISTED, /* request, txid, result (0 or a TROTH_ERR_*), detail */
    FOREIGN_ALARM,    /* txid, detail: an operator must see it */
};
struct foreign_effect {
    enum foreign_effect_type type;
    bool after_store;
    bool committed;
    struct troth_txid txid;
    const struct troth_xid *xid; /* borrowed until the next step */
    enum foreign_record record;
    enum branches_call call;
    uint64_t request;
    int result;
    char detail[MESSAGE_DETAIL_BYTES];
};
/* A list that the caller zeroes once and gives to each step, which clears it first. */
struct foreign_effects {
    struct foreign_effect *items;
    size_t n;
    size_t capacity;
};
void foreign_effects_release(struct foreign_effects *effects);

/* One event. TROTH_ERR_NO_MEMORY: the process can't go on. */
int foreign_step(struct foreign *all, const struct foreign_event *event,
                 struct foreign_effects *effects);
/* When the next TICK is due; INT64_MAX when none is. */
int64_t foreign_deadline_ms(const struct foreign *all);

struct foreign_counters {
    uint32_t active;
    uint32_t in_doubt;
    uint32_t heuristic; /* wait for FORGET */
    uint64_t committed; /* since the start */
    uint64_t rolled_back;
};
void foreign_counters(const struct foreign *all, struct foreign_counters *counters);

/* Whether it names anything: its lengths are in bounds and it is not XA's null XID. */
bool foreign_xid_valid(const struct troth_xid *xid);
/* The txid of the n-th branch (from 1) of this start. Its upper half depends on the global
 * transaction alone (format and gtrid), so that its age is the same at every resource manager. */
struct troth_txid foreign_txid(const struct troth_xid *xid, uint32_t starts, uint64_t n);

#endif
