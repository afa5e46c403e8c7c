/* troth_foreign: branches whose transaction manager is not Troth.
 *
 * A resource manager that links the library takes part in transactions of others too: of whoever
 * drives it as X/Open XA says (C193), with start, end, prepare, commit, rollback, recover and
 * forget. The library keeps what XA asks for: the branch's state, on disk where it must be, and
 * the answer to every call in every state. The resource manager itself sees no difference: each
 * branch gets a txid of its own, under which the four callbacks of troth_participant.h run and
 * troth_participant_enlist answers; no node is told of it.
 *
 *     struct troth_xid xid = {.format = 7, .gtrid_bytes = 2, .bqual_bytes = 1, .data = "g1b"};
 *     troth_participant_foreign(p, TROTH_FOREIGN_START, &xid, started, me);
 *     ... started gets the txid; work goes by it, and troth_participant_enlist takes it ...
 *     troth_participant_foreign(p, TROTH_FOREIGN_END, &xid, ended, me);
 *     troth_participant_foreign(p, TROTH_FOREIGN_PREPARE, &xid, voted, me);
 *     troth_participant_foreign(p, TROTH_FOREIGN_COMMIT, &xid, committed, me);
 *
 * What is on disk when an answer comes (S4): of PREPARE's TROTH_XA_OK the branch's work and that it
 * is prepared, in one batch; of COMMIT's that it is committed. A prepared branch stays in doubt,
 * over restarts and for any time, until its transaction manager has it committed or rolled back,
 * or a human does (FORCE_*), which is then a heuristic that stays until FORGET.
 *
 * What is not prepared is lost with the process, and is rolled back when nothing came for it for
 * idle_timeout_ms. A call for a branch that was lost is answered TROTH_XAER_NOTA, and work for it
 * TROTH_ERR_ABORTED: it is never taken for a new one, since its txid is not (ARCHITECTURE H2). */
#ifndef TROTH_FOREIGN_H
#define TROTH_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/txid.h"

struct troth_participant;

#define TROTH_XID_PART_MAX 64 /* bytes of a gtrid or bqual */
/* At once, of one participant; more are refused with TROTH_XAER_RMERR. */
#define TROTH_FOREIGN_MAX 100000u

struct troth_xid {
    int64_t format;                       /* formatID; -1 is XA's null XID, which names nothing */
    uint8_t gtrid_bytes;                  /* 1 to 64 */
    uint8_t bqual_bytes;                  /* 0 to 64 */
    uint8_t data[2 * TROTH_XID_PART_MAX]; /* the gtrid, then the bqual */
};

/* The answers, with XA's numbers. */
enum troth_xa_result {
    TROTH_XA_OK = 0,
    TROTH_XA_RDONLY = 3,  /* PREPARE: nothing to commit, and the branch is over */
    TROTH_XA_RETRY = 4,   /* COMMIT: not now; ask again */
    TROTH_XA_HEURMIX = 5, /* COMMIT, ROLLBACK: what a human or the resource manager did */
    TROTH_XA_HEURRB = 6,
    TROTH_XA_HEURCOM = 7,
    TROTH_XA_HEURHAZ = 8,
    TROTH_XA_RBROLLBACK = 100, /* 100 to 107: rolled back, or to be rolled back only */
    TROTH_XA_RBCOMMFAIL = 101,
    TROTH_XA_RBDEADLOCK = 102, /* lost a lock */
    TROTH_XA_RBINTEGRITY = 103,
    TROTH_XA_RBOTHER = 104,
    TROTH_XA_RBPROTO = 105,
    TROTH_XA_RBTIMEOUT = 106, /* nothing came for it for too long */
    TROTH_XA_RBTRANSIENT = 107,
    TROTH_XAER_RMERR = -3,
    TROTH_XAER_NOTA = -4, /* no such branch */
    TROTH_XAER_INVAL = -5,
    TROTH_XAER_PROTO = -6,  /* not in this state of the branch */
    TROTH_XAER_RMFAIL = -7, /* can't be done now, nothing was; ask again */
    TROTH_XAER_DUPID = -8,
};

enum troth_foreign_verb {
    TROTH_FOREIGN_START = 1,
    TROTH_FOREIGN_JOIN,    /* xa_start with TMJOIN */
    TROTH_FOREIGN_RESUME,  /* xa_start with TMRESUME */
    TROTH_FOREIGN_END,     /* xa_end with TMSUCCESS */
    TROTH_FOREIGN_FAIL,    /* xa_end with TMFAIL: the branch is to be rolled back only */
    TROTH_FOREIGN_SUSPEND, /* xa_end with TMSUSPEND */
    TROTH_FOREIGN_PREPARE,
    TROTH_FOREIGN_COMMIT,
    TROTH_FOREIGN_COMMIT_ONE_PHASE, /* xa_commit with TMONEPHASE */
    TROTH_FOREIGN_ROLLBACK,
    TROTH_FOREIGN_FORGET,
    /* By hand, of a prepared branch whose transaction manager will not come back. TROTH_XA_OK, and
     * the branch stays, heuristically completed, until FORGET. */
    TROTH_FOREIGN_FORCE_COMMIT,
    TROTH_FOREIGN_FORCE_ROLLBACK,
};

/* `txid`: the branch's; zero when there is none. `detail`: for humans, "" if there is nothing to
 * say. */
typedef void troth_foreign_fn(void *arg, int result, struct troth_txid txid, const char *detail);
/* One of XA's calls; `xid` is copied. `done` runs on the loop, once, when what it tells is on disk.
 * Any thread. Returns 0 (done will run), or TROTH_ERR_CLOSED, _FULL or _NO_MEMORY (it won't).
 *
 * Rolling back is also possible while a thread is associated with the branch: its program may be
 * dead, and can't end the association any more. */
int troth_participant_foreign(struct troth_participant *participant, enum troth_foreign_verb verb,
                              const struct troth_xid *xid, troth_foreign_fn *done, void *arg);

enum troth_foreign_state {
    TROTH_FOREIGN_PREPARED = 1,
    TROTH_FOREIGN_HEUR_COMMITTED,
    TROTH_FOREIGN_HEUR_ROLLED_BACK,
    TROTH_FOREIGN_HEUR_HAZARD, /* to commit, and the resource manager did not know it */
};
struct troth_foreign_branch {
    struct troth_xid xid;
    struct troth_txid txid;
    enum troth_foreign_state state;
    int64_t changed_ms; /* by the wall clock, since 1970 */
};
/* At most so many are told at once. */
#define TROTH_FOREIGN_RECOVER_MAX 1000u
/* xa_recover: the branches that are prepared or heuristically completed, in the order of their
 * txids, from the first after `after` (zero: from the beginning) and at most `max` of them. `more`:
 * there are others behind. `branches` is valid during the call. Else as above. */
typedef void troth_foreign_list_fn(void *arg, int result,
                                   const struct troth_foreign_branch *branches, size_t n,
                                   bool more);
int troth_participant_foreign_recover(struct troth_participant *participant,
                                      struct troth_txid after, size_t max,
                                      troth_foreign_list_fn *done, void *arg);

#endif
