/* foreign_internal: what the files of foreign share; for nobody else. */
#ifndef PARTICIPANT_FOREIGN_INTERNAL_H
#define PARTICIPANT_FOREIGN_INTERNAL_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "base/troth_err.h"
#include "participant/foreign.h"

enum foreign_state {
    FOREIGN_ACTIVE, /* S1; S2 when `associations` is 0 */
    FOREIGN_PREPARING,
    FOREIGN_PREPARED, /* S3 */
    FOREIGN_COMMITTING,
    FOREIGN_COMMITTING_ONE_PHASE,
    FOREIGN_ROLLING_BACK,
    FOREIGN_DOOMED,    /* S4 */
    FOREIGN_HEURISTIC, /* S5 */
};

#define FOREIGN_KEY_BYTES (8 + 1 + 2 * TROTH_XID_PART_MAX)
/* An xid as bytes, of which no two are alike. */
struct foreign_key {
    size_t n;
    uint8_t bytes[FOREIGN_KEY_BYTES];
};

struct foreign_branch {
    UT_hash_handle by_xid, by_txid;
    struct foreign_key key;
    struct troth_xid xid;
    struct troth_txid txid;
    enum foreign_state state;
    enum branches_call calling;   /* its RESULT is awaited */
    enum troth_foreign_verb verb; /* under way; 0: none, the branch is rolled back by itself */
    uint64_t request;             /* who gets the verb's answer; 0: nobody */
    uint32_t associations;        /* of threads, also suspended ones */
    int result;                   /* DOOMED: why, an XA_RB*; HEURISTIC: what it became */
    bool enlisted;                /* the resource manager has heard of it */
    bool undone;                  /* DOOMED: its work is rolled back */
    bool leaves;                  /* its end was told: it is gone as soon as it is rolled back */
    bool has_record;
    bool commit_was_begun; /* an earlier commit may have been carried out */
    bool alarmed;
    char *detail;                       /* why; may be NULL */
    int64_t active_ms;                  /* when something came for it last */
    struct foreign_branch *prev, *next; /* ACTIVE and DOOMED: the idle list */
};

struct foreign {
    struct foreign_options options;
    uint64_t counter; /* branches begun in this start */
    struct foreign_branch *by_xid, *by_txid;
    struct foreign_branch *idle; /* utlist, the longest idle first */
    uint32_t recorded;           /* branches with a record */
    uint32_t heuristic;          /* of these, HEURISTIC */
    uint64_t committed, rolled_back;
    int64_t now_ms;                  /* of the event under way */
    struct foreign_effects *effects; /* of the step under way */
    bool no_memory;                  /* the step under way can't be completed */
};

/* ---- foreign.c ------------------------------------------------------------------------------- */

struct foreign_key foreign_key_of(const struct troth_xid *xid);
/* NULL: no memory. */
struct foreign_branch *foreign_add(struct foreign *all, const struct troth_xid *xid,
                                   struct troth_txid txid, enum foreign_state state);
void foreign_remove(struct foreign *all, struct foreign_branch *branch);
/* Every change of state goes through here. */
void foreign_move(struct foreign *all, struct foreign_branch *branch, enum foreign_state to);
/* Something came for it: its time begins anew. */
void foreign_touch(struct foreign *all, struct foreign_branch *branch);
/* It is rolled back, or soon will be, and can't become anything else. */
bool foreign_is_doomed(const struct foreign_branch *branch);
/* Rolls back a branch that is not prepared, whoever wants that; `result` is an XA_RB*. */
void foreign_doom(struct foreign *all, struct foreign_branch *branch, int result,
                  const char *detail);

void foreign_effect_store(struct foreign *all, struct foreign_branch *branch,
                          enum foreign_record record);
void foreign_effect_delete(struct foreign *all, struct foreign_branch *branch, bool committed);
void foreign_effect_call(struct foreign *all, struct foreign_branch *branch,
                         enum branches_call call);
/* `branch` may be NULL. */
void foreign_effect_answer(struct foreign *all, uint64_t request, int result,
                           const struct foreign_branch *branch, const char *detail);
/* Once a branch. */
void foreign_effect_alarm(struct foreign *all, struct foreign_branch *branch, const char *what,
                          int err);

/* ---- foreign_verbs.c ------------------------------------------------------------------------- */

void on_foreign_verb(struct foreign *all, const struct foreign_event *event);
/* The callback under way has answered. */
void on_foreign_result(struct foreign *all, struct foreign_branch *branch,
                       enum branches_call called, int result, const char *detail);

#endif
