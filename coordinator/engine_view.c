/* Looking at the engine; nothing here changes anything. */
#include <stdlib.h>

#include "base/troth_err.h"
#include "coordinator/engine_state.h"

void engine_counters(const struct engine *engine, struct engine_counters *counters) {
    *counters = engine->counters;
}

void engine_heartbeat(const struct engine *engine, struct message *heartbeat) {
    *heartbeat = (struct message){.type = MESSAGE_HEARTBEAT,
                                  .mark = marks_own(engine),
                                  .incarnation = engine->options.incarnation,
                                  .in_flight = (uint32_t)engine->counters.in_flight,
                                  .sequence_next = engine->sequence_next};
}

int engine_participants(const struct engine *engine, engine_participant_fn *each, void *arg) {
    int rc = 0;
    for (struct rm *rm = engine->rms_by_name; rm != NULL && rc == 0; rm = rm->by_name.next) {
        if (rm->participant.incarnation != 0) {
            rc = each(arg, &rm->participant, rm->session != 0);
        }
    }
    return rc;
}

static enum engine_state state_of(const struct tx *tx) {
    switch (tx_outcome(tx)) {
    case PAXOS_OUTCOME_COMMITTED:
        return ENGINE_STATE_COMMITTED;
    case PAXOS_OUTCOME_ABORTED:
        return ENGINE_STATE_ABORTED;
    case PAXOS_OUTCOME_NONE:
        break;
    }
    return tx->stage == TX_ACTIVE ? ENGINE_STATE_ACTIVE : ENGINE_STATE_PREPARING;
}

/* Branches as the acceptor holds them, else as they were enlisted. */
static struct engine_branch_view *view_branches(struct engine *engine, const struct tx *tx,
                                                uint32_t *n) {
    const struct paxos_set *set = tx->record.set;
    *n = set != NULL ? set->n : tx->n_branches;
    struct engine_branch_view *views = calloc(*n > 0 ? *n : 1, sizeof *views);
    for (uint32_t i = 0; views != NULL && i < *n; i++) {
        if (set != NULL) {
            views[i].participant = set->members[i];
            views[i].accepted = tx->record.accepted[i];
        } else {
            views[i].participant = tx->branches[i].rm->participant;
            views[i].participant.incarnation = tx->branches[i].incarnation;
        }
        struct rm *rm = NULL;
        HASH_FIND(by_name, engine->rms_by_name, views[i].participant.name,
                  strlen(views[i].participant.name), rm);
        views[i].attached = rm != NULL && rm->session != 0;
        views[i].acked = tx->stage == TX_DECIDED && i < tx->n_branches && tx->branches[i].acked;
    }
    return views;
}

static int show(struct engine *engine, const struct tx *tx, int64_t now_ms, engine_view_fn *each,
                void *arg) {
    uint32_t n;
    struct engine_branch_view *branches = view_branches(engine, tx, &n);
    if (branches == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    bool leads = tx->stage == TX_LEADING || tx->stage == TX_ACTIVE || tx->delivers;
    struct engine_view view = {
        .txid = tx->txid,
        .state = state_of(tx),
        .outcome = tx_outcome(tx),
        .reason = tx->reason,
        .detail = tx->detail != NULL ? tx->detail : "",
        .ballot = tx->record.promised,
        .leader = leads ? engine->options.self : watch_leading_node(engine, tx),
        .age_ms = now_ms - tx->since_ms,
        .in_doubt = tx->counted_in_doubt,
        .n_branches = n,
        .branches = branches,
    };
    int rc = each(arg, &view);
    free(branches);
    return rc;
}

int engine_view_one(struct engine *engine, struct troth_txid txid, int64_t now_ms,
                    engine_view_fn *each, void *arg) {
    struct tx *tx = tx_find(engine, txid);
    return tx == NULL ? TROTH_ERR_NOT_FOUND : show(engine, tx, now_ms, each, arg);
}

int engine_view_newest(struct engine *engine, int64_t now_ms, engine_view_fn *each, void *arg) {
    int rc = 0;
    for (const struct tx *tx = engine->last; tx != NULL && rc == 0; tx = tx->prev) {
        rc = show(engine, tx, now_ms, each, arg);
    }
    return rc;
}

int engine_view_all(struct engine *engine, int64_t now_ms, engine_view_fn *each, void *arg) {
    int rc = 0;
    for (const struct tx *tx = engine->first; tx != NULL && rc == 0; tx = tx->next) {
        rc = show(engine, tx, now_ms, each, arg);
    }
    return rc;
}
