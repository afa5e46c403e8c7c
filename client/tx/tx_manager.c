/* Troth as a transaction sees it: the nodes through the client library, participants in this
 * process or through their agents. */
#include <stdio.h>
#include <string.h>

#include "client/tx/tx_process_internal.h"
#include "participant/adapters/resource.h"
#include "shell/clock.h"

static int explain(int err, const char *detail, char why[TX_WHY_BYTES]) {
    if (err != 0) {
        snprintf(why, TX_WHY_BYTES, "%s", detail[0] != '\0' ? detail : troth_err_text(err));
    }
    return err;
}

static int manager_begin(void *arg, uint32_t timeout_ms, struct troth_txid *txid,
                         char why[TX_WHY_BYTES]) {
    const struct tx_process *process = arg;
    struct troth_result result = {.detail = ""};
    int err = troth_begin(process->troth, timeout_ms, txid, &result);
    return explain(err, result.detail, why);
}

/* ---- Branches -------------------------------------------------------------------------------- */

/* A branch with SQL is bound before its work: so its participant hears of its end, and takes no
 * other session for it. One with XA may turn out to be read-only, after which there is nothing that
 * its participant could vote for; so it is named to Commit alone. */
static int manager_enlist(void *arg, struct tx_session *session, char why[TX_WHY_BYTES]) {
    struct tx_process *process = arg;
    struct troth_database *database = process->databases[session->index];
    struct tx_agent *agent = process->agents[session->index];
    if (session->resource->kind != TX_KIND_XA) {
        return agent != NULL ? tx_agent_enlist(agent, session->txid, &session->branch, why)
                             : troth_database_enlist(database, session->txid, 0, &session->branch,
                                                     why, TX_WHY_BYTES);
    }
    session->branch = (struct troth_database_branch){0};
    memcpy(session->branch.participant, session->resource->name,
           sizeof session->branch.participant);
    return 0;
}

static int manager_prepared(void *arg, struct tx_session *session, char why[TX_WHY_BYTES]) {
    struct tx_process *process = arg;
    struct troth_database *database = process->databases[session->index];
    struct tx_agent *agent = process->agents[session->index];
    if (session->resource->kind != TX_KIND_XA) {
        if (database != NULL) {
            (void)troth_database_prepared(database, session->txid); /* else it looks by itself */
        }
        return 0;
    }
    if (agent != NULL) {
        return tx_agent_incarnation(agent, &session->branch.incarnation, why);
    }
    session->branch.incarnation = resource_incarnation(database);
    return 0;
}

/* With SQL it was bound before its work. */
static int manager_hand_over(void *arg, struct tx_session *session, char why[TX_WHY_BYTES]) {
    struct tx_process *process = arg;
    struct troth_database_branch branch;
    struct tx_agent *agent = process->agents[session->index];
    if (session->resource->kind != TX_KIND_XA) {
        return 0;
    }
    return agent != NULL ? tx_agent_enlist(agent, session->txid, &branch, why)
                         : troth_database_enlist(process->databases[session->index], session->txid,
                                                 0, &branch, why, TX_WHY_BYTES);
}

/* ---- Ends ------------------------------------------------------------------------------------ */

static int manager_commit(void *arg, struct troth_txid txid, const struct troth_branch *branches,
                          size_t n, enum troth_outcome *outcome, char why[TX_WHY_BYTES]) {
    const struct tx_process *process = arg;
    struct troth_result result = {.detail = ""};
    char text[TROTH_TXID_TEXT];
    int err =
        troth_commit(process->troth, txid, branches, n, process->config.commit_timeout_ms, &result);
    *outcome = err == 0 ? result.outcome : TROTH_OUTCOME_NONE;
    if (err != 0) {
        snprintf(why, TX_WHY_BYTES,
                 "transaction %s: whether it is committed is not known here: %.300s",
                 troth_txid_format(txid, text),
                 result.detail[0] != '\0' ? result.detail : troth_err_text(err));
    } else {
        snprintf(why, TX_WHY_BYTES, "transaction %s: %.300s", troth_txid_format(txid, text),
                 result.detail);
    }
    return err;
}

static int manager_abort(void *arg, struct troth_txid txid, char why[TX_WHY_BYTES]) {
    const struct tx_process *process = arg;
    struct troth_result result = {.detail = ""};
    int err = troth_abort(process->troth, txid, 0, &result);
    return explain(err, result.detail, why);
}

struct settling {
    struct troth_database *database;
    struct troth_txid txid;
    enum listed_state state;
    enum message_heuristic heuristic;
};

static bool is_ended(void *arg) {
    struct settling *settling = arg;
    int err =
        resource_state(settling->database, settling->txid, &settling->state, &settling->heuristic);
    /* NONE: over, and every node knows it. */
    return err == 0 && (settling->state == LISTED_NONE || settling->state >= LISTED_READ_ONLY);
}

static enum tx_fate fate_of(enum message_heuristic heuristic, enum troth_outcome outcome) {
    switch (heuristic) {
    case MESSAGE_HEURISTIC_COMMIT:
        return TX_FATE_COMMITTED;
    case MESSAGE_HEURISTIC_ABORT:
        return TX_FATE_ROLLED_BACK;
    case MESSAGE_HEURISTIC_MIXED:
        return TX_FATE_MIXED;
    case MESSAGE_HEURISTIC_HAZARD:
        return TX_FATE_HAZARD;
    case MESSAGE_HEURISTIC_NONE:
        break;
    }
    return outcome == TROTH_COMMITTED ? TX_FATE_COMMITTED : TX_FATE_ROLLED_BACK;
}

/* An agent's branch is not waited for (tx_process_completes). */
static enum tx_fate manager_settle(void *arg, struct tx_session *session,
                                   enum troth_outcome outcome, char why[TX_WHY_BYTES]) {
    struct tx_process *process = arg;
    struct settling settling = {.database = process->databases[session->index],
                                .txid = session->txid};
    if (settling.database != NULL &&
        !tx_wait_until(is_ended, &settling, process->config.commit_timeout_ms)) {
        snprintf(why, TX_WHY_BYTES, "its branch is not ended yet; it will be");
    }
    if (settling.heuristic != MESSAGE_HEURISTIC_NONE) {
        char text[TROTH_TXID_TEXT];
        snprintf(why, TX_WHY_BYTES, "its branch of %s has ended by itself: %s; see troth tx show",
                 troth_txid_format(session->txid, text),
                 message_heuristic_name(settling.heuristic));
    }
    return fate_of(settling.heuristic, outcome);
}

const struct tx_manager tx_process_manager = {
    .begin = manager_begin,
    .enlist = manager_enlist,
    .prepared = manager_prepared,
    .hand_over = manager_hand_over,
    .commit = manager_commit,
    .abort = manager_abort,
    .settle = manager_settle,
};
