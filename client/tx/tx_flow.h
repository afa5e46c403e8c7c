/* tx_flow: one thread's transaction, from begin to its end: the order in which resource managers
 * and Troth are asked, and what their answers make of a call's return code (C504, chapter 5 and its
 * tables of XA codes).
 *
 * No I/O of its own: sessions (tx_session.h) reach resource managers, a `struct tx_manager` Troth.
 *
 *     commit:  each joined branch is prepared in its session. One that can't be: all are rolled
 *              back, Troth is told to abort. All can: Commit names them to Troth, which decides.
 *              A single one, if its kind can, is committed in one phase, without Troth.
 *
 * Invariant: Commit is asked for only after every branch was seen to be prepared; and what is
 * prepared is ended by nobody but its participant, which would take another's end for a heuristic.
 */
#ifndef CLIENT_TX_FLOW_H
#define CLIENT_TX_FLOW_H

#include <stdint.h>

#include "client/troth.h"
#include "client/tx/tx_session.h"

/* Troth, as a transaction sees it. The functions return 0 or TROTH_ERR_* with `why`. */
struct tx_manager {
    int (*begin)(void *arg, uint32_t timeout_ms, struct troth_txid *txid, char why[TX_WHY_BYTES]);
    /* Before the first work: fills in session->branch. */
    int (*enlist)(void *arg, struct tx_session *session, char why[TX_WHY_BYTES]);
    /* It is prepared: what Commit is to name is in session->branch after this. */
    int (*prepared)(void *arg, struct tx_session *session, char why[TX_WHY_BYTES]);
    /* It is prepared, and Commit will not be asked for: its participant is to hear of the abort. */
    int (*hand_over)(void *arg, struct tx_session *session, char why[TX_WHY_BYTES]);
    /* 0: *outcome is committed or aborted. Else it is not known. */
    int (*commit)(void *arg, struct troth_txid txid, const struct troth_branch *branches, size_t n,
                  enum troth_outcome *outcome, char why[TX_WHY_BYTES]);
    /* Nothing was asked to commit. */
    int (*abort)(void *arg, struct troth_txid txid, char why[TX_WHY_BYTES]);
    /* Waits until the prepared branch is ended by its participant, and tells how; for how long is
     * the manager's affair. `outcome` is what it will be if nobody interferes. */
    enum tx_fate (*settle)(void *arg, struct tx_session *session, enum troth_outcome outcome,
                           char why[TX_WHY_BYTES]);
};

struct tx_flow {
    const struct tx_manager *manager;
    void *arg; /* the manager's */
    struct tx_session **sessions;
    size_t n;
    struct troth_txid txid; /* zero: in no transaction */
    int64_t deadline_ms;    /* INT64_MAX: none */
    bool rollback_only;
    bool is_shared;   /* the program has told others the txid: their work needs Troth's commit */
    bool lost_branch; /* a branch was rolled back by its resource manager */
    char why[TX_WHY_BYTES]; /* of the last thing that went wrong */
};

/* TX_OK, TX_OUTSIDE, TX_ERROR (no transaction was begun), TX_FAIL. `timeout_s` 0: the longest that
 * Troth has. */
int tx_flow_begin(struct tx_flow *flow, long timeout_s, int64_t now_ms);
/* TX_OK, TX_ROLLBACK, TX_MIXED, TX_HAZARD, TX_FAIL. `completes`: waits until the branches are ended
 * (TX_COMMIT_COMPLETED). */
int tx_flow_commit(struct tx_flow *flow, bool completes, int64_t now_ms);
/* TX_OK, TX_MIXED, TX_HAZARD, TX_COMMITTED, TX_FAIL. */
int tx_flow_rollback(struct tx_flow *flow);
/* TX_ACTIVE, TX_TIMEOUT_ROLLBACK_ONLY, TX_ROLLBACK_ONLY. */
long tx_flow_state(const struct tx_flow *flow, int64_t now_ms);

/* What the fates of all branches are together: as TX_FATE_*. NONE: there was none. */
enum tx_fate tx_fate_combine(const enum tx_fate *fates, size_t n);

#endif
