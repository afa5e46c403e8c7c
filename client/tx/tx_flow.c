#include "client/tx/tx_flow.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "client/tx/tx.h"

#define TIMEOUT_MAX_S 3600 /* Troth's longest */
#define BEGIN_TRIES   3    /* nodes: a participant may have lost one that a client still reaches */

static void explain(struct tx_flow *flow, const struct tx_session *session, const char *why) {
    if (session != NULL) {
        snprintf(flow->why, sizeof flow->why, "%s: %s", session->resource->name, why);
    } else {
        snprintf(flow->why, sizeof flow->why, "%s", why);
    }
}

/* ---- Fates ----------------------------------------------------------------------------------- */

/* C504: a part that nobody can tell of is worse than a part that is known to be other, and that is
 * worse than one that may be. */
enum tx_fate tx_fate_combine(const enum tx_fate *fates, size_t n) {
    size_t count[TX_FATE_UNKNOWN + 1] = {0};
    for (size_t i = 0; i < n; i++) {
        count[fates[i]]++;
    }
    if (count[TX_FATE_UNKNOWN] > 0) {
        return TX_FATE_UNKNOWN;
    }
    if (count[TX_FATE_MIXED] > 0 ||
        (count[TX_FATE_COMMITTED] > 0 && count[TX_FATE_ROLLED_BACK] > 0)) {
        return TX_FATE_MIXED;
    }
    if (count[TX_FATE_HAZARD] > 0) {
        return TX_FATE_HAZARD;
    }
    if (count[TX_FATE_COMMITTED] > 0) {
        return TX_FATE_COMMITTED;
    }
    return count[TX_FATE_ROLLED_BACK] > 0 ? TX_FATE_ROLLED_BACK : TX_FATE_NONE;
}

/* `wanted` is COMMITTED for tx_commit, ROLLED_BACK for tx_rollback. */
static int code_of(enum tx_fate fate, enum tx_fate wanted) {
    if (fate == wanted || fate == TX_FATE_NONE) {
        return TX_OK;
    }
    switch (fate) {
    case TX_FATE_COMMITTED:
        return TX_COMMITTED;
    case TX_FATE_ROLLED_BACK:
        return TX_ROLLBACK;
    case TX_FATE_MIXED:
        return TX_MIXED;
    case TX_FATE_HAZARD:
        return TX_HAZARD;
    case TX_FATE_UNKNOWN:
    case TX_FATE_NONE:
        break;
    }
    return TX_FAIL;
}

static void leave(struct tx_flow *flow) {
    flow->txid = (struct troth_txid){0};
    flow->rollback_only = flow->is_shared = flow->lost_branch = false;
    for (size_t i = 0; i < flow->n; i++) {
        flow->sessions[i]->joined = flow->sessions[i]->prepared = false;
    }
}

/* ---- Rolling back ---------------------------------------------------------------------------- */

/* What is not prepared, by its own session. *n: fates so far. */
static void roll_back_work(struct tx_flow *flow, enum tx_fate *fates, size_t *n) {
    char why[TX_WHY_BYTES];
    for (size_t i = 0; i < flow->n; i++) {
        struct tx_session *session = flow->sessions[i];
        if (!session->joined || session->prepared) {
            continue;
        }
        why[0] = '\0';
        fates[*n] = session->ops->rollback(session, why);
        if (fates[*n] != TX_FATE_ROLLED_BACK) {
            explain(flow, session, why);
        }
        ++*n;
    }
}

/* What is, by its participant, once Troth has aborted. */
static void await_participants(struct tx_flow *flow, bool is_aborted, enum tx_fate *fates,
                               size_t *n) {
    char why[TX_WHY_BYTES];
    for (size_t i = 0; i < flow->n; i++) {
        struct tx_session *session = flow->sessions[i];
        if (!session->prepared) {
            continue;
        }
        why[0] = '\0';
        fates[*n] = is_aborted ? flow->manager->settle(flow->arg, session, TROTH_ABORTED, why)
                               : TX_FATE_ROLLED_BACK; /* which it will be */
        if (fates[*n] != TX_FATE_ROLLED_BACK) {
            explain(flow, session, why);
        }
        ++*n;
    }
}

/* The work first, so that its locks go; Troth has not been asked to commit, so it can't. */
static enum tx_fate roll_back(struct tx_flow *flow) {
    enum tx_fate fates[TX_RESOURCES_MAX + 1];
    char why[TX_WHY_BYTES];
    size_t n = 0;
    if (flow->lost_branch) {
        fates[n++] = TX_FATE_ROLLED_BACK;
    }
    roll_back_work(flow, fates, &n);
    for (size_t i = 0; i < flow->n; i++) {
        if (flow->sessions[i]->prepared) {
            /* If it can't be done, the participant finds the branch by itself, only later. */
            (void)flow->manager->hand_over(flow->arg, flow->sessions[i], why);
        }
    }
    /* A node that can't be reached aborts the transaction by itself when its time is over. */
    why[0] = '\0';
    int err = flow->manager->abort(flow->arg, flow->txid, why);
    if (err != 0 && flow->why[0] == '\0') {
        explain(flow, NULL, why);
    }
    await_participants(flow, err == 0, fates, &n);
    return tx_fate_combine(fates, n);
}

int tx_flow_rollback(struct tx_flow *flow) {
    flow->why[0] = '\0';
    int rc = code_of(roll_back(flow), TX_FATE_ROLLED_BACK);
    leave(flow);
    return rc;
}

/* tx_commit that came to nothing. */
static int roll_back_instead(struct tx_flow *flow) {
    enum tx_fate fate = roll_back(flow);
    return code_of(fate == TX_FATE_NONE ? TX_FATE_ROLLED_BACK : fate, TX_FATE_COMMITTED);
}

/* ---- Begin ----------------------------------------------------------------------------------- */

/* Gives every resource manager its branch. *again: another node may do it. */
static int begin_all(struct tx_flow *flow, bool *again) {
    for (size_t i = 0; i < flow->n; i++) {
        struct tx_session *session = flow->sessions[i];
        char why[TX_WHY_BYTES] = "";
        session->txid = flow->txid;
        int err = flow->manager->enlist(flow->arg, session, why);
        *again = err == TROTH_ERR_UNAVAILABLE;
        int rc = err != 0 ? TX_ERROR : session->ops->begin(session, why);
        if (rc != TX_OK) {
            explain(flow, session, why);
            return rc;
        }
    }
    return TX_OK;
}

static int begin_once(struct tx_flow *flow, uint32_t timeout_ms, bool *again) {
    char why[TX_WHY_BYTES] = "";
    flow->why[0] = '\0';
    *again = false;
    int err = flow->manager->begin(flow->arg, timeout_ms, &flow->txid, why);
    if (err != 0) {
        flow->txid = (struct troth_txid){0};
        explain(flow, NULL, why);
        return TX_ERROR;
    }
    int rc = begin_all(flow, again);
    if (rc != TX_OK) {
        char first[TX_WHY_BYTES];
        memcpy(first, flow->why, sizeof first);
        rc = roll_back(flow) == TX_FATE_UNKNOWN ? TX_FAIL : rc;
        memcpy(flow->why, first, sizeof first);
        leave(flow);
    }
    return rc;
}

int tx_flow_begin(struct tx_flow *flow, long timeout_s, int64_t now_ms) {
    assert(troth_txid_is_zero(flow->txid));
    long seconds = timeout_s <= 0 || timeout_s > TIMEOUT_MAX_S ? TIMEOUT_MAX_S : timeout_s;
    bool again = true;
    int rc = TX_ERROR;
    for (int tries = 0; again && rc == TX_ERROR && tries < BEGIN_TRIES; tries++) {
        rc = begin_once(flow, (uint32_t)seconds * 1000, &again);
    }
    flow->deadline_ms = timeout_s > 0 ? now_ms + seconds * 1000 : INT64_MAX;
    return rc;
}

long tx_flow_state(const struct tx_flow *flow, int64_t now_ms) {
    if (flow->rollback_only) {
        return TX_ROLLBACK_ONLY;
    }
    return now_ms >= flow->deadline_ms ? TX_TIMEOUT_ROLLBACK_ONLY : TX_ACTIVE;
}

/* ---- Commit ---------------------------------------------------------------------------------- */

/* There was no work, or it is done without Troth, which so hears of its end before its time. */
static void release_txid(struct tx_flow *flow) {
    char why[TX_WHY_BYTES];
    enum troth_outcome outcome;
    (void)flow->manager->commit(flow->arg, flow->txid, NULL, 0, &outcome, why);
}

static int commit_one(struct tx_flow *flow, struct tx_session *session) {
    char why[TX_WHY_BYTES] = "";
    enum tx_fate fate = session->ops->commit_one(session, why);
    if (fate == TX_FATE_COMMITTED) {
        release_txid(flow);
    } else {
        explain(flow, session, why);
        if (fate == TX_FATE_ROLLED_BACK) {
            (void)flow->manager->abort(flow->arg, flow->txid, why);
        }
    }
    return code_of(fate, TX_FATE_COMMITTED);
}

/* False: one could not be prepared, and every branch is to be rolled back. */
static bool prepare_all(struct tx_flow *flow) {
    for (size_t i = 0; i < flow->n; i++) {
        struct tx_session *session = flow->sessions[i];
        char why[TX_WHY_BYTES] = "";
        if (!session->joined) {
            continue;
        }
        enum tx_vote vote = session->ops->prepare(session, why);
        switch (vote) {
        case TX_VOTE_PREPARED:
            session->prepared = true;
            if (flow->manager->prepared(flow->arg, session, why) == 0) {
                continue;
            }
            explain(flow, session, why);
            return false;
        case TX_VOTE_READ_ONLY:
            session->joined = false;
            continue;
        case TX_VOTE_ROLLED_BACK:
            session->joined = false;
            flow->lost_branch = true;
            explain(flow, session, why);
            return false;
        case TX_VOTE_FAILED:
            explain(flow, session, why);
            return false;
        }
    }
    return true;
}

static int settle_all(struct tx_flow *flow, enum troth_outcome outcome) {
    enum tx_fate fates[TX_RESOURCES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < flow->n; i++) {
        struct tx_session *session = flow->sessions[i];
        char why[TX_WHY_BYTES] = "";
        if (session->joined) {
            fates[n++] = flow->manager->settle(flow->arg, session, outcome, why);
            if (why[0] != '\0') {
                explain(flow, session, why);
            }
        }
    }
    return code_of(tx_fate_combine(fates, n), TX_FATE_COMMITTED);
}

static int commit_all(struct tx_flow *flow, bool completes) {
    struct troth_branch branches[TX_RESOURCES_MAX];
    char why[TX_WHY_BYTES] = "";
    size_t n = 0;
    for (size_t i = 0; i < flow->n; i++) {
        const struct tx_session *session = flow->sessions[i];
        if (session->joined) {
            assert(session->prepared);
            branches[n++] = (struct troth_branch){.participant = session->branch.participant,
                                                  .incarnation = session->branch.incarnation};
        }
    }
    if (n == 0) {
        release_txid(flow);
        return TX_OK;
    }
    enum troth_outcome outcome = TROTH_OUTCOME_NONE;
    int err = flow->manager->commit(flow->arg, flow->txid, branches, n, &outcome, why);
    if (err != 0 || outcome == TROTH_OUTCOME_NONE) {
        explain(flow, NULL, why);
        return TX_FAIL; /* whatever the outcome is, the participants carry it out */
    }
    if (outcome == TROTH_ABORTED) {
        explain(flow, NULL, why);
    }
    if (!completes) {
        return outcome == TROTH_COMMITTED ? TX_OK : TX_ROLLBACK;
    }
    return settle_all(flow, outcome);
}

int tx_flow_commit(struct tx_flow *flow, bool completes, int64_t now_ms) {
    struct tx_session *only = NULL;
    size_t joined = 0;
    int rc;
    flow->why[0] = '\0';
    for (size_t i = 0; i < flow->n; i++) {
        if (flow->sessions[i]->joined) {
            only = flow->sessions[i];
            joined++;
        }
    }
    long state = tx_flow_state(flow, now_ms);
    if (state != TX_ACTIVE) {
        explain(flow, NULL,
                state == TX_ROLLBACK_ONLY ? "the transaction can only be rolled back"
                                          : "the transaction's timeout has passed");
        rc = roll_back_instead(flow);
    } else if (joined == 1 && only->ops->commit_one != NULL && !flow->is_shared) {
        rc = commit_one(flow, only);
    } else {
        rc = prepare_all(flow) ? commit_all(flow, completes) : roll_back_instead(flow);
    }
    leave(flow);
    return rc;
}
